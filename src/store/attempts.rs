//! `tenantry.attempts`: the tries of runs that did not come through. Written with how the run ended, in `runs`.

use std::collections::HashMap;

use jiff_sqlx::Timestamp;
use sqlx::FromRow;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// One run of a schema, with the tries that did not come through.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The run.
    pub run: Run,
    /// Its tries, in order.
    pub tries: Vec<Try>,
}

/// One run of a schema.
#[derive(Debug, Clone, FromRow)]
pub struct Run {
    /// The wave's number.
    pub wave: i32,
    /// What the wave is: `shared`, `canary`, `wave`, `back` or `shared back`.
    pub kind: String,
    /// The place in the wave.
    pub position: i32,
    /// The database.
    pub shard: String,
    /// The schema.
    pub schema_name: String,
    /// `pending`, `running`, `done`, `failed` or `skipped`.
    pub state: String,
    /// How often it was begun.
    pub attempts: i32,
    /// The daemon that is at it.
    pub daemon: Option<String>,
    /// Where the schema stood before; none for at nothing.
    pub from_version: Option<String>,
    /// Where it was left; none for at nothing, or not touched.
    pub to_version: Option<String>,
    /// What is wrong as it stands now.
    pub error: Option<String>,
    /// When it was begun first.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A try that did not come through.
#[derive(Debug, Clone, FromRow)]
pub struct Try {
    /// Of which wave.
    pub wave: i32,
    /// At which place in it.
    pub position: i32,
    /// Which try of the run it was, counted from 1.
    pub number: i32,
    /// Who tried.
    pub daemon: String,
    /// When it ended.
    pub at: Timestamp,
    /// What the error asks us to do, in a word.
    pub fault: String,
    /// What went wrong.
    pub error: String,
    /// Who was in the way.
    pub blocker: Option<String>,
}

/// The runs of the schemas of one name within a rollout, in the order of its waves, with what was tried.
pub async fn of_schema(
    connection: &mut Connection,
    rollout: i64,
    schema: &str,
) -> Result<Vec<Tried>, StoreError> {
    let failed = StoreError::query("read what was tried with a schema");
    let runs: Vec<Run> = sqlx::query_as(
        "select r.wave, w.kind, r.position, r.shard, r.schema_name,
                case when r.daemon is null then r.state else 'running' end as state, r.attempts, d.name as daemon, r.from_version,
                r.to_version, r.error, r.begun_at, r.ended_at
           from tenantry.runs r
           join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
           left join tenantry.daemons d on d.id = r.daemon
          where r.rollout = $1 and r.schema_name = $2
          order by r.wave, r.position",
    )
    .bind(rollout)
    .bind(schema)
    .fetch_all(&mut *connection)
    .answered(&failed)
    .await?;
    let tries: Vec<Try> = sqlx::query_as(
        "select a.wave, a.position, a.number, a.daemon, a.at, a.fault, a.error, a.blocker
           from tenantry.runs r
           join tenantry.attempts a on a.rollout = r.rollout and a.wave = r.wave and a.position = r.position
          where r.rollout = $1 and r.schema_name = $2
          order by a.wave, a.position, a.number",
    )
    .bind(rollout)
    .bind(schema)
    .fetch_all(connection)
    .answered(&failed)
    .await?;
    let mut of_runs: HashMap<(i32, i32), Vec<Try>> = HashMap::new();
    for tried in tries {
        let of_run = of_runs.entry((tried.wave, tried.position));
        of_run.or_default().push(tried);
    }
    let tried = |run: Run| Tried {
        tries: of_runs
            .remove(&(run.wave, run.position))
            .unwrap_or_default(),
        run,
    };
    Ok(runs.into_iter().map(tried).collect())
}
