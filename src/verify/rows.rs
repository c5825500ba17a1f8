//! Which rows are in a schema, and which of them are gone: rows that a migration found must be there after it was taken back.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{VerifyError, seed::Catalog};
use crate::{
    postgres::ServerError,
    sql::{Ident, Literal},
    structure::{Kind, ObjectKey, Snapshot},
};

/// Of tables with more rows, only their number is known.
const MOST: i64 = 50;

/// The rows of a schema, by table.
pub(super) type Rows = BTreeMap<String, Content>;

/// The rows of one table.
#[derive(Debug, Default)]
pub(super) struct Content {
    count: usize,
    /// Their values by column; none where there are too many of them.
    values: Vec<Map<String, Value>>,
}

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Loss {
    /// Whole rows.
    Rows {
        /// Of which table.
        table: String,
        /// How many there were.
        before: usize,
        /// How many are left.
        after: usize,
    },
    /// Values of a column whose rows are still there.
    Values {
        /// Of which table.
        table: String,
        /// Of which column.
        column: String,
        /// How many are gone.
        lost: usize,
        /// How many there were.
        of: usize,
    },
    /// Numbers of a sequence, which will be given out once more.
    Numbers {
        /// Which one.
        sequence: String,
        /// The last number that it gave out; none where it was never used here.
        stood: Option<i64>,
        /// The same after the way back.
        stands: Option<i64>,
        /// Where one begins that was never used.
        start: i64,
    },
}

/// Reads the rows of all tables of a schema.
pub(super) async fn read(
    connection: &mut PgConnection,
    schema: &Ident,
    catalog: &Catalog,
) -> Result<Rows, VerifyError> {
    let mut sql = String::new();
    for table in &catalog.tables {
        let (Ok(name), Ok(text)) = (Ident::new(&table.name), Literal::new(&table.name)) else {
            continue;
        };
        sql += &format!(
            "SELECT {text}::text, pg_catalog.to_jsonb(t)::text, (SELECT pg_catalog.count(*) FROM {schema}.{name}) \
             FROM {schema}.{name} t LIMIT {MOST};\n"
        );
    }
    let mut rows = Rows::new();
    let mut found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
    let failed = |error: sqlx::Error| VerifyError::Rows(ServerError::of(&error));
    while let Some(row) = found.try_next().await.map_err(failed)? {
        let text: String = row.try_get(1).map_err(failed)?;
        let count: i64 = row.try_get(2).map_err(failed)?;
        let table: String = row.try_get(0).map_err(failed)?;
        let content = rows.entry(table).or_default();
        content.count = usize::try_from(count).unwrap_or(usize::MAX);
        if count <= MOST
            && let Ok(Value::Object(values)) = serde_json::from_str(&text)
        {
            content.values.push(values);
        }
    }
    Ok(rows)
}

/// What is known of the tables whose rows are compared.
pub(super) struct Tables<'a> {
    /// The structure in between.
    pub(super) left: &'a Snapshot,
    /// Those whose triggers may change a row that is written: of these, other values count only where the column was away in
    /// between.
    pub(super) touchy: BTreeSet<&'a str>,
    /// Those with rows that were made up. Their values have nothing to do with each other, so that others may have been made
    /// from them; what migrations wrote themselves has to be as it was.
    pub(super) planted: &'a BTreeSet<String>,
}

/// What of `before` is not in `after`: rows, values that are NULL now, values of which all were replaced by one, and of rows
/// that migrations wrote any value that is another one.
pub(super) fn lost(before: &Rows, after: &Rows, tables: &Tables<'_>) -> Vec<Loss> {
    let mut losses = Vec::new();
    for (table, content) in before {
        let now = after.get(table).map_or(0, |content| content.count);
        if now < content.count {
            losses.push(Loss::Rows {
                table: table.clone(),
                before: content.count,
                after: now,
            });
        } else if let Some(after) = after.get(table) {
            let was_away = |column: &str| {
                let kind = Kind::Column;
                let (table, name) = (Some(table.clone()), column.to_owned());
                tables.left.get(&ObjectKey { kind, table, name }).is_none()
            };
            let is_planted = tables.planted.contains(table);
            for column in content.columns() {
                let counts_changes = !tables.touchy.contains(table.as_str()) || was_away(column);
                let changes = match (counts_changes, is_planted) {
                    (false, _) => Changes::No,
                    (true, true) => Changes::ToOne,
                    (true, false) => Changes::Any,
                };
                losses.extend(values_lost(table, column, (content, after), changes));
            }
        }
    }
    losses
}

