//! `tenantry.drifted`: schemas that looked otherwise than they should, one row each.

use jiff::Timestamp;
use sqlx::{Row, postgres::PgRow};

use super::StoreError;
use crate::{
    postgres::{Answered, Connection},
    sql::Ident,
    tenant::{ShardName, Target},
};

/// A schema that looks otherwise than it should.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Drifted {
    /// The database that holds it.
    pub shard: ShardName,
    /// Its name.
    pub schema: String,
    /// Where its history stood.
    pub version: Option<String>,
    /// `history` or `majority`.
    pub reference: String,
    /// In words, a line each.
    pub summary: Vec<String>,
    /// When it was found.
    pub first_seen: Timestamp,
    /// When it was last seen to be so.
    pub last_seen: Timestamp,
}

/// One finding, to be noted.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Where.
    pub target: &'a Target,
    /// Where its history stands.
    pub version: Option<String>,
    /// `history` or `majority`.
    pub reference: &'static str,
    /// What it looks like.
    pub fingerprint: [u8; 32],
    /// In words, a line each.
    pub summary: String,
}

/// Which findings are news.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Shard and schema of those that were not noted before.
    pub found: Vec<(String, String)>,
    /// Shard and schema of those that were noted and are as they should be.
    pub mended: Vec<(String, String)>,
}

/// Notes findings, and forgets those of `well`, which are as they should be, and of tenants that are no more.
pub async fn note(
    connection: &mut Connection,
    found: &[Found<'_>],
    well: &[&Target],
    shared: &Ident,
) -> Result<News, StoreError> {
    let failed = StoreError::query("note which schemas drifted");
    let (shards, schemas) = names(well.iter().copied());
    let mended = sqlx::query_as(
        "delete from tenantry.drifted d
          where (d.shard, d.schema_name) in (select * from unnest($1::text[], $2::text[]))
             or (d.schema_name <> $3
                 and not exists (select from tenantry.tenants t where t.name = d.schema_name and t.shard = d.shard))
         returning d.shard, d.schema_name",
    )
    .bind(shards)
    .bind(schemas)
    .bind(shared.as_str())
    .fetch_all(&mut *connection)
    .answered(&failed)
    .await?;
    let (shards, schemas) = names(found.iter().map(|found| found.target));
    let news = sqlx::query_as(
        "with noted as (
             insert into tenantry.drifted as d (shard, schema_name, version, reference, fingerprint, summary)
             select n.shard, n.schema_name, n.version, n.reference, n.fingerprint, string_to_array(n.summary, E'\\n')
               from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[])
                    as n (shard, schema_name, version, reference, fingerprint, summary)
             on conflict (shard, schema_name) do update
                set version = excluded.version, reference = excluded.reference, fingerprint = excluded.fingerprint,
                    summary = excluded.summary, last_seen = clock_timestamp()
             returning d.shard, d.schema_name, d.xmax = 0 as is_new
         )
         select shard, schema_name from noted where is_new order by shard, schema_name",
    )
    .bind(shards)
    .bind(schemas)
    .bind(found.iter().map(|f| f.version.clone()).collect::<Vec<_>>())
    .bind(found.iter().map(|f| f.reference).collect::<Vec<_>>())
    .bind(found.iter().map(|f| f.fingerprint.to_vec()).collect::<Vec<_>>())
    .bind(found.iter().map(|f| f.summary.clone()).collect::<Vec<_>>())
    .fetch_all(connection)
    .answered(&failed)
    .await?;
    Ok(News {
        found: news,
        mended,
    })
}

/// All that is noted, by shard and schema; one query.
pub async fn list(connection: &mut Connection) -> Result<Vec<Drifted>, StoreError> {
    let rows = sqlx::query(
        "select shard, schema_name, version, reference, summary, first_seen, last_seen
           from tenantry.drifted order by shard, schema_name",
    )
    .fetch_all(connection)
    .answered(StoreError::query("read which schemas drifted"))
    .await?;
    rows.iter().map(drifted).collect()
}

/// What is noted of one schema.
pub async fn get(
    connection: &mut Connection,
    shard: &ShardName,
    schema: &Ident,
) -> Result<Option<Drifted>, StoreError> {
    let row = sqlx::query(
        "select shard, schema_name, version, reference, summary, first_seen, last_seen
           from tenantry.drifted where shard = $1 and schema_name = $2",
    )
    .bind(shard.as_str())
    .bind(schema.as_str())
    .fetch_optional(connection)
    .answered(StoreError::query("read whether a schema drifted"))
    .await?;
    row.as_ref().map(drifted).transpose()
}

/// Shards and schemas, for `unnest`.
fn names<'a>(targets: impl Iterator<Item = &'a Target>) -> (Vec<&'a str>, Vec<&'a str>) {
    targets
        .map(|target| (target.shard.as_str(), target.schema.as_str()))
        .unzip()
}

fn drifted(row: &PgRow) -> Result<Drifted, StoreError> {
    let failed = StoreError::query("read which schemas drifted");
    let at = |column| {
        row.try_get::<jiff_sqlx::Timestamp, _>(column)
            .map(jiff_sqlx::Timestamp::to_jiff)
            .map_err(&failed)
    };
    Ok(Drifted {
        shard: ShardName::new(row.try_get::<String, _>("shard").map_err(&failed)?),
        schema: row.try_get("schema_name").map_err(&failed)?,
        version: row.try_get("version").map_err(&failed)?,
        reference: row.try_get("reference").map_err(&failed)?,
        summary: row.try_get("summary").map_err(&failed)?,
        first_seen: at("first_seen")?,
        last_seen: at("last_seen")?,
    })
}
