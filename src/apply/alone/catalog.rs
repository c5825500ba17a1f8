//! What the catalog says of a statement that no transaction takes: whether it was done, was not done, or left something
//! behind, and what mends that.

use sqlx::{PgConnection, postgres::types::Oid};

use super::postcondition::{Postcondition, Rebuilt};
use crate::{
    postgres::Message,
    sql::{Ident, InvalidIdent},
    store::statements::Before,
};

/// What the catalog says of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It was done.
    Done,
    /// Nothing is left of it.
    Absent,
    /// Something is left of it that these mend.
    Broken(Vec<Message>),
    /// Somebody is at it: neither done nor failed yet.
    Building,
    /// Something was there before that stands in its way.
    Invalid(String),
    /// Nothing tells.
    Unsure,
}

impl Postcondition {
    /// What the statement finds.
    pub(super) async fn before(&self, connection: &mut PgConnection) -> sqlx::Result<Before> {
        let oid: Option<Oid> = match self {
            Self::Built { index, table } => {
                let found = index_of(connection, index, table).await?;
                found.map(|found| found.oid)
            }
            Self::Dropped(index) => {
                sqlx::query_scalar("select pg_catalog.to_regclass($1)::oid")
                    .bind(index)
                    .fetch_one(connection)
                    .await?
            }
            Self::Detached { parent, partition } => {
                let found = attached(connection, parent, partition).await?;
                found.map(|found| found.oid)
            }
            _ => None,
        };
        Ok(Before(oid.map(|oid| oid.0)))
    }

    /// What the catalog says, given what was there before. `ran`: the server said that it was done.
    pub(super) async fn look(
        &self,
        connection: &mut PgConnection,
        before: Before,
        ran: bool,
    ) -> sqlx::Result<Found> {
        let told = if ran { Found::Done } else { Found::Absent };
        Ok(match self {
            Self::Built { index, table } => match index_of(connection, index, table).await? {
                None => Found::Absent,
                Some(found) if Some(found.oid.0) == before.0 => match (ran, found.is_valid) {
                    (true, false) => Found::Invalid(format!(
                        "the index {} was there before and is invalid; drop it (`DROP INDEX CONCURRENTLY`), then try again",
                        found.name
                    )),
                    _ => told,
                },
                // A bug on purpose, see Cargo.toml.
                Some(_) if cfg!(feature = "mutant-if-not-exists") => Found::Done,
                Some(found) if found.is_valid => Found::Done,
                Some(found) if found.is_building => Found::Building,
                Some(found) => found.drop()?,
            },
            Self::Dropped(_) => match before.0 {
                None => told,
                Some(oid) => match exists(connection, oid).await? {
                    true => Found::Absent,
                    false => Found::Done,
                },
            },
            Self::Rebuilt(whose, name) => {
                let left = left_over(connection, *whose, name).await?;
                if left.is_empty() {
                    told
                } else if left.iter().any(|index| index.is_building) {
                    Found::Building
                } else {
                    Found::Broken(messages(left.iter().map(Relation::drop_message))?)
                }
            }
            Self::Detached { parent, partition } => {
                match attached(connection, parent, partition).await? {
                    _ if before.0.is_none() => told,
                    None => Found::Done,
                    Some(found) if found.is_pending => found.finalize()?,
                    Some(_) => Found::Absent,
                }
            }
            Self::Repeatable => told,
            Self::Unseen | Self::Unseeable if ran => told,
            Self::Unseen | Self::Unseeable => Found::Unsure,
        })
    }
}

/// An index, as the catalog has it.
#[derive(sqlx::FromRow)]
struct Relation {
    oid: Oid,
    schema: String,
    name: String,
    is_valid: bool,
    is_building: bool,
}

impl Relation {
    fn drop_message(&self) -> Result<Message, InvalidIdent> {
        let schema = Ident::new(self.schema.as_str())?;
        let name = Ident::new(self.name.as_str())?;
        let text = format!("DROP INDEX CONCURRENTLY {schema}.{name}");
        Ok(Message::vouched(text))
    }

    fn drop(&self) -> sqlx::Result<Found> {
        Ok(Found::Broken(messages([self.drop_message()])?))
    }
}

