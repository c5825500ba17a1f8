//! Working: claiming runs of the wave that is under way and carrying them, on as many connections as this daemon may have.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use futures::{
    StreamExt,
    future::{LocalBoxFuture, join_all},
    stream::FuturesUnordered,
};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Member, Rollout, RolloutError, State,
    gauge::Gauge,
    report::Desk,
    run::{Ended, Worker},
    settle::settle,
};
use crate::{
    apply::Limits,
    fleet::Fleet,
    migration::Scope,
    postgres::{Session, Shard},
    store::{
        daemons, dead, rollouts,
        runs::{self, Of},
        waves::{self, Wave as Row},
    },
    tenant::ShardName,
    travel::Plans,
};

/// Who works, and with what.
#[derive(Debug)]
pub struct Crew<'a> {
    /// The databases, the files and the limits.
    pub fleet: &'a Fleet,
    /// Who this daemon is.
    pub me: &'a Member,
    /// How many daemons share the work.
    pub living: watch::Receiver<usize>,
    /// Changes when something in the home database has.
    pub news: watch::Receiver<u64>,
    /// Cancelled when this daemon is to begin nothing more.
    pub stop: CancellationToken,
    /// Cancelled when this daemon's time is over, and others may have what it had.
    pub over: CancellationToken,
}

/// How often it is looked whether the wave may still be worked on, where nothing tells so sooner.
const LOOK: Duration = Duration::from_millis(500);

/// How often it is looked whether another connection may be had.
const SHARE: Duration = Duration::from_secs(1);

/// So many lots each connection gets of what is left.
const SHARES: usize = 2;

/// A wave that is under way.
struct Open {
    of: Of,
    scope: Scope,
    rollout: Rollout,
    is_canary: bool,
    /// How many runs it has.
    targets: i32,
    /// How many more may fail.
    left: i64,
    /// Whether some of it are at work, by whomever.
    has_running: bool,
    /// Whether nothing more of it is to be begun.
    stops: bool,
    /// Whether this daemon may begin any of it: the way back needs no files.
    is_ours: bool,
}

/// Works until there is nothing more to claim. Gives `home` back, and how long until something may be tried again; none where
/// nothing is known of.
///
/// # Errors
/// Where the home database cannot be asked.
pub async fn work(
    crew: &Crew<'_>,
    mut home: Session,
) -> Result<(Session, Option<Duration>), RolloutError> {
    let Some(open) = open(crew, &mut home).await? else {
        return Ok((home, None));
    };
    // Nothing is at hand here between two looks: what seems to be was lost with a connection to the home database.
    daemons::free_slots(home.connection(), crew.me.id).await?;
    if open.has_running {
        dead::forget(home.connection(), open.of, crew.me.id).await?;
    }
    if open.stops {
        let again = settle(crew.fleet, &mut home, open.of).await?;
        return Ok((home, again));
    }
    if !open.is_ours {
        return Ok((home, None));
    }
    let fleet = Fleet {
        limits: limits(&crew.fleet.limits, &open),
        ..crew.fleet.clone()
    };
    let halt = crew.stop.child_token();
    let (desk, last) = (Desk::default(), CancellationToken::new());
    let wave = Wave {
        crew,
        fleet: &fleet,
        home: Mutex::new(home),
        of: open.of,
        scope: open.scope,
        targets: open.targets,
        left: AtomicI64::new(open.left),
        desk: &desk,
        halt: &halt,
    };
    let working = async {
        let shards = crew.fleet.shards.iter();
        join_all(shards.map(|shard| wave.shard(shard, &open.rollout))).await;
        last.cancel();
    };
    let watching = last.run_until_cancelled(wave.watch());
    let writing = desk.write(crew.fleet, open.of, crew.me.id, &last, &crew.over);
    futures::join!(working, watching, writing);
    let mut home = wave.home.into_inner();
    let next = runs::next_try(home.connection(), open.of).await?;
    Ok((home, next))
}

