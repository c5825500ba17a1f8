//! This daemon among the others: it says that it lives, and learns when its time is over.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::Fleet,
    postgres::Session,
    reconcile::{Next, Passing, Reconciler},
    rollout::Member,
    store::daemons,
};

/// A time in which this daemon lives, to the others.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) me: Member,
    /// How many daemons live.
    pub(super) living: watch::Sender<usize>,
    /// Cancelled when it is over: others may have taken what this one had.
    pub(super) over: CancellationToken,
}

/// Enters this daemon, and renews its time; enters it anew where that was over.
pub(super) struct Membership {
    fleet: Fleet,
    name: String,
    term: Duration,
    now: watch::Sender<Option<Arc<Term>>>,
}

impl Membership {
    pub(super) fn new(fleet: Fleet, term: Duration, now: watch::Sender<Option<Arc<Term>>>) -> Self {
        let name = format!("{} pid {}", fleet.limits.who, std::process::id());
        Self {
            fleet,
            name,
            term,
            now,
        }
    }

    /// One time, from its beginning until it is over or the daemon ends.
    async fn live(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let mut session = self
            .fleet
            .home()
            .await
            .context("cannot enter this daemon")?;
        let asked = Instant::now();
        let id = daemons::join(session.connection(), &self.name, self.term).await?;
        let me = Member {
            id,
            name: self.name.clone(),
        };
        let living = daemons::living(session.connection()).await?;
        let living = usize::try_from(living).unwrap_or(1);
        self.fleet.shards.share_pace(living);
        let term = Arc::new(Term {
            me,
            living: watch::Sender::new(living),
            over: CancellationToken::new(),
        });
        tracing::info!(daemon = id, "takes part");
        self.now.send_replace(Some(term.clone()));
        let ended = self.renew(&term, &mut session, asked, stop).await;
        term.over.cancel();
        self.now.send_replace(None);
        if ended.is_none() {
            return Ok(Next::Never);
        }
        tracing::warn!(
            daemon = id,
            "was not heard of in time: what it had, others may have taken over"
        );
        Ok(Next::In(Duration::ZERO))
    }

    /// Renews until it is over; none when asked to stop. The others do not take over what this one has before `term` has
    /// passed since the last renewal was asked for.
    async fn renew(
        &self,
        term: &Term,
        session: &mut Session,
        mut asked: Instant,
        stop: &CancellationToken,
    ) -> Option<()> {
        let pause = self.term / 3;
        let mut is_broken = false;
        loop {
            stop.run_until_cancelled(tokio::time::sleep(if is_broken {
                pause / 4
            } else {
                pause
            }))
            .await?;
            let Some(left) = self.term.checked_sub(asked.elapsed()) else {
                return Some(());
            };
            let now = Instant::now();
            if is_broken {
                let Ok(Ok(anew)) = tokio::time::timeout(left, self.fleet.home()).await else {
                    continue;
                };
                *session = anew;
            }
            let renewing = daemons::renew(session.connection(), term.me.id, self.term);
            match tokio::time::timeout(left, renewing).await {
                Ok(Ok(Some(living))) => {
                    asked = now;
                    is_broken = false;
                    self.fleet.shards.share_pace(living);
                    term.living
                        .send_if_modified(|was| std::mem::replace(was, living) != living);
                }
                Ok(Ok(None)) => return Some(()),
                Ok(Err(_)) | Err(_) => is_broken = true,
            }
        }
    }
}

/// Gives up what a daemon has, once it is at work on nothing any more.
pub(super) async fn leave(fleet: &Fleet, term: &Term) {
    let left = async {
        let mut session = fleet.home().await?;
        daemons::leave(session.connection(), term.me.id).await?;
        session.close().await;
        Ok::<_, anyhow::Error>(())
    };
    // Else it is over soon.
    if let Err(error) = left.await {
        tracing::warn!("cannot give up what this daemon has: {error:#}");
    }
}

impl Reconciler for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.live(stop))
    }
}
