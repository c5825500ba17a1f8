//! Carrying a lot of claimed runs: those together that share a plan, and what becomes of each.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    due::Since,
    lot::{later, outcome, trouble},
    run::{BUSY, UNWELL, Worker},
};
use crate::{
    apply::{Failure, pause},
    config::Portion,
    history::Head,
    migration::Scope,
    postgres::Fault,
    provision,
    store::runs::{Claimed, Now, Outcome, Place},
    telemetry::metrics,
    tenant::Target,
    travel::{self, Aim, Budget, Found, Hand, Known, Lot, Prepared, Run, Work},
};

/// How long until it is looked again whose turn it is.
const TURN: Duration = Duration::from_millis(500);

/// A run that is to be carried.
pub(super) struct Due {
    pub(super) run: Claimed,
    target: Target,
    pub(super) head: Head,
    since: Since,
}

/// Runs that share a plan.
pub(super) type Alike = (Arc<Known>, Vec<Due>);

impl Worker<'_> {
    /// Carries targets that have one aim, those together that share a plan.
    pub(super) async fn carry(
        &self,
        hand: &mut Hand<'_>,
        aim: Aim,
        mut runs: HashMap<String, Claimed>,
        found: Vec<Found>,
    ) -> bool {
        let own = match self.own(hand, aim, &runs, &found).await {
            Ok(own) => own,
            Err(error) => {
                for run in runs.values() {
                    self.tell(run, later(UNWELL), "connection", error.clone());
                }
                return false;
            }
        };
        let mut lots: Vec<Alike> = Vec::new();
        for Found { target, known } in found {
            let Some(run) = runs.remove(target.schema.as_str()) else {
                continue;
            };
            let (head, known) = match known {
                Err(why) => {
                    self.blocked(&run, &why);
                    continue;
                }
                Ok(found) => found,
            };
            let own = own.get(target.schema.as_str()).copied().unwrap_or_default();
            let Some(since) = self.since(aim, &run, &head, &known, own) else {
                continue;
            };
            if self.is_stood_on(hand, aim, &run, &known).await {
                continue;
            }
            let due = Due {
                run,
                target,
                head,
                since,
            };
            match lots.iter_mut().find(|(lot, _)| Arc::ptr_eq(lot, &known)) {
                Some((_, lot)) => lot.push(due),
                None => lots.push((known, vec![due])),
            }
        }
        // Whoever was moved while we looked.
        for run in runs.values() {
            let why = "it is being moved by somebody else".to_owned();
            self.tell(run, later(BUSY), "stale", why);
        }
        // Those that have to wait for their turn keep nobody else waiting.
        lots.sort_by_key(|(known, _)| {
            let prepared = known.plan.as_ref().ok().and_then(Option::as_ref);
            prepared.is_some_and(Prepared::waits_for_all)
        });
        if let Err(error) = self.find_out(&lots).await {
            for Due { run, .. } in lots.iter().flat_map(|(_, lot)| lot) {
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
    async fn together(&self, hand: &mut Hand<'_>, aim: Aim, known: &Known, lot: &[Due]) -> bool {
        let Ok(Some(prepared)) = &known.plan else {
            return true;
        };
        if !prepared.waits_for_all() {
            return self.carry_lot(hand, aim, known, prepared, lot).await;
        }
        let Some(turn) = self.wave.turn(self.shard).await else {
            for Due { run, .. } in lot {
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
        lot: &[Due],
    ) -> bool {
        let works = lot.iter().map(|due| Work {
            prepared,
            target: &due.target,
            head: &due.head,
            met: Some(usize::try_from(due.run.met).unwrap_or_default()),
        });
        let lot_of = Lot {
            works: works.collect(),
            prepared,
            learnt: *known.learnt.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let store = hand.store(&lot_of);
        if let Err(failure) = known.stored.get_or_try_init(|| store).await {
            for Due { run, .. } in lot {
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
            .map(|due| (due.target.schema.as_str(), due))
            .collect();
        let observe = |run: &Run| {
            if let Some(due) = positions.get(run.target.schema.as_str()) {
                self.ended(aim, known, due, run);
            }
        };
        let learnt = hand.carry(lot_of, &budget, &observe).await;
        if learnt.is_some() {
            *known.learnt.lock().unwrap_or_else(PoisonError::into_inner) = learnt;
        }
        true
    }

    /// Tells how a run ended.
    fn ended(&self, aim: Aim, known: &Known, due: &Due, run: &Run) {
        let claimed = &due.run;
        let applied = match aim {
            Aim::Forth => known.applied + run.migrations,
            Aim::Keep(..) => known.applied.saturating_sub(run.migrations),
        };
        let prepared = known.plan.as_ref().ok().and_then(Option::as_ref);
        let left = prepared.and_then(|prepared| prepared.after(run.migrations));
        let left = left.map(|(version, digest)| Place {
            version: version.map(|version| version.to_string()),
            applied,
            digest,
        });
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
        self.put(Outcome {
            position: claimed.position,
            state,
            found: due.since.found.clone(),
            left: left.or_else(|| due.since.left.clone()),
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
}
