//! `--events FILE`: a run as JSON lines, each written when it happens, for programs that follow it or keep it.

use std::{
    collections::hash_map::RandomState,
    fs::{File, OpenOptions},
    hash::{BuildHasher as _, Hasher as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{error::CliError, exit::ExitCode, output::Output, report};
use crate::{
    apply::{Failure, Place},
    migration::Scope,
    plan::Goal,
    travel::{Cohorts, Ended, Observer, Report, Run, ScopeReport},
};

/// Writes the events of one run.
pub(super) struct Events {
    path: PathBuf,
    /// Tells this run's lines from those of others in the same file.
    run: String,
    about: Value,
    output: Output,
    state: Mutex<State>,
}

struct State {
    /// None once a line could not be written.
    file: Option<File>,
    begun: bool,
    lost: Option<String>,
}

/// What a run is about.
pub(super) struct About<'a> {
    pub(super) command: &'a str,
    pub(super) goal: Goal,
    /// The rollout before which things are put back; none for the goal alone.
    pub(super) rollout: Option<i64>,
    pub(super) scopes: &'a [Scope],
    pub(super) who: &'a str,
}

impl Events {
    /// Opens the file, to write behind what is in it. Nothing may be done before this.
    pub(super) fn open(path: &Path, about: &About<'_>, output: &Output) -> Result<Self, CliError> {
        if path == Path::new("-") {
            let message = "--events takes a file: standard output is the report's (a named pipe is a file, too)";
            return Err(CliError::Usage(message.to_owned()));
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| {
            CliError::Usage(format!(
                "cannot write events to {}: {error}",
                path.display()
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            run: format!("{:016x}", RandomState::new().build_hasher().finish()),
            about: json!({
                "command": about.command,
                "goal": match about.rollout {
                    Some(rollout) => json!({ "kind": "before_rollout", "rollout": rollout }),
                    None => goal(about.goal),
                },
                "scopes": about.scopes,
                "who": about.who,
            }),
            output: output.clone(),
            state: Mutex::new(State {
                file: Some(file),
                begun: false,
                lost: None,
            }),
        })
    }

    /// The last lines: who was left out, what was refused, and what the run has come to.
    pub(super) fn conclude(&self, report: &Report, code: ExitCode) {
        for scope in &report.scopes {
            for (refusal, count) in &scope.refusals {
                let refusal = report::json::refusal(refusal, *count);
                let body = json!({ "scope": scope.scope, "refusal": refusal });
                self.write("refused", body);
            }
            for blocked in &scope.blocked {
                let blocked = report::json::blocked(blocked);
                let mut body = json!(blocked);
                body["scope"] = json!(scope.scope);
                self.write("target_blocked", body);
            }
        }
        let totals = Totals::of(report);
        self.end(json!({
            "complete": report.is_complete(),
            "stopped": report.stopped,
            "exit_code": code.number(),
            "totals": totals,
            "error": null,
        }));
    }

    /// The last line of a run that could not be made.
    pub(super) fn fail(&self, error: &CliError) {
        self.end(json!({
            "complete": false,
            "stopped": false,
            "exit_code": error.exit_code().number(),
            "totals": Totals::default(),
            "error": error.message(),
        }));
    }

    /// Why lines are missing at the end, where some are.
    pub(super) fn lost(&self) -> Option<String> {
        self.state().lost.clone()
    }

    fn end(&self, body: Value) {
        let begun = self.state().begun;
        if !begun {
            self.announce(&Value::Null);
        }
        self.write("run_finished", body);
    }

    fn announce(&self, planned: &Value) {
        self.state().begun = true;
        let mut about = self.about.clone();
        about["planned"] = planned.clone();
        self.write("run_begun", about);
    }

    /// One line, in one piece: what is killed in between leaves no half of one.
    fn write(&self, event: &'static str, body: Value) {
        let line = Line {
            event,
            run: &self.run,
            at: Timestamp::now(),
            body,
        };
        let mut state = self.state();
        let Some(file) = &mut state.file else {
            return;
        };
        let written = serde_json::to_vec(&line)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
        if let Err(error) = written {
            let path = self.path.display();
            let lost = format!("events are no longer written to {path}: {error}; the run goes on");
            self.output.warning(&lost);
            state.lost = Some(lost);
            state.file = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Events {
    fn planned(&self, plans: &[Cohorts]) {
        let planned: Vec<_> = plans.iter().map(planned).collect();
        self.announce(&json!(planned));
    }

    fn begin(&self, scope: Scope, targets: usize) {
        self.write("scope_begun", json!({ "scope": scope, "targets": targets }));
    }

    fn ended(&self, scope: Scope, run: &Run) {
        for noticed in &run.noticed {
            let mut body = json!({ "scope": scope });
            body["target"] = target(run);
            body["notice"] = json!(noticed);
            self.write("notice", body);
        }
        let (ended, failure) = match &run.ended {
            Ended::Done => ("done", Value::Null),
            Ended::Failed(failure) => ("failed", self::failure(failure)),
            Ended::NotStarted => ("not_started", Value::Null),
        };
        let body = json!({
            "scope": scope,
            "target": target(run),
            "from": run.from,
            "to": run.to,
            "migrations": run.migrations,
            "ended": ended,
            "failure": failure,
        });
        self.write("target_ended", body);
    }

    fn finish(&self, scope: Scope) {
        self.write("scope_finished", json!({ "scope": scope }));
    }
}

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    run: &'a str,
    at: Timestamp,
    #[serde(flatten)]
    body: Value,
}

#[derive(Default, Serialize)]
struct Totals {
    moved: usize,
    current: usize,
    failed: usize,
    not_started: usize,
    blocked: usize,
    migrations: usize,
}

impl Totals {
    fn of(report: &Report) -> Self {
        let sum = |count: fn(&ScopeReport) -> usize| report.scopes.iter().map(count).sum();
        Self {
            moved: sum(ScopeReport::done),
            current: sum(|scope| scope.current),
            failed: sum(|scope| scope.failures().count()),
            not_started: sum(ScopeReport::not_started),
            blocked: sum(|scope| scope.blocked.len()),
            migrations: sum(ScopeReport::migrations),
        }
    }
}

/// What is planned for a scope.
fn planned(cohorts: &Cohorts) -> Value {
    let count = |is_empty: bool| -> usize {
        let plans = cohorts.cohorts.iter();
        let these = plans.filter(|c| {
            c.plan
                .as_ref()
                .is_ok_and(|plan| plan.is_empty() == is_empty)
        });
        these.map(|cohort| cohort.targets.len()).sum()
    };
    json!({
        "scope": cohorts.scope,
        "to_move": count(false),
        "current": count(true),
        "refused": cohorts.refusals().map(|(_, count)| count).sum::<usize>(),
        "blocked": cohorts.blocked.len(),
    })
}

fn target(run: &Run) -> Value {
    json!({ "shard": run.target.shard.as_str(), "schema": run.target.schema.as_str() })
}

fn failure(failure: &Failure) -> Value {
    let place = failure.place.as_ref();
    let at = |part: fn(&Place) -> Value| place.map_or(Value::Null, part);
    json!({
        "fault": failure.fault,
        "sqlstate": failure.error.code,
        "message": failure.error.message,
        "version": at(|place| json!(place.version)),
        "file": at(|place| json!(place.path)),
        "line": at(|place| json!(place.position.line)),
        "column": at(|place| json!(place.position.column)),
        "tries": failure.tries,
        "blockers": failure.blockers,
    })
}

fn goal(goal: Goal) -> Value {
    match goal {
        Goal::Latest => json!({ "kind": "latest" }),
        Goal::UpTo(version) => json!({ "kind": "up_to", "version": version }),
        Goal::Up(steps) => json!({ "kind": "up", "steps": steps }),
        Goal::DownTo(version) => json!({ "kind": "down_to", "version": version }),
        Goal::Down(steps) => json!({ "kind": "down", "steps": steps }),
        Goal::Empty => json!({ "kind": "empty" }),
        Goal::Goto(version) => json!({ "kind": "goto", "version": version }),
        Goal::Redo => json!({ "kind": "redo" }),
    }
}
