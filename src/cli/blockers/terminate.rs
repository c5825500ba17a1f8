//! `blockers --terminate`: ends sessions of others, after asking.

use serde::Serialize;

use crate::{
    cli::{ask, error::CliError, exit::ExitCode, output::Output, paint::Paint},
    fleet::FleetError,
    postgres::{Activity, ServerError, SessionError, Shard, Terminated, sessions, terminate},
};

#[derive(Serialize)]
struct AllJson<'a> {
    shard: &'a str,
    sessions: Vec<EndedJson>,
}

#[derive(Serialize)]
struct EndedJson {
    pid: i32,
    /// As it was before; none where there was none.
    session: Option<Activity>,
    outcome: &'static str,
    /// Why the server refused to end it.
    error: Option<ServerError>,
}

/// The word for what was asked for.
const ENDED: &str = "ended";

/// Ends the sessions with these processes on a shard.
pub(super) async fn run(
    shard: &Shard,
    pids: &[i32],
    yes: bool,
    output: &Output,
) -> Result<ExitCode, CliError> {
    let mut session = shard.connect().await.map_err(FleetError::from)?;
    let lost = |error| CliError::from(FleetError::from(SessionError::Lost(error)));
    let present = sessions(session.connection(), pids).await.map_err(lost)?;
    if !present.is_empty() && !yes && !ask::go_on(output, &about(&present))? {
        session.close().await;
        return Ok(ExitCode::Failed);
    }
    let mut ended = Vec::new();
    for pid in pids {
        let before = present.iter().find(|session| session.pid == Some(*pid));
        let outcome = match before {
            Some(before) => terminate(session.connection(), before)
                .await
                .map_err(lost)?,
            None => Terminated::Absent,
        };
        ended.push(EndedJson {
            pid: *pid,
            session: before.cloned(),
            outcome: word(&outcome),
            error: match outcome {
                Terminated::Refused(error) => Some(error),
                _ => None,
            },
        });
    }
    session.close().await;
    let is_done = ended.iter().all(|one| one.outcome == ENDED);
    let all = AllJson {
        shard: shard.name.as_str(),
        sessions: ended,
    };
    output.result(&all, |paint| {
        let lines = all.sessions.iter().map(|one| line(one, &all, paint));
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(if is_done {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

fn about(present: &[Activity]) -> String {
    let line = |session: &Activity| match &session.query {
        Some(query) => {
            let query: Vec<_> = query.split_whitespace().collect();
            format!("\n  {session}: {}", query.join(" "))
        }
        None => format!("\n  {session}"),
    };
    let lines: String = present.iter().map(line).collect();
    format!("This ends, and rolls back what was not committed:{lines}")
}

fn word(outcome: &Terminated) -> &'static str {
    match outcome {
        Terminated::Ended => ENDED,
        Terminated::Stays => "stays",
        Terminated::Absent => "absent",
        Terminated::Refused(_) => "refused",
    }
}

fn line(one: &EndedJson, all: &AllJson<'_>, paint: Paint) -> String {
    let (pid, shard) = (one.pid, all.shard);
    match (one.outcome, &one.error) {
        (_, Some(error)) => paint.bad(format!(
            "{pid} stays: {error}; a member of its role or of pg_signal_backend may end it"
        )),
        (ENDED, None) => format!("{pid} has ended: what it had not committed is rolled back"),
        ("absent", None) => {
            paint.caution(format!("{pid} is no session in the database of shard {shard}"))
        }
        _ => paint.bad(format!(
            "{pid} was told to end, and is still there: it is in the midst of something that cannot be interrupted, such \
             as a COMMIT that waits for a standby; look again a little later"
        )),
    }
}
