//! What stands beside tables: types, sequences, functions, views, triggers, policies.

use super::{Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, required, table_of};
use crate::structure::{names::table_and_column, unqualified::OWN};

impl Writer<'_> {
    pub(super) fn sequence(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let owner = properties
            .get("owned by")
            .and_then(|owner| table_and_column(owner));
        if let Some((table, column)) = owner {
            let column_of = self.of(Kind::Column, Some(&table), &column);
            if let Some(column) = column_of.filter(|column| column.contains_key("identity")) {
                return self.sequence_of_identity(key, properties, column);
            }
            let owned = format!(
                "ALTER SEQUENCE {name} OWNED BY {}.{}",
                ident(&table)?,
                ident(&column)?
            );
            self.add(Phase::Ownership, owned)?;
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
        )?;
        Ok(())
    }

    /// It is made with its column, and then of the same type; one that came with a copy of a table may be of another.
    fn sequence_of_identity(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
        column: &Properties,
    ) -> Result<(), WriteError> {
        let kind = required(key, properties, "type")?;
        if column.get("type").is_some_and(|of| of == kind) {
            return Ok(());
        }
        let options = sequence_options(key, properties)?;
        let name = ident(&key.name)?;
        self.add(
            Phase::Ownership,
            format!("ALTER SEQUENCE {name} AS {kind} {options}"),
        )
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
        if !head.lines().any(|line| is_own(&line)) {
            self.add(Phase::Routine, definition.to_owned())?;
            return Ok(());
        }
        // All that is set is set then, as its order counts.
        let (set, kept): (Vec<_>, Vec<_>) =
            head.lines().partition(|line| line.starts_with(" SET "));
        self.add(Phase::Routine, format!("{}{body}", kept.join("\n")))?;
        let kind = key.kind.to_string().to_uppercase();
        let text = format!("ALTER {kind} {}{}", self.signature(key)?, set.concat());
        self.add(Phase::Behaviour, text)
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
        let (columns, query) = match only_values(definition) {
            Some(values) => {
                let columns = self.columns(&key.name)?;
                let columns: Vec<_> = columns.iter().map(|c| c.name.to_string()).collect();
                (format!(" ({})", columns.join(", ")), values)
            }
            None => (String::new(), definition),
        };
        let storage = self.storage(properties, "options")?;
        let text = format!("CREATE {kind} {name}{columns}{storage} AS\n{query}");
        if key.kind == Kind::View {
            return self.add(Phase::View, text);
        }
        let empty = format!("{text}\nWITH NO DATA");
        if properties.contains_key("populated") {
            return self.add(Phase::View, empty);
        }
        // What reads one that holds nothing cannot be filled, though it once was.
        self.add_or_apart(Phase::View, text, vec![empty])
    }

    pub(super) fn trigger_or_rule(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let table = table_of(key)?;
        // A partition gets those of its parent when they are made there.
        if !properties.contains_key("from parent") {
            let definition = required(key, properties, "definition")?;
            self.add(
                Phase::Behaviour,
                definition.trim_end_matches(';').to_owned(),
            )?;
        }
        let (only, word) = if key.kind == Kind::Trigger {
            ("ONLY ", "TRIGGER")
        } else {
            ("", "RULE")
        };
        let how = match properties.get("enabled").map(String::as_str) {
            Some("no") => "DISABLE",
            Some("on replicas") => "ENABLE REPLICA",
            Some("always") => "ENABLE ALWAYS",
            _ => return Ok(()),
        };
        let text = format!(
            "ALTER TABLE {only}{} {how} {word} {}",
            ident(table)?,
            ident(&key.name)?
        );
        self.add(Phase::Enabling, text)?;
        Ok(())
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
        self.add(Phase::Behaviour, text)?;
        Ok(())
    }
}

/// The list, where the query of a view is nothing but one, to which PostgreSQL adds the names of the columns. Read again, it
/// would be a list within a query, and written otherwise.
fn only_values(query: &str) -> Option<&str> {
    let query = query.strip_prefix(r#" SELECT "*VALUES*"."#)?;
    let (_, rest) = query.split_once("\n   FROM (VALUES ")?;
    let values = rest.strip_suffix(r#") "*VALUES*""#)?;
    let start = query.len() - rest.len() - "VALUES ".len();
    Some(&query[start..start + "VALUES ".len() + values.len()])
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
