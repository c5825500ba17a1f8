//! What a schema holds beside its structure, before a way up and after the way back.

use std::collections::BTreeSet;

use super::{
    Loss,
    numbers::{self, Numbers},
    rows::{self, Rows, Tables},
    seed::Catalog,
};
use crate::structure::Snapshot;

/// The rows of a schema, and where its sequences stand.
pub(super) struct Held {
    pub(super) rows: Rows,
    pub(super) numbers: Numbers,
}

impl Held {
    /// Whether there is nothing that could be lost.
    pub(super) fn is_nothing(&self) -> bool {
        self.rows.is_empty() && self.numbers.is_empty()
    }

    /// What of it is not in `after`. `left` is the structure in between, `planted` are the tables whose rows were made up.
    pub(super) fn lost(
        &self,
        after: &Self,
        left: &Snapshot,
        (catalog, planted): (&Catalog, &BTreeSet<String>),
    ) -> Vec<Loss> {
        let touchy = catalog.tables.iter().filter(|table| table.touchy);
        let tables = Tables {
            left,
            touchy: touchy.map(|table| table.name.as_str()).collect(),
            planted,
        };
        let mut losses = rows::lost(&self.rows, &after.rows, &tables);
        let emptied = |wanted: &str| {
            losses
                .iter()
                .any(|loss| matches!(loss, Loss::Rows { table, .. } if table == wanted))
        };
        let numbers = numbers::lost(&self.numbers, &after.numbers, &self.rows, emptied);
        losses.extend(numbers);
        losses
    }
}
