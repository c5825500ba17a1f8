//! Reading a snapshot from PostgreSQL's catalog, one query a kind of object, by the schema's oid.
//!
//! Leaves the connection as it was: what it sets, it sets in a transaction that it rolls back.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection, FromRow, PgConnection, postgres::types::Oid, query, query_as, types::Json};

use super::{
    Detail, Kind, ObjectKey, Properties, Snapshot, StructureError, names,
    unqualified::{Schema, unqualify},
};
use crate::sql::Ident;

type Query = (&'static str, &'static str);

/// What is read, and where from. Each query takes the oids of schemas, and returns what is in all of them.
pub(super) const QUERIES: [Query; 20] = [
    ("read the extensions", include_str!("extensions.sql")),
    ("read the collations", include_str!("collations.sql")),
    ("read the types", include_str!("types.sql")),
    ("read the sequences", include_str!("sequences.sql")),
    ("read the tables", include_str!("tables.sql")),
    ("read the views", include_str!("views.sql")),
    ("read the columns", include_str!("columns.sql")),
    ("read the constraints", include_str!("constraints.sql")),
    ("read the indexes", include_str!("indexes.sql")),
    ("read the statistics", include_str!("statistics.sql")),
    ("read the functions", include_str!("functions.sql")),
    ("read the operators", include_str!("operators.sql")),
    (
        "read the operator families",
        include_str!("operator_families.sql"),
    ),
    (
        "read the operator classes",
        include_str!("operator_classes.sql"),
    ),
    ("read the casts", include_str!("casts.sql")),
    ("read the triggers", include_str!("triggers.sql")),
    ("read the rules", include_str!("rules.sql")),
    ("read the policies", include_str!("policies.sql")),
    ("read the text search", include_str!("text_search.sql")),
    ("read the conversions", include_str!("conversions.sql")),
];
const SCHEMA: Query = ("read the comment", include_str!("schemas.sql"));
const EXTENSIONS_ELSEWHERE: Query = (
    "read the extensions beside those",
    include_str!("extensions_elsewhere.sql"),
);
const OWNERS: Query = ("read the owners", include_str!("owners.sql"));
const UNPOPULATED: Query = (
    "read which views hold nothing",
    include_str!("unpopulated.sql"),
);
const PRIVILEGES: Query = ("read the privileges", include_str!("privileges.sql"));

/// Properties that PostgreSQL never writes with the schema's name: people's text, and a column after its table. So are
/// all comments.
pub(super) const AS_IT_IS: [&str; 7] = [
    "foreign options",
    "initial state",
    "locale",
    "moving initial state",
    "options",
    "owned by",
    "rules",
];

/// An object, with some of what is known of it.
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

/// Takes a snapshot of everything in `schema` but what belongs to an extension: of its structure, and no more.
///
/// Sees what the connection's transaction has done so far. That transaction, if there is one, must have been begun
/// through sqlx: one that sqlx does not know of would be rolled back.
pub async fn snapshot(conn: &mut PgConnection, schema: &Ident) -> Result<Snapshot, StructureError> {
    detailed(conn, schema, Detail::STRUCTURE).await
}

/// As [`snapshot`], with as much detail as is asked for.
pub async fn detailed(
    conn: &mut PgConnection,
    schema: &Ident,
    detail: Detail,
) -> Result<Snapshot, StructureError> {
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

    let shadows = Shadows::read(&mut transaction, namespace.oid).await;
    let shadows = shadows.map_err(failed("read the names that PostgreSQL has too"))?;
    let schema = Schema::new(schema.as_str(), &namespace.identifier, shadows.all());
    let mut objects = Objects::of(schema, shadows);
    let absent = absent(&mut transaction, namespace.oid).await;
    let absent = absent.map_err(failed("read what there is"))?;
    for (doing, sql) in queries(detail) {
        let what = doing.strip_prefix("read the ").unwrap_or(doing);
        if absent.contains(what) {
            continue;
        }
        let rows = read(&mut transaction, sql, namespace.oid).await;
        rows.map_err(failed(doing))?
            .into_iter()
            .for_each(|row| objects.add(row));
    }
    for (doing, sql) in additions(detail) {
        let rows = read(&mut transaction, sql, namespace.oid).await;
        rows.map_err(failed(doing))?
            .into_iter()
            .for_each(|row| objects.complete(row));
    }
    transaction
        .rollback()
        .await
        .map_err(failed("end reading"))?;
    Ok(Snapshot::from_iter(objects.objects).reduced(detail))
}

async fn read(conn: &mut PgConnection, sql: &'static str, schema: Oid) -> sqlx::Result<Vec<Row>> {
    let rows = query_as(sql).bind(vec![schema]).persistent(false);
    rows.fetch_all(conn).await
}

