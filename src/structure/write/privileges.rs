//! Owners and privileges as SQL: what leads to those that are told from those that PostgreSQL gives by itself.

use super::{Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, table_of};
use crate::structure::unqualified::OWN;

impl Writer<'_> {
    pub(super) fn privileges(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        self.owner(key, properties)?;
        for (property, privileges) in properties {
            if let Some(whose) = property.strip_prefix("default privileges of ") {
                self.default_privileges(whose, privileges)?;
            }
        }
        let Some(on) = self.on_what(key)? else {
            return Ok(());
        };
        let given = given(key.kind);
        for (role, usual) in [("public", given.public), ("the owner", given.owner)] {
            let is = properties.get(&format!("privileges of {role}"));
            let has =
                |privilege: &&str| is.is_some_and(|is| is.split(", ").any(|one| one == *privilege));
            if self.tells_privileges && !usual.iter().all(has) {
                self.add(
                    Phase::Privilege,
                    format!("REVOKE ALL ON {on} FROM {}", who(role)),
                )?;
            }
        }
        let columns = match key.kind {
            Kind::Column => format!(" ({})", ident(&key.name)?),
            _ => String::new(),
        };
        for (property, privileges) in properties {
            let Some(role) = property.strip_prefix("privileges of ") else {
                continue;
            };
            let usual = match role {
                "public" => given.public,
                "the owner" => given.owner,
                _ => &[],
            };
            let all: Vec<_> = privileges.split(", ").collect();
            if !usual.is_empty() && usual.iter().all(|usual| all.contains(usual)) {
                continue;
            }
            for (list, option) in by_option(&all) {
                let list: Vec<_> = list.iter().map(|one| format!("{one}{columns}")).collect();
                let list = list.join(", ");
                self.add(
                    Phase::Privilege,
                    format!("GRANT {list} ON {on} TO {}{option}", who(role)),
                )?;
            }
        }
        Ok(())
    }

    fn owner(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        let Some(owner) = properties.get("owner") else {
            return Ok(());
        };
        if properties.contains_key("owned by") {
            // It goes with its table.
            return Ok(());
        }
        let text = format!("ALTER {} OWNER TO {}", self.called(key)?, ident(owner)?);
        self.add(Phase::Owner, text)
    }

    /// `reader on tables made by app`
    fn default_privileges(&mut self, whose: &str, privileges: &str) -> Result<(), WriteError> {
        for kind in ["tables", "sequences", "functions", "types"] {
            let Some((role, maker)) = whose.split_once(&format!(" on {kind}")) else {
                continue;
            };
            let maker = maker.strip_prefix(" made by ");
            let maker = maker.map_or_else(String::new, |maker| format!(" FOR ROLE {maker}"));
            let all: Vec<_> = privileges.split(", ").collect();
            for (list, option) in by_option(&all) {
                let text = format!(
                    "ALTER DEFAULT PRIVILEGES{maker} IN SCHEMA {OWN} GRANT {} ON {} TO {}{option}",
                    list.join(", "),
                    kind.to_uppercase(),
                    who(role)
                );
                self.add(Phase::Privilege, text)?;
            }
            break;
        }
        Ok(())
    }

    /// What stands after `ON`; nothing where there are no privileges.
    fn on_what(&self, key: &ObjectKey) -> Result<Option<String>, WriteError> {
        let routine = |word: &str| -> Result<String, WriteError> {
            let (name, types) = self.name_and_types(key)?;
            Ok(format!("{word} {name}({types})"))
        };
        Ok(Some(match key.kind {
            Kind::Schema => format!("SCHEMA {OWN}"),
            Kind::Table | Kind::View | Kind::MaterializedView => {
                format!("TABLE {}", ident(&key.name)?)
            }
            Kind::Column => format!("TABLE {}", ident(table_of(key)?)?),
            Kind::Sequence => format!("SEQUENCE {}", ident(&key.name)?),
            Kind::Type => format!("TYPE {}", self.named(key, &key.name)?),
            Kind::Function | Kind::Aggregate => routine("FUNCTION")?,
            Kind::Procedure => routine("PROCEDURE")?,
            _ => return Ok(None),
        }))
    }
}

/// What PostgreSQL gives by itself.
struct Given {
    public: &'static [&'static str],
    owner: &'static [&'static str],
}

fn given(kind: Kind) -> Given {
    let (public, owner): (&[_], &[_]) = match kind {
        Kind::Schema => (&[], &["CREATE", "USAGE"]),
        Kind::Function | Kind::Procedure | Kind::Aggregate => (&["EXECUTE"], &["EXECUTE"]),
        Kind::Type => (&["USAGE"], &["USAGE"]),
        Kind::Sequence => (&[], &["SELECT", "UPDATE", "USAGE"]),
        Kind::Table | Kind::View | Kind::MaterializedView => (
            &[],
            &[
                "DELETE",
                "INSERT",
                "REFERENCES",
                "SELECT",
                "TRIGGER",
                "TRUNCATE",
                "UPDATE",
            ],
        ),
        _ => (&[], &[]),
    };
    Given { public, owner }
}

fn who(role: &str) -> &str {
    match role {
        "public" => "PUBLIC",
        "the owner" => "CURRENT_USER",
        // Quoted where it has to be.
        role => role,
    }
}

/// Privileges that may not be passed on, and those that may.
fn by_option<'p>(all: &[&'p str]) -> Vec<(Vec<&'p str>, &'static str)> {
    const OPTION: &str = " with grant option";
    let (with, without): (Vec<&str>, Vec<&str>) = all.iter().partition(|one| one.ends_with(OPTION));
    let with: Vec<_> = with
        .iter()
        .map(|one| one.trim_end_matches(OPTION))
        .collect();
    let both = [(without, ""), (with, " WITH GRANT OPTION")];
    both.into_iter()
        .filter(|(list, _)| !list.is_empty())
        .collect()
}
