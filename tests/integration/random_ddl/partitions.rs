//! Tables in parts.

use super::{
    dice::Dice,
    model::{Column, Model, Step, Table, q},
    values::Type,
};

pub(super) fn partitioned(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let table = parent(model, dice, 3);
    let (how, key) = table.partitioned.clone()?;
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|c| format!("{} {}", q(&c.name), c.of.sql))
        .collect();
    let primary = if dice.chance(40) {
        format!(", PRIMARY KEY ({})", q(&key))
    } else {
        String::new()
    };
    let expression = match how {
        "HASH" => format!("({} + 1)", q(&key)),
        _ => format!("abs({})", q(&key)),
    };
    // No key over an expression.
    let by = if primary.is_empty() && dice.chance(15) {
        expression
    } else {
        q(&key)
    };
    let sql = format!(
        "CREATE TABLE {} ({}{primary}) PARTITION BY {how} ({by})",
        q(&table.name),
        columns.join(", ")
    );
    Step::new(sql, |model| model.tables.push(table))
}

fn parent(model: &mut Model, dice: &mut Dice, others: usize) -> Table {
    let key = "part key".to_owned();
    let mut columns = model.columns(dice, others);
    let place = dice.below(columns.len() + 1);
    let of = Type::integer();
    columns.insert(
        place,
        Column {
            name: key.clone(),
            of,
        },
    );
    let how = dice.word(&["RANGE", "LIST", "HASH"]);
    Table {
        name: model.name(dice),
        columns,
        partitioned: Some((how, key)),
        is_partition: false,
        parents: Vec::new(),
        partitions: 0,
    }
}

pub(super) fn partition(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let parents: Vec<_> = model
        .tables
        .iter()
        .filter(|t| t.partitioned.is_some())
        .cloned()
        .collect();
    let parent = dice.any(&parents)?;
    let (how, key) = parent.partitioned.clone()?;
    let number = parent.partitions;
    let bound = match (how, number) {
        ("HASH", _) => format!("FOR VALUES WITH (MODULUS 8, REMAINDER {})", number % 8),
        (_, 1) => "DEFAULT".to_owned(),
        ("RANGE", 0) => "FOR VALUES FROM (MINVALUE) TO (0)".to_owned(),
        ("RANGE", _) => format!(
            "FOR VALUES FROM ({}) TO ({})",
            number * 10,
            number * 10 + 10
        ),
        _ => format!("FOR VALUES IN ({number}, {})", 100 + number),
    };
    let name = model.name(dice);
    let partitioned = dice
        .chance(20)
        .then(|| (dice.word(&["RANGE", "LIST", "HASH"]), key));
    let by = partitioned.as_ref().map_or(String::new(), |(how, key)| {
        format!(" PARTITION BY {how} ({})", q(key))
    });
    let mut columns = parent.columns.clone();
    let (child, above) = (q(&name), q(&parent.name));
    let sql = match dice.below(4) {
        // In another order, with a gap.
        0 => {
            columns.reverse();
            let list: Vec<_> = columns
                .iter()
                .map(|c| format!("{} {}", q(&c.name), c.of.sql))
                .collect();
            format!(
                "CREATE TABLE {child} (gap text, {}){by}; ALTER TABLE {child} DROP gap; ALTER TABLE {above} ATTACH PARTITION {child} {bound}",
                list.join(", ")
            )
        }
        1 if by.is_empty() => format!(
            "CREATE TABLE {child} (LIKE {above} INCLUDING ALL); ALTER TABLE {above} ATTACH PARTITION {child} {bound}"
        ),
        _ => format!("CREATE TABLE {child} PARTITION OF {above} {bound}{by}"),
    };
    let parent = parent.name.clone();
    Step::new(sql, move |model| {
        if let Some(parent) = model.table_mut(&parent) {
            parent.partitions += 1;
        }
        model.tables.push(Table {
            name,
            columns,
            partitioned,
            is_partition: true,
            parents: Vec::new(),
            partitions: 0,
        });
    })
}

pub(super) fn detach(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let children: Vec<_> = model.tables.iter().filter(|t| t.is_partition).collect();
    let child = dice.any(&children)?.name.clone();
    let parents: Vec<_> = model
        .tables
        .iter()
        .filter(|t| t.partitioned.is_some())
        .collect();
    let parent = dice.any(&parents)?;
    let sql = format!(
        "ALTER TABLE {} DETACH PARTITION {}",
        q(&parent.name),
        q(&child)
    );
    Step::new(sql, move |model| {
        if let Some(child) = model.table_mut(&child) {
            child.is_partition = false;
        }
    })
}

/// An index of the parent alone, with that of one partition attached by hand.
pub(super) fn index_by_hand(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let parents: Vec<_> = model
        .tables
        .iter()
        .filter(|t| t.partitioned.is_some())
        .cloned()
        .collect();
    let children: Vec<_> = model
        .tables
        .iter()
        .filter(|t| t.is_partition)
        .cloned()
        .collect();
    let (parent, child) = (dice.any(&parents)?, dice.any(&children)?);
    let column = q(&parent.column(dice, Type::is_sortable)?.name);
    let (above, below, other) = (
        q(&model.name(dice)),
        q(&model.name(dice)),
        q(&model.name(dice)),
    );
    let mut sql = format!(
        "CREATE INDEX {above} ON ONLY {0} ({column}); CREATE INDEX {other} ON {1} ({column}); \
         CREATE INDEX {below} ON {1} ({column}); ALTER INDEX {above} ATTACH PARTITION {below}",
        q(&parent.name),
        q(&child.name)
    );
    if dice.chance(50) {
        sql += &format!("; COMMENT ON INDEX {below} IS 'by hand'");
    }
    Step::plain(sql)
}
