//! Telling two snapshots apart, in words a person reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{Kind, ObjectKey, Properties, Snapshot, names::table_and_column};

/// A column's place: told of the table as a whole, since one moved column moves all that follow.
const POSITION: &str = "position";

/// Whether a column or a check is its parent's alone: told where the table still has the parents it had, since all of it
/// changes with them.
const INHERITED: &str = "inherited";

/// Of so many columns the order is told in full.
const FEW_COLUMNS: usize = 8;

/// One thing in which two snapshots differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What differs.
    pub object: ObjectKey,
    /// How.
    pub change: Change,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// Only the later snapshot has it.
    Added,
    /// Only the earlier snapshot has it.
    Missing,
    /// A property has another value.
    Property {
        /// Which, such as `default`.
        property: String,
        /// Its value in the earlier snapshot.
        before: Option<String>,
        /// Its value in the later snapshot.
        after: Option<String>,
    },
    /// A table's columns, those that both snapshots have, stand in another order.
    ColumnOrder {
        /// The order in the earlier snapshot.
        before: Vec<String>,
        /// The order in the later snapshot.
        after: Vec<String>,
    },
}

/// What differs between two snapshots; nothing exactly if they are equal.
///
/// What vanishes or comes with a table is not told apart from it, nor an index apart from its constraint, nor a sequence
/// apart from its column.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (object, properties) in &before.objects {
        match after.objects.get(object) {
            Some(later) => changed(object, properties, later, &mut differences),
            None if told_with_another(object, before, after) => {}
            None => differences.push(Difference {
                object: object.clone(),
                change: Change::Missing,
            }),
        }
    }
    for object in after.objects.keys() {
        if !before.objects.contains_key(object) && !told_with_another(object, after, before) {
            differences.push(Difference {
                object: object.clone(),
                change: Change::Added,
            });
        }
    }
    with_family(&mut differences);
    differences.extend(reordered(before, after));
    differences.sort_by(|a, b| a.object.cmp(&b.object));
    differences
}

/// Leaves out what is told with a change of a table's parents.
fn with_family(differences: &mut Vec<Difference>) {
    let is = |difference: &Difference, name: &str| matches!(&difference.change, Change::Property { property, .. } if property == name);
    let moved: BTreeSet<_> = differences
        .iter()
        .filter(|difference| is(difference, "parents"))
        .map(|difference| difference.object.name.clone())
        .collect();
    differences.retain(|difference| {
        let table = difference.object.table.as_ref();
        !(is(difference, INHERITED) && table.is_some_and(|table| moved.contains(table)))
    });
}

/// Whether an object that only `one` has belongs to another that only `one` has.
fn told_with_another(object: &ObjectKey, one: &Snapshot, other: &Snapshot) -> bool {
    let told =
        |owner: ObjectKey| one.objects.contains_key(&owner) && !other.objects.contains_key(&owner);
    let relation = |name: &str, kind| ObjectKey {
        kind,
        table: None,
        name: name.to_owned(),
    };
    let relations = [Kind::Table, Kind::View, Kind::MaterializedView];
    let with_relation = |name: &String| relations.iter().any(|&kind| told(relation(name, kind)));
    object.table.as_ref().is_some_and(with_relation)
        || object.kind == Kind::Index
            && told(ObjectKey {
                kind: Kind::Constraint,
                ..object.clone()
            })
        || object.kind == Kind::Sequence && owning_column(object, one).is_some_and(told)
}

/// The column that a sequence belongs to.
fn owning_column(sequence: &ObjectKey, snapshot: &Snapshot) -> Option<ObjectKey> {
    let (table, name) = table_and_column(snapshot.get(sequence)?.get("owned by")?)?;
    Some(ObjectKey {
        kind: Kind::Column,
        table: Some(table),
        name,
    })
}

