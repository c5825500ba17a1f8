//! `tenantry.history`: the append-only log of every schema of a shard.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{Row, postgres::types::Oid};

use super::{
    StoreError,
    heads::{bytes, parse_version},
};
use crate::{
    history::{Applied, Digest, Head},
    migration::{Direction, Scope, Version},
    postgres::{Answered, Connection},
    sql::Ident,
};

/// One row of the log, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// The migration's number.
    pub version: Version,
    /// The slug it had.
    pub name: String,
    /// `applied`, `reverted`, `running` or `failed`.
    pub state: String,
    /// `run`, or how it was recorded without being run: `baseline`, `force`, `repair`; `structure` where the schema was built
    /// from the file of its structure.
    pub how: String,
    /// Who did it.
    pub who: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, without the commit.
    pub finished_at: Option<Timestamp>,
    /// Which statement is under way, or what stopped it where; only of what is carried statement by statement.
    pub note: Option<String>,
}

/// How entries come into the log without a script being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The schema was taken as being at a version.
    Baseline,
    /// A person said what holds.
    Force,
    /// A changed text was taken as the applied one.
    Repair,
}

impl How {
    fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Force => "force",
            Self::Repair => "repair",
        }
    }
}

/// A change of what the log says, for a cohort of schemas, without a script being run.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The digest at which the schemas must stand.
    pub from: Digest,
    /// The version at which they must have stopped half-way; none for not at all.
    pub dirty: Option<Version>,
    /// What is appended, in order.
    pub entries: &'a [(Direction, Applied)],
    /// What the schemas stand at afterwards.
    pub version: Option<Version>,
    /// The digest of that.
    pub to: Digest,
    /// How it came about.
    pub how: How,
    /// Who did it.
    pub who: &'a str,
}

