//! `/healthz` and `/readyz`: whether the process is alive, and whether it can be relied on.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Problem;
use crate::fleet::Fleet;

/// Longer than this, and whoever asks has given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `/readyz` looks at.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// The home database, with a small pool for nothing but this.
    pub home: PgPool,
    /// The shards likewise. One that is away makes nobody else's work impossible.
    pub shards: Vec<PgPool>,
    /// The fleet, once what was pending at the start is applied.
    pub caught_up: watch::Receiver<Option<Arc<Fleet>>>,
    /// Cancelled when the daemon is asked to end.
    pub stop: CancellationToken,
}

impl Readiness {
    async fn check(&self) -> Result<(), Problem> {
        if self.stop.is_cancelled() {
            return Err(Problem::unavailable("the daemon is ending"));
        }
        let shards = join_all(self.shards.iter().map(answers));
        let (home, shards) = futures::join!(answers(&self.home), shards);
        if !home {
            return Err(Problem::unavailable("the home database does not answer"));
        }
        if !shards.into_iter().any(|answers| answers) {
            return Err(Problem::unavailable("no shard answers"));
        }
        if self.caught_up.borrow().is_none() {
            let detail = "what was pending at the start is not applied yet";
            return Err(Problem::unavailable(detail));
        }
        Ok(())
    }

    /// Gives the sessions back.
    pub async fn close(&self) {
        let all = self.shards.iter().chain([&self.home]);
        join_all(all.map(PgPool::close)).await;
    }
}

/// The process answers: it is alive, whatever the databases are.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Whether the daemon can be relied on.
pub(super) async fn ready(State(readiness): State<Readiness>) -> Result<Json<Value>, Problem> {
    readiness.check().await?;
    Ok(Json(json!({ "status": "ready" })))
}

async fn answers(pool: &PgPool) -> bool {
    let query = sqlx::raw_sql("select 1").execute(pool);
    matches!(tokio::time::timeout(PATIENCE, query).await, Ok(Ok(_)))
}