fn changed(
    object: &ObjectKey,
    before: &Properties,
    after: &Properties,
    differences: &mut Vec<Difference>,
) {
    let gone = before
        .keys()
        .filter(|property| !after.contains_key(*property));
    for property in after
        .keys()
        .chain(gone)
        .filter(|property| *property != POSITION)
    {
        let (before, after) = (before.get(property), after.get(property));
        if before != after {
            let change = Change::Property {
                property: property.clone(),
                before: before.cloned(),
                after: after.cloned(),
            };
            differences.push(Difference {
                object: object.clone(),
                change,
            });
        }
    }
}

/// The tables whose common columns stand in another order.
fn reordered(before: &Snapshot, after: &Snapshot) -> impl Iterator<Item = Difference> {
    let (old, mut new) = (columns(before, after), columns(after, before));
    old.into_iter().filter_map(move |(table, before)| {
        let after = new.remove(table)?;
        (before != after).then(|| Difference {
            object: ObjectKey {
                kind: Kind::Table,
                table: None,
                name: table.to_owned(),
            },
            change: Change::ColumnOrder { before, after },
        })
    })
}

/// The columns of `one` that `other` has too, by table, in the order of `one`.
fn columns<'a>(one: &'a Snapshot, other: &Snapshot) -> BTreeMap<&'a str, Vec<String>> {
    let mut placed: Vec<_> = one
        .objects
        .iter()
        .filter(|(object, _)| object.kind == Kind::Column && other.objects.contains_key(object))
        .filter_map(|(object, properties)| {
            let place: u32 = properties.get(POSITION)?.parse().ok()?;
            Some((object.table.as_deref()?, place, &object.name))
        })
        .collect();
    placed.sort_unstable();
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for (table, _, name) in placed {
        tables.entry(table).or_default().push(name.clone());
    }
    tables
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match &self.change {
            Change::Added => write!(f, "{object}: added"),
            Change::Missing => write!(f, "{object}: missing"),
            Change::Property {
                property,
                before,
                after,
            } => {
                write!(f, "{object}: {property} ")?;
                values(f, before.as_deref(), after.as_deref())
            }
            Change::ColumnOrder { before, after } => {
                write!(f, "{}: column order {}", object.name, order(before, after))
            }
        }
    }
}

/// Both orders, or of many columns those that moved.
fn order(before: &[String], after: &[String]) -> String {
    if before.len() <= FEW_COLUMNS {
        return format!("{} → {}", before.join(", "), after.join(", "));
    }
    let behind = |order: &[String], name: &String| {
        let place = order.iter().position(|other| other == name);
        let previous = place.and_then(|place| order.get(place.checked_sub(1)?));
        previous.map_or("first".to_owned(), |previous| format!("after {previous}"))
    };
    let edits = similar::capture_diff_slices(similar::Algorithm::Myers, before, after);
    let moves = edits.iter().filter_map(|edit| {
        let moved = &after[edit.new_range()];
        let first = moved
            .first()
            .filter(|_| edit.tag() != similar::DiffTag::Equal)?;
        let (now, was) = (behind(after, first), behind(before, first));
        Some(format!("{} {now} instead of {was}", moved.join(", ")))
    });
    moves.collect::<Vec<_>>().join("; ")
}

/// Both values, or the first line in which long ones differ.
fn values(f: &mut fmt::Formatter<'_>, before: Option<&str>, after: Option<&str>) -> fmt::Result {
    if let (Some(before), Some(after)) = (before, after)
        && (before.contains('\n') || after.contains('\n'))
        && let Some((line, before, after)) = first_differing_line(before, after)
    {
        write!(f, "differs in line {line}: ")?;
        return values(f, before, after);
    }
    write!(
        f,
        "{} → {}",
        before.unwrap_or("none"),
        after.unwrap_or("none")
    )
}

type Line<'a> = Option<&'a str>;