fn messages(
    made: impl IntoIterator<Item = Result<Message, InvalidIdent>>,
) -> sqlx::Result<Vec<Message>> {
    made.into_iter()
        .collect::<Result<_, _>>()
        // The catalog holds no other names than identifiers.
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Building is told by the table, since a rebuild makes all its indexes before it fills them. Whom we may not look at may be
/// at it as well.
async fn index_of(
    connection: &mut PgConnection,
    index: &str,
    table: &str,
) -> sqlx::Result<Option<Relation>> {
    sqlx::query_as(
        "select c.oid, n.nspname::text as schema, c.relname::text as name,
                coalesce(i.indisvalid and i.indisready and i.indislive, false) as is_valid,
                exists (select from pg_catalog.pg_stat_progress_create_index p
                         where p.datname = pg_catalog.current_database()
                           and coalesce(p.relid = t.oid, true)) as is_building
           from pg_catalog.pg_class t
           join pg_catalog.pg_namespace n on n.oid = t.relnamespace
           join pg_catalog.pg_class c on c.relnamespace = n.oid
           left join pg_catalog.pg_index i on i.indexrelid = c.oid
          where t.oid = pg_catalog.to_regclass($1) and c.relname = (pg_catalog.parse_ident($2))[1]::name",
    )
    .bind(table)
    .bind(index)
    .fetch_optional(connection)
    .await
}

/// What an interrupted rebuild leaves: invalid indexes, named after those that they were to replace. With a table goes what
/// holds its long values; an index of that can be dropped like others while it is invalid.
async fn left_over(
    connection: &mut PgConnection,
    whose: Rebuilt,
    name: &str,
) -> sqlx::Result<Vec<Relation>> {
    let (index, table, schema) = match whose {
        Rebuilt::Index => (Some(name), None, None),
        Rebuilt::Table => (None, Some(name), None),
        Rebuilt::Schema => (None, None, Some(name)),
    };
    sqlx::query_as(
        "select c.oid, n.nspname::text as schema, c.relname::text as name, i.indisvalid as is_valid,
                exists (select from pg_catalog.pg_stat_progress_create_index p
                         where p.datname = pg_catalog.current_database()
                           and coalesce(p.relid = i.indrelid, true)) as is_building
           from pg_catalog.pg_index i
           join pg_catalog.pg_class c on c.oid = i.indexrelid
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where not i.indisvalid and c.relkind = 'i' and c.relname ~ '_cc(new|old)[0-9]*$'
            and (i.indrelid = (select o.indrelid from pg_catalog.pg_index o where o.indexrelid = pg_catalog.to_regclass($1))
                 or exists (select from pg_catalog.pg_class t
                             where i.indrelid in (t.oid, t.reltoastrelid)
                               and (t.oid = pg_catalog.to_regclass($2)
                                    or t.oid in (select relid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass($2)))
                                    or t.relnamespace = pg_catalog.to_regnamespace($3))))
          order by c.oid",
    )
    .bind(index)
    .bind(table)
    .bind(schema)
    .fetch_all(connection)
    .await
}

async fn exists(connection: &mut PgConnection, oid: u32) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from pg_catalog.pg_class where oid = $1)")
        .bind(Oid(oid))
        .fetch_one(connection)
        .await
}

/// A partition, as the catalog has it.
#[derive(sqlx::FromRow)]
struct Partition {
    oid: Oid,
    is_pending: bool,
    parent_schema: String,
    parent: String,
    schema: String,
    name: String,
}

impl Partition {
    /// The first half was done: what is left is to wait until nobody sees the partition any more.
    fn finalize(&self) -> sqlx::Result<Found> {
        let text = || {
            let ident = |name: &str| Ident::new(name);
            let (parent_schema, parent) = (ident(&self.parent_schema)?, ident(&self.parent)?);
            let (schema, name) = (ident(&self.schema)?, ident(&self.name)?);
            Ok(Message::vouched(format!(
                "ALTER TABLE {parent_schema}.{parent} DETACH PARTITION {schema}.{name} FINALIZE"
            )))
        };
        Ok(Found::Broken(messages([text()])?))
    }
}

async fn attached(
    connection: &mut PgConnection,
    parent: &str,
    partition: &str,
) -> sqlx::Result<Option<Partition>> {
    sqlx::query_as(
        "select c.oid, i.inhdetachpending as is_pending, q.nspname::text as parent_schema, p.relname::text as parent,
                n.nspname::text as schema, c.relname::text as name
           from pg_catalog.pg_inherits i
           join pg_catalog.pg_class c on c.oid = i.inhrelid
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           join pg_catalog.pg_class p on p.oid = i.inhparent
           join pg_catalog.pg_namespace q on q.oid = p.relnamespace
          where i.inhrelid = pg_catalog.to_regclass($1) and i.inhparent = pg_catalog.to_regclass($2)",
    )
    .bind(partition)
    .bind(parent)
    .fetch_optional(connection)
    .await
}
