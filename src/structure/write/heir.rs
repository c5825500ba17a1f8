//! Tables that have columns or checks from their parents alone (`INHERITS`): those must come from there again, or they would
//! stay where the parent drops its own. Partitions are none of these.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer, column::Column, ident, table_of,
};
use crate::{
    sql::Ident,
    structure::names::{split, unquoted},
};

/// What a parent hands down when a child is made: where one of these differs, it cannot be made of its parents.
const HANDED_DOWN: [&str; 4] = ["type", "collation", "generated", "compression"];

/// How a table comes to its parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coming {
    /// It is made without them, and they are said when all of it is there.
    Later,
    /// They are said before they have checks, which then are handed down.
    BeforeChecks,
    /// It is made of them.
    Born,
}

impl<'a> Writer<'a> {
    /// The parents of a table that is no partition, as they are named in statements.
    pub(super) fn parents(&self, table: &str) -> Vec<&'a str> {
        let of = self.of(Kind::Table, None, table);
        let of = of.filter(|of| !of.contains_key("partition bound"));
        let parents = of.and_then(|of| of.get("parents"));
        parents.map_or_else(Vec::new, |parents| split(parents, ", "))
    }

    /// How many tables stand above one that is no partition.
    pub(super) fn generation(&self, table: &str) -> usize {
        let parents = self.parents(table).into_iter();
        let above = parents.map(|parent| 1 + self.generation(&unquoted(parent)));
        above.max().unwrap_or_default()
    }

    pub(super) fn coming(&self, table: &str) -> Coming {
        let has = |kind: Kind| {
            let mut objects = self.snapshot.objects();
            objects.any(|(key, properties)| {
                key.kind == kind
                    && key.table.as_deref() == Some(table)
                    && properties.contains_key("inherited")
            })
        };
        match () {
            () if self.parents(table).is_empty() => Coming::Later,
            () if has(Kind::Column) => Coming::Born,
            () if has(Kind::Constraint) => Coming::BeforeChecks,
            () => Coming::Later,
        }
    }

    /// Makes a table of its parents. `tail` is what follows them. Where they would not give it the columns that it has, in this
    /// order, it is made of a table that would, and comes to its parents then.
    pub(super) fn born(
        &mut self,
        key: &ObjectKey,
        kind: &str,
        columns: &[Column<'a>],
        tail: &str,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let parents = self.parents(&key.name);
        let is_plain = self.is_plain(&key.name, columns, &parents);
        let head = |of: &str, with_default: bool| {
            let own = columns.iter().filter(|column| !column.is_inherited());
            let own = own.map(|column| {
                let is_merged = !is_plain || self.handed_down(&parents, column).is_some();
                column.own(with_default, is_merged)
            });
            format!(
                "CREATE {kind} {name} ({}) INHERITS ({of}){tail}",
                lines(own.collect())
            )
        };
        let whole = |with_default: bool| -> Result<String, WriteError> {
            if is_plain {
                return Ok(head(&parents.join(", "), with_default));
            }
            let like = self.free_name()?;
            let all = lines(columns.iter().map(Column::bare).collect());
            let born = head(&like.to_string(), with_default);
            let come = parents
                .iter()
                .map(|parent| format!("ALTER TABLE {name} INHERIT {parent};\n"));
            Ok(format!(
                "CREATE TABLE {like} ({all});\n{born};\n{}ALTER TABLE {name} NO INHERIT {like};\nDROP TABLE {like}",
                come.collect::<String>()
            ))
        };
        let defaults = columns.iter().filter(|column| !column.is_inherited());
        let defaults = defaults.filter_map(|column| Some((&column.name, column.default?)));
        let mut apart: Vec<_> = defaults
            .map(|(column, default)| {
                format!("ALTER TABLE ONLY {name} ALTER COLUMN {column} SET DEFAULT {default}")
            })
            .collect();
        if !apart.is_empty() {
            apart.insert(0, whole(false)?);
        }
        let whole = whole(true)?;
        self.add_or_apart(Phase::Table, whole, apart)?;
        for column in columns {
            for change in self.otherwise(column, &parents, is_plain) {
                let column = &column.name;
                let text = format!("ALTER TABLE ONLY {name} ALTER COLUMN {column} {change}");
                self.add(Phase::Ownership, text)?;
            }
        }
        Ok(())
    }

    /// What a column of a table that was made of its parents has otherwise than they.
    fn otherwise(&self, column: &Column<'a>, parents: &[&str], is_plain: bool) -> Vec<String> {
        let from = self.handed_down(parents, column).filter(|_| is_plain);
        let handed = from.and_then(|from| from.get("default"));
        let mut above = parents
            .iter()
            .map(|parent| self.generation(&unquoted(parent)));
        let is_first = above.all(|generation| generation == 0);
        let mut changes = Vec::new();
        match column.default {
            Some(default) if column.is_inherited() => {
                // The parent's may come later than the child: where something is called, or where the parent is a child itself.
                let is_there = is_first && !default.contains('(');
                if handed != Some(default) || !is_there {
                    changes.push(format!("SET DEFAULT {default}"));
                }
            }
            None if handed.is_some() => changes.push("DROP DEFAULT".to_owned()),
            _ => {}
        }
        if column.is_inherited() {
            if is_plain && column.is_not_null() {
                let mut all = self.all_handed_down(parents, column).into_iter();
                let is_there =
                    is_first && all.any(|from| from.get("not null").is_some_and(|is| is == "yes"));
                changes.extend((!is_there).then(|| "SET NOT NULL".to_owned()));
            }
            changes.extend(column.identity().map(|identity| format!("ADD{identity}")));
            let options = column.foreign_options();
            changes.extend((!options.is_empty()).then(|| options.trim_start().to_owned()));
        }
        changes
    }

    /// Whether the parents give a table all that it has from them, its columns standing as they do.
    fn is_plain(&self, table: &str, columns: &[Column<'a>], parents: &[&str]) -> bool {
        let mut order: Vec<String> = Vec::new();
        for parent in parents {
            let parent = unquoted(parent);
            if self.of(Kind::Table, None, &parent).is_none() {
                return false;
            }
            for (_, name) in self.column_names(&parent) {
                if !order.contains(name) {
                    order.push(name.clone());
                }
            }
        }
        let own = self.column_names(table);
        let inherited = order.len();
        for (_, name) in &own {
            if !order[..inherited].contains(name) {
                order.push((*name).clone());
            }
        }
        let stands = own.iter().map(|(_, name)| *name).eq(order.iter());
        stands
            && columns.iter().all(|column| {
                let from = self.all_handed_down(parents, column);
                let same = |property: &str| {
                    from.iter()
                        .all(|from| from.get(property) == column.properties.get(property))
                };
                let one_default = from
                    .windows(2)
                    .all(|pair| pair[0].get("default") == pair[1].get("default"));
                HANDED_DOWN.into_iter().all(same) && one_default
            })
    }

    fn all_handed_down(&self, parents: &[&str], column: &Column<'a>) -> Vec<&'a Properties> {
        let parents = parents.iter().map(|parent| unquoted(parent));
        parents
            .filter_map(|parent| self.of(Kind::Column, Some(&parent), column.key_name))
            .collect()
    }

    /// What the first parent that has such a column knows of it.
    fn handed_down(&self, parents: &[&str], column: &Column<'a>) -> Option<&'a Properties> {
        self.all_handed_down(parents, column).first().copied()
    }

    /// A check that comes from the parents.
    pub(super) fn inherited_check(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let table = table_of(key)?;
        let is = |of: &Properties, value: &str| of.get("validated").is_some_and(|is| is == value);
        let parents = self.parents(table).into_iter().map(unquoted);
        let mut above =
            parents.filter_map(|parent| self.of(Kind::Constraint, Some(&parent), &key.name));
        if is(properties, "yes") && above.any(|above| is(above, "no")) {
            let text = format!(
                "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                ident(table)?,
                ident(&key.name)?
            );
            self.add(Phase::Behaviour, text)?;
        }
        Ok(())
    }

    /// A name that nothing bears that is written here.
    fn free_name(&self) -> Result<Ident, WriteError> {
        let mut name = "inherited_columns".to_owned();
        while self
            .snapshot
            .objects()
            .any(|(key, _)| (key.table.is_none() || key.kind == Kind::Index) && key.name == name)
        {
            name.push('_');
        }
        ident(&name)
    }
}

/// What stands in the brackets of a table, a line each.
pub(super) fn lines(columns: Vec<String>) -> String {
    match &columns[..] {
        [] => String::new(),
        columns => format!("\n    {}\n", columns.join(",\n    ")),
    }
}
