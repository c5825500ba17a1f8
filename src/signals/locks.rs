//! Who waits for a lock.

use futures::future::BoxFuture;

use super::Signal;
use crate::{
    config::Load,
    postgres::{Answered, Connection, ServerError},
};

/// How many sessions of others wait for a lock.
#[derive(Debug)]
pub(super) struct LockWaiters;

impl Signal for LockWaiters {
    fn name(&self) -> &'static str {
        "sessions that wait for locks"
    }

    fn threshold(&self, load: &Load) -> Option<f64> {
        (load.lock_waiters > 0).then_some(f64::from(load.lock_waiters))
    }

    fn unit(&self) -> &'static str {
        ""
    }

    fn read<'a>(&self, connection: &'a mut Connection) -> BoxFuture<'a, Result<f64, ServerError>> {
        Box::pin(async {
            sqlx::query_scalar(
                "select count(*)::double precision from pg_catalog.pg_stat_activity
                  where backend_type = 'client backend' and state = 'active' and wait_event_type = 'Lock'
                    and application_name not like 'tenantry%'",
            )
            .fetch_one(connection)
            .answered(|error| ServerError::of(&error))
            .await
        })
    }
}
