//! Puts our own tables where they belong and brings them up to date.

use std::time::Duration;

use sqlx::PgExecutor;
use tokio::time::Instant;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// Which of our tables a database holds. One database may hold both parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Scripts, history, heads: beside the schemas that they describe.
    Shard,
    /// The registry: once.
    Home,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Shard => "shard",
            Self::Home => "home",
        }
    }

    /// Our own migrations, numbered from 1.
    fn scripts(self) -> &'static [&'static str] {
        match self {
            Self::Shard => &[
                include_str!("schema/shard-001-fleet.sql"),
                include_str!("schema/shard-002-backfills.sql"),
                include_str!("schema/shard-003-retire.sql"),
                include_str!("schema/shard-004-statements.sql"),
                include_str!("schema/shard-005-fingerprints.sql"),
                include_str!("schema/shard-006-built.sql"),
                include_str!("schema/shard-007-pool.sql"),
                include_str!("schema/shard-008-aggregates.sql"),
            ],
            Self::Home => &[
                include_str!("schema/home-001-registry.sql"),
                include_str!("schema/home-002-drift.sql"),
                include_str!("schema/home-003-sweeps.sql"),
                include_str!("schema/home-004-references.sql"),
                include_str!("schema/home-005-rollouts.sql"),
                include_str!("schema/home-006-grace.sql"),
                include_str!("schema/home-007-claims.sql"),
                include_str!("schema/home-008-back.sql"),
                include_str!("schema/home-009-left.sql"),
                include_str!("schema/home-010-unknown.sql"),
            ],
        }
    }
}

/// How far a part of our tables has come, in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// The highest number that the database has; 0 where it has none.
    pub present: i32,
    /// The highest number that this program knows.
    pub known: i32,
}

/// What a database has of a part. Installs nothing.
pub async fn state(connection: &mut Connection, part: Part) -> Result<Installed, StoreError> {
    let installed = installed(connection).await?;
    let present = installed.iter().find(|(name, _)| name == part.name());
    Ok(Installed {
        present: present.map_or(0, |(_, number)| *number),
        known: i32::try_from(part.scripts().len()).unwrap_or(i32::MAX),
    })
}

/// How long another session may take to install before we give up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes sure that `connection`'s database has these parts, as this program knows them. One query when it has.
pub async fn install(connection: &mut Connection, parts: &[Part]) -> Result<(), StoreError> {
    if missing(parts, &installed(&mut *connection).await?)?.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    while !install_locked(connection, parts).await? {
        if start.elapsed() > PATIENCE {
            return Err(StoreError::InstallBusy(PATIENCE.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// One try: false when another session is installing.
async fn install_locked(connection: &mut Connection, parts: &[Part]) -> Result<bool, StoreError> {
    let failed = StoreError::query("install the schema tenantry");
    let mut transaction = sqlx::Connection::begin(&mut **connection)
        .answered(&failed)
        .await?;
    let locked: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(1953395321, 0)")
        .persistent(false)
        .fetch_one(&mut *transaction)
        .answered(&failed)
        .await?;
    if !locked {
        return Ok(false);
    }
    sqlx::raw_sql(
        "create schema if not exists tenantry;
         create table if not exists tenantry.installed (
             part text not null, number integer not null, at timestamptz not null default clock_timestamp(),
             primary key (part, number)
         )",
    )
    .execute(&mut *transaction)
    .answered(&failed)
    .await?;
    // Read again under the lock: somebody may have been faster.
    let present = installed(&mut *transaction).await?;
    for (part, number) in missing(parts, &present)? {
        sqlx::raw_sql(part.scripts()[number - 1])
            .execute(&mut *transaction)
            .answered(&failed)
            .await?;
        sqlx::query("insert into tenantry.installed (part, number) values ($1, $2)")
            .bind(part.name())
            .bind(i32::try_from(number).unwrap_or(i32::MAX))
            .persistent(false)
            .execute(&mut *transaction)
            .answered(&failed)
            .await?;
    }
    transaction.commit().answered(&failed).await?;
    Ok(true)
}

/// The highest number of each part that the database has; none where the schema is not there at all.
async fn installed(executor: impl PgExecutor<'_>) -> Result<Vec<(String, i32)>, StoreError> {
    let rows = sqlx::query_as("select part, max(number) from tenantry.installed group by part")
        .persistent(false)
        .fetch_all(executor)
        .answered(|error| error)
        .await;
    match rows {
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P01" | "3F000")) =>
        {
            Ok(Vec::new())
        }
        rows => rows.map_err(StoreError::query(
            "read what is installed of the schema tenantry",
        )),
    }
}

fn missing(parts: &[Part], installed: &[(String, i32)]) -> Result<Vec<(Part, usize)>, StoreError> {
    let mut missing = Vec::new();
    for part in parts {
        let present = installed
            .iter()
            .find(|(name, _)| name == part.name())
            .map_or(0, |(_, number)| *number);
        let known = part.scripts().len();
        let done = usize::try_from(present).unwrap_or(0);
        if done > known {
            let known = i32::try_from(known).unwrap_or(i32::MAX);
            return Err(StoreError::Newer {
                part: part.name(),
                installed: present,
                known,
            });
        }
        missing.extend((done + 1..=known).map(|number| (*part, number)));
    }
    Ok(missing)
}
