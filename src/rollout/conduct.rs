//! Carrying plans to many targets: bounded concurrency a shard, the failure budget, and a stop that is heard.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures::{StreamExt, future::join_all, stream};
use tokio_util::sync::CancellationToken;

use super::{Breaker, Budget};
use crate::{
    apply::{Carried, Carrier, Compiled, Failure, Noticed},
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
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) compiled: &'a Compiled,
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
        let desk = Desk {
            shard,
            halt,
            breaker: Breaker::new(Breaker::PAUSE),
            carriers: Mutex::new(Vec::new()),
        };
        if self.is_over() {
            let works = works.iter();
            return works
                .map(|work| self.ended(*work, Carried::default(), Ended::NotStarted))
                .collect();
        }
        if let Err(failure) = self.store_scripts(&desk, &works).await {
            return self.unreachable(&works, failure);
        }
        let runs = stream::iter(&works)
            .map(|work| self.run(&desk, *work))
            .buffer_unordered(shard.concurrency);
        let runs = runs.collect().await;
        for carrier in desk
            .carriers
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
        {
            carrier.close().await;
        }
        runs
    }

    async fn run<'s>(&'s self, desk: &Desk<'s>, work: Work<'_>) -> Run {
        let mut carried = match self.carry(desk, work).await {
            Some(carried) => carried,
            None => return self.ended(work, Carried::default(), Ended::NotStarted),
        };
        let Some(failure) = carried.failure.take() else {
            return self.ended(work, carried, Ended::Done);
        };
        match failure.fault {
            // Somebody else is at work there: nothing is wrong.
            Fault::Busy | Fault::Stale => {}
            // A text that ends its transaction would leave the next tenant dirty as well.
            Fault::Author | Fault::Escaped => self.budget.halt(),
            // The breaker's affair: the other databases are not to stop for it.
            fault if Breaker::is_opened_by(fault) && desk.breaker.is_given_up() => {}
            _ => self.budget.spend(),
        }
        if self.budget.is_spent() {
            desk.halt.cancel();
        }
        self.ended(work, carried, Ended::Failed(Box::new(failure)))
    }

    /// Carries one plan when the breaker lets it through, and again, some times, where the database was unwell and nothing
    /// was committed. None when it was not begun.
    async fn carry<'s>(&'s self, desk: &Desk<'s>, work: Work<'_>) -> Option<Carried> {
        let mut before = None;
        for tried in 0..=Breaker::PROBES {
            if self.is_over() || !desk.breaker.admit(tried > 0, desk.halt).await {
                break;
            }
            let mut carrier = desk.take(self.fleet);
            let carried = carrier.carry(work.plan, work.compiled, work.head).await;
            desk.give_back(carrier);
            let fault = carried.failure.as_ref().map(|failure| failure.fault);
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

    /// The history names texts by checksum, so they have to be on the shard before.
    async fn store_scripts<'s>(
        &'s self,
        desk: &Desk<'s>,
        works: &[Work<'_>],
    ) -> Result<(), Failure> {
        let mut texts: BTreeMap<_, &Script> = BTreeMap::new();
        for script in works.iter().flat_map(|work| work.plan.texts()) {
            texts.insert(script.checksum, script);
        }
        let mut carrier = desk.take(self.fleet);
        let session = carrier.session().await.map_err(|error| {
            let said = error.to_string();
            let (SessionError::Connect { error, .. } | SessionError::Lost(error)) = error;
            let error = ServerError {
                message: said,
                code: String::new(),
                ..error
            };
            Failure::without_place(Fault::Connection, error)
        })?;
        scripts::put(session.connection(), texts.into_values())
            .await
            .map_err(not_stored)?;
        desk.give_back(carrier);
        Ok(())
    }

    /// One failure tells of the whole shard; nobody else on it was begun.
    fn unreachable(&self, works: &[Work<'_>], failure: Failure) -> Vec<Run> {
        if !Breaker::is_opened_by(failure.fault) {
            self.budget.spend();
        }
        let mut failure = Some(Box::new(failure));
        let ended = works.iter().map(|work| {
            let ended = failure.take().map_or(Ended::NotStarted, Ended::Failed);
            self.ended(*work, Carried::default(), ended)
        });
        ended.collect()
    }

    /// Whether nobody may be begun any more, anywhere.
    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.budget.is_spent()
    }

    fn ended(&self, work: Work<'_>, carried: Carried, ended: Ended) -> Run {
        let done = work.plan.steps.get(..carried.migrations);
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
    shard: &'a Shard,
    halt: &'a CancellationToken,
    breaker: Breaker,
    carriers: Mutex<Vec<Carrier<'a>>>,
}

impl<'a> Desk<'a> {
    fn take(&self, fleet: &'a Fleet) -> Carrier<'a> {
        let free = self
            .carriers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        free.unwrap_or_else(|| Carrier::new(self.shard, &fleet.limits).until(self.halt.clone()))
    }

    fn give_back(&self, carrier: Carrier<'a>) {
        self.carriers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(carrier);
    }
}
