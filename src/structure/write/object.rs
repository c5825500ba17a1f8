//! What stands beside tables: types, sequences, functions, views, triggers, policies.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, required, table_of, unwritable,
};
use crate::sql::Literal;

/// How the schema itself is named in what a function sets.
const OWN: &str = "<schema>";

impl Writer<'_> {
    pub(super) fn is_domain(&self, key: &ObjectKey) -> bool {
        let properties = self.snapshot.get(key);
        properties.is_some_and(|p| p.get("kind").is_some_and(|kind| kind == "domain"))
    }

    pub(super) fn a_type(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let get = |property: &str| properties.get(property).map_or("", String::as_str);
        let text = match get("kind") {
            "enum" => format!("CREATE TYPE {name} AS ENUM ({})", get("labels")),
            "composite" => format!("CREATE TYPE {name} AS ({})", get("attributes")),
            "range" => range(key, properties)?,
            "shell" => format!("CREATE TYPE {name}"),
            "domain" => {
                let mut text = format!("CREATE DOMAIN {name} AS {}", get("base type"));
                if let Some(collation) = properties.get("collation") {
                    text += &format!(" COLLATE {collation}");
                }
                if let Some(default) = properties.get("default") {
                    text += &format!(" DEFAULT {default}");
                }
                if get("not null") == "yes" {
                    text += " NOT NULL";
                }
                if let Some(constraints) = properties.get("constraints") {
                    text += &format!(" {constraints}");
                }
                text
            }
            _ => return Err(unwritable(key, "it is a type of another kind")),
        };
        self.add(Phase::Type, text);
        self.comments_within(key, properties)
    }

    /// Comments on the attributes of a composite type, and on the constraints of a domain.
    fn comments_within(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let is_domain = self.is_domain(key);
        for (property, comment) in properties {
            let Some(part) = property.strip_prefix("comment on ") else {
                continue;
            };
            let part = ident(part)?;
            let what = if is_domain {
                format!("CONSTRAINT {part} ON DOMAIN {name}")
            } else {
                format!("COLUMN {name}.{part}")
            };
            let comment = Literal::new(comment)?;
            self.add(Phase::Comment, format!("COMMENT ON {what} IS {comment}"));
        }
        Ok(())
    }

    pub(super) fn sequence(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let owner = properties
            .get("owned by")
            .and_then(|owner| owner.rsplit_once('.'));
        if let Some((table, column)) = owner {
            let column_of = self.of(Kind::Column, Some(table), column);
            if column_of.is_some_and(|column| column.contains_key("identity")) {
                // Made with its column.
                return Ok(());
            }
            let owned = format!(
                "ALTER SEQUENCE {name} OWNED BY {}.{}",
                ident(table)?,
                ident(column)?
            );
            self.add(Phase::Ownership, owned);
        }
        let unlogged = match properties.get("persistence").map(String::as_str) {
            Some("unlogged") => "UNLOGGED ",
            _ => "",
        };
        let kind = required(key, properties, "type")?;
        let options = sequence_options(key, properties)?;
        self.add(
            Phase::Sequence,
            format!("CREATE {unlogged}SEQUENCE {name} AS {kind} {options}"),
        );
        Ok(())
    }

    pub(super) fn routine(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let definition = required(key, properties, "definition")?.trim_end();
        let body = ["\nAS ", "\nBEGIN ATOMIC", "\nRETURN "];
        let body = body.iter().filter_map(|begin| definition.find(begin)).min();
        let (head, body) = definition.split_at(body.unwrap_or(definition.len()));
        let is_own = |line: &&str| line.starts_with(" SET search_path TO ") && line.contains(OWN);
        let Some(path) = head.lines().find(is_own) else {
            self.add(Phase::Routine, definition.to_owned());
            return Ok(());
        };
        // The name of the schema is known only where the file is run.
        let kept: Vec<_> = head.lines().filter(|line| !is_own(line)).collect();
        self.add(Phase::Routine, format!("{}{body}", kept.join("\n")));
        let kind = key.kind.to_string().to_uppercase();
        let path = path.replace('%', "%%").replace(OWN, "%1$I");
        let text = format!(
            "ALTER {kind} {}{path}",
            self.signature(key)?.replace('%', "%%")
        );
        self.add(
            Phase::Behaviour,
            format!("DO $do$ BEGIN EXECUTE pg_catalog.format({}, pg_catalog.current_schema()); END $do$", Literal::new(&text)?),
        );
        Ok(())
    }

    pub(super) fn view(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let definition = required(key, properties, "definition")?;
        let definition = definition.trim_end().trim_end_matches(';');
        let kind = if key.kind == Kind::View {
            "VIEW"
        } else {
            "MATERIALIZED VIEW"
        };
        let mut text = format!("CREATE {kind} {name}");
        text += &self.storage(properties, "options")?;
        self.add(Phase::View, format!("{text} AS\n{definition}"));
        Ok(())
    }

    pub(super) fn trigger_or_rule(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let table = table_of(key)?;
        if key.kind == Kind::Trigger && self.comes_from_parent(table, key) {
            return Ok(());
        }
        let definition = required(key, properties, "definition")?;
        self.add(
            Phase::Behaviour,
            definition.trim_end_matches(';').to_owned(),
        );
        let word = if key.kind == Kind::Trigger {
            "TRIGGER"
        } else {
            "RULE"
        };
        let how = match properties.get("enabled").map(String::as_str) {
            Some("no") => "DISABLE",
            Some("on replicas") => "ENABLE REPLICA",
            Some("always") => "ENABLE ALWAYS",
            _ => return Ok(()),
        };
        let text = format!(
            "ALTER TABLE {} {how} {word} {}",
            ident(table)?,
            ident(&key.name)?
        );
        self.add(Phase::Behaviour, text);
        Ok(())
    }

    /// A partition gets the triggers of its parent when it is attached.
    fn comes_from_parent(&self, table: &str, trigger: &ObjectKey) -> bool {
        let parents = self
            .of(Kind::Table, None, table)
            .filter(|table| table.contains_key("partition bound"))
            .and_then(|table| table.get("parents"));
        parents.is_some_and(|parent| {
            let parent = parent.trim_matches('"').replace("\"\"", "\"");
            self.of(Kind::Trigger, Some(&parent), &trigger.name)
                .is_some()
        })
    }

    pub(super) fn policy(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let get = |property: &str| properties.get(property).map_or("", String::as_str);
        let kind = if get("permissive") == "no" {
            "RESTRICTIVE"
        } else {
            "PERMISSIVE"
        };
        let mut text = format!(
            "CREATE POLICY {} ON {} AS {kind} FOR {} TO {}",
            ident(&key.name)?,
            ident(table_of(key)?)?,
            get("command").to_uppercase(),
            get("roles"),
        );
        for (word, property) in [("USING", "using"), ("WITH CHECK", "with check")] {
            if let Some(condition) = properties.get(property) {
                text += &format!(" {word} ({condition})");
            }
        }
        self.add(Phase::Behaviour, text);
        Ok(())
    }
}

