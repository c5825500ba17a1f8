//! Rollouts: one loop conducts, where this daemon is the one that does; another one works.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::membership::Term;
use crate::{
    fleet::Fleet,
    postgres::Session,
    reconcile::{Next, Passing, Reconciler},
    rollout::{Conductor, Crew, Errands, Look, conduct, work},
};

/// The session that one look has left for the next: none after one that ended badly.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<Session>>);

impl Kept {
    async fn take(&self, fleet: &Fleet) -> anyhow::Result<Session> {
        let kept = self.kept().take();
        match kept {
            Some(session) => Ok(session),
            None => fleet.home().await.context("cannot look for rollouts"),
        }
    }

    fn keep(&self, session: Session) {
        *self.kept() = Some(session);
    }

    fn kept(&self) -> MutexGuard<'_, Option<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Conducts the rollout that is under way.
pub(super) struct Conducting {
    pub(super) fleet: Arc<Fleet>,
    pub(super) term: watch::Receiver<Option<Arc<Term>>>,
    /// The session of the last look.
    pub(super) home: Kept,
    /// The rollout of which was said that it has other files.
    pub(super) told: AtomicI64,
    /// What is done beside.
    pub(super) errands: Errands,
}

impl Conducting {
    async fn look(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let Some(term) = self.term.borrow().clone() else {
            self.errands.give_up();
            return Ok(Next::Later);
        };
        let mut home = self.home.take(&self.fleet).await?;
        let by = Conductor {
            fleet: &self.fleet,
            me: &term.me,
            errands: &self.errands,
            stop,
        };
        let looked = conduct(by, home.connection()).await;
        let looked = looked.context("cannot conduct the rollout")?;
        self.home.keep(home);
        if let Look::OtherFiles(rollout) = looked
            && self.told.swap(rollout, Ordering::Relaxed) != rollout
        {
            tracing::warn!(
                rollout,
                "was started with other migrations than this daemon has: it is left to those that have them"
            );
        }
        Ok(match looked {
            Look::Ends => Next::In(SOON),
            _ => Next::Later,
        })
    }
}

/// How soon to look again whether what runs has ended, so that somebody who waits for that does not wait longer.
const SOON: Duration = Duration::from_millis(50);

impl Reconciler for Conducting {
    fn name(&self) -> &'static str {
        "conduct"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.look(stop))
    }
}

/// Carries runs of the wave that is under way.
pub(super) struct Working {
    pub(super) fleet: Arc<Fleet>,
    pub(super) term: watch::Receiver<Option<Arc<Term>>>,
    pub(super) news: watch::Sender<u64>,
    /// The session of the last look.
    pub(super) home: Kept,
}

impl Working {
    async fn look(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let Some(term) = self.term.borrow().clone() else {
            return Ok(Next::Later);
        };
        let crew = Crew {
            fleet: &self.fleet,
            me: &term.me,
            living: term.living.subscribe(),
            news: self.news.subscribe(),
            stop: stop.clone(),
            over: term.over.clone(),
        };
        let home = self.home.take(&self.fleet).await?;
        let worked = work(&crew, home).await;
        let (home, next) = worked.context("cannot work on the rollout")?;
        self.home.keep(home);
        Ok(next.map_or(Next::Later, |next| Next::In(next.min(LOOK))))
    }
}

/// Nobody waits longer before it is looked again, whatever there is to be tried then.
const LOOK: Duration = Duration::from_secs(1);

impl Reconciler for Working {
    fn name(&self) -> &'static str {
        "work"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.look(stop))
    }
}
