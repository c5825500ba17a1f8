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
    /// Its name without quotes.
    pub(super) key_name: &'p str,
    pub(super) properties: &'p Properties,
    /// The type and what stands right behind it.
    of: String,
    options: String,
    /// Collation and NOT NULL.
    rest: String,
    generated: String,
    identity: String,
    pub(super) default: Option<&'p String>,
}

impl Column<'_> {
    pub(super) fn text(&self, with_default: bool) -> String {
        self.own(with_default, false)
    }

    /// The same where a column of a parent may be merged with it, whose expression it has then.
    pub(super) fn own(&self, with_default: bool, is_merged: bool) -> String {
        let Self {
            name,
            of,
            options,
            rest,
            identity,
            ..
        } = self;
        let generated = if is_merged { "" } else { &self.generated };
        let text = format!("{name} {of}{options}{rest}{generated}{identity}");
        match self.default.filter(|_| with_default) {
            Some(default) => format!("{text} DEFAULT {default}"),
            None => text,
        }
    }

    /// What a child takes of it.
    pub(super) fn bare(&self) -> String {
        let Self {
            name,
            of,
            rest,
            generated,
            ..
        } = self;
        format!("{name} {of}{rest}{generated}")
    }

    /// Whether the table has it from its parents alone.
    pub(super) fn is_inherited(&self) -> bool {
        self.properties.contains_key("inherited")
    }

    pub(super) fn is_not_null(&self) -> bool {
        self.properties
            .get("not null")
            .is_some_and(|is| is == "yes")
    }

    /// ` GENERATED ALWAYS AS IDENTITY`, with the options of its sequence.
    pub(super) fn identity(&self) -> Option<&str> {
        Some(self.identity.as_str()).filter(|identity| !identity.is_empty())
    }

    /// ` OPTIONS (…)`, of a foreign table.
    pub(super) fn foreign_options(&self) -> &str {
        &self.options
    }
}

impl<'a> Writer<'a> {
    /// The columns of a table, in their order.
    pub(super) fn columns(&self, table: &str) -> Result<Vec<Column<'a>>, WriteError> {
        let names = self.column_names(table).into_iter();
        let column = |(key, _): (&'a ObjectKey, _)| {
            let properties = self.snapshot.get(key);
            self.column(
                key,
                properties.ok_or_else(|| unwritable(key, "it is not known"))?,
            )
        };
        names.map(column).collect()
    }

    /// The columns of a table with their names, in their order.
    pub(super) fn column_names(&self, table: &str) -> Vec<(&'a ObjectKey, &'a String)> {
        let columns = self
            .snapshot
            .objects()
            .filter(|(key, _)| key.kind == Kind::Column && key.table.as_deref() == Some(table));
        let place = |properties: &Properties| properties.get("position")?.parse::<u32>().ok();
        let mut columns: Vec<_> = columns
            .map(|(key, properties)| (place(properties).unwrap_or(u32::MAX), key))
            .collect();
        columns.sort_by_key(|(place, _)| *place);
        columns
            .into_iter()
            .map(|(_, key)| (key, &key.name))
            .collect()
    }

    fn column(
        &self,
        key: &'a ObjectKey,
        properties: &'a Properties,
    ) -> Result<Column<'a>, WriteError> {
        let get = |property: &str| properties.get(property).map(String::as_str);
        let mut of = required(key, properties, "type")?.to_owned();
        if let Some(compression) = get("compression") {
            of += &format!(" COMPRESSION {compression}");
        }
        let mut rest = String::new();
        if let Some(collation) = get("collation") {
            rest += &format!(" COLLATE {collation}");
        }
        match get("not null") {
            Some("yes") => rest += " NOT NULL",
            // Taken back when it belongs to its parent.
            Some("no") if self.parent_is_not_null(table_of(key)?, &key.name) => {
                rest += " NOT NULL";
            }
            Some("no") => {}
            _ => return Err(unwritable(key, "its NOT NULL has not been validated")),
        }
        let generated = get("generated").and_then(|g| g.rsplit_once(' '));
        let generated = generated.map(|(expression, how)| {
            format!(" GENERATED ALWAYS AS ({expression}) {}", how.to_uppercase())
        });
        let identity = match get("identity") {
            Some(how) => {
                let options = self.identity(key)?;
                format!(" GENERATED {} AS IDENTITY{options}", how.to_uppercase())
            }
            None => String::new(),
        };
        Ok(Column {
            name: ident(&key.name)?,
            key_name: &key.name,
            properties,
            of,
            options: in_brackets(" OPTIONS", get("foreign options")),
            rest,
            generated: generated.unwrap_or_default(),
            identity,
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