fn range(key: &ObjectKey, properties: &Properties) -> Result<String, WriteError> {
    if properties.contains_key("canonical function") {
        return Err(unwritable(key, "its canonical function is written in C"));
    }
    let parts = [
        ("SUBTYPE", "subtype"),
        ("SUBTYPE_OPCLASS", "subtype operator class"),
        ("COLLATION", "subtype collation"),
        ("SUBTYPE_DIFF", "subtype difference"),
        ("MULTIRANGE_TYPE_NAME", "multirange type"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter_map(|(word, property)| Some(format!("{word} = {}", properties.get(property)?)))
        .collect();
    let name = ident(&key.name)?;
    Ok(format!(
        "CREATE TYPE {name} AS RANGE ({})",
        parts.join(", ")
    ))
}

/// `START WITH 1 INCREMENT BY 1 …`
pub(super) fn sequence_options(
    key: &ObjectKey,
    properties: &Properties,
) -> Result<String, WriteError> {
    let get = |property| required(key, properties, property);
    let cycle = if get("cycle")? == "yes" {
        "CYCLE"
    } else {
        "NO CYCLE"
    };
    Ok(format!(
        "START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {cycle}",
        get("start")?,
        get("increment")?,
        get("minimum")?,
        get("maximum")?,
        get("cache")?,
    ))
}
