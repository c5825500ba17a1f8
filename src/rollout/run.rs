//! One connection's work: lots of runs claimed, carried and told of, until there are no more.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    gauge::Gauge,
    lot::{by_aim, later, outcome, trouble},
    work::Wave,
};
use crate::{
    apply::{Failure, pause},
    config::Portion,
    migration::Scope,
    postgres::{Fault, Shard},
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

/// How long a lot should take: what is claimed by one that falls silent waits for its term.
const LOT_TIME: Duration = Duration::from_millis(400);

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
        let mut most = LOT.0;
        let ended = loop {
            if wave.halt.is_cancelled() || !wave.may_have(self.index, self.shard) {
                break Ended::Stopped;
            }
            if !self.gauge.admits().await {
                break Ended::Stopped;
            }
            let claimed = self.claim(most).await;
            let Some(claimed) = claimed else {
                break Ended::Stopped;
            };
            if claimed.is_empty() {
                break Ended::Nothing;
            }
            let (start, count) = (Instant::now(), claimed.len());
            if !self.lot(&mut hand, claimed).await {
                break Ended::Stopped;
            }
            let took = start.elapsed();
            if count == most && took < LOT_TIME / 2 {
                most = (most * 2).min(LOT.1);
            } else if took > LOT_TIME {
                most = (most / 2).max(1);
            }
        };
        hand.close().await;
        ended
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

    /// Carries what was claimed. False where the database cannot be worked on.
    async fn lot(&self, hand: &mut Hand<'_>, mut claimed: Vec<Claimed>) -> bool {
        let standings = match self.look(hand, &mut claimed).await {
            Ok(standings) => standings,
            Err(error) => {
                for run in &claimed {
                    self.tell(run, later(UNWELL), "connection", error.clone());
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
        let mut lots: Vec<(Arc<Known>, Vec<_>)> = Vec::new();
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
        let is_stored = *known
            .is_stored
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !is_stored {
            if let Err(failure) = hand.store(&lot_of).await {
                for (run, ..) in lot {
                    self.tell(run, later(UNWELL), "connection", failure.to_string());
                }
                return false;
            }
            *known
                .is_stored
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = true;
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
