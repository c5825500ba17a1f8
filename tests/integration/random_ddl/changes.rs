//! Renamed and dropped objects.

use super::{
    dice::Dice,
    model::{Model, Step, q},
};

pub(super) fn rename(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let new = model.name(dice);
    match dice.below(5) {
        0 => {
            let table = model.table(dice)?.name.clone();
            let sql = format!("ALTER TABLE {} RENAME TO {}", q(&table), q(&new));
            Step::new(sql, move |model| {
                for part in model.parts.iter_mut().filter(|part| part.table == table) {
                    part.table.clone_from(&new);
                }
                if let Some(table) = model.table_mut(&table) {
                    table.name = new;
                }
            })
        }
        1 => {
            let sequence = dice.any(&model.sequences)?.clone();
            let sql = format!("ALTER SEQUENCE {} RENAME TO {}", q(&sequence), q(&new));
            Step::new(sql, move |model| {
                model.sequences.retain(|other| *other != sequence);
                model.sequences.push(new);
            })
        }
        2 => {
            let of = dice.any(&model.types)?.sql.clone();
            let sql = format!("ALTER TYPE {of} RENAME TO {}", q(&new));
            Step::new(sql, move |model| {
                for other in model.types.iter_mut().filter(|other| other.sql == of) {
                    other.sql = q(&new);
                }
                model.composites.retain(|other| *other != of);
            })
        }
        3 => {
            let function = dice.any(&model.functions)?.clone();
            let sql = format!(
                "ALTER {} {} RENAME TO {}",
                function.kind,
                function.signature,
                q(&new)
            );
            Step::new(sql, move |model| {
                model
                    .functions
                    .retain(|other| other.signature != function.signature);
            })
        }
        _ => {
            let part = dice.any(&model.parts)?.clone();
            let (t, old, to) = (q(&part.table), q(&part.name), q(&new));
            let sql = match part.kind {
                "INDEX" | "STATISTICS" => format!("ALTER {} {old} RENAME TO {to}", part.kind),
                "KEY" => format!("ALTER INDEX {old} RENAME TO {to}"),
                "CONSTRAINT" => format!("ALTER TABLE {t} RENAME CONSTRAINT {old} TO {to}"),
                kind => format!("ALTER {kind} {old} ON {t} RENAME TO {to}"),
            };
            Step::new(sql, move |model| {
                for other in &mut model.parts {
                    if other.kind == part.kind
                        && other.name == part.name
                        && other.table == part.table
                    {
                        other.name.clone_from(&new);
                    }
                }
            })
        }
    }
}

pub(super) fn drop(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let cascade = dice.maybe(50, " CASCADE");
    let what = match dice.below(6) {
        0 => {
            let table = model.table(dice)?.name.clone();
            let sql = format!("DROP TABLE {}{cascade}", q(&table));
            return Step::new(sql, move |model| {
                model.tables.retain(|other| other.name != table)
            });
        }
        1 => format!("TYPE {}", dice.any(&model.types)?.sql),
        2 => format!("SEQUENCE {}", q(dice.any(&model.sequences)?)),
        3 => {
            let function = dice.any(&model.functions)?;
            format!("{} {}", function.kind, function.signature)
        }
        4 => {
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
            let (t, name) = (q(&part.table), q(&part.name));
            match part.kind {
                "INDEX" | "STATISTICS" => format!("{} {name}", part.kind),
                "KEY" | "CONSTRAINT" => {
                    return Step::plain(format!("ALTER TABLE {t} DROP CONSTRAINT {name}{cascade}"));
                }
                kind => format!("{kind} {name} ON {t}"),
            }
        }
    };
    Step::plain(format!("DROP {what}{cascade}"))
}

/// A constraint that was not checked yet is.
pub(super) fn validate(model: &mut Model, dice: &mut Dice) -> Option<Step> {
    let fit: Vec<_> = model
        .parts
        .iter()
        .filter(|p| p.kind == "CONSTRAINT")
        .collect();
    let part = dice.any(&fit)?;
    Step::plain(format!(
        "ALTER TABLE {} VALIDATE CONSTRAINT {}",
        q(&part.table),
        q(&part.name)
    ))
}
