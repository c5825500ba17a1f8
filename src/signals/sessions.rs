//! Who is at work.

use futures::future::BoxFuture;

use super::Signal;
use crate::{
    config::Load,
    postgres::{Answered, Connection, ServerError},
};

/// How many sessions of others run a statement.
#[derive(Debug)]
pub(super) struct ActiveSessions;

impl Signal for ActiveSessions {
    fn name(&self) -> &'static str {
        "active sessions"
    }

    fn threshold(&self, load: &Load) -> Option<f64> {
        (load.active_sessions > 0).then_some(f64::from(load.active_sessions))
    }

    fn unit(&self) -> &'static str {
        ""
    }

    fn read<'a>(&self, connection: &'a mut Connection) -> BoxFuture<'a, Result<f64, ServerError>> {
        Box::pin(async {
            sqlx::query_scalar(
                "select count(*)::double precision from pg_catalog.pg_stat_activity
                  where backend_type = 'client backend' and state = 'active' and application_name not like 'tenantry%'",
            )
            .fetch_one(connection)
            .answered(|error| ServerError::of(&error))
            .await
        })
    }
}
