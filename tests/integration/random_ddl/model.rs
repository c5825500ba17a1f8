//! What stands in the schema so far, as far as the next statement has to know. A hint only: the server has the last word.

use std::collections::BTreeSet;

use tenantry::sql::Ident;

use super::{dice::Dice, values::Type};

/// What was made.
#[derive(Default)]
pub(super) struct Model {
    names: BTreeSet<String>,
    /// The schema's own name, which objects may bear as well.
    schema: String,
    pub(super) types: Vec<Type>,
    pub(super) composites: Vec<String>,
    pub(super) sequences: Vec<String>,
    pub(super) tables: Vec<Table>,
    pub(super) views: Vec<View>,
    pub(super) functions: Vec<Function>,
    /// Functions that triggers call.
    pub(super) trigger_functions: Vec<String>,
    /// What belongs to a table or a view: `INDEX`, `CONSTRAINT`, `TRIGGER`, `RULE`, `POLICY`, `STATISTICS`.
    pub(super) parts: Vec<Part>,
}

#[derive(Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// `RANGE`, `LIST` or `HASH`, with the column that is the key, which is an integer.
    pub(super) partitioned: Option<(&'static str, String)>,
    pub(super) is_partition: bool,
    /// The tables it was made of.
    pub(super) parents: Vec<String>,
    /// How many partitions it has.
    pub(super) partitions: usize,
}

#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) of: Type,
}

#[derive(Clone)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) is_materialized: bool,
}

#[derive(Clone)]
pub(super) struct Function {
    /// `FUNCTION`, `PROCEDURE` or `AGGREGATE`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// As it is told in `COMMENT ON` or `DROP`: `"name"(integer)`.
    pub(super) signature: String,
    /// What stands between the parentheses of a call, where it can be called so: a class each.
    pub(super) takes: Option<Type>,
    pub(super) gives: Option<Type>,
    pub(super) is_immutable: bool,
}

#[derive(Clone)]
pub(super) struct Part {
    pub(super) kind: &'static str,
    pub(super) table: String,
    pub(super) name: String,
}

/// What the model learns once the server has taken a statement.
pub(super) type Effect = Box<dyn FnOnce(&mut Model)>;

/// One statement, or a few that are one operation.
pub(super) struct Step {
    pub(super) sql: String,
    pub(super) effect: Effect,
}

impl Step {
    pub(super) fn new(sql: String, effect: impl FnOnce(&mut Model) + 'static) -> Option<Self> {
        let effect = Box::new(effect);
        Some(Self { sql, effect })
    }

    /// A statement that nothing later has to know of.
    pub(super) fn plain(sql: String) -> Option<Self> {
        Self::new(sql, |_| {})
    }
}

/// Names that tools stumble over, among plain ones.
const NAMES: &[&str] = &[
    "a",
    "b",
    "orders",
    "users",
    "Mixed Case",
    "quo\"te",
    "\"",
    "dot.ted",
    "a.b.c",
    "select",
    "user",
    "order",
    "päth ☃",
    "it's",
    "a, b",
    "par(en",
    "close)",
    "f(integer)",
    "per%cent %I %1$I",
    "back\\slash",
    "dollar$1",
    "$do$",
    "semi;colon",
    "--dash",
    "/* star",
    "<schema>",
    " lead",
    "path",
    "text",
    "lower",
    "now",
    "old",
    "new",
    "excluded",
    "0digit",
    "x ON ONLY y",
    "\nAS ",
    "UPPER",
];

impl Model {
    pub(super) fn new(schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            ..Self::default()
        }
    }

    /// A name that nothing in the schema has yet.
    pub(super) fn name(&mut self, dice: &mut Dice) -> String {
        let wanted = self.any_name(dice);
        let mut name = wanted.clone();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            let mut cut = wanted.len().min(58);
            while !wanted.is_char_boundary(cut) {
                cut -= 1;
            }
            name = format!("{}_{number}", &wanted[..cut]);
        }
        name
    }

    /// A name, as a column may have that others have, too.
    pub(super) fn any_name(&self, dice: &mut Dice) -> String {
        match dice.below(20) {
            0 => self.schema.clone(),
            // As long as can be.
            1 => "long ".repeat(12) + "end",
            2 => format!("{}.x", self.schema),
            3..9 => {
                let plain = ["id", "name", "total", "kind", "state", "parent", "at", "n"];
                dice.word(&plain).to_owned()
            }
            // No line break: such a name cannot be written, and is refused.
            _ => dice.word(NAMES).replace('\n', " "),
        }
    }

    /// Columns with different names.
    pub(super) fn columns(&self, dice: &mut Dice, count: usize) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for number in 0..count {
            let mut name = self.any_name(dice);
            if columns.iter().any(|column| column.name == name) {
                name = format!("c{number}");
            }
            let of = Type::any(dice, &self.types);
            columns.push(Column { name, of });
        }
        columns
    }

    pub(super) fn table(&self, dice: &mut Dice) -> Option<&Table> {
        dice.any(&self.tables)
    }

    pub(super) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.name == name)
    }

    pub(super) fn part(&mut self, kind: &'static str, table: &str, name: &str) {
        self.parts.push(Part {
            kind,
            table: table.to_owned(),
            name: name.to_owned(),
        });
    }
}

impl Table {
    /// One of its columns that is fit for this.
    pub(super) fn column(&self, dice: &mut Dice, fit: impl Fn(&Type) -> bool) -> Option<&Column> {
        let fit: Vec<_> = self.columns.iter().filter(|c| fit(&c.of)).collect();
        dice.any(&fit).copied()
    }
}

/// Quoted.
pub(super) fn q(name: &str) -> String {
    Ident::new(name).unwrap().to_string()
}
