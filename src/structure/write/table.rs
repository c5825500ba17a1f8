//! Tables, with their columns, constraints and indexes.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer,
    column::Column,
    heir::{Coming, lines},
    ident, required, table_of, unwritable,
};
use crate::{sql::Ident, structure::names::split};

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
        let mut tail = String::new();
        if let Some(server) = get("server") {
            tail += &format!(" SERVER {}", ident(server)?);
            tail += &in_brackets(" OPTIONS", get("options"));
        }
        if let Some(partition_key) = get("partition key") {
            tail += &format!(" PARTITION BY {partition_key}");
        }
        tail += &self.storage(properties, "storage parameters")?;
        let columns = self.columns(&key.name)?;
        match self.coming(&key.name) {
            Coming::Born => self.born(key, kind, &columns, &tail)?,
            _ => self.alone(&name, kind, &columns, &tail)?,
        }
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

    /// A table that is made by itself.
    fn alone(
        &mut self,
        name: &Ident,
        kind: &str,
        columns: &[Column<'_>],
        tail: &str,
    ) -> Result<(), WriteError> {
        let head = |with_default: bool| {
            let columns = columns.iter().map(|column| column.text(with_default));
            format!("CREATE {kind} {name} ({}){tail}", lines(columns.collect()))
        };
        let defaults = columns
            .iter()
            .filter_map(|column| Some((&column.name, column.default?)));
        let mut apart: Vec<_> = defaults
            .map(|(column, default)| {
                format!("ALTER TABLE ONLY {name} ALTER COLUMN {column} SET DEFAULT {default}")
            })
            .collect();
        if !apart.is_empty() {
            apart.insert(0, head(false));
        }
        self.add_or_apart(Phase::Table, head(true), apart)
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
                self.add(Phase::Family, text)?;
            }
            (Some(parents), None) => {
                let phase = match self.coming(&key.name) {
                    Coming::Born => return Ok(()),
                    Coming::BeforeChecks => Phase::Ownership,
                    Coming::Later => Phase::Family,
                };
                for parent in split(parents, ", ") {
                    self.add(phase, format!("ALTER TABLE {name} INHERIT {parent}"))?;
                }
            }
            _ => {}
        }
        if let Some(of) = properties.get("of type") {
            self.add(Phase::Family, format!("ALTER TABLE {name} OF {of}"))?;
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
        let table = table_of(key)?;
        let by_itself = format!(
            "ALTER TABLE {} ADD CONSTRAINT {} {definition}{not_valid}",
            ident(table)?,
            ident(&key.name)?
        );
        if definition.starts_with("FOREIGN KEY") {
            self.references.push((self.depth(table), by_itself));
            return Ok(());
        }
        if definition.starts_with("CHECK") {
            if properties.contains_key("inherited") {
                return self.inherited_check(key, properties);
            }
            self.checks.push((self.generation(table), by_itself));
            return Ok(());
        }
        let index = self.of(Kind::Index, Some(table), &key.name);
        let options = index.and_then(|index| options_of(index.get("definition")?));
        let options = options.filter(|_| !definition.starts_with("EXCLUDE"));
        let (definition, deferred) = match definition.find(" DEFERRABLE") {
            Some(at) if options.is_some() => definition.split_at(at),
            _ => (definition, ""),
        };
        let text = format!(
            "ALTER TABLE ONLY {} ADD CONSTRAINT {} {definition}{}{deferred}{not_valid}",
            ident(table)?,
            ident(&key.name)?,
            options.unwrap_or_default(),
        );
        self.add(Phase::Key, text)
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
            self.add(Phase::Behaviour, format!("ALTER INDEX {name} {change}"))?;
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

/// ` WITH (fillfactor='70')`, from the definition of an index without a condition.
fn options_of(definition: &str) -> Option<String> {
    let parts = split(definition, " WITH (");
    let options = parts.get(1)?;
    Some(format!(" WITH ({options}"))
}

pub(super) fn in_brackets(word: &str, inside: Option<&str>) -> String {
    inside.map_or_else(String::new, |inside| format!("{word} ({inside})"))
}