impl Content {
    fn columns(&self) -> impl Iterator<Item = &str> {
        let first = self.values.first();
        first.into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// The values of a column but for NULL; none where the column is not there.
    fn column(&self, column: &str) -> Option<Vec<&Value>> {
        let values: Option<Vec<_>> = self.values.iter().map(|row| row.get(column)).collect();
        Some(values?.into_iter().filter(|v| !v.is_null()).collect())
    }
}

/// Which other values count as lost.
#[derive(Clone, Copy)]
enum Changes {
    No,
    /// Only one for all, such as a default.
    ToOne,
    Any,
}

fn values_lost(
    table: &str,
    column: &str,
    (before, after): (&Content, &Content),
    changes: Changes,
) -> Option<Loss> {
    let were = before.column(column)?;
    // Where the column itself is not back, the structure tells.
    let are = after.column(column)?;
    if after.values.is_empty() {
        return None;
    }
    let of = were.len();
    let nulls = of.saturating_sub(are.len());
    let lost = match changes {
        Changes::Any => nulls.max(missing(&were, are)),
        Changes::ToOne if nulls == 0 && is_constant(&are) && !is_constant(&were) => {
            were.iter().filter(|value| !are.contains(value)).count()
        }
        Changes::ToOne | Changes::No => nulls,
    };
    (lost > 0).then(|| Loss::Values {
        table: table.to_owned(),
        column: column.to_owned(),
        lost,
        of,
    })
}

/// How many values are not there any more, as often as they were.
fn missing(were: &[&Value], mut are: Vec<&Value>) -> usize {
    let is_gone = |value: &&&Value| match are.iter().position(|other| other == *value) {
        Some(place) => {
            are.swap_remove(place);
            false
        }
        None => true,
    };
    were.iter().filter(is_gone).count()
}

/// Whether there is no more than one value, such as a default.
fn is_constant(values: &[&Value]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(table: &str, values: &[Value]) -> Rows {
        let values: Vec<_> = values
            .iter()
            .filter_map(|v| v.as_object().cloned())
            .collect();
        let content = Content {
            count: values.len(),
            values,
        };
        [(table.to_owned(), content)].into()
    }

    fn words(before: &[Value], after: &[Value], left: &[&str], touchy: &[&str]) -> Vec<String> {
        let left = left.iter().map(|column| {
            let key = ObjectKey {
                kind: Kind::Column,
                table: Some("users".to_owned()),
                name: (*column).to_owned(),
            };
            (key, Default::default())
        });
        let tables = Tables {
            left: &left.collect(),
            touchy: touchy.iter().copied().collect(),
            planted: &["users".to_owned()].into(),
        };
        let (before, after) = (rows("users", before), rows("users", after));
        let losses = lost(&before, &after, &tables);
        losses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rows_and_values_that_are_gone_are_told() {
        let full = [json!({"id": 1, "name": "a"}), json!({"id": 2, "name": "b"})];
        let bare = [
            json!({"id": 2, "name": null}),
            json!({"id": 1, "name": "b"}),
        ];
        assert_eq!(words(&full, &full, &["id", "name"], &[]), [""; 0]);
        assert_eq!(words(&full, &[], &[], &[]), ["rows lost: users 2 → 0"]);
        let lost = ["values lost: users.name 1 of 2"];
        assert_eq!(words(&full, &bare, &["id"], &[]), lost);
    }

    #[test]
    fn one_value_for_all_is_lost_and_other_values_are_made_from_others() {
        let before = [json!({"name": "a"}), json!({"name": "b"})];
        let made = [json!({"name": "a a"}), json!({"name": "b b"})];
        assert_eq!(words(&before, &made, &[], &[]), [""; 0]);
        let stamped = [json!({"name": "b"}), json!({"name": "b"})];
        let lost = ["values lost: users.name 1 of 2"];
        assert_eq!(words(&before, &stamped, &["name"], &[]), lost);
        // A trigger may have done that, unless the column was dropped in between.
        assert_eq!(words(&before, &stamped, &["name"], &["users"]), [""; 0]);
        assert_eq!(words(&before, &stamped, &[], &["users"]), lost);
    }

    #[test]
    fn of_rows_that_migrations_wrote_every_value_counts() {
        let tables = Tables {
            left: &[].into_iter().collect(),
            touchy: BTreeSet::new(),
            planted: &BTreeSet::new(),
        };
        let (before, after) = (
            [json!({"n": "a"}), json!({"n": "b"}), json!({"n": "b"})],
            [json!({"n": "b"}), json!({"n": "a"}), json!({"n": "c"})],
        );
        let losses = lost(&rows("r", &before), &rows("r", &after), &tables);
        let words: Vec<_> = losses.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["values lost: r.n 1 of 3"]);
        let losses = lost(&rows("r", &before), &rows("r", &before), &tables);
        assert_eq!(losses, []);
    }

    #[test]
    fn a_column_that_is_not_back_is_told_by_the_structure() {
        assert_eq!(
            words(&[json!({"a": 1})], &[json!({"b": 1})], &[], &[]),
            [""; 0]
        );
    }
}