/// Lines are counted from 1; those of the longer text stand against none.
fn first_differing_line<'a>(
    before: &'a str,
    after: &'a str,
) -> Option<(usize, Line<'a>, Line<'a>)> {
    let (mut old, mut new) = (before.split('\n'), after.split('\n'));
    for line in 1.. {
        let (before, after) = (old.next(), new.next());
        if before != after {
            let (bare_before, bare_after) = (before.map(str::trim), after.map(str::trim));
            // Where only the spaces around it differ, they must be seen.
            let spaces = bare_before == bare_after;
            return Some(if spaces {
                (line, before, after)
            } else {
                (line, bare_before, bare_after)
            });
        }
        before?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[(&str, &str)]) -> Snapshot {
        let table = (
            ObjectKey {
                kind: Kind::Table,
                table: None,
                name: name.into(),
            },
            Properties::new(),
        );
        let columns = columns.iter().enumerate().map(|(i, (column, kind))| {
            let key = ObjectKey {
                kind: Kind::Column,
                table: Some(name.into()),
                name: (*column).into(),
            };
            let properties = [
                ("type", (*kind).to_owned()),
                (POSITION, (i + 1).to_string()),
            ]
            .map(|(k, v)| (k.to_owned(), v));
            (key, Properties::from(properties))
        });
        columns.chain([table]).collect()
    }

    fn words(before: &Snapshot, after: &Snapshot) -> Vec<String> {
        diff(before, after)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_table_goes_and_comes_as_a_whole() {
        let (none, orders) = (Snapshot::default(), table("orders", &[("id", "bigint")]));
        assert_eq!(words(&none, &orders), ["table orders: added"]);
        assert_eq!(words(&orders, &none), ["table orders: missing"]);
        assert_eq!(words(&orders, &orders), [""; 0]);
    }

    #[test]
    fn only_columns_that_both_have_can_change_places() {
        let before = table("t", &[("a", "int"), ("b", "int"), ("c", "int")]);
        assert_eq!(
            words(
                &before,
                &table("t", &[("a", "int"), ("c", "int"), ("b", "int")])
            ),
            ["t: column order a, b, c → a, c, b"]
        );
        assert_eq!(
            words(
                &before,
                &table(
                    "t",
                    &[("a", "int"), ("x", "int"), ("b", "text"), ("c", "int")]
                )
            ),
            ["t.b: type int → text", "t.x: added"]
        );
    }

    #[test]
    fn of_many_columns_those_that_moved_are_told() {
        let letters = |order: &str| {
            let names: Vec<_> = order.chars().map(String::from).collect();
            let columns: Vec<_> = names.iter().map(|name| (name.as_str(), "int")).collect();
            table("t", &columns)
        };
        for (order, told) in [
            ("abdefghijklc", "c after l instead of after b"),
            (
                "lacdebfghijk",
                "l first instead of after k; b after e instead of after a",
            ),
            ("abfghijklcde", "c, d, e after l instead of after b"),
        ] {
            let differences = words(&letters("abcdefghijkl"), &letters(order));
            assert_eq!(differences, [format!("t: column order {told}")]);
        }
    }

    #[test]
    fn long_values_are_told_by_the_first_line_that_differs() {
        let shown = |before: &str, after: &str| {
            let key = ObjectKey {
                kind: Kind::Function,
                table: None,
                name: "f()".into(),
            };
            let (before, after) = (Some(before.to_owned()), Some(after.to_owned()));
            let change = Change::Property {
                property: "definition".into(),
                before,
                after,
            };
            Difference {
                object: key,
                change,
            }
            .to_string()
        };
        assert_eq!(
            shown("a\n  b\nc", "a\n  x\ny"),
            "function f(): definition differs in line 2: b → x"
        );
        assert_eq!(
            shown("a\nb", "a"),
            "function f(): definition differs in line 2: b → none"
        );
    }

    #[test]
    fn json_names_the_object_and_the_change() {
        let differences = diff(&table("t", &[("a", "int")]), &table("t", &[("a", "text")]));
        assert_eq!(
            serde_json::to_string(&differences).unwrap(),
            r#"[{"object":{"kind":"column","table":"t","name":"a"},"change":{"what":"property","property":"type","before":"int","after":"text"}}]"#
        );
    }
}