/// What was applied in one schema when it stood as `head` says, in ascending order of version, whatever was applied since. By
/// OID and name: the server uses the OID of a dropped schema again. Read without a lock: whoever relies on it compares its
/// digest with that of `head`.
pub async fn applied(connection: &mut Connection, head: &Head) -> Result<Vec<Applied>, StoreError> {
    type AppliedRow = (String, String, Vec<u8>, Option<Vec<u8>>);
    let rows: Vec<AppliedRow> = sqlx::query_as(
        "select version, name, up_checksum, down_checksum
           from (select distinct on (version) version, name, up_checksum, down_checksum, state
                   from tenantry.history
                  where schema_oid = $1 and schema_name = $2 and state in ('applied', 'reverted')
                    and revision <= $3
                  order by version, id desc) last
          where state = 'applied'",
    )
    .bind(Oid(head.schema_oid))
    .bind(&head.schema)
    .bind(head.revision)
    .fetch_all(connection)
    .answered(StoreError::query("read a schema's history"))
    .await?;
    let mut applied = rows
        .into_iter()
        .map(|(version, name, up, down)| {
            Ok(Applied {
                version: parse_version(&version)?,
                name,
                up: bytes(&up, "history")?.into(),
                down: down
                    .map(|down| bytes(&down, "history"))
                    .transpose()?
                    .map(Into::into),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    applied.sort_by_key(|entry| entry.version);
    Ok(applied)
}

/// Of these schemas, those to which the last thing was done by somebody whose name ends with `mark`, and how many things in a
/// row were.
pub async fn last_by(
    connection: &mut Connection,
    schemas: &[&str],
    mark: &str,
) -> Result<Vec<(String, i64)>, StoreError> {
    sqlx::query_as(
        "select h.schema_name, own.many
           from tenantry.heads h
           left join lateral (
               select l.id from tenantry.history l
                where l.schema_oid = h.schema_oid and l.schema_name = h.schema_name and l.state in ('applied', 'reverted')
                  and not l.who like '%' || $2
                order by l.id desc limit 1
           ) other on true
          cross join lateral (
               select count(*) as many from tenantry.history l
                where l.schema_oid = h.schema_oid and l.schema_name = h.schema_name and l.state in ('applied', 'reverted')
                  and l.who like '%' || $2 and l.id > coalesce(other.id, 0)
           ) own
          where h.schema_name = any($1) and own.many > 0",
    )
    .bind(schemas)
    .bind(mark)
    .fetch_all(connection)
    .answered(StoreError::query("read who was at schemas last"))
    .await
}

/// What is applied in these schemas of what was done last by somebody whose name ends with `mark`: a row a schema and version.
pub async fn applied_by(
    connection: &mut Connection,
    schemas: &[&str],
    mark: &str,
) -> Result<Vec<(String, Version)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select schema_name, version
           from (select distinct on (l.schema_name, l.version) l.schema_name, l.version, l.state, l.who
                   from tenantry.heads h
                   join tenantry.history l on l.schema_oid = h.schema_oid and l.schema_name = h.schema_name
                  where h.schema_name = any($1) and l.state in ('applied', 'reverted')
                  order by l.schema_name, l.version, l.id desc) last
          where state = 'applied' and who like '%' || $2",
    )
    .bind(schemas)
    .bind(mark)
    .fetch_all(connection)
    .answered(StoreError::query("read who applied what in schemas"))
    .await?;
    let rows = rows.into_iter();
    rows.map(|(schema, version)| Ok((schema, parse_version(&version)?)))
        .collect()
}

/// Who stands on what a shared schema is to lose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many schemas.
    pub many: i64,
    /// The first of them by name.
    pub first: Option<String>,
}

/// The schemas of a shard in which something is applied, or half applied, that is not lower than the lowest of these migrations
/// and came after them, so that it may need them. `reverts` are migrations of the shared schema.
pub async fn stand_on(
    connection: &mut Connection,
    shared: &Ident,
    reverts: &[Version],
) -> Result<Standing, StoreError> {
    let lowest = reverts.iter().min().map(Version::to_string);
    // The log of a shard numbers what is done there in the order in which it is.
    let (many, first) = sqlx::query_as(
        "with since as materialized (
             select min(l.id) as id
               from tenantry.heads h
               join tenantry.history l on l.schema_oid = h.schema_oid and l.schema_name = h.schema_name
              where h.schema_name = $1 and l.version = any($2) and l.state = 'applied'
                and not exists (select from tenantry.history r
                                 where r.schema_oid = l.schema_oid and r.schema_name = l.schema_name
                                   and r.version = l.version and r.state = 'reverted' and r.id > l.id)
         ), last as materialized (
             select distinct on (l.schema_oid, l.schema_name, l.version) l.schema_oid, l.schema_name, l.state
               from tenantry.history l
              where l.id > coalesce((select id from since), 0) and l.version::numeric >= $3::numeric
                and l.state in ('applied', 'reverted', 'running')
              order by l.schema_oid, l.schema_name, l.version, l.id desc
         )
         select count(*), min(h.schema_name)
           from tenantry.heads h join pg_catalog.pg_namespace n on n.oid = h.schema_oid
          where h.schema_name <> $1 and not starts_with(h.schema_name, 'tenantry_pool_')
            and (h.dirty_version::numeric >= $3::numeric
                 or (h.schema_oid, h.schema_name) in (select schema_oid, schema_name from last where state <> 'reverted'))",
    )
    .bind(shared.as_str())
    .bind(reverts.iter().map(Version::to_string).collect::<Vec<_>>())
    .bind(lowest)
    .fetch_one(connection)
    .answered(StoreError::query("see who stands on a shared schema"))
    .await?;
    Ok(Standing { many, first })
}

/// Whether a migration of a scope is not applied in a schema of it on this shard; none where there is no such schema in which
/// anything is applied. Those whose digest is `latest` have it.
pub async fn is_lacking(
    connection: &mut Connection,
    shared: &Ident,
    scope: Scope,
    version: Version,
    latest: Digest,
) -> Result<Option<bool>, StoreError> {
    sqlx::query_scalar(
        "with schemas as not materialized (
             select schema_oid, schema_name, digest from tenantry.heads
              where (schema_name = $1) = $2 and not starts_with(schema_name, 'tenantry_pool_') and digest <> $3
         )
         select case when exists (select from schemas) then exists (
             select from schemas s
              where s.digest <> $4
                and not coalesce((select h.state = 'applied' from tenantry.history h
                                   where h.schema_oid = s.schema_oid and h.schema_name = s.schema_name and h.version = $5
                                     and h.state in ('applied', 'reverted')
                                   order by h.id desc limit 1), false)) end",
    )
    .bind(shared.as_str())
    .bind(scope == Scope::Shared)
    .bind(Digest::EMPTY.0.as_slice())
    .bind(latest.0.as_slice())
    .bind(version.to_string())
    .fetch_one(connection)
    .answered(StoreError::query("see who lacks a migration"))
    .await
}

