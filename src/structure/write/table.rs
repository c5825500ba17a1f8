//! Tables, with their columns, constraints and indexes.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, object::sequence_options,
    required, table_of, unwritable,
};

impl Writer<'_> {
    pub(super) fn table(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let get = |property: &str| properties.get(property).map(String::as_str);
        let name = ident(&key.name)?;
        let kind = match (get("kind"), get("persistence")) {
            (Some("foreign table"), _) => "FOREIGN TABLE",
            (_, Some("unlogged")) => "UNLOGGED TABLE",
            _ => "TABLE",
        };
        let columns = self.columns(&key.name)?;
        let columns = if columns.is_empty() {
            String::new()
        } else {
            format!("\n    {}\n", columns.join(",\n    "))
        };
        let mut text = format!("CREATE {kind} {name} ({columns})");
        if let Some(server) = get("server") {
            text += &format!(" SERVER {}", ident(server)?);
            text += &in_brackets(" OPTIONS", get("options"));
        }
        if let Some(partition_key) = get("partition key") {
            text += &format!(" PARTITION BY {partition_key}");
        }
        text += &self.storage(properties, "storage parameters")?;
        self.add(Phase::Table, text);
        self.family(key, properties)?;
        for (property, value, change) in [
            ("row security", "on", "ENABLE ROW LEVEL SECURITY"),
            ("forced row security", "on", "FORCE ROW LEVEL SECURITY"),
            ("replica identity", "nothing", "REPLICA IDENTITY NOTHING"),
            ("replica identity", "full", "REPLICA IDENTITY FULL"),
        ] {
            if get(property) == Some(value) {
                self.add(Phase::Behaviour, format!("ALTER TABLE {name} {change}"));
            }
        }
        Ok(())
    }

    /// Where and how rows are kept, as it stands in `CREATE TABLE`; `own` are its parameters beside those of its TOAST table.
    pub(super) fn storage(&self, properties: &Properties, own: &str) -> Result<String, WriteError> {
        let get = |property: &str| properties.get(property).map(String::as_str);
        let mut text = String::new();
        if let Some(method) = get("access method").filter(|method| *method != "heap") {
            text += &format!(" USING {}", ident(method)?);
        }
        let toast = get("toast storage parameters").into_iter();
        let toast = toast
            .flat_map(|all| all.split(", "))
            .map(|one| format!("toast.{one}"));
        let own = get(own).into_iter().map(str::to_owned);
        let parameters: Vec<_> = own.chain(toast).collect();
        if !parameters.is_empty() {
            text += &format!(" WITH ({})", parameters.join(", "));
        }
        if let Some(tablespace) = get("tablespace") {
            text += &format!(" TABLESPACE {}", ident(tablespace)?);
        }
        Ok(text)
    }

    pub(super) fn is_foreign(&self, key: &ObjectKey) -> bool {
        let properties = self.snapshot.get(key);
        properties.is_some_and(|p| p.contains_key("server"))
    }

    /// What makes it a partition, a child or one of a type: said when all of it is there, so that its own parts are taken.
    fn family(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        match (properties.get("parents"), properties.get("partition bound")) {
            (Some(parent), Some(bound)) => {
                let text = format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}");
                self.add(Phase::Family, text);
            }
            (Some(parents), None) => {
                for parent in parents.split(", ") {
                    self.add(
                        Phase::Family,
                        format!("ALTER TABLE {name} INHERIT {parent}"),
                    );
                }
            }
            _ => {}
        }
        if let Some(of) = properties.get("of type") {
            self.add(Phase::Family, format!("ALTER TABLE {name} OF {of}"));
        }
        Ok(())
    }

    /// The columns of a table, in their order, each as it stands in `CREATE TABLE`.
    fn columns(&self, table: &str) -> Result<Vec<String>, WriteError> {
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
        columns.sort();
        Ok(columns.into_iter().map(|(_, text)| text).collect())
    }

    fn column(&self, key: &ObjectKey, properties: &Properties) -> Result<String, WriteError> {
        let get = |property: &str| properties.get(property).map(String::as_str);
        let mut text = format!(
            "{} {}",
            ident(&key.name)?,
            required(key, properties, "type")?
        );
        if let Some(compression) = get("compression") {
            text += &format!(" COMPRESSION {compression}");
        }
        text += &in_brackets(" OPTIONS", get("foreign options"));
        if let Some(collation) = get("collation") {
            text += &format!(" COLLATE {collation}");
        }
        match get("not null") {
            Some("yes") => text += " NOT NULL",
            Some("no") => {}
            _ => return Err(unwritable(key, "its NOT NULL has not been validated")),
        }
        if let Some(default) = get("default") {
            text += &format!(" DEFAULT {default}");
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
        Ok(text)
    }

    /// The sequence behind an identity column.
    fn identity(&self, key: &ObjectKey) -> Result<String, WriteError> {
        let owner = format!("{}.{}", table_of(key)?, key.name);
        let mut sequences = self.snapshot.objects().filter(|(object, properties)| {
            object.kind == Kind::Sequence && properties.get("owned by") == Some(&owner)
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
        for change in changes {
            let table = ident(table)?;
            let text = format!("ALTER TABLE {table} ALTER COLUMN {column} {change}");
            self.add(Phase::Behaviour, text);
        }
        Ok(())
    }

    pub(super) fn constraint(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let definition = required(key, properties, "definition")?;
        if properties.contains_key("triggers") {
            return Err(unwritable(key, "its triggers are not all enabled"));
        }
        let not_valid = match properties.get("validated").map(String::as_str) {
            Some("no") => " NOT VALID",
            _ => "",
        };
        let phase = if definition.starts_with("FOREIGN KEY") {
            Phase::Reference
        } else {
            Phase::Constraint
        };
        let text = format!(
            "ALTER TABLE {} ADD CONSTRAINT {} {definition}{not_valid}",
            ident(table_of(key)?)?,
            ident(&key.name)?
        );
        self.add(phase, text);
        Ok(())
    }

    pub(super) fn index(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let table = table_of(key)?;
        if properties.get("valid").is_some_and(|valid| valid != "yes") {
            return Err(unwritable(
                key,
                "it is not valid; `tenantry doctor` says how to mend it",
            ));
        }
        // That of a constraint is made with it.
        if self.of(Kind::Constraint, Some(table), &key.name).is_none() {
            let definition = required(key, properties, "definition")?;
            // Partitions are attached later: there is nobody yet who would have to be left out.
            self.add(Phase::Index, definition.replacen(" ON ONLY ", " ON ", 1));
        }
        let (table, name) = (ident(table)?, ident(&key.name)?);
        let mut changes = Vec::new();
        if let Some(tablespace) = properties.get("tablespace") {
            changes.push(format!("SET TABLESPACE {}", ident(tablespace)?));
        }
        let targets = properties.get("statistics targets").into_iter();
        for (column, target) in targets
            .flat_map(|all| all.split(", "))
            .filter_map(|one| one.split_once(": "))
        {
            changes.push(format!("ALTER COLUMN {column} SET STATISTICS {target}"));
        }
        for change in changes {
            self.add(Phase::Behaviour, format!("ALTER INDEX {name} {change}"));
        }
        if properties.contains_key("clustered") {
            self.add(
                Phase::Behaviour,
                format!("ALTER TABLE {table} CLUSTER ON {name}"),
            );
        }
        if properties.contains_key("replica identity") {
            let text = format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}");
            self.add(Phase::Behaviour, text);
        }
        Ok(())
    }
}

fn in_brackets(word: &str, inside: Option<&str>) -> String {
    inside.map_or_else(String::new, |inside| format!("{word} ({inside})"))
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
