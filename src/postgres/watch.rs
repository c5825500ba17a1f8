//! Looking, while a session waits for its answer, at what the server is doing with the question.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Blocker,
    side::{Seen, Sent, Side},
};

/// How long an answer is waited for, and how closely it is looked meanwhile what the server is doing.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// How long the message may take in all; none where nobody can tell.
    pub deadline: Option<Duration>,
    /// How often to look: more than once within the time for which a statement may wait for a lock.
    pub look: Duration,
    /// How long the server may be at something else, or not be heard of, before the answer counts as lost.
    pub silence: Duration,
    /// How long the message may take where nobody sees whether the server is at it, and there is no deadline: behind a
    /// pooler, and where the server shows no queries.
    pub unseen: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            deadline: None,
            look: Duration::from_secs(1),
            silence: Duration::from_secs(60),
            // A script may set its own limit; none that is worth its name is longer.
            unseen: Duration::from_secs(6 * 60 * 60),
        }
    }
}

/// Looks again and again, and keeps in `blockers` who was in the way the last time. Returns when the server has been at
/// something else, or not been heard of, for so long that there will be no answer.
pub(super) async fn watch(side: &Side, sent: Sent<'_>, watch: Watch, blockers: &mut Vec<Blocker>) {
    let start = Instant::now();
    let (mut heard, mut was_at_it) = (start, false);
    while heard.elapsed() < watch.silence {
        sleep(watch.look).await;
        let answers = match side.look(sent).await {
            Ok(Seen::Running(now)) => {
                *blockers = now;
                was_at_it = true;
                true
            }
            // Never seen at it: the message may not have arrived, but a server that shows no queries says the same.
            Ok(Seen::Elsewhere) => !was_at_it && start.elapsed() < watch.unseen,
            // A server that refuses, for want of connections say, is there. And the way past a pooler may be away while the
            // other one is not.
            Err(error) => !error.code.is_empty() || !sent.is_to_known(),
        };
        if answers {
            heard = Instant::now();
        }
    }
}
