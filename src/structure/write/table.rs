//! Tables, with their columns, constraints and indexes.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, object::sequence_options,
    required, table_of, unwritable,
};
use crate::{
    sql::Ident,
    structure::names::{split, table_and_column, unquoted},
};

impl Writer<'_> {
    pub(super) fn table(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let get = |property: &str| properties.get(property).map(String::as_str);
        if get("kind") == Some("foreign table") {
            return Err(unwritable(
                key,
                "it is a foreign table, which needs its server",
            ));
        }
        let name = ident(&key.name)?;
        let unlogged = if get("persistence") == Some("unlogged") {
            "UNLOGGED "
        } else {
            ""
        };
        let columns = self.columns(&key.name)?;
        let (mut whole, mut without) = (Vec::new(), Vec::new());
        let mut defaults = Vec::new();
        for column in &columns {
            whole.push(column.text(true));
            without.push(column.text(false));
            if let Some(default) = column.default {
                let column = &column.name;
                defaults.push(format!(
                    "ALTER TABLE ONLY {name} ALTER COLUMN {column} SET DEFAULT {default}"
                ));
            }
        }
        let head = |columns: Vec<String>| {
            let columns = if columns.is_empty() {
                String::new()
            } else {
                format!("\n    {}\n", columns.join(",\n    "))
            };
            format!("CREATE {unlogged}TABLE {name} ({columns})")
        };
        let mut text = String::new();
        if let Some(partition_key) = get("partition key") {
            text += &format!(" PARTITION BY {partition_key}");
        }
        if let Some(method) = get("access method").filter(|method| *method != "heap") {
            text += &format!(" USING {}", ident(method)?);
        }
        let toast = get("toast storage parameters").into_iter();
        let toast = toast
            .flat_map(|all| all.split(", "))
            .map(|one| format!("toast.{one}"));
        let own = get("storage parameters").into_iter().map(str::to_owned);
        let parameters: Vec<_> = own.chain(toast).collect();
        if !parameters.is_empty() {
            text += &format!(" WITH ({})", parameters.join(", "));
        }
        let apart = if defaults.is_empty() {
            Vec::new()
        } else {
            [vec![head(without) + &text], defaults].concat()
        };
        self.add_or_apart(Phase::Table, head(whole) + &text, apart)?;
        self.family(key, properties)?;
        for (property, value, change) in [
            ("row security", "on", "ENABLE ROW LEVEL SECURITY"),
            ("forced row security", "on", "FORCE ROW LEVEL SECURITY"),
            ("replica identity", "nothing", "REPLICA IDENTITY NOTHING"),
            ("replica identity", "full", "REPLICA IDENTITY FULL"),
        ] {
            if get(property) == Some(value) {
                self.add(Phase::Behaviour, format!("ALTER TABLE {name} {change}"))?;
            }
        }
        Ok(())
    }

    /// What makes it a partition, a child or one of a type: said when all of it is there, so that its own parts are taken.
    fn family(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        match (properties.get("parents"), properties.get("partition bound")) {
            (Some(parent), Some(bound)) => {
                let text = format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}");
                self.add(Phase::Family, text)?;
            }
            (Some(parents), None) => {
                for parent in split(parents, ", ") {
                    self.add(
                        Phase::Family,
                        format!("ALTER TABLE {name} INHERIT {parent}"),
                    )?;
                }
            }
            _ => {}
        }
        if let Some(of) = properties.get("of type") {
            self.add(Phase::Family, format!("ALTER TABLE {name} OF {of}"))?;
        }
        Ok(())
    }

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

    pub(super) fn constraint(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let definition = required(key, properties, "definition")?;
        let not_valid = match properties.get("validated").map(String::as_str) {
            Some("no") => " NOT VALID",
            _ => "",
        };
        let table = table_of(key)?;
        let (phase, only, options) = if definition.starts_with("FOREIGN KEY") {
            let text = format!(
                "ALTER TABLE {} ADD CONSTRAINT {} {definition}{not_valid}",
                ident(table)?,
                ident(&key.name)?
            );
            self.references.push((self.depth(table), text));
            return Ok(());
        } else if definition.starts_with("CHECK") {
            (Phase::Constraint, "", None)
        } else {
            let index = self.of(Kind::Index, Some(table), &key.name);
            let options = index.and_then(|index| options_of(index.get("definition")?));
            (Phase::Key, "ONLY ", options)
        };
        let options = options.filter(|_| !definition.starts_with("EXCLUDE"));
        let (definition, deferred) = match definition.find(" DEFERRABLE") {
            Some(at) if options.is_some() => definition.split_at(at),
            _ => (definition, ""),
        };
        let text = format!(
            "ALTER TABLE {only}{} ADD CONSTRAINT {} {definition}{}{deferred}{not_valid}",
            ident(table)?,
            ident(&key.name)?,
            options.unwrap_or_default(),
        );
        self.add(phase, text)?;
        Ok(())
    }

    pub(super) fn index(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let table = table_of(key)?;
        let of_table = self.of(Kind::Table, None, table);
        let is_partitioned = of_table.is_some_and(|table| table.contains_key("partition key"));
        // That of a partitioned table is valid once all partitions have theirs.
        if !is_partitioned && properties.get("valid").is_some_and(|valid| valid != "yes") {
            return Err(unwritable(
                key,
                "it is not valid; `tenantry doctor` says how to mend it",
            ));
        }
        // That of a constraint is made with it.
        let constraint = self.of(Kind::Constraint, Some(table), &key.name);
        let definition = constraint.and_then(|constraint| constraint.get("definition"));
        let is_made = definition.is_some_and(|definition| {
            !definition.starts_with("CHECK") && !definition.starts_with("FOREIGN KEY")
        });
        if !is_made {
            let definition = required(key, properties, "definition")?;
            self.add(Phase::Index, definition.to_owned())?;
        }
        let (table, name) = (ident(table)?, ident(&key.name)?);
        if let Some(whole) = properties.get("part of") {
            let phase = if is_made {
                Phase::KeyOfPart
            } else {
                Phase::IndexOfPart
            };
            self.add(
                phase,
                format!("ALTER INDEX {whole} ATTACH PARTITION {name}"),
            )?;
        }
        if properties.contains_key("clustered") {
            self.add(
                Phase::Behaviour,
                format!("ALTER TABLE {table} CLUSTER ON {name}"),
            )?;
        }
        if properties.contains_key("replica identity") {
            let text = format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}");
            self.add(Phase::Behaviour, text)?;
        }
        Ok(())
    }
}

/// A column as it stands in `CREATE TABLE`.
pub(super) struct Column<'p> {
    pub(super) name: Ident,
    /// What follows the name, but for the default.
    rest: String,
    default: Option<&'p String>,
}

impl Column<'_> {
    fn text(&self, with_default: bool) -> String {
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

/// ` WITH (fillfactor='70')`, from the definition of an index without a condition.
fn options_of(definition: &str) -> Option<String> {
    let parts = split(definition, " WITH (");
    let options = parts.get(1)?;
    Some(format!(" WITH ({options}"))
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
