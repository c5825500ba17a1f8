//! One connection's work: lots of runs claimed, carried and told of, until there are no more.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    found::Alike,
    gauge::Gauge,
    lot::{by_aim, later, outcome, trouble},
    work::Wave,
};
use crate::{
    apply::{Failure, pause},
    config::Portion,
    migration::Scope,
    postgres::{Fault, Shard},
    provision,
    sql::Ident,
    store::{
        heads,
        runs::{self, Claimed, Now, Outcome, Trouble},
        tenants::{Labels, Tenant},
    },
    telemetry::metrics,
    tenant::{Target, TenantName, TenantState},
    travel::{self, Aim, Budget, Found, Hand, Known, Lot, Plans, Prepared, Run, Standing, Work},
};

/// How many runs are claimed at first, and at most.
const LOT: (usize, usize) = (8, 512);

/// How long a lot should take: what is claimed by one that falls silent waits for its term. Where lots are that quick, the next
/// one is claimed meanwhile.
const LOT_TIME: Duration = Duration::from_millis(200);

/// By so much a lot may be larger than the one before it.
const GROWTH: usize = 8;

/// How long to leave a schema alone at which somebody else is at work.
const BUSY: Duration = Duration::from_millis(500);

/// How long until it is looked again whose turn it is.
const TURN: Duration = Duration::from_millis(500);

/// How long to leave a database alone that is unwell.
const UNWELL: Duration = Duration::from_secs(5);

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

impl Default for Pace {
    fn default() -> Self {
        Self {
            most: LOT.0,
            is_quick: false,
        }
    }
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
}

