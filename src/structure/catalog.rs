//! Reading a snapshot from PostgreSQL's catalog, one query a kind of object, by the schema's oid.
//!
//! Leaves the connection as it was: what it sets, it sets in a transaction that it rolls back.

use sqlx::{Connection, FromRow, PgConnection, postgres::types::Oid, query, query_as, types::Json};

use super::{
    Kind, ObjectKey, Properties, Snapshot, StructureError,
    unqualified::{Schema, unqualify},
};
use crate::sql::Ident;

/// What is read, and where from.
pub(super) const QUERIES: [(&str, &str); 12] = [
    ("read the types", include_str!("types.sql")),
    ("read the sequences", include_str!("sequences.sql")),
    ("read the tables", include_str!("tables.sql")),
    ("read the views", include_str!("views.sql")),
    ("read the columns", include_str!("columns.sql")),
    ("read the constraints", include_str!("constraints.sql")),
    ("read the indexes", include_str!("indexes.sql")),
    ("read the statistics", include_str!("statistics.sql")),
    ("read the functions", include_str!("functions.sql")),
    ("read the triggers", include_str!("triggers.sql")),
    ("read the rules", include_str!("rules.sql")),
    ("read the policies", include_str!("policies.sql")),
];

/// Properties that PostgreSQL never writes with the schema's name: people's text, and a column after its table.
const AS_IT_IS: [&str; 4] = ["comment", "initial state", "options", "owned by"];

#[derive(FromRow)]
struct Row {
    kind: Kind,
    table: Option<String>,
    name: String,
    properties: Json<Properties>,
}

#[derive(FromRow)]
struct Namespace {
    oid: Oid,
    identifier: String,
}

/// Takes a snapshot of everything in `schema` but what belongs to an extension.
///
/// Sees what the connection's transaction has done so far. That transaction, if there is one, must have been begun
/// through sqlx: one that sqlx does not know of would be rolled back.
pub async fn snapshot(conn: &mut PgConnection, schema: &Ident) -> Result<Snapshot, StructureError> {
    let failed = |doing| {
        move |source| StructureError::Database {
            doing,
            schema: schema.as_str().to_owned(),
            source,
        }
    };
    let mut transaction = conn.begin().await.map_err(failed("begin reading"))?;
    // Without names: behind a pooler the server may be another one the next time, and have others of the same name.
    query(include_str!("settings.sql"))
        .bind(schema.to_string())
        .persistent(false)
        .execute(&mut *transaction)
        .await
        .map_err(failed("set the path for reading"))?;
    let namespace: Namespace = query_as(include_str!("namespace.sql"))
        .bind(schema.as_str())
        .persistent(false)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed("read the name"))?
        .ok_or_else(|| StructureError::NoSchema(schema.as_str().to_owned()))?;

    let schema = Schema::new(schema.as_str(), &namespace.identifier);
    let mut objects = Vec::new();
    for (doing, sql) in QUERIES {
        let rows: Vec<Row> = query_as(sql)
            .bind(vec![namespace.oid])
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(doing))?;
        objects.extend(rows.into_iter().map(|row| row.into_object(&schema)));
    }
    transaction
        .rollback()
        .await
        .map_err(failed("end reading"))?;
    Ok(objects.into_iter().collect())
}

impl Row {
    fn into_object(self, schema: &Schema) -> (ObjectKey, Properties) {
        let Self {
            kind,
            table,
            name,
            properties: Json(mut properties),
        } = self;
        for (property, value) in &mut properties {
            if !AS_IT_IS.contains(&property.as_str()) {
                *value = unqualify(value, kind, schema);
            }
        }
        let name = match kind {
            Kind::Function | Kind::Procedure | Kind::Aggregate => unqualify(&name, kind, schema),
            _ => name,
        };
        (ObjectKey { kind, table, name }, properties)
    }
}
