//! The column by which a table is cut into batches: unique, never null, with an index of its own.

use sqlx::postgres::types::Oid;

use super::Definition;
use crate::{
    apply::Failure,
    history::Head,
    postgres::{Answered, Connection, Fault, ServerError},
    sql::Ident,
};

/// The column by which a table is cut into batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name.
    pub(super) column: Ident,
    /// Its type, as it is written behind `::` whatever the search path is.
    pub(super) cast: String,
}

/// One unique index of the table, as `key.sql` has it; all but the kind is absent where there is none.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Found {
    kind: String,
    name: Option<String>,
    is_primary: Option<bool>,
    columns: Option<i32>,
    not_null: Option<bool>,
    r#type: Option<String>,
}

impl Key {
    /// Finds the key of the definition's table in a schema.
    pub(super) async fn find(
        connection: &mut Connection,
        head: &Head,
        definition: &Definition,
    ) -> Result<Self, Failure> {
        let found: Vec<Found> = sqlx::query_as(include_str!("key.sql"))
            .bind(Oid(head.schema_oid))
            .bind(definition.table.as_str())
            .fetch_all(connection)
            .answered(|e| Failure::without_place(Fault::of_error(&e), ServerError::of(&e)))
            .await?;
        choose(&found, &head.schema, definition)
            .map_err(|lack| Failure::without_place(Fault::Tenant, ServerError::local(lack)))
    }
}

fn choose(found: &[Found], schema: &str, definition: &Definition) -> Result<Key, String> {
    let table = definition.table.as_str();
    let Some(first) = found.first() else {
        return Err(format!(
            "there is no table {table} in the schema {schema}; apply the migration that makes it, then go on"
        ));
    };
    if !["r", "p"].contains(&first.kind.as_str()) {
        return Err(format!("{table} in the schema {schema} is no table"));
    }
    let is_single = |found: &&Found| found.columns == Some(1) && found.not_null == Some(true);
    let chosen = match &definition.key {
        Some(key) => {
            let named = |found: &&Found| found.name.as_deref() == Some(key.as_str());
            let chosen = found.iter().find(|found| named(found) && is_single(found));
            chosen.ok_or_else(|| {
                format!(
                    "{} of {table} in the schema {schema} is no key: that needs NOT NULL and a unique index of its own",
                    key.as_str()
                )
            })?
        }
        None if first.is_primary != Some(true) => {
            return Err(format!(
                "{table} in the schema {schema} has no primary key; name a unique column in the header, key=COLUMN"
            ));
        }
        None if !is_single(&first) => {
            return Err(format!(
                "the primary key of {table} in the schema {schema} has {} columns; name one that is unique by itself in \
                 the header, key=COLUMN",
                first.columns.unwrap_or(0)
            ));
        }
        None => first,
    };
    let (Some(name), Some(cast)) = (&chosen.name, &chosen.r#type) else {
        return Err(format!(
            "{table} in the schema {schema} has no column to go by"
        ));
    };
    Ok(Key {
        column: Ident::new(name.as_str()).map_err(|error| error.to_string())?,
        cast: cast.clone(),
    })
}
