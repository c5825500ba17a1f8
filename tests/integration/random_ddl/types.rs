//! Types and sequences.

use super::{
    dice::Dice,
    model::{Column, Model, Step, q},
    values::{Class, Type},
};

pub(super) fn an_enum(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let labels = ["'sad'", "'ok'", "'it''s, fine'", "'ü'", "'new value'", "''"];
    let count = 1 + dice.below(labels.len());
    let sql = format!(
        "CREATE TYPE {} AS ENUM ({})",
        q(&name),
        labels[..count].join(", ")
    );
    let of = Type {
        sql: q(&name),
        class: Class::Other,
        value: Some(labels[0].to_owned()),
    };
    Step::new(sql, |model| model.types.push(of))
}

pub(super) fn change_enum(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let enums: Vec<_> = model
        .types
        .iter()
        .filter(|t| t.value.as_deref() == Some("'sad'"))
        .collect();
    let name = &dice.any(&enums)?.sql;
    let change = dice.word(&[
        "ADD VALUE 'added'",
        "ADD VALUE 'first' BEFORE 'sad'",
        "ADD VALUE 'second' AFTER 'sad'",
        "RENAME VALUE 'ok' TO 'o''k'",
    ]);
    Step::plain(format!("ALTER TYPE {name} {change}"))
}

pub(super) fn domain(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let base = Type::any(dice, &model.types);
    let mut sql = format!("CREATE DOMAIN {} AS {}", q(&name), base.sql);
    if base.class == Class::Text {
        sql += &dice.maybe(30, " COLLATE \"C\"");
    }
    if dice.chance(50) {
        sql += &format!(
            " DEFAULT {}",
            base.default(dice, &model.functions, &model.sequences)
        );
    }
    sql += &dice.maybe(25, " NOT NULL");
    for _ in 0..dice.below(3) {
        let check = base.condition(dice, "VALUE");
        let constraint = model.name(dice);
        if dice.chance(50) {
            sql += &format!(" CONSTRAINT {}", q(&constraint));
        }
        sql += &format!(" CHECK ({check})");
    }
    let of = Type {
        sql: q(&name),
        ..base
    };
    Step::new(sql, |model| model.types.push(of))
}

pub(super) fn change_domain(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = dice.any(&model.types)?.sql.clone();
    let constraint = q(&model.name(dice));
    let sql = match dice.below(5) {
        0 => format!(
            "ALTER DOMAIN {name} ADD CONSTRAINT {constraint} CHECK (VALUE IS NOT NULL) NOT VALID"
        ),
        1 => format!("ALTER DOMAIN {name} SET NOT NULL"),
        2 => format!("ALTER DOMAIN {name} DROP DEFAULT"),
        3 => format!("ALTER DOMAIN {name} SET DEFAULT NULL"),
        _ => format!(
            "ALTER DOMAIN {name} ADD CONSTRAINT {constraint} CHECK (VALUE IS DISTINCT FROM NULL)"
        ),
    };
    Step::plain(sql)
}

pub(super) fn composite(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let count = dice.below(4);
    let columns = model.columns(dice, count);
    let attributes: Vec<_> = columns
        .iter()
        .map(|Column { name, of }| {
            let collated = of.sql.starts_with("text") && !of.sql.ends_with("[]") && dice.chance(30);
            let collation = if collated { " COLLATE \"POSIX\"" } else { "" };
            format!("{} {}{collation}", q(name), of.sql)
        })
        .collect();
    let sql = format!("CREATE TYPE {} AS ({})", q(&name), attributes.join(", "));
    let of = Type {
        sql: q(&name),
        class: Class::Other,
        value: None,
    };
    Step::new(sql, |model| {
        model.composites.push(of.sql.clone());
        model.types.push(of);
    })
}

pub(super) fn change_composite(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = dice.any(&model.composites)?;
    let change = dice.word(&[
        "ADD ATTRIBUTE added integer",
        "ADD ATTRIBUTE \"Added, too\" text COLLATE \"C\"",
        "DROP ATTRIBUTE IF EXISTS id CASCADE",
        "DROP ATTRIBUTE IF EXISTS name",
        "RENAME ATTRIBUTE total TO \"sum total\"",
        "ADD ATTRIBUTE added varchar(3), DROP ATTRIBUTE IF EXISTS kind",
    ]);
    Step::plain(format!("ALTER TYPE {name} {change}"))
}

pub(super) fn range(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let (subtype, more) = [
        ("numeric", ""),
        ("text", ""),
        ("text", ", COLLATION = \"C\""),
        ("timestamptz", ""),
        ("text", ", SUBTYPE_OPCLASS = text_pattern_ops"),
        ("varchar", ""),
    ][dice.below(6)];
    let multirange = model.name(dice);
    let multirange = if dice.chance(30) {
        format!(", MULTIRANGE_TYPE_NAME = {}", q(&multirange))
    } else {
        String::new()
    };
    let sql = format!(
        "CREATE TYPE {} AS RANGE (SUBTYPE = {subtype}{more}{multirange})",
        q(&name)
    );
    let of = Type {
        sql: q(&name),
        class: Class::Range,
        value: Some("'empty'".to_owned()),
    };
    Step::new(sql, |model| model.types.push(of))
}

pub(super) fn sequence(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let unlogged = dice.maybe(10, "UNLOGGED ");
    let options = sequence_options(dice);
    let sql = format!("CREATE {unlogged}SEQUENCE {}{options}", q(&name));
    Step::new(sql, |model| model.sequences.push(name))
}

pub(super) fn sequence_options(dice: &mut Dice) -> String {
    let kind = dice.word(&["", " AS smallint", " AS integer", " AS bigint"]);
    let rest = dice.word(&[
        "",
        " START 10 INCREMENT 5 MAXVALUE 1000 CYCLE",
        " INCREMENT -1",
        " INCREMENT BY -2 MINVALUE -100 MAXVALUE 50 START 20",
        " CACHE 20",
        " MINVALUE 0 START 0",
        " NO CYCLE MAXVALUE 32767",
    ]);
    format!("{kind}{rest}")
}

pub(super) fn change_sequence(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = q(dice.any(&model.sequences)?);
    let sql = match dice.below(4) {
        0 => {
            let table = model.table(dice)?;
            let column = table.column(dice, |_| true)?;
            format!(
                "ALTER SEQUENCE {name} OWNED BY {}.{}",
                q(&table.name),
                q(&column.name)
            )
        }
        1 => format!("ALTER SEQUENCE {name} AS integer"),
        2 => format!("ALTER SEQUENCE {name} RESTART 3 CACHE 7"),
        _ => format!("ALTER SEQUENCE {name} OWNED BY NONE"),
    };
    Step::plain(sql)
}
