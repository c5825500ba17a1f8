//! What dead daemons had, where nobody may claim it: a rollout stands still, or turns round, once it is known what became of
//! each run. Nothing is moved here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    RolloutError,
    due::{is_at, is_own},
    lot::later,
    work::mark,
};
use crate::{
    fleet::{Fleet, FleetError},
    postgres::{Session, Shard},
    store::{
        dead::{self, Dead},
        heads, history,
        runs::{Now, Of, Outcome, Place, report},
    },
};

/// How soon to look again at schemas on which the session of a dead daemon is still at work.
const AGAIN: Duration = Duration::from_millis(200);

/// Looks where the schemas stand that dead daemons had, and lets go of them. Gives how soon to look again, where it does not
/// know of all. Several daemons may do so at once.
///
/// # Errors
/// Where the home database cannot be asked. A shard that cannot be asked is looked at later.
pub(super) async fn settle(
    fleet: &Fleet,
    home: &mut Session,
    of: Of,
) -> Result<Option<Duration>, RolloutError> {
    let dead = dead::list(home.connection(), of).await?;
    let mut settled = 0;
    for shard in fleet.shards.iter() {
        let had: Vec<_> = dead
            .iter()
            .filter(|run| shard.name.as_str() == run.shard)
            .collect();
        if had.is_empty() {
            continue;
        }
        let found = look(fleet, shard, of, &had).await.unwrap_or_else(|error| {
            tracing::warn!(shard = %shard.name, %error, "what a dead daemon has done is not known yet");
            BTreeMap::new()
        });
        for (daemon, outcomes) in found {
            report(home.connection(), of, daemon, &outcomes).await?;
            settled += outcomes.len();
        }
    }
    Ok((settled < dead.len()).then_some(AGAIN))
}

/// What became of these, by the daemon that had them: of those on which nobody is at work any more, nor will be.
async fn look(
    fleet: &Fleet,
    shard: &Shard,
    of: Of,
    had: &[&Dead],
) -> Result<BTreeMap<i64, Vec<Outcome>>, FleetError> {
    let mut session = fleet.shard(shard).await?;
    let connection = session.connection();
    let names: Vec<_> = had.iter().map(|run| run.schema_name.as_str()).collect();
    let there = heads::of(connection, &names).await?.into_iter();
    let there: BTreeSet<_> = there.map(|pinned| pinned.head.schema).collect();
    let free = heads::take_over(connection, &names).await?;
    let names: Vec<_> = free.iter().map(String::as_str).collect();
    let mut heads: BTreeMap<_, _> = heads::of(connection, &names)
        .await?
        .into_iter()
        .map(|pinned| (pinned.head.schema.clone(), pinned.head))
        .collect();
    let own = history::last_by(connection, &names, &mark(of.rollout)).await?;
    let own: BTreeMap<_, _> = own.into_iter().collect();
    let mut outcomes: BTreeMap<i64, Vec<Outcome>> = BTreeMap::new();
    for run in had {
        let head = heads.remove(&run.schema_name);
        if head.is_none() && there.contains(&run.schema_name) {
            continue;
        }
        let own = own.get(&run.schema_name).copied().unwrap_or_default();
        let is_halfway = head.as_ref().is_some_and(|head| head.running.is_some());
        let left = match &head {
            Some(head) if own > 0 && !is_at(run.expected.as_deref(), head) => {
                let applied = history::applied(connection, head).await?.len();
                let own = usize::try_from(own).unwrap_or_default();
                is_own(run.from_applied, applied, own).then(|| Place::of(head, applied))
            }
            _ => None,
        };
        outcomes.entry(run.daemon).or_default().push(Outcome {
            position: run.position,
            // What was begun there is known to have been: the way back looks at it, too.
            state: match left.is_some() || is_halfway {
                true => later(Duration::ZERO),
                false => Now::Untouched(Duration::ZERO),
            },
            found: None,
            left,
            trouble: None,
        });
    }
    session.close().await;
    Ok(outcomes)
}
