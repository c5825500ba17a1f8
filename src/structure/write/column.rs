//! Columns, as they stand in `CREATE TABLE` and as they are changed after it.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, object::sequence_options,
    required, table::in_brackets, table_of, unwritable,
};
use crate::{
    sql::Ident,
    structure::names::{split, table_and_column, unquoted},
};

/// A column as it stands in `CREATE TABLE`.
pub(super) struct Column<'p> {
    pub(super) name: Ident,
    /// What follows the name, but for the default.
    rest: String,
    pub(super) default: Option<&'p String>,
}

impl Column<'_> {
    pub(super) fn text(&self, with_default: bool) -> String {
        let Self {
            name,
            rest,
            default,
        } = self;
        match default.filter(|_| with_default) {
            Some(default) => format!("{name} {rest} DEFAULT {default}"),
            None => format!("{name} {rest}"),
        }
    }
}

impl<'a> Writer<'a> {
    /// The columns of a table, in their order.
    pub(super) fn columns(&self, table: &str) -> Result<Vec<Column<'_>>, WriteError> {
        let columns = self
            .snapshot
            .objects()
            .filter(|(key, _)| key.kind == Kind::Column && key.table.as_deref() == Some(table));
        let mut columns: Vec<_> = columns
            .map(|(key, properties)| {
                let position = required(key, properties, "position")?;
                Ok((
                    position.parse::<u32>().unwrap_or(u32::MAX),
                    self.column(key, properties)?,
                ))
            })
            .collect::<Result<_, WriteError>>()?;
        columns.sort_by_key(|(position, _)| *position);
        Ok(columns.into_iter().map(|(_, column)| column).collect())
    }

    fn column<'p>(
        &self,
        key: &ObjectKey,
        properties: &'p Properties,
    ) -> Result<Column<'p>, WriteError> {
        let get = |property: &str| properties.get(property).map(String::as_str);
        let mut text = required(key, properties, "type")?.to_owned();
        if let Some(compression) = get("compression") {
            text += &format!(" COMPRESSION {compression}");
        }
        text += &in_brackets(" OPTIONS", get("foreign options"));
        if let Some(collation) = get("collation") {
            text += &format!(" COLLATE {collation}");
        }
        match get("not null") {
            Some("yes") => text += " NOT NULL",
            // Taken back when it belongs to its parent.
            Some("no") if self.parent_is_not_null(table_of(key)?, &key.name) => {
                text += " NOT NULL";
            }
            Some("no") => {}
            _ => return Err(unwritable(key, "its NOT NULL has not been validated")),
        }
        if let Some((expression, how)) = get("generated").and_then(|g| g.rsplit_once(' ')) {
            text += &format!(" GENERATED ALWAYS AS ({expression}) {}", how.to_uppercase());
        }
        if let Some(identity) = get("identity") {
            let options = self.identity(key)?;
            text += &format!(
                " GENERATED {} AS IDENTITY{options}",
                identity.to_uppercase()
            );
        }
        Ok(Column {
            name: ident(&key.name)?,
            rest: text,
            default: properties.get("default"),
        })
    }

    /// Whether a table that this one inherits from, or one above that, holds the column to be NOT NULL.
    fn parent_is_not_null(&self, table: &str, column: &str) -> bool {
        let of = self.of(Kind::Table, None, table);
        let parents = of.and_then(|of| of.get("parents"));
        let parents = parents.map_or_else(Vec::new, |parents| split(parents, ", "));
        parents.into_iter().map(unquoted).any(|parent| {
            let of_parent = self.of(Kind::Column, Some(&parent), column);
            of_parent.is_some_and(|of| of.get("not null").is_some_and(|is| is == "yes"))
                || self.parent_is_not_null(&parent, column)
        })
    }

    /// The sequence behind an identity column.
    fn identity(&self, key: &ObjectKey) -> Result<String, WriteError> {
        let owner = (table_of(key)?.to_owned(), key.name.clone());
        let mut sequences = self.snapshot.objects().filter(|(object, properties)| {
            let owned_by = properties.get("owned by");
            object.kind == Kind::Sequence
                && owned_by.and_then(|path| table_and_column(path)).as_ref() == Some(&owner)
        });
        let Some((sequence, properties)) = sequences.next() else {
            // That of a partition is its parent's.
            return Ok(String::new());
        };
        let options = sequence_options(sequence, properties)?;
        let usual = format!("{}_{}_seq", table_of(key)?, key.name);
        if sequence.name == usual && is_usual(properties) {
            return Ok(String::new());
        }
        let name = ident(&sequence.name)?;
        Ok(format!(" (SEQUENCE NAME {name} {options})"))
    }

    /// What cannot be said of a column in `CREATE TABLE`.
    pub(super) fn column_details(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let table = table_of(key)?;
        let column = ident(&key.name)?;
        let mut changes = Vec::new();
        if self.of(Kind::View, None, table).is_some() {
            changes.extend(
                properties
                    .get("default")
                    .map(|d| format!("SET DEFAULT {d}")),
            );
        }
        if self.of(Kind::Table, None, table).is_some()
            && properties.get("not null").is_some_and(|is| is == "no")
            && self.parent_is_not_null(table, &key.name)
        {
            changes.push("DROP NOT NULL".to_owned());
        }
        changes.extend(
            properties
                .get("storage")
                .map(|s| format!("SET STORAGE {s}")),
        );
        changes.extend(properties.get("options").map(|o| format!("SET ({o})")));
        changes.extend(
            properties
                .get("statistics target")
                .map(|target| format!("SET STATISTICS {target}")),
        );
        if self.of(Kind::MaterializedView, None, table).is_some() {
            let compression = properties.get("compression");
            changes.extend(compression.map(|c| format!("SET COMPRESSION {c}")));
        }
        // A partition may have it otherwise.
        let is_table = self.of(Kind::Table, None, table).is_some();
        let only = if is_table { "ONLY " } else { "" };
        for change in changes {
            let table = ident(table)?;
            let text = format!("ALTER TABLE {only}{table} ALTER COLUMN {column} {change}");
            self.add(Phase::Behaviour, text)?;
        }
        Ok(())
    }
}

/// Whether a sequence is as PostgreSQL makes one where nothing is said of it.
fn is_usual(sequence: &Properties) -> bool {
    let is = |property: &str, value: &str| sequence.get(property).is_some_and(|is| is == value);
    let highest = match sequence.get("type").map(String::as_str) {
        Some("smallint") => i16::MAX.to_string(),
        Some("integer") => i32::MAX.to_string(),
        _ => i64::MAX.to_string(),
    };
    ["start", "increment", "minimum", "cache"]
        .into_iter()
        .all(|property| is(property, "1"))
        && is("maximum", &highest)
        && is("cycle", "no")
}
