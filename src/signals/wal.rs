//! How much is written ahead.

use futures::future::BoxFuture;

use super::Signal;
use crate::{
    config::Load,
    postgres::{Answered, Connection, ServerError},
};

/// How many MiB of WAL have been written since the server began.
#[derive(Debug)]
pub(super) struct WalRate;

impl Signal for WalRate {
    fn name(&self) -> &'static str {
        "WAL written"
    }

    fn threshold(&self, load: &Load) -> Option<f64> {
        (load.wal_mib_per_second > 0).then_some(f64::from(load.wal_mib_per_second))
    }

    fn unit(&self) -> &'static str {
        " MiB/s"
    }

    fn read<'a>(&self, connection: &'a mut Connection) -> BoxFuture<'a, Result<f64, ServerError>> {
        Box::pin(async {
            sqlx::query_scalar(
                "select (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::double precision / 1048576",
            )
            .fetch_one(connection)
            .answered(|error| ServerError::of(&error))
            .await
        })
    }

    fn is_counter(&self) -> bool {
        true
    }
}
