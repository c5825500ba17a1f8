//! Views and materialised views.

use super::{
    dice::Dice,
    model::{Column, Model, Step, View, q},
    values::{Class, Type},
};

pub(super) fn view(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.name(dice);
    let sources: Vec<_> = model
        .tables
        .iter()
        .map(|table| (table.name.clone(), table.columns.clone()))
        .chain(
            model
                .views
                .iter()
                .map(|view| (view.name.clone(), view.columns.clone())),
        )
        .filter(|(_, columns)| !columns.is_empty())
        .collect();
    let (from, columns) = dice.any(&sources)?;
    let (other, others) = dice.any(&sources)?;
    let first = dice.any(columns)?.clone();
    let second = dice.any(others)?.clone();
    let (query, of) = query(model, dice, (from, &first), (other, &second));
    let is_materialized = dice.chance(25);
    let count = of.len();
    let list = dice.chance(40) || query.starts_with("VALUES");
    let named = model.columns(dice, count);
    let columns: Vec<_> = named
        .into_iter()
        .zip(of)
        .enumerate()
        .map(|(number, (named, of))| Column {
            name: if list {
                named.name
            } else {
                format!("v{number}")
            },
            of,
        })
        .collect();
    let names: Vec<_> = columns.iter().map(|c| q(&c.name)).collect();
    let head = if list {
        format!(" ({})", names.join(", "))
    } else {
        String::new()
    };
    let sql = if is_materialized {
        let options = dice.word(&["", "", " WITH (fillfactor = 70)"]);
        let data = dice.word(&["", " WITH NO DATA"]);
        format!(
            "CREATE MATERIALIZED VIEW {}{head}{options} AS {query}{data}",
            q(&name)
        )
    } else {
        let options = dice.word(&[
            "",
            "",
            "",
            " WITH (security_barrier)",
            " WITH (security_invoker = true)",
        ]);
        let check = dice.word(&["", "", "", " WITH CHECK OPTION", " WITH LOCAL CHECK OPTION"]);
        format!("CREATE VIEW {}{head}{options} AS {query}{check}", q(&name))
    };
    let view = View {
        name,
        columns,
        is_materialized,
    };
    Step::new(sql, |model| model.views.push(view))
}

/// A query, and the types of what it gives, which it calls `v0`, `v1` …
fn query(
    model: &Model,
    dice: &mut Dice,
    (from, first): (&str, &Column),
    (other, second): (&str, &Column),
) -> (String, Vec<Type>) {
    let (from, other, a, b) = (q(from), q(other), q(&first.name), q(&second.name));
    let alias = q(&model.any_name(dice));
    let of = vec![first.of.clone()];
    let both = vec![first.of.clone(), second.of.clone()];
    let condition = first.of.condition(dice, &format!("{alias}.{a}"));
    match dice.below(11) {
        0 => (format!("SELECT {alias}.{a} AS v0 FROM {from} {alias} WHERE {condition}"), of),
        1 => (format!("SELECT x.{a} AS v0, y.{b} AS v1 FROM {from} x LEFT JOIN {other} y ON true"), both),
        2 => (format!("SELECT {a} AS v0, count(*) AS v1 FROM {from} GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC LIMIT 3"), [of, vec![Type::integer()]].concat()),
        3 => (
            "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT n AS v0 FROM t".to_owned(),
            vec![Type::integer()],
        ),
        4 => (format!("SELECT {from}.{a} AS v0, EXISTS (SELECT FROM {other} WHERE {other}.{b} IS NOT NULL) AS v1 FROM {from}"), {
            let exists = Type::built_in(dice, |class| class == Class::Boolean);
            [of, vec![exists]].concat()
        }),
        5 => (format!("SELECT {a} AS v0 FROM {from} UNION ALL SELECT {a} FROM ONLY {from}"), of),
        6 => (format!("SELECT {a} AS v0, row_number() OVER (PARTITION BY {a} ORDER BY {a} NULLS FIRST) AS v1 FROM {from}"), [of, vec![Type::integer()]].concat()),
        7 => ("VALUES (1, 'it''s'), (2, 'b')".to_owned(), vec![Type::integer(), Type::built_in(dice, |class| class == Class::Text)]),
        8 => (
            format!(
                "SELECT r.v0, {}::{} AS v1 FROM json_to_recordset('[]') AS r(v0 {}, z text), LATERAL (SELECT 1) l(m)",
                second.of.constant(),
                second.of.sql,
                first.of.sql
            ),
            both,
        ),
        9 => (format!("SELECT {alias}.{a} AS v0, {alias} AS v1 FROM {from} {alias} TABLESAMPLE system (10)"), of),
        _ => {
            let calls: Vec<_> = model.functions.iter().filter(|f| f.kind == "FUNCTION" && f.takes.is_none() && f.gives.is_some()).collect();
            let Some(function) = dice.any(&calls) else {
                return (format!("SELECT DISTINCT {a} AS v0 FROM {from}"), of);
            };
            let gives = function.gives.iter().cloned().collect();
            (format!("SELECT {} AS v0", function.call(None)), gives)
        }
    }
}

pub(super) fn change_view(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let view = dice.any(&model.views)?.clone();
    let column = dice.any(&view.columns)?;
    let kind = if view.is_materialized {
        "MATERIALIZED VIEW"
    } else {
        "VIEW"
    };
    let (name, old, new) = (q(&view.name), q(&column.name), model.name(dice));
    let default = column.of.constant();
    let sql = match dice.below(4) {
        0 => format!("ALTER {kind} {name} RENAME COLUMN {old} TO {}", q(&new)),
        1 if !view.is_materialized => {
            format!("ALTER VIEW {name} ALTER {old} SET DEFAULT {default}")
        }
        1 => format!("ALTER MATERIALIZED VIEW {name} ALTER {old} SET STORAGE EXTERNAL"),
        2 if view.is_materialized => format!(
            "ALTER MATERIALIZED VIEW {name} SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)"
        ),
        2 => format!("ALTER VIEW {name} SET (security_barrier = true)"),
        _ => format!("COMMENT ON COLUMN {name}.{old} IS 'of a view'"),
    };
    Step::plain(sql)
}