impl Worker<'_> {
    /// Claims and carries until there is nothing more to claim, or it may not go on.
    pub(super) async fn run(&self) -> Ended {
        let wave = self.wave;
        let mut hand = Hand::new(wave.fleet, self.shard, wave.halt.clone());
        let (mut pace, mut ahead) = (Pace::default(), None);
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
            let most = pace.most.min(wave.share(self.shard, last.position));
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
            self.leave(run);
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
    fn leave(&self, run: &Claimed) {
        self.wave.desk.put(Outcome {
            position: run.position,
            state: Now::Untouched(Duration::ZERO),
            version: None,
            applied: None,
            trouble: None,
        });
    }

    /// Carries what was claimed. False where the database cannot be worked on.
    async fn lot(&self, hand: &mut Hand<'_>, mut claimed: Vec<Claimed>) -> bool {
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

    /// As the registry had it when the rollout was planned.
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

    /// Carries targets that have one aim, those together that share a plan.
    async fn carry(
        &self,
        hand: &mut Hand<'_>,
        aim: Aim,
        mut runs: HashMap<String, Claimed>,
        found: Vec<Found>,
    ) -> bool {
        let mut lots: Vec<Alike> = Vec::new();
        for Found { target, known } in found {
            let Some(run) = runs.remove(target.schema.as_str()) else {
                continue;
            };
            match known {
                Err(why) => self.tell(&run, Now::Failed, "blocked", why.to_string()),
                Ok((head, known)) => match &known.plan {
                    Err(refusal) => self.tell(&run, Now::Failed, "refused", refusal.clone()),
                    Ok(None) => self.wave.desk.put(Outcome {
                        position: run.position,
                        state: Now::Done,
                        version: head.version.map(|version| version.to_string()),
                        applied: Some(known.applied),
                        trouble: None,
                    }),
                    Ok(Some(_)) => {
                        match lots.iter_mut().find(|(lot, _)| Arc::ptr_eq(lot, &known)) {
                            Some((_, lot)) => lot.push((run, target, head)),
                            None => lots.push((known, vec![(run, target, head)])),
                        }
                    }
                },
            }
        }
        // Whoever was moved while we looked.
        for run in runs.values() {
            self.tell(
                run,
                later(BUSY),
                "stale",
                "it is being moved by somebody else".to_owned(),
            );
        }
        if let Err(error) = self.find_out(&lots).await {
            for (run, ..) in lots.iter().flat_map(|(_, lot)| lot) {
                self.tell(run, later(UNWELL), "connection", error.to_string());
            }
            return false;
        }
        for (known, lot) in &lots {
            if !self.together(hand, aim, known, lot).await {
                return false;
            }
        }
        true
    }

    /// Carries targets that share a plan.
    async fn together(
        &self,
        hand: &mut Hand<'_>,
        aim: Aim,
        known: &Known,
        lot: &[(Claimed, Target, crate::history::Head)],
    ) -> bool {
        let Ok(Some(prepared)) = &known.plan else {
            return true;
        };
        if !prepared.waits_for_all() {
            return self.carry_lot(hand, aim, known, prepared, lot).await;
        }
        let Some(turn) = self.wave.turn(self.shard).await else {
            for (run, ..) in lot {
                let later = Now::Untouched(TURN);
                let why =
                    "indexes are built one after the other on a database: it waits for its turn";
                self.tell(run, later, "turn", why.to_owned());
            }
            return false;
        };
        let goes_on = self.carry_lot(hand, aim, known, prepared, lot).await;
        self.wave.end_turn(self.shard, turn).await;
        goes_on
    }

    async fn carry_lot(
        &self,
        hand: &mut Hand<'_>,
        aim: Aim,
        known: &Known,
        prepared: &Prepared,
        lot: &[(Claimed, Target, crate::history::Head)],
    ) -> bool {
        let works = lot.iter().map(|(run, target, head)| Work {
            prepared,
            target,
            head,
            met: Some(usize::try_from(run.met).unwrap_or_default()),
        });
        let lot_of = Lot {
            works: works.collect(),
            prepared,
            learnt: *known.learnt.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let store = hand.store(&lot_of);
        if let Err(failure) = known.stored.get_or_try_init(|| store).await {
            for (run, ..) in lot {
                self.tell(run, later(UNWELL), "connection", failure.to_string());
            }
            return false;
        }
        if self.wave.scope == Scope::Shared {
            provision::drain(self.wave.fleet, self.shard).await;
        }
        // Whoever asked for the rollout says how many may fail, and others carry some of them.
        let budget = Budget::new(Portion::Count(usize::MAX), lot.len());
        let positions: HashMap<_, _> = lot
            .iter()
            .map(|(run, target, _)| (target.schema.as_str(), run))
            .collect();
        let observe = |run: &Run| {
            if let Some(claimed) = positions.get(run.target.schema.as_str()) {
                self.ended(aim, known, claimed, run);
            }
        };
        let learnt = hand.carry(lot_of, &budget, &observe).await;
        if learnt.is_some() {
            *known.learnt.lock().unwrap_or_else(PoisonError::into_inner) = learnt;
        }
        true
    }

    /// Tells how a run ended.
    fn ended(&self, aim: Aim, known: &Known, claimed: &Claimed, run: &Run) {
        let applied = match aim {
            Aim::Forth => known.applied + run.migrations,
            Aim::Keep(..) => known.applied.saturating_sub(run.migrations),
        };
        let (state, trouble) = match &run.ended {
            travel::Ended::Done => (Now::Done, None),
            travel::Ended::NotStarted => (Now::Untouched(Duration::ZERO), None),
            travel::Ended::Failed(failure) => {
                (self.after(claimed, failure), Some(trouble(failure)))
            }
        };
        metrics::run_ended(self.shard.name.as_str(), outcome(state));
        let target = &run.target;
        match (&state, &trouble) {
            (Now::Done, _) => tracing::info!(%target, migrations = run.migrations, "moved"),
            (Now::Failed, Some(trouble)) => tracing::error!(%target, "failed: {}", trouble.error),
            _ => {}
        }
        self.wave.desk.put(Outcome {
            position: claimed.position,
            state,
            version: run.to.map(|version| version.to_string()),
            applied: (run.migrations > 0 || run.ended == travel::Ended::Done).then_some(applied),
            trouble,
        });
    }

    /// What becomes of a run that did not come through.
    fn after(&self, claimed: &Claimed, failure: &Failure) -> Now {
        let limits = &self.wave.fleet.limits;
        let met = usize::try_from(claimed.met).unwrap_or_default() + 1;
        match failure.fault {
            // Whoever is in the way delays this one only: the others go before it.
            Fault::Retry if met < limits.lock_tries => {
                Now::Later(pause(met, limits.lock_tries), true)
            }
            Fault::Busy | Fault::Stale => later(BUSY),
            Fault::Cancelled => later(Duration::ZERO),
            Fault::Connection | Fault::Shard => later(UNWELL),
            fault => {
                self.wave.spend();
                // The others would fail alike.
                if matches!(fault, Fault::Author | Fault::Escaped | Fault::Foreign) {
                    self.wave.halt.cancel();
                }
                Now::Failed
            }
        }
    }

    fn tell(&self, run: &Claimed, state: Now, fault: &str, error: String) {
        if state == Now::Failed {
            self.wave.spend();
            tracing::error!(shard = %self.shard.name, schema = run.schema_name, "failed: {error}");
        }
        self.wave.desk.put(Outcome {
            position: run.position,
            state,
            version: None,
            applied: None,
            trouble: Some(Trouble {
                fault: fault.to_owned(),
                error,
                blocker: None,
            }),
        });
    }
}
