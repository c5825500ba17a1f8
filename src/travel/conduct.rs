//! Carrying plans to many targets: bounded concurrency a shard, the failure budget, and a stop that is heard.

use std::{collections::BTreeMap, time::Instant};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{
    Breaker, Budget,
    queue::{Alone, Job, Prepared, Queue},
};
use crate::{
    apply::{Carried, Carrier, Failure, Group, Noticed, Together},
    fleet::Fleet,
    history::Head,
    migration::{Script, Version},
    plan::Plan,
    postgres::{Fault, ServerError, Shard},
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
    /// Where it stands now.
    pub to: Option<Version>,
    /// How many migrations were committed, up or down.
    pub migrations: usize,
    /// What the server said while they ran.
    pub noticed: Vec<Noticed>,
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
pub(crate) struct Work<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) target: &'a Target,
    pub(crate) head: &'a Head,
    /// How many tries have met a lock before, where each is one of its own and somebody else sees to the next.
    pub(crate) met: Option<usize>,
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
        let workers = shard.concurrency.min(works.len()).max(1);
        let breaker = Breaker::new(Breaker::PAUSE);
        let desk = Desk {
            shard,
            queue: Queue::new(works, workers, self.fleet.limits.group_time),
            halt,
            breaker: &breaker,
        };
        let carrier = || Carrier::new(shard, &self.fleet.limits).until(halt.clone());
        let mut first = carrier();
        let mut others: Vec<_> = std::iter::repeat_with(carrier).take(workers - 1).collect();
        if !self.is_over() {
            // What keeps the others from connecting is told when they have something to do.
            let connecting = join_all(others.iter_mut().map(Carrier::connected));
            let (stored, _) = futures::join!(self.prepare(&desk, &mut first), connecting);
            if let Err(failure) = stored {
                return self.unreachable(&desk, failure);
            }
        }
        let carriers = std::iter::once(first).chain(others);
        let workers = carriers.map(|carrier| self.worker(&desk, carrier));
        join_all(workers).await.into_iter().flatten().collect()
    }

    /// Stores the scripts; again, some times, while the database is unwell.
    async fn prepare(&self, desk: &Desk<'_>, carrier: &mut Carrier<'_>) -> Result<(), Failure> {
        loop {
            let Err(failure) = store_scripts(carrier, &desk.queue).await else {
                desk.breaker.well();
                return Ok(());
            };
            if !Breaker::is_opened_by(failure.fault) {
                return Err(failure);
            }
            // Also a connection that broke: nobody has waited for the server yet.
            desk.breaker.unwell(Fault::Shard);
            if !desk.breaker.admit(false, desk.halt).await {
                return Err(failure);
            }
        }
    }

    /// Does what is next until nothing is.
    async fn worker(&self, desk: &Desk<'_>, mut carrier: Carrier<'_>) -> Vec<Run> {
        let runs = self.work(desk, &mut carrier).await;
        carrier.close().await;
        runs
    }

    pub(super) async fn work<'w>(&self, desk: &Desk<'w>, carrier: &mut Carrier<'_>) -> Vec<Run> {
        let mut runs = Vec::new();
        while let Some(job) = desk.queue.next().await {
            let statements = u32::try_from(job.statements()).unwrap_or(u32::MAX);
            // Whoever asks to stop meanwhile is heard below.
            let paced = desk.shard.wait_for(statements);
            let _ = desk.halt.run_until_cancelled(paced).await;
            match job {
                Job::One {
                    work,
                    first,
                    unsure,
                } => {
                    carrier.unsure(unsure);
                    let run = match unsure && self.is_over() {
                        true => self.perhaps_done(carrier, work).await,
                        false => self.one(desk, carrier, work, first).await,
                    };
                    runs.push(run);
                }
                Job::Several(_, works)
                    if self.is_over() || !desk.breaker.admit(false, desk.halt).await =>
                {
                    runs.extend(works.into_iter().map(|work| self.not_started(work)));
                    desk.queue.group_ended();
                }
                Job::Several(group, works) => {
                    runs.extend(self.several(desk, carrier, group, works).await);
                    desk.queue.group_ended();
                }
            }
        }
        runs
    }

    async fn one<'w>(
        &self,
        desk: &Desk<'w>,
        carrier: &mut Carrier<'_>,
        work: Work<'w>,
        first: bool,
    ) -> Run {
        let Some(mut carried) = self.carry(desk, carrier, work, first).await else {
            desk.queue.failed(work);
            return self.not_started(work);
        };
        let Some(failure) = carried.failure.take() else {
            return self.ended(work, carried, Ended::Done);
        };
        desk.queue.failed(work);
        match failure.fault {
            // Somebody else is at work there, or asked for it: nothing is wrong.
            Fault::Busy | Fault::Stale | Fault::Cancelled => {}
            // A text that ends its transaction would leave the next tenant dirty as well, and one that changes what is
            // not its own would do so again, unwatched perhaps.
            Fault::Author | Fault::Escaped | Fault::Foreign => self.budget.halt(),
            // The breaker's affair: the other databases are not to stop for it.
            fault
                if Breaker::is_opened_by(fault)
                    && (desk.breaker.is_given_up() || carried.migrations > 0) => {}
            _ => self.budget.spend(),
        }
        if self.budget.is_spent() {
            desk.halt.cancel();
        }
        self.ended(work, carried, Ended::Failed(Box::new(failure)))
    }

    /// Carries one plan when the breaker lets it through, and again, some times, where the database was unwell and nothing
    /// was committed. None when it was not begun.
    async fn carry<'w>(
        &self,
        desk: &Desk<'w>,
        carrier: &mut Carrier<'_>,
        work: Work<'w>,
        first: bool,
    ) -> Option<Carried> {
        let prepared = work.prepared;
        let compiled = match first {
            true => &prepared.first,
            false => &prepared.others,
        };
        let mut before = None;
        for tried in 0..=Breaker::PROBES {
            if self.is_over() || !desk.breaker.admit(tried > 0, desk.halt).await {
                break;
            }
            let start = Instant::now();
            carrier.once_after(work.met);
            let carried = carrier.carry(&prepared.plan, compiled, work.head).await;
            let fault = carried.failure.as_ref().map(|failure| failure.fault);
            if fault.is_none() {
                desk.queue.took(work, 1, start.elapsed());
            }
            match fault.filter(|fault| Breaker::is_opened_by(*fault)) {
                Some(fault) => desk.breaker.unwell(fault),
                None => {
                    desk.breaker.well();
                    return Some(carried);
                }
            }
            if carried.migrations > 0 {
                return Some(carried);
            }
            before = Some(carried);
        }
        before
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
        let together = carrier.carry_group(group, &heads).await;
        match &together {
            // Where the connection broke, those that are carried alone now will tell.
            Together::Apart(fault) if Breaker::is_opened_by(*fault) => desk.breaker.unwell(*fault),
            _ => desk.breaker.well(),
        }
        match together {
            Together::Done(noticed) => {
                if let Some(first) = works.first() {
                    desk.queue.took(*first, works.len(), start.elapsed());
                }
                let done = |(work, noticed): (Work<'_>, Vec<Noticed>)| {
                    let carried = Carried {
                        migrations: work.prepared.plan.steps.len(),
                        noticed,
                        failure: None,
                    };
                    self.ended(work, carried, Ended::Done)
                };
                return works.into_iter().zip(noticed).map(done).collect();
            }
            Together::Busy(oids) => {
                let is_busy = |work: &Work<'_>| oids.contains(&work.head.schema_oid);
                let (busy, free) = works.into_iter().partition(is_busy);
                desk.queue.part(busy, Alone::Last);
                desk.queue.give_back(free);
            }
            Together::Apart(_) => desk.queue.part(works, Alone::Next),
            Together::Unsure => desk.queue.part(works, Alone::Unsure),
        }
        Vec::new()
    }

    /// One failure tells of the whole shard; nobody else on it was begun.
    fn unreachable(&self, desk: &Desk<'_>, failure: Failure) -> Vec<Run> {
        if !Breaker::is_opened_by(failure.fault) {
            self.budget.spend();
        }
        let mut failure = Some(Box::new(failure));
        let mut runs = Vec::new();
        for work in desk.queue.drain() {
            let ended = failure.take().map_or(Ended::NotStarted, Ended::Failed);
            runs.push(self.ended(work, Carried::default(), ended));
        }
        runs
    }

    /// Whether nobody may be begun any more, anywhere.
    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.budget.is_spent()
    }

    /// No try will tell any more how the group ended that this one was in.
    async fn perhaps_done(&self, carrier: &mut Carrier<'_>, work: Work<'_>) -> Run {
        if !carrier.has_arrived(&work.prepared.others, work.head).await {
            return self.not_started(work);
        }
        let carried = Carried {
            migrations: work.prepared.plan.steps.len(),
            ..Carried::default()
        };
        self.ended(work, carried, Ended::Done)
    }

    fn not_started(&self, work: Work<'_>) -> Run {
        self.ended(work, Carried::default(), Ended::NotStarted)
    }

    fn ended(&self, work: Work<'_>, carried: Carried, ended: Ended) -> Run {
        let done = work.prepared.plan.steps.get(..carried.migrations);
        let last = done.and_then(|done| done.last());
        let run = Run {
            target: work.target.clone(),
            from: work.head.version,
            to: last.map_or(work.head.version, |step| step.version),
            migrations: carried.migrations,
            noticed: carried.noticed,
            ended,
        };
        (self.observe)(&run);
        run
    }
}

/// The history names texts by checksum, so they have to be on the shard before.
pub(super) async fn store_scripts(
    carrier: &mut Carrier<'_>,
    queue: &Queue<'_>,
) -> Result<(), Failure> {
    let mut texts: BTreeMap<_, &Script> = BTreeMap::new();
    for script in queue.plans().into_iter().flat_map(Plan::texts) {
        texts.insert(script.checksum, script);
    }
    let session = carrier.session().await.map_err(|error| {
        let (fault, said) = (Fault::of_session(&error), error.to_string());
        let error = ServerError {
            message: said,
            code: String::new(),
            ..error.into_error()
        };
        Failure::without_place(fault, error)
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
        _ => Fault::of(&error),
    };
    Failure::without_place(fault, error)
}

/// What the runs on one shard share.
pub(super) struct Desk<'a> {
    pub(super) shard: &'a Shard,
    pub(super) queue: Queue<'a>,
    pub(super) halt: &'a CancellationToken,
    pub(super) breaker: &'a Breaker,
}
