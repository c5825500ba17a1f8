//! The daemon's life: everything starts, everything runs, everything ends.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{sync::watch, task::LocalSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Built, DaemonError,
    drifting::Drifting,
    membership::{Membership, Term, leave},
    news::Listening,
    pending::Pending,
    pooling::Pooling,
    provisioning::Provisioning,
    retiring::Retiring,
    rolling::{Conducting, Kept, Working},
};
use crate::{
    api::{self, Figures, Readiness},
    fleet::Fleet,
    reconcile::{Loop, Reconciler},
    rollout::Errands,
    telemetry,
};

/// Each database is asked by one session whether it answers.
const PROBES: u32 = 1;

impl Built {
    /// Runs until `shutdown` resolves, then ends in order: nothing new is begun, what is running ends at its safe point.
    ///
    /// # Errors
    /// Where the HTTP server ends by itself, and where what is running does not end within `daemon.grace`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), DaemonError> {
        LocalSet::new().run_until(self.live(shutdown)).await
    }

    async fn live(self, shutdown: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let Self {
            listener,
            fleet,
            settings,
            cut,
        } = self;
        let (stop, close) = (CancellationToken::new(), CancellationToken::new());
        let (caught_up, is_caught_up) = watch::channel(None);
        let readiness = Readiness {
            home: fleet.shards.home().pool(PROBES),
            shards: fleet.shards.iter().map(|s| s.pool(PROBES)).collect(),
            caught_up: is_caught_up.clone(),
            stop: stop.clone(),
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!("listening on http://{address}");
        }
        let figures = Figures {
            fleet: Arc::new(fleet.clone()),
            token: settings.daemon.metrics_token.clone().map(Arc::new),
        };
        telemetry::metrics::figures();
        let http = axum::serve(listener, api::router(readiness.clone(), figures))
            .with_graceful_shutdown(close.clone().cancelled_owned());
        let mut http = tokio::spawn(http.into_future());

        let crew = Crew::new(stop.clone(), cut.clone());
        let (grace, interval) = (settings.daemon.grace, settings.daemon.provision_interval);
        let drift = settings.drift.clone();
        let others = Others::start(&fleet, settings.daemon.term);
        let errands = Errands::new(settings.gate.clone(), settings.hooks.clone());
        crew.start_rollouts(&fleet, &others, errands);
        let pending = Pending::new(settings, cut.clone(), caught_up, fleet.shards.clone());
        crew.start(Loop::new(pending, Duration::ZERO));
        crew.start_tenants(&fleet, &others, &is_caught_up, interval);
        let interval = drift.interval;
        crew.start(Loop::new(Drifting::new(drift, is_caught_up), interval));

        tell_systemd(&[NotifyState::Ready]);
        let ended = tokio::select! {
            () = shutdown => None,
            ended = &mut http => Some(ended),
        };
        tell_systemd(&[NotifyState::Stopping]);
        tracing::info!("ending: nothing new is begun");
        stop.cancel();
        let end = crew.end(grace).await;
        // Until now nobody was to take over what ended here.
        others.end(&fleet).await;
        // Last, so that whoever asks meanwhile hears that it is not ready.
        close.cancel();
        readiness.close().await;
        let ended = match ended {
            Some(ended) => ended,
            None => tokio::time::timeout(CLOSING, &mut http)
                .await
                .unwrap_or_else(|_| {
                    http.abort();
                    Ok(Ok(()))
                }),
        };
        ended
            .unwrap_or_else(|panicked| Err(panicked.into()))
            .map_err(DaemonError::Serve)?;
        end?;
        tracing::info!("ended");
        Ok(())
    }
}

/// Where systemd has started it, with `Type=notify`.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("systemd could not be told: {error}");
    }
}

/// This daemon among the others.
struct Others {
    news: watch::Sender<u64>,
    term: watch::Receiver<Option<Arc<Term>>>,
    last: CancellationToken,
    membership: tokio::task::JoinHandle<()>,
}

