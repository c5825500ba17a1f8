//! Carrying plans to many targets: bounded concurrency a shard, the failure budget, and a stop that is heard.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{
    Budget,
    queue::{Alone, Job, Prepared, Queue},
};
use crate::{
    apply::{Carrier, Failure, Group, Together},
    fleet::Fleet,
    history::Head,
    migration::{Script, Version},
    plan::Plan,
    postgres::{Fault, ServerError, SessionError, Shard},
    store::{StoreError, scripts},
    tenant::{ShardName, Target},
};

/// One plan on one target, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which target.
    pub target: Target,
    /// Where it stood before.
    pub from: Option<Version>,
    /// How many migrations were committed, up or down.
    pub migrations: usize,
    /// How it ended.
    pub ended: Ended,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The target is at its goal.
    Done,
    /// It is not.
    Failed(Box<Failure>),
    /// It was not begun: the budget was spent, the shard is unwell, or somebody asked to stop.
    NotStarted,
}

/// A plan and a target to carry it to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) target: &'a Target,
    pub(super) head: &'a Head,
}

/// What all runs of one scope heed.
pub(super) struct Conductor<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) budget: &'a Budget,
    pub(super) stop: &'a CancellationToken,
    pub(super) observe: &'a (dyn Fn(&Run) + Sync),
}

