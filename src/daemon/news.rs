//! What others write into the home database, heard at once: loops look when something has changed, and else now and then.

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::Fleet,
    postgres::SessionError,
    reconcile::{Next, Passing, Reconciler},
};

/// What the triggers of our tables tell on.
const CHANNEL: &str = "tenantry";

/// Listens to the home database.
pub(super) struct Listening {
    pub(super) fleet: Fleet,
    pub(super) news: watch::Sender<u64>,
}

impl Listening {
    async fn listen(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let home = self.fleet.shards.home();
        let mut listener = match home.listen(CHANNEL).await {
            Ok(listener) => listener,
            // Then the loops look now and then.
            Err(error @ SessionError::Pooled { .. }) => {
                tracing::info!("hears no news, and looks now and then instead: {error}");
                return Ok(Next::Never);
            }
            Err(error) => return Err(error).context("cannot listen to the home database"),
        };
        // What was told while nobody listened.
        self.news.send_modify(|count| *count += 1);
        while let Some(told) = stop.run_until_cancelled(listener.recv()).await {
            told.context("cannot hear the home database any more")?;
            self.news.send_modify(|count| *count += 1);
        }
        Ok(Next::Never)
    }
}

impl Reconciler for Listening {
    fn name(&self) -> &'static str {
        "news"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.listen(stop))
    }
}
