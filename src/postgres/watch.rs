//! Looking, while a session waits for its answer, at what the server is doing with the question.

use tokio::time::{Instant, sleep};

use super::{
    Blocker, Message, Watch,
    side::{Seen, Side},
};

/// Looks again and again, and keeps in `blockers` who was in the way the last time. Returns when the server has been at
/// something else, or not been heard of, for so long that there will be no answer.
pub(super) async fn watch(
    side: &Side,
    pid: i32,
    message: &Message,
    watch: Watch,
    blockers: &mut Vec<Blocker>,
) {
    let start = Instant::now();
    let (mut heard, mut was_at_it) = (start, false);
    while heard.elapsed() < watch.silence {
        sleep(watch.look).await;
        let answers = match side.look(pid, message.as_str()).await {
            Ok(Seen::Running(now)) => {
                *blockers = now;
                was_at_it = true;
                true
            }
            // Never seen at it: the message may not have arrived, but a server that shows no queries says the same.
            Ok(Seen::Elsewhere) => !was_at_it && start.elapsed() < watch.unseen,
            // A server that refuses, for want of connections say, is there.
            Err(error) => !error.code.is_empty(),
        };
        if answers {
            heard = Instant::now();
        }
    }
}