impl Conductor<'_> {
    /// Carries all of `works`, every shard at its own pace. Returns one run for each.
    pub(super) async fn conduct(&self, works: Vec<Work<'_>>) -> Vec<Run> {
        let mut by_shard: BTreeMap<&ShardName, Vec<Work<'_>>> = BTreeMap::new();
        for work in works {
            by_shard.entry(&work.target.shard).or_default().push(work);
        }
        // Cancelled by whoever asked to stop, and by the failure that spends the budget.
        let halt = self.stop.child_token();
        let shards = by_shard
            .into_iter()
            .filter_map(|(name, works)| Some((self.fleet.shards.get(name)?, works)));
        join_all(shards.map(|(shard, works)| self.shard(shard, works, &halt)))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    async fn shard(
        &self,
        shard: &Shard,
        works: Vec<Work<'_>>,
        halt: &CancellationToken,
    ) -> Vec<Run> {
        let workers = shard.concurrency.min(works.len());
        let desk = Desk {
            queue: Queue::new(works, workers, self.fleet.limits.group_time),
            halt,
            unwell: AtomicBool::new(false),
        };
        let carrier = || Carrier::new(shard, &self.fleet.limits).until(halt.clone());
        let mut first = carrier();
        if !self.is_over()
            && let Err(failure) = store_scripts(&mut first, &desk.queue).await
        {
            return self.unreachable(&desk, failure);
        }
        let carriers = std::iter::once(first).chain(std::iter::repeat_with(carrier));
        let workers = carriers
            .take(workers)
            .map(|carrier| self.worker(&desk, carrier));
        join_all(workers).await.into_iter().flatten().collect()
    }

    /// Does what is next until nothing is.
    async fn worker<'w>(&self, desk: &Desk<'w>, mut carrier: Carrier<'_>) -> Vec<Run> {
        let mut runs = Vec::new();
        while let Some(job) = desk.queue.next() {
            let is_over = self.is_over() || desk.unwell.load(Ordering::Relaxed);
            match job {
                Job::One { work, .. } if is_over => {
                    runs.push(self.ended(work, 0, Ended::NotStarted));
                }
                Job::Several(_, works) if is_over => {
                    let works = works.into_iter();
                    runs.extend(works.map(|work| self.ended(work, 0, Ended::NotStarted)));
                }
                Job::One {
                    work,
                    first,
                    unsure,
                } => {
                    carrier.unsure(unsure);
                    runs.push(self.one(desk, &mut carrier, work, first).await);
                }
                Job::Several(group, works) => {
                    runs.extend(self.several(desk, &mut carrier, group, works).await);
                }
            }
        }
        carrier.close().await;
        runs
    }

    async fn one<'w>(
        &self,
        desk: &Desk<'w>,
        carrier: &mut Carrier<'_>,
        work: Work<'w>,
        first: bool,
    ) -> Run {
        let prepared = work.prepared;
        let compiled = match first {
            true => &prepared.first,
            false => &prepared.others,
        };
        let start = Instant::now();
        let carried = carrier.carry(prepared.plan, compiled, work.head).await;
        let Some(failure) = carried.failure else {
            desk.queue.took(work, 1, start.elapsed());
            return self.ended(work, carried.migrations, Ended::Done);
        };
        match failure.fault {
            // Somebody else is at work there: nothing is wrong.
            Fault::Busy | Fault::Stale => {}
            // A text that ends its transaction would leave the next tenant dirty as well, and one that changes what is
            // not its own would do so again, unwatched perhaps.
            Fault::Author | Fault::Escaped | Fault::Foreign => self.budget.halt(),
            Fault::Shard | Fault::Connection => {
                desk.unwell.store(true, Ordering::Relaxed);
                self.budget.spend();
            }
            _ => self.budget.spend(),
        }
        if self.budget.is_spent() {
            desk.halt.cancel();
        }
        self.ended(work, carried.migrations, Ended::Failed(Box::new(failure)))
    }

    /// Several targets in one transaction; those that cannot be carried so are handed back to be carried alone.
    async fn several<'w>(
        &self,
        desk: &Desk<'w>,
        carrier: &mut Carrier<'_>,
        group: &Group,
        works: Vec<Work<'w>>,
    ) -> Vec<Run> {
        let heads: Vec<&Head> = works.iter().map(|work| work.head).collect();
        let start = Instant::now();
        match carrier.carry_group(group, &heads).await {
            Together::Done => {
                if let Some(first) = works.first() {
                    desk.queue.took(*first, works.len(), start.elapsed());
                }
                let done = |work: Work<'_>| {
                    let migrations = work.prepared.plan.steps.len();
                    self.ended(work, migrations, Ended::Done)
                };
                return works.into_iter().map(done).collect();
            }
            Together::Busy(oids) => {
                let is_busy = |work: &Work<'_>| oids.contains(&work.head.schema_oid);
                let (busy, free) = works.into_iter().partition(is_busy);
                desk.queue.part(busy, Alone::Last);
                desk.queue.give_back(free);
            }
            Together::Apart => desk.queue.part(works, Alone::Next),
            Together::Unsure => desk.queue.part(works, Alone::Unsure),
        }
        Vec::new()
    }

    /// One failure tells of the whole shard; nobody else on it was begun.
    fn unreachable(&self, desk: &Desk<'_>, failure: Failure) -> Vec<Run> {
        self.budget.spend();
        let mut failure = Some(Box::new(failure));
        let mut runs = Vec::new();
        while let Some(job) = desk.queue.next() {
            let works = match job {
                Job::One { work, .. } => vec![work],
                Job::Several(_, works) => works,
            };
            runs.extend(works.into_iter().map(|work| {
                let ended = failure.take().map_or(Ended::NotStarted, Ended::Failed);
                self.ended(work, 0, ended)
            }));
        }
        runs
    }

    /// Whether nobody may be begun any more, anywhere.
    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.budget.is_spent()
    }

    fn ended(&self, work: Work<'_>, migrations: usize, ended: Ended) -> Run {
        let run = Run {
            target: work.target.clone(),
            from: work.head.version,
            migrations,
            ended,
        };
        (self.observe)(&run);
        run
    }
}

/// The history names texts by checksum, so they have to be on the shard before.
async fn store_scripts(carrier: &mut Carrier<'_>, queue: &Queue<'_>) -> Result<(), Failure> {
    let mut texts: BTreeMap<_, &Script> = BTreeMap::new();
    for script in queue.plans().into_iter().flat_map(Plan::texts) {
        texts.insert(script.checksum, script);
    }
    let session = carrier.session().await.map_err(|error| {
        let (SessionError::Connect { error, .. } | SessionError::Lost(error)) = error;
        Failure::without_place(Fault::Connection, error)
    })?;
    scripts::put(session.connection(), texts.into_values())
        .await
        .map_err(not_stored)
}

/// What the server said when the texts could not be stored.
fn not_stored(error: StoreError) -> Failure {
    let error = match error {
        StoreError::Query { error, .. } => error,
        error => ServerError::local(error.to_string()),
    };
    let fault = match error.code.as_str() {
        // The driver's: the connection broke.
        "" => Fault::Connection,
        code => Fault::of(code),
    };
    Failure::without_place(fault, error)
}

/// What the runs on one shard share.
struct Desk<'a> {
    queue: Queue<'a>,
    halt: &'a CancellationToken,
    unwell: AtomicBool,
}
