//! Triggers, rules, policies and comments.

use super::{
    dice::Dice,
    model::{Model, Step, q},
    values::Class,
};

pub(super) fn trigger(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.any_name(dice);
    let function = q(dice.any(&model.trigger_functions)?);
    let arguments = dice.word(&["", "", "'it''s', 2"]);
    if dice.chance(10) {
        let view = dice.any(&model.views)?.name.clone();
        let sql = format!(
            "CREATE TRIGGER {} INSTEAD OF INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {function}({arguments})",
            q(&name),
            q(&view)
        );
        return Step::new(sql, move |model| model.part("TRIGGER", &view, &name));
    }
    let table = model.table(dice)?.clone();
    let t = q(&table.name);
    let other = q(&model.table(dice)?.name);
    let column = table.column(dice, |_| true)?;
    let (condition, c) = (
        column
            .of
            .condition(dice, &format!("new.{}", q(&column.name))),
        q(&column.name),
    );
    let rest = match dice.below(8) {
        0 => format!("BEFORE INSERT OR UPDATE OF {c} ON {t} FOR EACH ROW"),
        1 => format!("AFTER UPDATE ON {t} FOR EACH ROW WHEN (old.{c} IS NOT NULL AND {condition})"),
        2 => format!(
            "AFTER UPDATE ON {t} REFERENCING OLD TABLE AS \"Old rows\" NEW TABLE AS n FOR EACH STATEMENT"
        ),
        3 => format!("BEFORE DELETE OR TRUNCATE ON {t}"),
        4 => format!("AFTER INSERT ON {t} FOR EACH ROW WHEN ({condition})"),
        5 => format!("AFTER UPDATE ON {t} FOR EACH ROW WHEN (old.* IS DISTINCT FROM new.*)"),
        6 => format!("AFTER INSERT OR DELETE ON {t} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"),
        _ => format!("AFTER UPDATE OF {c} ON {t} FROM {other} DEFERRABLE FOR EACH ROW"),
    };
    let constraint = if rest.contains("DEFERRABLE") {
        "CONSTRAINT "
    } else {
        ""
    };
    let sql = format!(
        "CREATE {constraint}TRIGGER {} {rest} EXECUTE FUNCTION {function}({arguments})",
        q(&name)
    );
    let table = table.name;
    Step::new(sql, move |model| model.part("TRIGGER", &table, &name))
}

pub(super) fn rule(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.any_name(dice);
    let (table, other) = (model.table(dice)?.clone(), model.table(dice)?.clone());
    let (t, o) = (q(&table.name), q(&other.name));
    let column = table.column(dice, |_| true)?;
    let c = q(&column.name);
    let condition = column.of.condition(dice, &format!("old.{c}"));
    let rest = match dice.below(6) {
        0 => format!("ON DELETE TO {t} WHERE {condition} DO INSTEAD NOTHING"),
        1 => format!("ON INSERT TO {t} DO ALSO DELETE FROM {o}"),
        2 => format!("ON UPDATE TO {t} DO ALSO (DELETE FROM {o}; NOTIFY \"a channel\"; SELECT 1)")
            .replace("; SELECT 1", ""),
        3 => {
            let target = other.column(dice, |of| of.class == Class::Integer)?;
            format!("ON INSERT TO {t} DO ALSO INSERT INTO {o} ({0}) VALUES (7) ON CONFLICT DO NOTHING RETURNING {o}.{0}", q(&target.name))
                .split(" RETURNING")
                .next()?
                .to_owned()
        }
        4 => {
            format!("ON UPDATE TO {t} WHERE old.{c} IS NOT NULL DO INSTEAD SELECT new.{c}, old.{c}")
        }
        _ => {
            let view = dice.any(&model.views)?.name.clone();
            let sql = format!(
                "CREATE RULE {} AS ON DELETE TO {} DO INSTEAD NOTHING",
                q(&name),
                q(&view)
            );
            return Step::new(sql, move |model| model.part("RULE", &view, &name));
        }
    };
    let sql = format!("CREATE RULE {} AS {rest}", q(&name));
    let table = table.name;
    Step::new(sql, move |model| model.part("RULE", &table, &name))
}

/// Turned off, or on for other sessions.
pub(super) fn enabled(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let fit: Vec<_> = model
        .parts
        .iter()
        .filter(|p| matches!(p.kind, "TRIGGER" | "RULE"))
        .collect();
    let part = dice.any(&fit)?;
    let how = dice.word(&["DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"]);
    let table = if dice.chance(30) {
        &model.table(dice)?.name
    } else {
        &part.table
    };
    let only = dice.maybe(40, "ONLY ");
    Step::plain(format!(
        "ALTER TABLE {only}{} {how} {} {}",
        q(table),
        part.kind,
        q(&part.name)
    ))
}

pub(super) fn policy(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let name = model.any_name(dice);
    let table = model.table(dice)?.clone();
    let column = table.column(dice, |_| true)?;
    let condition = column.of.condition(dice, &q(&column.name));
    let other = model.table(dice)?;
    let exists = format!(
        "EXISTS (SELECT FROM {} o WHERE o.* IS NOT NULL AND {}.{} IS NOT NULL)",
        q(&other.name),
        q(&table.name),
        q(&column.name)
    );
    let kind = dice.word(&["", " AS RESTRICTIVE"]);
    let rest = match dice.below(5) {
        0 => format!("FOR SELECT USING ({condition})"),
        1 => format!("FOR INSERT TO PUBLIC WITH CHECK ({condition})"),
        2 => format!("FOR UPDATE TO CURRENT_USER USING ({exists}) WITH CHECK ({condition})"),
        3 => format!("USING ({exists})"),
        _ => format!("FOR DELETE USING ({condition} OR current_user = 'x')"),
    };
    let sql = format!(
        "CREATE POLICY {} ON {}{kind} {rest}",
        q(&name),
        q(&table.name)
    );
    let table = table.name;
    Step::new(sql, move |model| model.part("POLICY", &table, &name))
}

pub(super) fn comment(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let text = dice.word(&[
        "'plain'",
        "'it''s <schema>.x; --'",
        "E'two\\nlines \\\\ %'",
        "'ü ☃'",
    ]);
    let what = match dice.below(7) {
        0 => format!("TABLE {}", q(&model.table(dice)?.name)),
        1 => {
            let table = model.table(dice)?;
            format!(
                "COLUMN {}.{}",
                q(&table.name),
                q(&table.column(dice, |_| true)?.name)
            )
        }
        2 => format!("TYPE {}", dice.any(&model.types)?.sql),
        3 => format!("SEQUENCE {}", q(dice.any(&model.sequences)?)),
        4 => {
            let function = dice.any(&model.functions)?;
            format!("{} {}", function.kind, function.signature)
        }
        5 => {
            let view = dice.any(&model.views)?;
            let kind = if view.is_materialized {
                "MATERIALIZED VIEW"
            } else {
                "VIEW"
            };
            format!("{kind} {}", q(&view.name))
        }
        _ => {
            let part = dice.any(&model.parts)?;
            match part.kind {
                "INDEX" | "STATISTICS" => format!("{} {}", part.kind, q(&part.name)),
                "KEY" => format!("INDEX {}", q(&part.name)),
                kind => format!("{kind} {} ON {}", q(&part.name), q(&part.table)),
            }
        }
    };
    Step::plain(format!("COMMENT ON {what} IS {text}"))
}
