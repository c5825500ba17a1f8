//! Which of the runs that were claimed are still to be carried: whoever is out of use, or was moved by somebody else, is left
//! alone, which costs nothing of what may fail.

use std::collections::HashMap;

use super::{
    due::{self, MOVED, Seen, Since, Skip},
    lot::later,
    run::{BUSY, UNWELL, Worker},
    work::mark,
};
use crate::{
    history::Head,
    migration::{Scope, Version},
    store::{
        history,
        runs::{Claimed, Now, Outcome, Trouble},
    },
    travel::{Aim, Found, Hand, Known, NoPlan, Why},
};

impl Worker<'_> {
    /// How many of the last things that were done to schemas, in a row, are this rollout's; asked for where it is not plain.
    pub(super) async fn own(
        &self,
        hand: &mut Hand<'_>,
        aim: Aim,
        runs: &HashMap<String, Claimed>,
        found: &[Found],
    ) -> Result<HashMap<String, usize>, String> {
        let is_plain = |found: &&Found| {
            let run = runs.get(found.target.schema.as_str());
            let head = found.known.as_ref().ok().map(|(head, _)| head);
            let expected = run.zip(head).map(|(run, head)| due::is_expected(run, head));
            aim == Aim::Forth && expected.unwrap_or(true)
        };
        let asked = found.iter().filter(|found| !is_plain(found));
        let asked: Vec<_> = asked.map(|found| found.target.schema.as_str()).collect();
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let session = hand.carrier().session().await;
        let connection = session.map_err(|error| error.to_string())?.connection();
        let mark = mark(self.wave.of.rollout);
        let own = history::last_by(connection, &asked, &mark).await;
        let own = own.map_err(|error| error.to_string())?.into_iter();
        Ok(own
            .map(|(name, many)| (name, usize::try_from(many).unwrap_or_default()))
            .collect())
    }

    /// What has happened to a schema that is to be carried; none where it is not, which is told.
    pub(super) fn since(
        &self,
        aim: Aim,
        run: &Claimed,
        head: &Head,
        known: &Known,
        own: usize,
    ) -> Option<Since> {
        let seen = Seen {
            run,
            head,
            applied: known.applied,
            own,
        };
        let kept = due::kept(aim);
        let since = match kept {
            None => seen.since(),
            Some(_) => Since::default(),
        };
        if due::may_be_renamed(run, None) {
            let why = "its tenant is being renamed".to_owned();
            self.tell(run, Now::Later(BUSY, true), "renamed", why);
            return None;
        }
        let is_back = kept == Some(head.digest) && head.running.is_none();
        let skip = self.unused(run).filter(|_| !is_back);
        let skip = skip.or_else(|| kept.and_then(|kept| seen.not_back(kept)));
        let is_of_others = match &known.plan {
            Err(NoPlan::Moved) => true,
            // Some of what would be taken back was done by others, though what it leaves is the same.
            Ok(Some(prepared)) => kept.is_some() && seen.is_noted() && prepared.steps() > own,
            _ => false,
        };
        let moved = || ("moved", MOVED.to_owned());
        let skip = skip.or_else(|| is_of_others.then(moved));
        if let Some((fault, why)) = skip {
            self.tell_since(run, Now::Skipped, since, Some((fault, why)));
            return None;
        }
        match &known.plan {
            Ok(Some(_)) => return Some(since),
            Ok(None) => {
                // Somebody took it back by hand, or a daemon that could not tell.
                let is_own = kept.is_some() && own > 0 && !due::is_expected(run, head);
                let left = since.left.or_else(|| is_own.then(|| seen.place()));
                let since = Since { left, found: None };
                self.tell_since(run, Now::Done, since, None);
            }
            Err(NoPlan::Refused(why)) => {
                let why = ("refused", why.clone());
                self.tell_since(run, Now::Failed, since, Some(why));
            }
            Err(NoPlan::Moved) => {}
        }
        None
    }

    /// Whether a shared schema that would be taken back is left alone, which is told: tenants of its shard stay that may need
    /// what they found in it.
    pub(super) async fn is_stood_on(
        &self,
        hand: &mut Hand<'_>,
        aim: Aim,
        run: &Claimed,
        known: &Known,
    ) -> bool {
        let prepared = known.plan.as_ref().ok().and_then(Option::as_ref);
        let is_back = self.wave.scope == Scope::Shared && aim != Aim::Forth;
        let Some(prepared) = prepared.filter(|_| is_back) else {
            return false;
        };
        match self.stand_on(hand, &prepared.reverts()).await {
            Ok(standing) => match due::stood_on(&standing, self.wave.of.rollout) {
                Some((fault, why)) => self.tell(run, Now::Skipped, fault, why),
                None => return false,
            },
            Err(error) => self.tell(run, later(UNWELL), "connection", error),
        }
        true
    }

    /// Who stands on what the shared schema of the shard is to lose.
    async fn stand_on(
        &self,
        hand: &mut Hand<'_>,
        reverts: &[Version],
    ) -> Result<history::Standing, String> {
        let session = hand.carrier().session().await;
        let connection = session.map_err(|error| error.to_string())?.connection();
        let standing = history::stand_on(connection, &self.wave.fleet.shared_schema, reverts);
        standing.await.map_err(|error| error.to_string())
    }

    /// Why the registry has nobody moved here.
    fn unused(&self, run: &Claimed) -> Option<Skip> {
        let is_tenant = self.wave.scope == Scope::Tenant;
        is_tenant.then(|| due::out_of_use(run)).flatten()
    }

    /// Tells of a run that cannot be begun: nothing has failed, unless it is this rollout's own doing.
    pub(super) fn blocked(&self, run: &Claimed, why: &Why) {
        if due::may_be_renamed(run, Some(why)) {
            return self.tell(run, Now::Later(BUSY, true), "renamed", why.to_string());
        }
        match self.unused(run) {
            Some((fault, why)) => self.tell(run, Now::Skipped, fault, why),
            None if due::is_own_fault(run, why) => {
                self.tell(run, Now::Failed, due::DIRTY, why.to_string());
            }
            None => self.tell(run, Now::Skipped, "blocked", why.to_string()),
        }
    }

    /// Tells of a run at whose schema nothing was done now, and what had been done to it before.
    pub(super) fn tell_since(&self, run: &Claimed, state: Now, since: Since, why: Option<Skip>) {
        let (shard, schema) = (&self.shard.name, &run.schema_name);
        match (state, &why) {
            (Now::Failed, Some((_, why))) => {
                self.wave.spend();
                tracing::error!(%shard, schema, "failed: {why}");
            }
            (Now::Skipped, Some((_, why))) => tracing::warn!(%shard, schema, "left alone: {why}"),
            _ => {}
        }
        self.put(Outcome {
            position: run.position,
            state,
            found: since.found,
            left: since.left,
            trouble: why.map(|(fault, error)| Trouble {
                fault: fault.to_owned(),
                error,
                blocker: None,
            }),
        });
    }
}
