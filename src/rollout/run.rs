//! One connection's work: lots of runs claimed, carried and told of, until there are no more.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    due::Since,
    gauge::Gauge,
    lot::{by_aim, later},
    work::Wave,
};
use crate::{
    migration::Scope,
    postgres::Shard,
    sql::Ident,
    store::{
        heads,
        runs::{self, Claimed, Now, Outcome},
        tenants::{Labels, Tenant},
    },
    telemetry::metrics,
    tenant::{Target, TenantName, TenantState},
    travel::{Hand, Plans, Standing},
};

/// How many runs are claimed at first, and at most.
const LOT: (usize, usize) = (8, 512);

/// How long a lot should take: what is claimed by one that falls silent waits for its term. Where lots are that quick, the next
/// one is claimed meanwhile.
const LOT_TIME: Duration = Duration::from_millis(200);

/// Where lots are quick, none is smaller than this for the sake of the other connections.
const LEAST: usize = 32;

/// By so much a lot may be larger than the one before it.
const GROWTH: usize = 8;

/// How long to leave a schema alone at which somebody else is at work.
pub(super) const BUSY: Duration = Duration::from_millis(500);

/// How long to leave a database alone that is unwell.
pub(super) const UNWELL: Duration = Duration::from_secs(5);

/// Why a worker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There was nothing more to claim.
    Nothing,
    /// It was not to go on, or could not.
    Stopped,
}

/// How many runs are claimed at a time.
struct Pace {
    most: usize,
    /// Whether the last lot was over so soon that the next may be claimed while it is under way.
    is_quick: bool,
}

impl Pace {
    /// So many took so long.
    fn took(&mut self, count: usize, elapsed: Duration) {
        self.is_quick = elapsed <= LOT_TIME;
        if self.is_quick {
            let times = LOT_TIME.as_nanos() / elapsed.as_nanos().max(1);
            let times = usize::try_from(times).unwrap_or(GROWTH).min(GROWTH);
            self.most = self.most.max(count * times).min(LOT.1);
        } else {
            self.most = (count / 2).max(1);
        }
    }
}

/// One connection on one shard.
pub(super) struct Worker<'a> {
    pub(super) wave: &'a Wave<'a>,
    pub(super) shard: &'a Shard,
    pub(super) plans: &'a Plans<'a>,
    pub(super) gauge: &'a Gauge<'a>,
    /// Which of this daemon's connections on the shard it is.
    pub(super) index: usize,
    /// The places of those runs of the lot at hand of which nothing is told yet.
    pub(super) open: Mutex<BTreeSet<i32>>,
}

