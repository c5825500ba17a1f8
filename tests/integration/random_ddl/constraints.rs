//! Constraints and indexes.

use super::{
    dice::Dice,
    model::{Model, Step, Table, q},
    values::{Class, Type},
};

pub(super) fn check(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.any_name(dice);
    let table = model.table(dice)?;
    let column = table.column(dice, |_| true)?;
    let value = q(&column.name);
    let fit: Vec<_> = model
        .functions
        .iter()
        .filter(|f| {
            f.gives
                .as_ref()
                .is_some_and(|gives| gives.class == Class::Boolean)
        })
        .filter(|f| {
            f.takes
                .as_ref()
                .is_some_and(|takes| takes.class == column.of.class)
        })
        .collect();
    let condition = match dice.any(&fit) {
        Some(function) if dice.chance(50) => function.call(Some(value)),
        _ if dice.chance(10) => format!("{}.* IS NOT NULL", q(&table.name)),
        _ => column.of.condition(dice, &value),
    };
    let more = dice.word(&[
        "",
        "",
        "",
        " NOT VALID",
        " NO INHERIT",
        " NO INHERIT NOT VALID",
    ]);
    let (table, only) = (table.name.clone(), dice.maybe(5, "ONLY "));
    let sql = format!(
        "ALTER TABLE {only}{} ADD CONSTRAINT {} CHECK ({condition}){more}",
        q(&table),
        q(&name)
    );
    Step::new(sql, move |model| model.part("CONSTRAINT", &table, &name))
}

pub(super) fn unique(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let table = model.table(dice)?;
    let columns = some_columns(dice, table)?;
    let kind = dice.word(&[
        "PRIMARY KEY",
        "UNIQUE",
        "UNIQUE",
        "UNIQUE NULLS NOT DISTINCT",
    ]);
    let include = include(dice, table);
    let more = dice.word(&[
        "",
        "",
        "",
        " WITH (fillfactor = 70)",
        " DEFERRABLE",
        " DEFERRABLE INITIALLY DEFERRED",
    ]);
    let table = table.name.clone();
    let sql = if dice.chance(10) {
        let index = q(&model.name(dice));
        format!(
            "CREATE UNIQUE INDEX {index} ON {0} ({columns}){include}; ALTER TABLE {0} ADD CONSTRAINT {1} UNIQUE USING INDEX {index}",
            q(&table),
            q(&name)
        )
    } else {
        format!(
            "ALTER TABLE {} ADD CONSTRAINT {} {kind} ({columns}){include}{more}",
            q(&table),
            q(&name)
        )
    };
    Step::new(sql, move |model| {
        model.part("CONSTRAINT", &table, &name);
        model.part("KEY", &table, &name);
    })
}

fn some_columns(dice: &mut Dice, table: &Table) -> Option<String> {
    let first = table.column(dice, Type::is_sortable)?;
    let second = table.column(dice, Type::is_sortable)?;
    let key = table.partitioned.as_ref().map(|(_, key)| key.clone());
    let mut columns = vec![first.name.clone()];
    columns.extend(dice.chance(40).then(|| second.name.clone()));
    columns.extend(key);
    columns.dedup();
    let columns: Vec<_> = columns.iter().map(|name| q(name)).collect();
    Some(columns.join(", "))
}

fn include(dice: &mut Dice, table: &Table) -> String {
    match table.column(dice, |_| true) {
        Some(column) if dice.chance(15) => format!(" INCLUDE ({})", q(&column.name)),
        _ => String::new(),
    }
}

