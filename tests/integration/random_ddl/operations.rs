//! Every kind of operation, and how often it is chosen.

use super::{
    behaviour, changes, constraints,
    dice::Dice,
    family,
    model::{Model, Step},
    partitions, routines, tables, types, views,
};

type Make = fn(&mut Model, &mut Dice) -> Option<Step>;

/// Name, weight, and what makes its statement.
pub(super) const OPERATIONS: &[(&str, u32, Make)] = &[
    ("an enum", 3, types::an_enum),
    ("a changed enum", 1, types::change_enum),
    ("a domain", 4, types::domain),
    ("a changed domain", 3, types::change_domain),
    ("a composite type", 3, types::composite),
    ("a changed composite type", 4, types::change_composite),
    ("a range type", 2, types::range),
    ("a sequence", 2, types::sequence),
    ("a changed sequence", 2, types::change_sequence),
    ("a table", 16, tables::table),
    ("an inheriting table", 5, family::inherited),
    ("a changed family", 4, family::changed),
    ("a table like another", 2, tables::made_like),
    ("an added column", 5, tables::add_column),
    ("a dropped column", 3, tables::drop_column),
    ("a renamed column", 3, tables::rename_column),
    ("a changed column", 8, tables::change_column),
    ("a changed table", 5, tables::change_table),
    ("a partitioned table", 4, partitions::partitioned),
    ("a partition", 8, partitions::partition),
    ("a detached partition", 1, partitions::detach),
    ("an index attached by hand", 2, partitions::index_by_hand),
    ("a check", 6, constraints::check),
    ("a key", 6, constraints::unique),
    ("a reference", 6, constraints::reference),
    (
        "a reference to the primary key",
        4,
        constraints::reference_to_key,
    ),
    ("an exclusion", 2, constraints::exclusion),
    ("an index", 9, constraints::index),
    ("statistics", 2, constraints::statistics),
    ("a function", 7, routines::simple),
    ("a function of a table", 4, routines::of_table),
    ("an elaborate function", 3, routines::elaborate),
    ("a function for triggers", 3, routines::for_triggers),
    ("an aggregate", 2, routines::aggregate),
    ("a changed function", 2, routines::change_function),
    ("a view", 9, views::view),
    ("a changed view", 2, views::change_view),
    ("a trigger", 6, behaviour::trigger),
    ("a rule", 3, behaviour::rule),
    ("a trigger or rule turned off", 2, behaviour::enabled),
    ("a policy", 3, behaviour::policy),
    ("a comment", 7, behaviour::comment),
    ("a renaming", 5, changes::rename),
    ("a dropping", 5, changes::drop),
    ("a validation", 1, changes::validate),
];

/// One operation of a case.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    /// Its place in the list.
    pub(super) kind: usize,
    seed: u64,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(OPERATIONS[self.kind].0)
    }
}

impl Operation {
    pub(super) fn new(which: u32, seed: u64) -> Self {
        let total: u32 = OPERATIONS.iter().map(|(_, weight, _)| weight).sum();
        let mut left = which % total;
        let chosen = OPERATIONS.iter().position(|(_, weight, _)| {
            let found = left < *weight;
            left = left.saturating_sub(*weight);
            found
        });
        Self {
            kind: chosen.unwrap(),
            seed,
        }
    }

    /// One of a kind.
    pub(super) fn of(name: &str, seed: u64) -> Self {
        let kind = OPERATIONS.iter().position(|(other, _, _)| *other == name);
        Self {
            kind: kind.unwrap(),
            seed,
        }
    }

    /// Its statement; none where nothing stands there that it could be about.
    pub(super) fn step(&self, model: &mut Model) -> Option<Step> {
        let (_, _, make) = OPERATIONS[self.kind];
        make(model, &mut Dice::new(self.seed))
    }
}
