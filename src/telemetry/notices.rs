//! What PostgreSQL says beside its answers: NOTICE and WARNING.
//!
//! The driver passes them on in one way only, as events of `tracing`, which tell neither the session nor the statement.
//! So a layer of the process's subscriber hands each to the task that waits for the answer. The levels of the log do not
//! matter to it. A program that uses tenantry as a library and wants them puts [`layer`] into its subscriber; without
//! it, everything works, and nothing is known of notices.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer, filter::Targets, layer::Context, layer::SubscriberExt as _, registry::LookupSpan,
};

/// Where the driver puts them.
pub(super) const TARGET: &str = "sqlx::postgres::notice";

/// So many different messages of one statement are kept; of the others, only their number.
const KEPT: usize = 50;

/// So many characters of one message are kept.
const LONGEST: usize = 1000;

/// How much a message of the server matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeLevel {
    /// Something that may be wrong.
    Warning,
    /// Something to know.
    Notice,
}

impl NoticeLevel {
    /// As PostgreSQL has it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

impl fmt::Display for NoticeLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: NoticeLevel,
    /// Its text.
    pub message: String,
    /// How often it was sent.
    pub times: u64,
}

/// Hears what the server says while a statement runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    notices: Vec<Notice>,
    /// Messages that were too many.
    more: u64,
}

tokio::task_local! {
    static LISTENING: Sink;
}

impl Sink {
    /// Runs `work`, and hears what the server says to this task meanwhile.
    pub(crate) async fn listen<T>(&self, work: impl Future<Output = T>) -> T {
        LISTENING.scope(self.clone(), work).await
    }

    /// What was heard since the last time.
    pub(crate) fn drain(&self) -> Vec<Notice> {
        let Heard { mut notices, more } = std::mem::take(&mut *self.heard());
        if more > 0 {
            notices.push(Notice {
                level: NoticeLevel::Notice,
                message: "more messages than are kept".to_owned(),
                times: more,
            });
        }
        notices
    }

    fn push(&self, level: NoticeLevel, message: &str) {
        let message: String = message.chars().take(LONGEST).collect();
        let mut heard = self.heard();
        let same = |notice: &&mut Notice| notice.level == level && notice.message == message;
        if let Some(notice) = heard.notices.iter_mut().find(same) {
            notice.times += 1;
        } else if heard.notices.len() < KEPT {
            heard.notices.push(Notice {
                level,
                message,
                times: 1,
            });
        } else {
            heard.more += 1;
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer that hands the server's notices to whoever waits for the server. It writes nothing.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    // A filter of its own: what others of the subscriber want to see makes no difference.
    Listener.with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::WARN => NoticeLevel::Warning,
            Level::INFO => NoticeLevel::Notice,
            // Errors end the statement, and are told in another way.
            _ => return,
        };
        // Elsewhere nobody listens: connecting, our own queries.
        let _ = LISTENING.try_with(|sink| event.record(&mut Message { sink, level }));
    }
}

struct Message<'a> {
    sink: &'a Sink,
    level: NoticeLevel,
}

impl Visit for Message<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.sink.push(self.level, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.sink.push(self.level, &format!("{value:?}"));
        }
    }
}

/// The layer with others below it.
pub(super) fn above<S>(others: S) -> impl Subscriber + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    others.with(layer())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    fn said(message: &str) {
        tracing::info!(target: TARGET, message);
    }

    #[tokio::test]
    async fn is_heard_by_whoever_listens() {
        let subscriber = Registry::default().with(layer());
        let _default = tracing::subscriber::set_default(subscriber);
        let (one, other) = (Sink::default(), Sink::default());
        said("nobody listens");
        one.listen(async {
            said("to one");
            other
                .listen(async { tracing::warn!(target: TARGET, "to the other") })
                .await;
            said("to one");
            tracing::info!("of somebody else");
        })
        .await;
        let notice = |level, message: &str, times| Notice {
            level,
            message: message.to_owned(),
            times,
        };
        assert_eq!(one.drain(), [notice(NoticeLevel::Notice, "to one", 2)]);
        let warning = notice(NoticeLevel::Warning, "to the other", 1);
        assert_eq!(other.drain(), [warning]);
        assert!(one.drain().is_empty());
    }

    #[tokio::test]
    async fn a_flood_is_counted() {
        let sink = Sink::default();
        (0..2000).for_each(|number| sink.push(NoticeLevel::Notice, &format!("row {number}")));
        let kept = sink.drain();
        assert_eq!(kept.len(), KEPT + 1);
        assert_eq!(kept.iter().map(|notice| notice.times).sum::<u64>(), 2000);
    }
}