impl Worker<'_> {
    /// Claims and carries until there is nothing more to claim, or it may not go on.
    pub(super) async fn run(&self) -> Ended {
        let wave = self.wave;
        let mut hand = Hand::new(wave.fleet, self.shard, wave.halt.clone());
        let mut pace = Pace {
            most: wave.share(self.shard, 0).clamp(1, LOT.0),
            is_quick: false,
        };
        let mut ahead = None;
        let ended = loop {
            if !self.goes_on().await {
                break Ended::Stopped;
            }
            let claimed = match ahead.take() {
                Some(claimed) => Some(claimed),
                None => self.claim(pace.most).await,
            };
            let Some(claimed) = claimed else {
                break Ended::Stopped;
            };
            let Some(last) = claimed.last() else {
                break Ended::Nothing;
            };
            let share = wave.share(self.shard, last.position).max(LEAST);
            let most = pace.most.min(share);
            // To connect is no part of what a lot takes; where that fails, it is told with the lot.
            hand.carrier().connected().await;
            let (start, count) = (Instant::now(), claimed.len());
            let next = async {
                match pace.is_quick {
                    true => self.claim(most).await,
                    false => None,
                }
            };
            let goes_on;
            (goes_on, ahead) = futures::join!(self.lot(&mut hand, claimed), next);
            if !goes_on {
                break Ended::Stopped;
            }
            pace.took(count, start.elapsed());
        };
        for run in ahead.iter().flatten() {
            self.leave(run.position);
        }
        hand.close().await;
        ended
    }

    /// Whether another lot may be begun. Waits while the shard's load is a reason to.
    async fn goes_on(&self) -> bool {
        let wave = self.wave;
        !wave.halt.is_cancelled()
            && wave.may_have(self.index, self.shard)
            && self.gauge.admits().await
    }

    async fn claim(&self, most: usize) -> Option<Vec<Claimed>> {
        let wave = self.wave;
        let mut home = wave.home.lock().await;
        let (shard, me) = (&self.shard.name, wave.crew.me.id);
        let claimed = runs::claim(home.connection(), wave.of, shard, me, most).await;
        claimed
            .inspect_err(|error| tracing::warn!(shard = %shard, %error, "nothing could be claimed"))
            .ok()
    }

    /// Gives back what was claimed and is not begun.
    fn leave(&self, position: i32) {
        self.wave.desk.put(Outcome {
            position,
            state: Now::Untouched(Duration::ZERO),
            found: None,
            left: None,
            trouble: None,
        });
    }

    /// Carries what was claimed, and gives back what could not be begun. False where nothing more can be for now.
    async fn lot(&self, hand: &mut Hand<'_>, claimed: Vec<Claimed>) -> bool {
        *self.open() = claimed.iter().map(|run| run.position).collect();
        let goes_on = self.carry_all(hand, claimed).await;
        let left = std::mem::take(&mut *self.open());
        left.into_iter().for_each(|position| self.leave(position));
        goes_on
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what became of one.
    pub(super) fn put(&self, outcome: Outcome) {
        self.open().remove(&outcome.position);
        self.wave.desk.put(outcome);
    }

    /// False where the database cannot be worked on, or where others have to be waited for.
    async fn carry_all(&self, hand: &mut Hand<'_>, mut claimed: Vec<Claimed>) -> bool {
        let standings = match self.look(hand, &mut claimed).await {
            Ok(standings) => standings,
            Err(error) => {
                // Nothing was begun: a shard that is away for hours is no try.
                for run in &claimed {
                    self.tell(run, Now::Untouched(UNWELL), "connection", error.clone());
                }
                return false;
            }
        };
        for (aim, runs, standings) in by_aim(claimed, standings) {
            let found = match self.plans.find(aim, &standings).await {
                Ok(found) => found,
                Err(error) => {
                    for run in runs.values() {
                        self.tell(run, later(UNWELL), "connection", error.to_string());
                    }
                    return false;
                }
            };
            if !self.carry(hand, aim, runs, found).await {
                return false;
            }
        }
        true
    }

    /// Where the schemas stand. Those that another daemon had are taken over first; where it is still at work, they are left
    /// to it, and out of `claimed`.
    async fn look(
        &self,
        hand: &mut Hand<'_>,
        claimed: &mut Vec<Claimed>,
    ) -> Result<Vec<Standing>, String> {
        let session = hand.carrier().session().await;
        let connection = session.map_err(|error| error.to_string())?.connection();
        let taken: Vec<_> = claimed.iter().filter(|run| run.is_taken_over).collect();
        if !taken.is_empty() {
            let names: Vec<_> = taken.iter().map(|run| run.schema_name.as_str()).collect();
            let free = heads::take_over(connection, &names).await;
            let free = free.map_err(|error| error.to_string())?;
            metrics::taken_over(self.shard.name.as_str(), free.len());
            let is_busy = |run: &mut Claimed| run.is_taken_over && !free.contains(&run.schema_name);
            for run in claimed.extract_if(.., is_busy) {
                let error = "the session of a daemon that is dead is still at work on this schema";
                self.tell(&run, later(BUSY), "busy", error.to_owned());
            }
        }
        let names: Vec<_> = claimed.iter().map(|run| run.schema_name.as_str()).collect();
        let heads = heads::of(connection, &names).await;
        let heads = heads.map_err(|error| error.to_string())?;
        let mut heads: HashMap<_, _> = heads
            .into_iter()
            .map(|pinned| (pinned.head.schema.clone(), pinned))
            .collect();
        let standing = |run: &Claimed| {
            let schema = Ident::new(run.schema_name.clone()).ok()?;
            Some(Standing {
                target: Target {
                    shard: self.shard.name.clone(),
                    schema,
                },
                tenant: self.tenant(&run.schema_name),
                pinned: heads.remove(&run.schema_name),
                away: None,
            })
        };
        Ok(claimed.iter().filter_map(standing).collect())
    }

    /// As the registry had it when the rollout was planned: what it has now is looked at before anybody is moved.
    fn tenant(&self, name: &str) -> Option<Tenant> {
        let name = TenantName::new(name)
            .ok()
            .filter(|_| self.wave.scope == Scope::Tenant)?;
        Some(Tenant {
            name,
            shard: self.shard.name.clone(),
            state: TenantState::Active,
            labels: Labels::new(),
            created_at: Timestamp::UNIX_EPOCH,
        })
    }

    /// Tells of a run at whose schema nothing was done.
    pub(super) fn tell(&self, run: &Claimed, state: Now, fault: &'static str, error: String) {
        self.tell_since(run, state, Since::default(), Some((fault, error)));
    }
}
