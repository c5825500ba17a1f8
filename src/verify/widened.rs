//! What a way up takes away from people, and what it gives them: a way back that is exact on what is there today may lose
//! data, or fail, once somebody has used what the up allows.

use crate::structure::{Change, Difference, Kind, ObjectKey, Properties, Snapshot};

/// The columns that a way up adds to tables that are there before it: what is written to them goes with the way back. Where it
/// takes another column of the table away, it may have been a change of name.
pub(super) fn dropped(differences: &[Difference], after: &Snapshot) -> Vec<String> {
    let columns = |change: fn(&Change) -> bool| {
        differences
            .iter()
            .filter(move |d| d.object.kind == Kind::Column && change(&d.change))
            .map(|difference| &difference.object)
    };
    let is_written = |column: &ObjectKey| {
        let properties = after.get(column);
        properties.is_some_and(|properties| !properties.contains_key("generated"))
    };
    let is_renamed = |column: &ObjectKey| {
        columns(|change| *change == Change::Missing).any(|gone| gone.table == column.table)
    };
    columns(|change| *change == Change::Added)
        .filter(|column| table_of(column, after) && is_written(column) && !is_renamed(column))
        .map(ToString::to_string)
        .collect()
}

/// What may be written after the up and could not be before: the way back fails on it, unless it makes room first.
pub(super) fn widened(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let objects = before
        .objects()
        .filter(|(object, _)| object.kind == Kind::Type || table_of(object, after));
    objects
        .filter_map(|(object, was)| match (object.kind, after.get(object)) {
            (Kind::Column, Some(is)) => column(object, was, is),
            (Kind::Type, Some(is)) => labels(object, was, is),
            (Kind::Constraint, None) if !replaced(object, was, before, after) => {
                let words = was.get("definition")?;
                Some(format!("{object} is gone: {words}"))
            }
            (Kind::Index, None) if !replaced(object, was, before, after) => {
                let definition = was.get("definition")?;
                let of_constraint = before.get(&ObjectKey {
                    kind: Kind::Constraint,
                    ..object.clone()
                });
                let is_told = of_constraint.is_some() || !definition.starts_with(UNIQUE);
                (!is_told).then(|| format!("unique {object} is gone"))
            }
            _ => None,
        })
        .collect()
}

const UNIQUE: &str = "CREATE UNIQUE INDEX";

/// Whether the table of an object is there.
fn table_of(object: &ObjectKey, snapshot: &Snapshot) -> bool {
    let table = ObjectKey {
        kind: Kind::Table,
        table: None,
        name: object.table.clone().unwrap_or_default(),
    };
    snapshot.get(&table).is_some()
}

fn column(object: &ObjectKey, was: &Properties, is: &Properties) -> Option<String> {
    let both = |property| Some((was.get(property)?, is.get(property)?));
    let mut words = Vec::new();
    if both("not null").is_some_and(|(was, is)| was != "no" && is == "no") {
        words.push("may be NULL".to_owned());
    }
    if let Some((was, is)) = both("type")
        && is_wider(was, is)
    {
        words.push(format!("is {is}, no more {was}"));
    }
    (!words.is_empty()).then(|| format!("{object} {}", words.join(", ")))
}

/// Labels of an enumeration that it did not have.
fn labels(object: &ObjectKey, was: &Properties, is: &Properties) -> Option<String> {
    let (was, is) = (was.get("labels")?, is.get("labels")?);
    let known: Vec<_> = was.split(", ").collect();
    let new: Vec<_> = is.split(", ").filter(|l| !known.contains(l)).collect();
    (!new.is_empty()).then(|| format!("{object} has {}", new.join(", ")))
}

/// Whether a constraint or index that is gone has only another name, or went with a column of its own.
fn replaced(object: &ObjectKey, was: &Properties, before: &Snapshot, after: &Snapshot) -> bool {
    let Some(definition) = was.get("definition") else {
        return true;
    };
    let bare = |name: &str, definition: &str| definition.replacen(name, "", 1);
    let same_kind = |other: &ObjectKey| other.kind == object.kind && other.table == object.table;
    let is_renamed = after.objects().any(|(other, is)| {
        let words = is.get("definition");
        let is_new = before.get(other).is_none() && same_kind(other);
        is_new && words.is_some_and(|w| bare(&other.name, w) == bare(&object.name, definition))
    });
    let went = before.objects().any(|(other, _)| {
        let is_gone = other.kind == Kind::Column && after.get(other).is_none();
        is_gone && other.table == object.table && definition.contains(&other.name)
    });
    is_renamed || went
}

/// Whether a type takes what another one does not. Of types that nothing is known of, nothing is said.
fn is_wider(was: &str, is: &str) -> bool {
    const NUMBERS: [&str; 4] = ["smallint", "integer", "bigint", "numeric"];
    const FLOATS: [&str; 2] = ["real", "double precision"];
    let ((was, of_was), (is, of_is)) = (parts(was), parts(is));
    if let (Some(was), Some(is)) = (longest(was, &of_was), longest(is, &of_is)) {
        return is > was;
    }
    match (was, &of_was[..], is, &of_is[..]) {
        ("numeric", [_, ..], "numeric", []) => true,
        // Digits in all, and those behind the point.
        ("numeric", &[digits, scale], "numeric", &[now, now_scale]) => {
            now_scale > scale || now - now_scale > digits - scale
        }
        _ => [&NUMBERS[..], &FLOATS].iter().any(|order| {
            let place = |name| order.iter().position(|other| *other == name);
            place(was).is_some_and(|was| place(is).is_some_and(|is| is > was))
        }),
    }
}

/// How many characters a type takes; none where it is no type of texts.
fn longest(name: &str, numbers: &[i64]) -> Option<i64> {
    match name {
        "text" => Some(i64::MAX),
        "character varying" => Some(numbers.first().copied().unwrap_or(i64::MAX)),
        "character" => numbers.first().copied(),
        _ => None,
    }
}

/// The name of a type and the numbers behind it: `numeric(10,2)`.
fn parts(name: &str) -> (&str, Vec<i64>) {
    let Some((name, rest)) = name.split_once('(') else {
        return (name, Vec::new());
    };
    let numbers = rest.trim_end_matches(')').split(',');
    (
        name,
        numbers.filter_map(|n| n.trim().parse().ok()).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_wider_where_it_takes_more() {
        for (was, is) in [
            ("character varying(10)", "text"),
            ("character varying(10)", "character varying(20)"),
            ("character(3)", "character varying"),
            ("smallint", "integer"),
            ("integer", "bigint"),
            ("bigint", "numeric"),
            ("numeric(10,2)", "numeric(12,2)"),
            ("numeric(10,2)", "numeric(10,4)"),
            ("numeric(10,2)", "numeric"),
            ("real", "double precision"),
        ] {
            assert!(is_wider(was, is), "{was} → {is}");
            assert!(!is_wider(is, was) || was == "numeric(10,2)", "{is} → {was}");
        }
        for (was, is) in [
            ("character varying", "text"),
            ("text", "character varying"),
            ("text", "integer"),
            ("integer", "text"),
            ("jsonb", "json"),
            ("date", "timestamp without time zone"),
        ] {
            assert!(!is_wider(was, is), "{was} → {is}");
        }
    }
}
