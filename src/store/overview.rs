//! How many there are of what, for the figures of the daemon: one query, whatever the number of tenants.

use sqlx::FromRow;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// One number.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Count {
    /// Of what: `daemons`, `tenants`, `runs` or `rollout`.
    pub what: String,
    /// In which state.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// All of them.
pub async fn overview(connection: &mut Connection) -> Result<Vec<Count>, StoreError> {
    sqlx::query_as(
        "select 'daemons' as what, '' as state, count(*) as count from tenantry.daemons where expires_at > clock_timestamp()
         union all
         select 'tenants', s.state, count(t.state)
           from unnest(array['provisioning', 'active', 'suspended', 'renaming', 'retiring']) as s (state)
           left join tenantry.tenants t on t.state = s.state group by s.state
         union all
         select 'runs', s.state, count(r.state)
           from unnest(array['pending', 'running', 'done', 'failed', 'skipped']) as s (state)
           left join tenantry.runs r on case when r.daemon is null then r.state else 'running' end = s.state
                                    and r.rollout = (select max(id) from tenantry.rollouts) group by s.state
         union all
         select 'rollout', s.state, count(r.state)
           from unnest(array['waiting', 'running', 'paused', 'halted', 'complete', 'rolled_back', 'cancelled']) as s (state)
           left join tenantry.rollouts r on case when r.state = 'complete' and r.back then 'rolled_back' else r.state end = s.state
                                        and r.id = (select max(id) from tenantry.rollouts) group by s.state",
    )
    .fetch_all(connection)
    .answered(StoreError::query("count what there is"))
    .await
}
