//! One backfill over the fleet: bounded concurrency a shard, one rate for all, the failure budget, a stop that is heard.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use futures::future::{join_all, try_join_all};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use super::{
    BackfillError, Definition, Ended, Pace, Report, Run,
    worker::{Order, Worker},
};
use crate::{
    config::Portion,
    fleet::{Fleet, FleetError},
    history::Head,
    migration::Scope,
    postgres::{Fault, Session, Shard},
    store::cursors,
    tenant::Target,
    travel::{Blocked, Budget, Dirty, Standing, Survey, ready},
};

/// Which tenants, and how.
pub struct Request<'a> {
    /// What is done.
    pub definition: &'a Definition,
    /// To which of the active tenants.
    pub select: &'a (dyn Fn(&Standing) -> bool + Sync),
    /// Whether they are begun again from their first row.
    pub restart: bool,
    /// How many of them may fail.
    pub max_failures: Portion,
}

/// Is told of what happens, for progress bars and logs.
pub trait Observer: Sync {
    /// So many tenants are about to be worked on.
    fn begin(&self, _tenants: usize) {}
    /// One of them has ended.
    fn ended(&self, _run: &Run) {}
    /// All of them have.
    fn finish(&self) {}
}

/// Nobody listens.
impl Observer for () {}

/// Goes over the rows of every chosen tenant. What is done already is not done again: this goes on where it was cut off.
pub async fn run(
    fleet: &Fleet,
    request: &Request<'_>,
    stop: &CancellationToken,
    observer: &dyn Observer,
) -> Result<Report, BackfillError> {
    let survey = Survey::take(fleet).await?;
    let mut report = Report::default();
    let mut works = Vec::new();
    for standing in survey.moving(Scope::Tenant).filter(|s| (request.select)(s)) {
        let target = standing.target.clone();
        match ready(standing, Dirty::Blocks) {
            Ok(head) => works.push((target, head)),
            Err(why) => report.blocked.push(Blocked { target, why }),
        }
    }
    if !request.restart {
        check_definition(fleet, request.definition, &works).await?;
    }
    observer.begin(works.len());
    let conductor = Conductor {
        budget: Budget::new(request.max_failures, works.len()),
        order: Order {
            definition: request.definition,
            limits: &fleet.limits,
            restart: request.restart,
            rate: &limiter(request.definition.pace),
            stop,
        },
        observer,
    };
    let start = Instant::now();
    let shards = fleet.shards.iter().map(|shard| {
        let on_shard = |(target, _): &&(Target, Head)| target.shard == shard.name;
        conductor.shard(shard, works.iter().filter(on_shard))
    });
    report.runs = join_all(shards).await.into_iter().flatten().collect();
    observer.finish();
    report.elapsed = start.elapsed();
    report.stopped = stop.is_cancelled();
    Ok(report)
}

/// Refuses what would be half one thing and half another, before any tenant is touched.
async fn check_definition(
    fleet: &Fleet,
    definition: &Definition,
    works: &[(Target, Head)],
) -> Result<(), BackfillError> {
    // A shard that nobody is chosen on need not be there.
    let has_work = |shard: &&Shard| works.iter().any(|(target, _)| target.shard == shard.name);
    let shards = fleet.shards.iter().filter(has_work);
    let shards = shards.map(|shard| async move {
        let on_shard = works
            .iter()
            .filter(|(target, _)| target.shard == shard.name);
        let schemas: Vec<_> = on_shard.map(|(_, head)| head.schema_oid).collect();
        let mut session = fleet.shard(shard).await?;
        let (name, checksum) = (&definition.name, definition.checksum);
        let begun =
            cursors::begun_otherwise(session.connection(), &schemas, name, checksum).await?;
        session.close().await;
        Ok::<_, FleetError>(begun.len())
    });
    let tenants: usize = try_join_all(shards).await?.into_iter().sum();
    if tenants > 0 {
        let name = definition.name.clone();
        return Err(BackfillError::Changed { name, tenants });
    }
    Ok(())
}

/// A bucket that holds at least one batch, and a quarter of a second's rows.
fn limiter(pace: Pace) -> DefaultDirectRateLimiter {
    let rate = NonZeroU32::new(pace.rate).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(pace.batch.max(pace.rate / 4)).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
}

struct Conductor<'a> {
    order: Order<'a>,
    budget: Budget,
    observer: &'a dyn Observer,
}

impl Conductor<'_> {
    /// Works on the tenants of one shard, by so many workers as it takes.
    async fn shard<'w>(
        &self,
        shard: &Shard,
        works: impl Iterator<Item = &'w (Target, Head)>,
    ) -> Vec<Run> {
        let works: Vec<_> = works.collect();
        let workers = shard.concurrency.min(works.len());
        let queue = Mutex::new(works.into_iter());
        let runs = join_all((0..workers).map(|_| self.worker(shard, &queue))).await;
        runs.into_iter().flatten().collect()
    }

    /// One worker: takes the next tenant until there is none.
    async fn worker<'w>(
        &self,
        shard: &Shard,
        queue: &Mutex<impl Iterator<Item = &'w (Target, Head)>>,
    ) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut worker = Worker {
            order: self.order,
            shard,
            session: None,
        };
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((target, head)) = next() {
            let run = self.tenant(&mut worker, target, head).await;
            self.observer.ended(&run);
            runs.push(run);
        }
        if let Some(session) = worker.session {
            Session::close(session).await;
        }
        runs
    }

    async fn tenant(&self, worker: &mut Worker<'_>, target: &Target, head: &Head) -> Run {
        if self.order.stop.is_cancelled() || self.budget.is_spent() {
            return Run {
                target: target.clone(),
                rows: 0,
                batches: 0,
                ended: Ended::NotStarted,
            };
        }
        let run = worker.tenant(target, head).await;
        if let Ended::Failed(failure) = &run.ended {
            match failure.fault {
                Fault::Busy | Fault::Stale => {}
                Fault::Author => self.budget.halt(),
                _ => self.budget.spend(),
            }
        }
        run
    }
}
