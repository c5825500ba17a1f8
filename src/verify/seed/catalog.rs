//! What has to be known of tables to put rows into them, read with one query.

use std::collections::HashMap;

use serde::Deserialize;
use sqlx::{Connection as _, PgConnection, types::Json};

use crate::{postgres::ServerError, sql::Ident, verify::VerifyError};

/// The tables of a schema and the types of their columns.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::verify) struct Catalog {
    /// By name; partitions are left out, rows reach them through their table.
    pub(in crate::verify) tables: Vec<Table>,
    #[serde(deserialize_with = "by_oid")]
    pub(super) types: HashMap<i64, Type>,
}

/// A table that rows can be put into.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::verify) struct Table {
    pub(in crate::verify) name: String,
    /// Whether it has triggers on UPDATE, which may change what is written.
    pub(in crate::verify) touchy: bool,
    pub(super) columns: Vec<Column>,
    pub(super) checks: Vec<Check>,
    pub(super) references: Vec<Reference>,
}

/// A column.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) type_oid: i64,
    pub(super) modifier: i32,
    pub(super) not_null: bool,
    pub(super) identity: bool,
    pub(super) generated: bool,
    #[serde(rename = "default")]
    pub(super) has_default: bool,
}

/// A check constraint of a table.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Check {
    pub(super) columns: Vec<String>,
    pub(super) definition: String,
}

/// A foreign key.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference {
    pub(super) schema: String,
    pub(super) table: String,
    /// Column by column: ours, theirs.
    pub(super) pairs: Vec<(String, String)>,
}

/// A type, as far as values of it can be made.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Type {
    pub(super) oid: i64,
    pub(super) name: String,
    /// `b` base, `c` composite, `d` domain, `e` enum, `m` multirange, `r` range.
    pub(super) kind: char,
    /// `A` for arrays.
    pub(super) category: char,
    pub(super) base: i64,
    pub(super) modifier: i32,
    pub(super) element: i64,
    pub(super) not_null: bool,
    /// The type of a range's bounds, or of a multirange's ranges.
    pub(super) range: i64,
    pub(super) labels: Vec<String>,
    /// Type and modifier of each attribute of a composite.
    pub(super) attributes: Vec<(i64, i32)>,
    pub(super) checks: Vec<String>,
}

impl Catalog {
    /// Reads the tables of a schema.
    pub(in crate::verify) async fn read(
        connection: &mut PgConnection,
        schema: &Ident,
    ) -> Result<Self, VerifyError> {
        let failed = |error: sqlx::Error| VerifyError::Rows(ServerError::of(&error));
        let mut transaction = connection.begin().await.map_err(failed)?;
        // Its cost is guessed so high that it would be compiled, which takes forty times as long as it runs.
        sqlx::raw_sql("SET LOCAL jit = off")
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let found = sqlx::query_scalar(include_str!("catalog.sql"))
            .bind(schema.as_str())
            .fetch_one(&mut *transaction)
            .await;
        let Json(catalog) = found.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(catalog)
    }
}

impl Table {
    /// The check constraints that a column is in.
    pub(super) fn checks_of(&self, column: &str) -> impl Iterator<Item = &Check> {
        let has = move |check: &&Check| check.columns.iter().any(|name| name == column);
        self.checks.iter().filter(has)
    }

    /// The foreign key that a column is in, and the column that it refers to.
    pub(super) fn reference_of(&self, column: &str) -> Option<(&Reference, &str)> {
        self.references.iter().find_map(|reference| {
            let pair = reference.pairs.iter().find(|(ours, _)| ours == column)?;
            Some((reference, pair.1.as_str()))
        })
    }
}

fn by_oid<'de, D>(deserializer: D) -> Result<HashMap<i64, Type>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let types = Vec::<Type>::deserialize(deserializer)?;
    Ok(types.into_iter().map(|found| (found.oid, found)).collect())
}