/// The first wave that is under way, of a rollout that runs.
async fn open(crew: &Crew<'_>, home: &mut Session) -> Result<Option<Open>, RolloutError> {
    let Some(row) = rollouts::active(home.connection()).await? else {
        return Ok(None);
    };
    let rollout = Rollout::of(row)?;
    if rollout.state != State::Running {
        return Ok(None);
    }
    let all = waves::list(home.connection(), rollout.row.id).await?;
    let failed: i64 = all.iter().map(|wave| wave.failed).sum();
    let is_fatal = |wave: &Row| wave.fatal > 0 && wave.goes_back() == rollout.row.back;
    let is_fatal = all.iter().any(is_fatal);
    let Some(wave) = all.into_iter().find(|wave| wave.state == "running") else {
        return Ok(None);
    };
    let in_all = i64::from(rollout.row.budget + rollout.row.forgiven) - failed;
    let in_wave = i64::from(wave.budget + wave.forgiven) - wave.failed;
    let left = in_all.min(in_wave);
    Ok(Some(Open {
        of: Of {
            rollout: rollout.row.id,
            wave: wave.number,
        },
        scope: match wave.kind.as_str() {
            "shared" | "shared back" => Scope::Shared,
            _ => Scope::Tenant,
        },
        is_canary: wave.kind == "canary",
        targets: wave.targets,
        left,
        has_running: wave.running > 0,
        stops: !rollout.is_wanted() || is_fatal || left < 0,
        is_ours: rollout.row.is_open && (wave.goes_back() || rollout.is_of(crew.fleet)),
        rollout,
    }))
}

/// Canaries are moved one by one; and the histories tell which rollout it was.
fn limits(limits: &Limits, open: &Open) -> Limits {
    let group_time = if open.is_canary {
        Duration::ZERO
    } else {
        limits.group_time
    };
    Limits {
        group_time,
        who: format!("{}{}", limits.who, mark(open.of.rollout)),
        ..limits.clone()
    }
}

/// What the names end with that a rollout's daemons leave in histories, whoever and wherever they are: by that is known what it
/// did itself.
pub(super) fn mark(rollout: i64) -> String {
    format!(", rollout {rollout}")
}

impl Rollout {
    /// Whether nobody wants it to stand still, or to go the other way.
    pub(super) fn is_wanted(&self) -> bool {
        self.row.wanted == if self.row.back { "back" } else { "run" }
    }
}

/// What is new on a shard.
enum News {
    /// A slot is to be had, or none for now.
    Slot(Option<i32>),
    /// Which connection has nothing more to do, and why.
    Ended(usize, Ended),
    /// It is time to look whether another slot is to be had.
    Tick,
}

async fn tick() -> News {
    tokio::time::sleep(SHARE).await;
    News::Tick
}

/// What the turns on a shard are called: no shard of the configuration can have that name.
fn turns(shard: &Shard) -> ShardName {
    ShardName::new(format!("{}/concurrently", shard.name))
}

/// One wave, as this daemon works on it.
pub(super) struct Wave<'a> {
    pub(super) crew: &'a Crew<'a>,
    pub(super) fleet: &'a Fleet,
    /// For claims, which are made one after the other.
    pub(super) home: Mutex<Session>,
    pub(super) of: Of,
    pub(super) scope: Scope,
    /// How many runs it has.
    targets: i32,
    /// How many more may fail.
    pub(super) left: AtomicI64,
    pub(super) desk: &'a Desk,
    /// Cancelled when nothing more of this wave may be begun.
    pub(super) halt: &'a CancellationToken,
}