/// A key and a reference to it, perhaps to itself, perhaps of two columns.
pub(super) fn reference(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.any_name(dice);
    let (to, from) = (model.table(dice)?.clone(), model.table(dice)?.clone());
    let to = if dice.chance(15) { from.clone() } else { to };
    let target = to
        .column(dice, |of| of.class == Class::Integer)?
        .name
        .clone();
    let source = from
        .column(dice, |of| of.class == Class::Integer)?
        .name
        .clone();
    let (mut targets, mut sources) = (q(&target), q(&source));
    if dice.chance(30) {
        let of = &to
            .column(dice, |of| of.is_sortable() && of.class != Class::Integer)?
            .clone();
        let other = from.column(dice, |other| other.sql == of.of.sql)?;
        targets += &format!(", {}", q(&of.name));
        sources += &format!(", {}", q(&other.name));
    }
    let key = q(&model.name(dice));
    let more = [
        dice.word(&["", "", " MATCH FULL"]),
        dice.word(&[
            "",
            " ON DELETE CASCADE",
            " ON DELETE SET NULL",
            " ON DELETE RESTRICT",
            " ON DELETE SET DEFAULT ON UPDATE CASCADE",
        ]),
        dice.word(&["", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"]),
        dice.word(&["", "", "", " NOT VALID"]),
    ];
    let sql = format!(
        "ALTER TABLE {to} ADD CONSTRAINT {key} UNIQUE ({targets}); \
         ALTER TABLE {from} ADD CONSTRAINT {name} FOREIGN KEY ({sources}) REFERENCES {to} ({targets}){}",
        more.concat(),
        to = q(&to.name),
        from = q(&from.name),
        name = q(&name),
    );
    Step::new(sql, move |model| {
        model.part("CONSTRAINT", &from.name, &name)
    })
}

/// A reference to a table without naming its columns.
pub(super) fn reference_to_key(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let (to, from) = (model.table(dice)?.clone(), model.table(dice)?.clone());
    let column = from.column(dice, |of| of.class == Class::Integer)?;
    let sql = format!(
        "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {}",
        q(&from.name),
        q(&column.name),
        q(&to.name)
    );
    Step::plain(sql)
}

pub(super) fn exclusion(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let table = model.table(dice)?;
    let sql = if let Some(range) = table.column(dice, |of| of.class == Class::Range) {
        let more = dice.word(&["", " DEFERRABLE", " WHERE (true)"]);
        format!("EXCLUDE USING gist ({} WITH &&){more}", q(&range.name))
    } else {
        let column = table.column(dice, |of| of.class == Class::Text)?;
        format!(
            "EXCLUDE USING btree ({0} COLLATE \"C\" text_pattern_ops WITH =, lower({0}) WITH =) WHERE ({0} <> 'x')",
            q(&column.name)
        )
    };
    let table = table.name.clone();
    let sql = format!(
        "ALTER TABLE {} ADD CONSTRAINT {} {sql}",
        q(&table),
        q(&name)
    );
    Step::new(sql, move |model| model.part("CONSTRAINT", &table, &name))
}

pub(super) fn index(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let unique = dice.maybe(15, "UNIQUE ");
    let (table, columns) = if dice.chance(20) {
        let materialized: Vec<_> = model.views.iter().filter(|v| v.is_materialized).collect();
        let view = dice.any(&materialized)?;
        (view.name.clone(), view.columns.clone())
    } else {
        let table = model.table(dice)?;
        (table.name.clone(), table.columns.clone())
    };
    let column = dice.any(&columns)?;
    let value = q(&column.name);
    let keys = match column.of.class {
        Class::Text => [
            format!("({value} text_pattern_ops)"),
            format!("(lower({value}) COLLATE \"C\" DESC NULLS LAST, {value})"),
            format!("({value} COLLATE \"C\" DESC)"),
            format!("USING hash ({value})"),
            format!("USING gin (to_tsvector('english'::regconfig, {value}))"),
            format!("(({value} || 'x'), ({value} = 'a b'))"),
        ][dice.below(6)]
        .clone(),
        Class::Json => format!("USING gin ({value} jsonb_path_ops) WITH (fastupdate = off)"),
        Class::Array => format!("USING gin ({value})"),
        Class::Range => format!("USING gist ({value})"),
        Class::Integer if dice.chance(30) => {
            format!("USING brin ({value}) WITH (pages_per_range = 16)")
        }
        Class::Integer if dice.chance(30) => format!("(({value} + 1)) WITH (fillfactor = 60)"),
        _ => format!("({value})"),
    };
    let mut sql = format!("CREATE {unique}INDEX {} ON {} {keys}", q(&name), q(&table));
    if !keys.contains("USING") && !keys.contains("WITH") {
        let include = dice.any(&columns)?;
        sql += &dice.maybe(15, &format!(" INCLUDE ({})", q(&include.name)));
        sql += &dice.maybe(
            if unique.is_empty() { 0 } else { 30 },
            " NULLS NOT DISTINCT",
        );
    }
    if dice.chance(30) {
        let other = dice.any(&columns)?;
        sql += &format!(" WHERE {}", other.of.condition(dice, &q(&other.name)));
    }
    Step::new(sql, move |model| model.part("INDEX", &table, &name))
}

pub(super) fn statistics(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let table = model.table(dice)?;
    let first = q(&table.column(dice, Type::is_sortable)?.name);
    let second = q(&table.column(dice, Type::is_sortable)?.name);
    let what = match dice.below(4) {
        0 => format!("{first}, {second}"),
        1 => format!("{first}, ({second} IS NULL)"),
        2 => format!("({first} = {first})"),
        _ => format!("{second}, {first}"),
    };
    let kinds = dice.word(&["", " (dependencies)", " (ndistinct, mcv)"]);
    let kinds = if what.starts_with('(') { "" } else { kinds };
    let table = table.name.clone();
    let sql = format!(
        "CREATE STATISTICS {}{kinds} ON {what} FROM {}",
        q(&name),
        q(&table)
    );
    Step::new(sql, move |model| model.part("STATISTICS", &table, &name))
}
