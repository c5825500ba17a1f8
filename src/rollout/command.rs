//! A command of the user's own, run for a hook. Whatever ends our waiting for it ends it, with all that it has started.

use std::{collections::VecDeque, process::Stdio, time::Duration};

use futures::{FutureExt, future::FusedFuture};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
};

/// So many of the last lines of what it says are told, and so much of each.
const TOLD: (usize, usize) = (5, 500);

/// How long to read what it has said once it has ended: somebody it has started may hold its place.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a program, without a shell, with our environment and `environment`. Anything but exit code 0 within `limit` is an
/// error, with the last that it wrote to standard error.
pub(super) async fn run(
    argv: &[String],
    environment: &[(&'static str, String)],
    limit: Duration,
) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let started = command.spawn();
    let mut child = started.map_err(|error| format!("{program} cannot be started: {error}"))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let mut said = VecDeque::new();
    let ended = {
        let mut reading = std::pin::pin!(read(child.stderr.take(), &mut said).fuse());
        let ended = tokio::time::timeout(limit, async {
            tokio::select! {
                ended = child.wait() => ended,
                () = &mut reading => child.wait().await,
            }
        })
        .await;
        if let Ok(Ok(_)) = &ended {
            group.0 = None;
            if !reading.is_terminated() {
                let _ = tokio::time::timeout(LAST_WORDS, reading).await;
            }
        }
        ended
    };
    let said = match said.is_empty() {
        true => String::new(),
        false => format!(": {}", Vec::from(said).join("\n")),
    };
    match ended {
        Err(_) => Err(format!(
            "{program} did not end within {limit:?}, and was killed{said}"
        )),
        Ok(Err(error)) => Err(format!("{program} cannot be waited for: {error}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(match status.code() {
            Some(code) => format!("{program} ended with exit code {code}{said}"),
            None => format!("{program} was ended by a signal{said}"),
        }),
    }
}

/// The processes of a command that is not to outlive us.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Keeps the last lines.
async fn read(from: Option<impl AsyncRead + Unpin>, said: &mut VecDeque<String>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    // One that has no end is no line.
    while let Ok(1..) = from.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim_end().chars().take(TOLD.1).collect();
        line.clear();
        if text.is_empty() {
            continue;
        }
        if said.len() == TOLD.0 {
            said.pop_front();
        }
        said.push_back(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn tells_how_it_ended_and_what_it_said_last() {
        assert_eq!(run(&shell("exit 0"), &[], LIMIT).await, Ok(()));
        let script = "for i in 1 2 3 4 5 6; do echo line $i >&2; done; exit 3";
        let told = run(&shell(script), &[], LIMIT).await.unwrap_err();
        assert_eq!(
            told,
            "sh ended with exit code 3: line 2\nline 3\nline 4\nline 5\nline 6"
        );
        let told = run(&["no-such-program".to_owned()], &[], LIMIT)
            .await
            .unwrap_err();
        assert!(
            told.starts_with("no-such-program cannot be started"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn it_knows_what_it_is_run_for() {
        let script = "test \"$TENANTRY_ROLLOUT\" = 3";
        let knows = run(
            &shell(script),
            &[("TENANTRY_ROLLOUT", "3".to_owned())],
            LIMIT,
        )
        .await;
        assert_eq!(knows, Ok(()));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let script = format!(
            "sleep 600 & echo $! >{}; echo waits >&2; wait",
            pid.display()
        );
        let told = run(&shell(&script), &[], Duration::from_secs(1)).await;
        let told = told.unwrap_err();
        assert!(
            told.starts_with("sh did not end within 1s, and was killed"),
            "{told}"
        );
        let pid: i32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        // Gone, or waiting to be collected by whoever collects orphans.
        let is_alive = || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        for _ in 0..1000 {
            if !is_alive() {
                return;
            }
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{pid} lives");
    }
}