impl Wave<'_> {
    /// One more has failed: no further one is begun where no further one may.
    pub(super) fn spend(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            self.halt.cancel();
        }
    }

    /// How many runs a connection may claim once the one at `position` is claimed, so that all have something to do to the end:
    /// its share of what is left, as if the shards had equally many.
    pub(super) fn share(&self, shard: &Shard, position: i32) -> usize {
        let left = usize::try_from(self.targets.saturating_sub(position)).unwrap_or_default();
        let lots = self.fleet.shards.iter().count() * shard.concurrency * SHARES;
        left.div_ceil(lots.max(1))
    }

    /// Whether this daemon may have its `index`th connection on a shard, the others having theirs.
    pub(super) fn may_have(&self, index: usize, shard: &Shard) -> bool {
        let living = (*self.crew.living.borrow()).max(1);
        index < shard.concurrency.div_ceil(living)
    }

    /// Cancels what is under way here when somebody wants it to stand still, or this daemon's time is over.
    async fn watch(&self) {
        let mut news = self.crew.news.clone();
        loop {
            tokio::select! {
                changed = news.changed() => if changed.is_err() { tokio::time::sleep(LOOK).await },
                () = tokio::time::sleep(LOOK) => {}
                () = self.crew.over.cancelled() => return self.halt.cancel(),
            }
            let mut home = self.home.lock().await;
            let now = rollouts::get(home.connection(), self.of.rollout).await;
            drop(home);
            // What cannot be asked is found out by the claims.
            let Ok(Some(row)) = now else { continue };
            let goes_on =
                row.state == "running" && row.wanted == if row.back { "back" } else { "run" };
            if !goes_on {
                return self.halt.cancel();
            }
        }
    }

    /// Works on one shard, and looks at its load meanwhile.
    async fn shard(&self, shard: &Shard, rollout: &Rollout) {
        let (gauge, ended) = (Gauge::new(self, shard), CancellationToken::new());
        let working = async {
            self.work_on(shard, rollout, &gauge).await;
            ended.cancel();
        };
        futures::join!(working, gauge.look(&ended));
    }

    /// With one connection more whenever one is to be had.
    async fn work_on(&self, shard: &Shard, rollout: &Rollout, gauge: &Gauge<'_>) {
        let plans = Plans::new(self.fleet, self.scope, rollout.reach);
        // All of these are polled together: whoever asks for a slot may have to wait for the session that a worker uses.
        let mut tasks: FuturesUnordered<LocalBoxFuture<'_, News>> = FuturesUnordered::new();
        let mut free: BTreeSet<usize> = (0..shard.concurrency).collect();
        let (mut is_done, mut asks, mut at_work) = (false, true, 0);
        tasks.push(Box::pin(self.ask(shard)));
        tasks.push(Box::pin(tick()));
        while asks || at_work > 0 {
            match tasks.next().await {
                None => return,
                Some(News::Slot(slot)) => {
                    asks = false;
                    let Some((slot, index)) = slot.zip(free.pop_first()) else {
                        continue;
                    };
                    at_work += 1;
                    let worker = Worker {
                        wave: self,
                        shard,
                        plans: &plans,
                        gauge,
                        index,
                        open: std::sync::Mutex::default(),
                    };
                    tasks.push(Box::pin(self.worker(worker, slot)));
                }
                Some(News::Ended(index, ended)) => {
                    at_work -= 1;
                    free.insert(index);
                    is_done |= ended == Ended::Nothing;
                    continue;
                }
                Some(News::Tick) => tasks.push(Box::pin(tick())),
            }
            let index = free.first().copied();
            let more = index.is_some_and(|index| self.may_have(index, shard));
            if more && !asks && !is_done && !self.halt.is_cancelled() {
                asks = true;
                tasks.push(Box::pin(self.ask(shard)));
            }
        }
    }

    async fn ask(&self, shard: &Shard) -> News {
        News::Slot(self.slot(shard).await)
    }

    async fn worker(&self, worker: Worker<'_>, slot: i32) -> News {
        let ended = worker.run().await;
        self.free(&worker.shard.name, slot).await;
        News::Ended(worker.index, ended)
    }

    async fn slot(&self, shard: &Shard) -> Option<i32> {
        self.take(&shard.name, shard.concurrency).await
    }

    /// The turn of whoever waits for all others on a shard: one at a time, of all daemons.
    pub(super) async fn turn(&self, shard: &Shard) -> Option<i32> {
        self.take(&turns(shard), 1).await
    }

    pub(super) async fn end_turn(&self, shard: &Shard, turn: i32) {
        self.free(&turns(shard), turn).await;
    }

    async fn take(&self, what: &ShardName, of: usize) -> Option<i32> {
        let mut home = self.home.lock().await;
        let taken = daemons::take_slot(home.connection(), self.crew.me.id, what, of);
        taken.await.unwrap_or_else(|error| {
            tracing::warn!(shard = %what, %error, "no connection may be had");
            None
        })
    }

    async fn free(&self, what: &ShardName, slot: i32) {
        let mut home = self.home.lock().await;
        let freed = daemons::free_slot(home.connection(), self.crew.me.id, what, slot);
        // Else it is free when this daemon looks again, or its time is over.
        if let Err(error) = freed.await {
            tracing::warn!(shard = %what, %error, "a connection could not be given back");
        }
    }
}