/// The newest `limit` rows of one schema's log, newest first.
pub async fn entries(
    connection: &mut Connection,
    head: &Head,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let failed = StoreError::query("read a schema's history");
    let rows = sqlx::query(
        "select version, name, state, how, who, started_at, finished_at, note
           from tenantry.history where schema_oid = $1 and schema_name = $2 order by id desc limit $3",
    )
    .bind(Oid(head.schema_oid))
    .bind(&head.schema)
    .bind(limit)
    .fetch_all(connection)
    .answered(&failed)
    .await?;
    rows.iter()
        .map(|row| {
            let at = |column| {
                row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column)
                    .map_err(&failed)
            };
            Ok(Entry {
                version: parse_version(row.try_get("version").map_err(&failed)?)?,
                name: row.try_get("name").map_err(&failed)?,
                state: row.try_get("state").map_err(&failed)?,
                how: row.try_get("how").map_err(&failed)?,
                who: row.try_get("who").map_err(&failed)?,
                started_at: at("started_at")?
                    .map_or(Timestamp::UNIX_EPOCH, jiff_sqlx::Timestamp::to_jiff),
                finished_at: at("finished_at")?.map(jiff_sqlx::Timestamp::to_jiff),
                note: row.try_get("note").map_err(&failed)?,
            })
        })
        .collect()
}

/// What became of a [`Record`]. Schemas in neither list no longer stand where it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The OIDs of the schemas that were moved.
    pub moved: Vec<u32>,
    /// The OIDs of those that somebody else is at work on.
    pub busy: Vec<u32>,
}

/// Appends `record` to the logs of those schemas that stand where it starts and that nobody is at work on, and moves
/// their heads; a dirty mark on them is gone, and so is what they were in the middle of. Does not wait for whoever holds the schema's own lock; for the rows of the
/// heads it waits, as for any update.
pub async fn record(
    connection: &mut Connection,
    schemas: &[u32],
    record: &Record<'_>,
) -> Result<Recorded, StoreError> {
    let entries = record.entries;
    // The lock is tried on what was chosen and on nothing else: in one WHERE the planner might try it on every head.
    let rows: Vec<(Oid, bool)> = sqlx::query_as(
        "with chosen as materialized (
             select h.schema_oid from tenantry.heads h
               join pg_catalog.pg_namespace n on n.oid = h.schema_oid and n.nspname = h.schema_name::name
              where h.schema_oid = any($1) and h.digest = $2 and h.dirty_version is not distinct from $13
         ), free as materialized (
             select c.schema_oid from chosen c
              where pg_try_advisory_xact_lock((1953395321::bigint << 32) | c.schema_oid::bigint)
         ), moved as (
             update tenantry.heads h set version = $3, digest = $4, dirty_version = null, running_version = null,
                                         running_direction = null, revision = h.revision + 1
               from free where h.schema_oid = free.schema_oid and h.digest = $2 and h.dirty_version is not distinct from $13
             returning h.schema_oid, h.schema_name, h.revision, h.fence
         ), ended as (
             update tenantry.history l set state = 'failed', finished_at = $12
               from moved m where l.schema_oid = m.schema_oid and l.schema_name = m.schema_name and l.state = 'running'
         ), logged as (
             insert into tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum,
                                           state, how, revision, fence, who, started_at, finished_at, statements_done)
             select m.schema_oid, m.schema_name, e.version, e.name, e.direction, e.up, e.down,
                    case e.direction when 'up' then 'applied' else 'reverted' end, $5, m.revision, m.fence, $6, $12, $12, 0
               from moved m
              cross join unnest($7::text[], $8::text[], $9::text[], $10::bytea[], $11::bytea[]) with ordinality
                         as e (version, name, direction, up, down, number)
              order by m.schema_oid, e.number
         )
         select c.schema_oid, m.schema_oid is not null from chosen c left join moved m on m.schema_oid = c.schema_oid",
    )
    .bind(schemas.iter().map(|oid| Oid(*oid)).collect::<Vec<_>>())
    .bind(record.from.0.to_vec())
    .bind(record.version.map(|version| version.to_string()))
    .bind(record.to.0.to_vec())
    .bind(record.how.as_str())
    .bind(record.who)
    .bind(entries.iter().map(|(_, e)| e.version.to_string()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(_, e)| e.name.clone()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(direction, _)| direction.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(_, e)| e.up.as_bytes().to_vec()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(_, e)| e.down.map(|down| down.as_bytes().to_vec())).collect::<Vec<_>>())
    .bind(Timestamp::now().to_sqlx())
    .bind(record.dirty.map(|version| version.to_string()))
    .fetch_all(connection)
    .answered(StoreError::query("record without running"))
    .await?;
    let mut recorded = Recorded::default();
    for (oid, moved) in rows {
        let list = if moved {
            &mut recorded.moved
        } else {
            &mut recorded.busy
        };
        list.push(oid.0);
    }
    Ok(recorded)
}
