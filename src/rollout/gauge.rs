//! The load of one shard, looked at as long as there is work on it: nothing more is begun while there is a reason to wait.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::work::Wave;
use crate::{
    postgres::{Session, Shard},
    signals::{Hold, Watch},
    store::daemons,
};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// The load of one shard.
pub(super) struct Gauge<'a> {
    wave: &'a Wave<'a>,
    shard: &'a Shard,
    held: watch::Sender<Option<Hold>>,
}

impl<'a> Gauge<'a> {
    pub(super) fn new(wave: &'a Wave<'a>, shard: &'a Shard) -> Self {
        Self {
            wave,
            shard,
            held: watch::Sender::new(None),
        }
    }

    /// Looks until `ended` is cancelled.
    pub(super) async fn look(&self, ended: &CancellationToken) {
        let mut load = Watch::new(&self.wave.fleet.load);
        let mut session: Option<Session> = None;
        while !load.is_idle() && !ended.is_cancelled() {
            match self.session(&mut session).await {
                Ok(session) => load.look(session.connection()).await,
                Err(why) => load.miss(&why),
            }
            // What was said of a connection that is of no use any more is said of the next one as well, or not.
            if load.is_blind() {
                session = None;
            }
            self.tell(load.hold()).await;
            let pause = tokio::time::sleep(LOOK);
            if ended.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
        self.tell(None).await;
        if let Some(session) = session {
            session.close().await;
        }
    }

    async fn session<'s>(
        &self,
        session: &'s mut Option<Session>,
    ) -> Result<&'s mut Session, String> {
        match session {
            Some(session) => Ok(session),
            None => {
                let connected = self.shard.connect().await;
                Ok(session.insert(connected.map_err(|error| error.to_string())?))
            }
        }
    }

    /// Waits while there is a reason to. False when nothing is to be begun any more.
    pub(super) async fn admits(&self) -> bool {
        let mut held = self.held.subscribe();
        let free = held.wait_for(Option::is_none);
        let admitted = self.wave.halt.run_until_cancelled(free).await;
        admitted.is_some_and(|admitted| admitted.is_ok())
    }

    async fn tell(&self, hold: Option<Hold>) {
        let has_changed = self.held.send_if_modified(|before| {
            let has_changed = *before != hold;
            before.clone_from(&hold);
            has_changed
        });
        if !has_changed {
            return;
        }
        let shard = &self.shard.name;
        match &hold {
            Some(hold) => tracing::warn!(%shard, "waits: {hold}"),
            None => tracing::info!(%shard, "waits no longer"),
        }
        let why = hold.map(|hold| hold.to_string());
        let mut home = self.wave.home.lock().await;
        let told = daemons::hold(
            home.connection(),
            self.wave.crew.me.id,
            shard,
            why.as_deref(),
        );
        if let Err(error) = told.await {
            tracing::warn!(%shard, %error, "why it waits could not be written");
        }
    }
}
