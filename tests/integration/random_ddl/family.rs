//! Tables that inherit from others, and what they have from them.

use super::{
    dice::Dice,
    model::{Column, Model, Step, Table, q},
};

pub(super) fn inherited(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let fit = |t: &&Table| t.partitioned.is_none() && !t.is_partition;
    let all: Vec<_> = model.tables.iter().filter(fit).cloned().collect();
    let (first, second) = (dice.any(&all)?, dice.any(&all)?);
    let name = model.name(dice);
    let mut own = model.columns(dice, 2);
    let mut parents = vec![first];
    if first.name != second.name && dice.chance(30) {
        parents.push(second);
    }
    let mut columns: Vec<Column> = Vec::new();
    for column in parents.iter().flat_map(|parent| &parent.columns) {
        if columns.iter().all(|other| other.name != column.name) {
            columns.push(column.clone());
        }
    }
    own.retain(|column| columns.iter().all(|other| other.name != column.name));
    // What it has from them may be its own as well.
    let merged: Vec<_> = columns
        .iter()
        .filter(|_| dice.chance(25))
        .cloned()
        .collect();
    own.extend(merged);
    let definitions: Vec<_> = own
        .iter()
        .map(|c| format!("{} {}", q(&c.name), c.of.sql))
        .collect();
    let parents: Vec<_> = parents.iter().map(|parent| parent.name.clone()).collect();
    let names: Vec<_> = parents.iter().map(|name| q(name)).collect();
    let sql = format!(
        "CREATE TABLE {} ({}) INHERITS ({})",
        q(&name),
        definitions.join(", "),
        names.join(", ")
    );
    own.retain(|column| columns.iter().all(|other| other.name != column.name));
    columns.extend(own);
    let table = Table {
        name,
        columns,
        partitioned: None,
        is_partition: false,
        parents,
        partitions: 0,
    };
    Step::new(sql, |model| model.tables.push(table))
}

/// What a child has from its parent is its own then, or was before, or comes behind what it has.
pub(super) fn changed(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let children: Vec<_> = model
        .tables
        .iter()
        .filter(|t| !t.parents.is_empty())
        .collect();
    let child = dice.any(&children)?;
    let parent = dice.any(&child.parents)?.clone();
    let (below, above) = (q(&child.name), q(&parent));
    let column = dice.any(&child.columns)?.clone();
    let name = q(&column.name);
    let added = model.columns(dice, 1).remove(0);
    let (new, of) = (q(&added.name), &added.of.sql);
    let sql = match dice.below(8) {
        0 => format!("ALTER TABLE {below} NO INHERIT {above}"),
        1 => format!("ALTER TABLE {below} NO INHERIT {above}; ALTER TABLE {below} INHERIT {above}"),
        2 => format!("ALTER TABLE ONLY {above} DROP {name} CASCADE"),
        3 => format!("ALTER TABLE {below} ADD {new} {of}; ALTER TABLE {above} ADD {new} {of}"),
        4 => format!("ALTER TABLE {above} ADD {new} {of}"),
        5 => format!("ALTER TABLE {above} ADD {new} {of} GENERATED ALWAYS AS (NULL) STORED"),
        6 => format!("ALTER TABLE {above} ADD CHECK ({name} IS NOT NULL) NOT VALID"),
        _ => format!(
            "ALTER TABLE {below} ADD CONSTRAINT both CHECK ({name} IS NOT NULL); \
             ALTER TABLE {above} ADD CONSTRAINT both CHECK ({name} IS NOT NULL)"
        ),
    };
    Step::plain(sql)
}
