//! `rollout show --tenant`: all that was tried with one schema.

use jiff::Timestamp;
use serde::Serialize;

use super::{text, view::find};
use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode, paint::Paint},
    fleet::Fleet,
    rollout::{Rollout, RolloutError},
    store::attempts::{self, Run, Tried, Try},
};

/// Shows the runs of a schema within a rollout.
pub(super) async fn show(
    context: &Context<'_>,
    id: Option<i64>,
    name: &str,
) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let fleet = Fleet::without_files(&settings)?;
    let mut home = fleet.home().await?;
    let rollout = find(home.connection(), id).await?;
    let runs = attempts::of_schema(home.connection(), rollout.row.id, name).await?;
    home.close().await;
    if runs.is_empty() {
        let (id, name) = (rollout.row.id, name.to_owned());
        return Err(RolloutError::NotWithin { id, name }.into());
    }
    let shown = Shown {
        rollout: rollout.row.id,
        state: rollout.state.as_str(),
        back: rollout.row.back,
        name,
        runs: runs.iter().map(RunJson::of).collect(),
    };
    let show = |paint| words(&rollout, &runs, paint);
    context.output.result(&shown, show);
    Ok(ExitCode::Done)
}

/// The keys are part of the interface.
#[derive(Serialize)]
struct Shown<'a> {
    rollout: i64,
    state: &'static str,
    back: bool,
    name: &'a str,
    runs: Vec<RunJson<'a>>,
}

#[derive(Serialize)]
struct RunJson<'a> {
    wave: i32,
    kind: &'a str,
    shard: &'a str,
    schema: &'a str,
    state: &'a str,
    attempts: i32,
    /// Who is at it.
    daemon: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    error: Option<&'a str>,
    begun_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// Those that did not come through.
    tries: Vec<TryJson<'a>>,
}

#[derive(Serialize)]
struct TryJson<'a> {
    number: i32,
    at: Timestamp,
    daemon: &'a str,
    fault: &'a str,
    error: &'a str,
    blocker: Option<&'a str>,
}

impl<'a> RunJson<'a> {
    fn of(tried: &'a Tried) -> Self {
        let run = &tried.run;
        Self {
            wave: run.wave,
            kind: &run.kind,
            shard: &run.shard,
            schema: &run.schema_name,
            state: &run.state,
            attempts: run.attempts,
            daemon: run.daemon.as_deref(),
            from: run.from_version.as_deref(),
            to: run.to_version.as_deref(),
            error: run.error.as_deref(),
            begun_at: run.begun_at.map(jiff_sqlx::Timestamp::to_jiff),
            ended_at: run.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
            tries: tried.tries.iter().map(TryJson::of).collect(),
        }
    }
}

impl<'a> TryJson<'a> {
    fn of(tried: &'a Try) -> Self {
        Self {
            number: tried.number,
            at: tried.at.to_jiff(),
            daemon: &tried.daemon,
            fault: &tried.fault,
            error: &tried.error,
            blocker: tried.blocker.as_deref(),
        }
    }
}

fn words(rollout: &Rollout, runs: &[Tried], paint: Paint) -> String {
    let mut lines = vec![format!(
        "rollout {} is {}",
        rollout.row.id,
        text::state(rollout, paint)
    )];
    for Tried { run, tries } in runs {
        lines.push(of_run(run, tries, paint));
        for tried in tries {
            lines.push(of_try(tried, paint));
        }
    }
    lines.join("\n")
}

fn of_run(run: &Run, tries: &[Try], paint: Paint) -> String {
    let state = match (run.state.as_str(), &run.daemon) {
        ("done", _) => paint.good("done"),
        ("failed", _) => paint.bad("failed"),
        ("skipped", _) => paint.caution("skipped"),
        ("running", Some(daemon)) => format!("running, by {daemon}"),
        ("pending", _) if run.attempts > 0 => paint.caution("to be tried again"),
        (state, _) => state.to_owned(),
    };
    let begun = match run.attempts {
        0 => String::new(),
        1 => ", begun once".to_owned(),
        often => format!(", begun {often} times"),
    };
    let ended = run.ended_at.map_or_else(String::new, |ended| {
        paint.faint(format!(", ended {}", text::ago(ended.to_jiff())))
    });
    // What the last try said is told with it.
    let error = run.error.as_deref().filter(|_| tries.is_empty());
    let error = error.map_or_else(String::new, |error| format!("\n  {}", indented(error)));
    format!(
        "\n{}/{}, wave {} ({}): {state}{begun}{ended}{error}",
        run.shard, run.schema_name, run.wave, run.kind
    )
}

fn of_try(tried: &Try, paint: Paint) -> String {
    let at = tried.at.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC");
    let blocker = tried.blocker.as_ref();
    let blocker = blocker.map_or_else(String::new, |blocker| format!("\n  in its way: {blocker}"));
    format!(
        "try {} {}, by {}: {}\n  {}{blocker}",
        tried.number,
        paint.faint(at.to_string()),
        tried.daemon,
        tried.fault,
        indented(&tried.error)
    )
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}
