//! How far the slowest standby is behind.

use futures::future::BoxFuture;

use super::Signal;
use crate::{
    config::Load,
    postgres::{Answered, Connection, ServerError},
};

/// The time that the slowest standby needs to catch up, in seconds; 0 where there is none.
#[derive(Debug)]
pub(super) struct ReplicaLag;

impl Signal for ReplicaLag {
    fn name(&self) -> &'static str {
        "replica lag"
    }

    fn threshold(&self, load: &Load) -> Option<f64> {
        (!load.replica_lag.is_zero()).then_some(load.replica_lag.as_secs_f64())
    }

    fn unit(&self) -> &'static str {
        " s"
    }

    fn read<'a>(&self, connection: &'a mut Connection) -> BoxFuture<'a, Result<f64, ServerError>> {
        Box::pin(async {
            sqlx::query_scalar(
                "select coalesce(max(extract(epoch from replay_lag)), 0)::double precision from pg_catalog.pg_stat_replication",
            )
            .fetch_one(connection)
            .answered(|error| ServerError::of(&error))
            .await
        })
    }
}