impl Others {
    /// Lives on until all else has ended.
    fn start(fleet: &Fleet, term: Duration) -> Self {
        let (now, is_now) = watch::channel(None);
        let last = CancellationToken::new();
        let membership = Loop::new(Membership::new(fleet.clone(), term, now), Duration::ZERO);
        Self {
            news: watch::Sender::new(0),
            term: is_now,
            membership: tokio::task::spawn_local(membership.run(last.clone())),
            last,
        }
    }

    /// Gives up what this daemon has.
    async fn end(self, fleet: &Fleet) {
        let term = self.term.borrow().clone();
        self.last.cancel();
        if let Some(term) = term {
            leave(fleet, &term).await;
        }
        self.membership.abort();
    }
}

/// How often it is looked what has changed, where nothing tells so.
const LOOK: Duration = Duration::from_secs(1);

/// How long a client may take to read its last answer.
const CLOSING: Duration = Duration::from_secs(1);

/// How long what was cancelled may take to end on the servers.
const CANCELLING: Duration = Duration::from_secs(10);

/// The loops that run.
struct Crew {
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Cancels what runs on the servers.
    cut: CancellationToken,
    /// Drops the loops, wherever they are.
    dropped: CancellationToken,
}

impl Crew {
    fn new(stop: CancellationToken, cut: CancellationToken) -> Self {
        Self {
            tasks: TaskTracker::new(),
            stop,
            cut,
            dropped: CancellationToken::new(),
        }
    }

    fn start(&self, work: Loop<impl Reconciler + 'static>) {
        let (stop, dropped) = (self.stop.clone(), self.dropped.clone());
        self.tasks
            .spawn_local(async move { dropped.run_until_cancelled(work.run(stop)).await });
    }

    /// The loops that make tenants and take them away.
    fn start_tenants(
        &self,
        fleet: &Fleet,
        others: &Others,
        caught_up: &watch::Receiver<Option<Arc<Fleet>>>,
        interval: Duration,
    ) {
        let provisioning = Provisioning::new(caught_up.clone());
        self.start(Loop::new(provisioning, interval));
        self.start(Loop::new(Pooling::new(caught_up.clone()), interval));
        let retiring = Retiring::new(Arc::new(fleet.clone()), others.term.clone());
        self.start(Loop::new(retiring, interval));
    }

    /// The loops that carry rollouts.
    fn start_rollouts(&self, fleet: &Fleet, others: &Others, errands: Errands) {
        let listening = Listening {
            fleet: fleet.clone(),
            news: others.news.clone(),
        };
        self.start(Loop::new(listening, Duration::ZERO));
        let fleet = Arc::new(fleet.clone());
        let conducting = Conducting {
            fleet: fleet.clone(),
            term: others.term.clone(),
            home: Kept::default(),
            told: AtomicI64::new(0),
            errands,
        };
        self.start(Loop::new(conducting, LOOK).woken_by(others.news.subscribe()));
        let working = Working {
            fleet,
            term: others.term.clone(),
            news: others.news.clone(),
            home: Kept::default(),
        };
        self.start(Loop::new(working, LOOK).woken_by(others.news.subscribe()));
    }

    /// Waits for all of them; those that take too long are cancelled.
    async fn end(&self, grace: Duration) -> Result<(), DaemonError> {
        self.tasks.close();
        let late = tokio::select! {
            () = self.tasks.wait() => return Ok(()),
            () = self.cut.cancelled() => DaemonError::Cut,
            () = tokio::time::sleep(grace) => DaemonError::Grace(grace),
        };
        // On the servers first: a future that is dropped cancels nothing there.
        self.cut.cancel();
        if tokio::time::timeout(CANCELLING, self.tasks.wait())
            .await
            .is_err()
        {
            self.dropped.cancel();
            self.tasks.wait().await;
        }
        Err(late)
    }
}