/// The names of queries that would find nothing.
async fn absent(conn: &mut PgConnection, schema: Oid) -> sqlx::Result<BTreeSet<String>> {
    let kinds: Vec<(String, bool)> = query_as(include_str!("present.sql"))
        .bind(schema)
        .persistent(false)
        .fetch_all(conn)
        .await?;
    let absent = kinds.into_iter().filter(|(_, is_there)| !is_there);
    Ok(absent.map(|(what, _)| what).collect())
}

/// What finds the objects.
fn queries(detail: Detail) -> impl Iterator<Item = Query> {
    let elsewhere = detail.extensions.then_some(EXTENSIONS_ELSEWHERE);
    let schema = detail.tells_of_schema().then_some(SCHEMA);
    schema.into_iter().chain(QUERIES).chain(elsewhere)
}

/// What tells more of objects that were found.
fn additions(detail: Detail) -> impl Iterator<Item = Query> {
    let owners = detail.owners.then_some(OWNERS);
    let privileges = detail.privileges.then_some(PRIVILEGES);
    let unpopulated = detail.unpopulated.then_some(UNPOPULATED);
    owners.into_iter().chain(privileges).chain(unpopulated)
}

/// What was read so far.
struct Objects {
    schema: Schema,
    shadows: Shadows,
    objects: BTreeMap<ObjectKey, Properties>,
}

impl Objects {
    fn of(schema: Schema, shadows: Shadows) -> Self {
        Self {
            schema,
            shadows,
            objects: BTreeMap::new(),
        }
    }

    fn add(&mut self, row: Row) {
        let shadows = self.shadows.has(row.kind, &row.name);
        let (key, mut properties) = self.named(row);
        for (property, value) in &mut properties {
            if !property.starts_with("comment") && !AS_IT_IS.contains(&property.as_str()) {
                *value = unqualify(value, key.kind, &self.schema);
            }
        }
        if shadows {
            properties.insert("shadows".to_owned(), "yes".to_owned());
        }
        self.objects.insert(key, properties);
    }

    /// Adds to what is known of an object. One that is not known belongs to an extension, or to another object.
    fn complete(&mut self, row: Row) {
        let (key, properties) = self.named(row);
        if let Some(known) = self.objects.get_mut(&key) {
            known.extend(properties);
        }
    }

    fn named(&self, row: Row) -> (ObjectKey, Properties) {
        let Row {
            kind,
            table,
            name,
            properties: Json(properties),
        } = row;
        let name = match kind {
            Kind::Function | Kind::Procedure | Kind::Aggregate => {
                // The name is quoted where it has to be; the types behind it may be the schema's.
                let (called, types) = routine(&name);
                format!("{called}{}", unqualify(types, kind, &self.schema))
            }
            Kind::Operator | Kind::Cast => unqualify(&name, kind, &self.schema),
            _ => name,
        };
        (ObjectKey { kind, table, name }, properties)
    }
}

/// The name of a routine, and its types in brackets.
fn routine(signature: &str) -> (String, &str) {
    let called = names::split(signature, "(")[0];
    (names::unquoted(called), &signature[called.len()..])
}

/// Names that `pg_catalog` has, too, by what they are names of.
struct Shadows(BTreeMap<String, BTreeSet<String>>);

impl Shadows {
    async fn read(conn: &mut PgConnection, namespace: Oid) -> sqlx::Result<Self> {
        let rows: Vec<(String, String)> = query_as(include_str!("shadows.sql"))
            .bind(namespace)
            .persistent(false)
            .fetch_all(conn)
            .await?;
        let mut shadows = BTreeMap::<_, BTreeSet<_>>::new();
        for (of, name) in rows {
            shadows.entry(of).or_default().insert(name);
        }
        Ok(Self(shadows))
    }

    /// Those that may stand behind the schema's name. An operator is written with it only where it has to be.
    fn all(&self) -> BTreeSet<String> {
        let named = self.0.iter().filter(|(of, _)| *of != "operator");
        named.flat_map(|(_, names)| names).cloned().collect()
    }

    /// Whether the name means another object of the same kind where it is not qualified.
    fn has(&self, kind: Kind, name: &str) -> bool {
        let has = |of: &str, name: &str| self.0.get(of).is_some_and(|names| names.contains(name));
        match kind {
            Kind::Type => has("type", name),
            Kind::Function | Kind::Procedure | Kind::Aggregate => has("function", &routine(name).0),
            Kind::Table | Kind::View | Kind::MaterializedView | Kind::Sequence | Kind::Index => {
                has("relation", name)
            }
            Kind::Operator => has("operator", name),
            Kind::OperatorClass | Kind::OperatorFamily => {
                let name = name.rsplit_once(" using ").map_or(name, |(name, _)| name);
                has("operator class", name)
            }
            Kind::Collation => has("collation", name),
            Kind::TextSearchDictionary | Kind::TextSearchConfiguration => has("text search", name),
            Kind::Conversion => has("conversion", name),
            _ => false,
        }
    }
}
