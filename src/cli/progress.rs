//! How far a run has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::AbortHandle;

use super::{human, output::Output};
use crate::{
    backfill,
    migration::Scope,
    travel::{Ended, Observer, Run},
};

/// What ends sooner is shown by its result alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows how far a run has come.
pub(crate) struct Progress {
    output: Output,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    reveal: Option<AbortHandle>,
    counted: Option<Counted>,
}

impl Progress {
    /// Says nothing where only results are wanted.
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            output: output.clone(),
            terminal: std::io::stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bar that shows itself once the run has taken a while.
    fn bar(&self, scope: Scope, targets: usize) -> State {
        let bar = self.output.bars.add(ProgressBar::new(targets as u64));
        bar.set_style(style());
        bar.set_prefix(things(scope).to_owned());
        let (bars, shown) = (self.output.bars.clone(), bar.clone());
        let reveal = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            bars.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(Duration::from_millis(200));
        });
        State {
            bar: Some(bar),
            reveal: Some(reveal.abort_handle()),
            counted: None,
        }
    }
}

impl Progress {
    pub(super) fn begun(&self, scope: Scope, targets: usize) {
        if self.output.is_quiet() || targets == 0 {
            return;
        }
        *self.state() = if self.terminal {
            self.bar(scope, targets)
        } else {
            State {
                counted: Some(Counted::new(targets, Instant::now())),
                ..State::default()
            }
        };
    }

    pub(super) fn one_more(&self, scope: Scope, failed: bool) {
        let mut state = self.state();
        if let Some(bar) = &state.bar {
            if failed {
                bar.set_message("some failed");
            }
            bar.inc(1);
        }
        let line = state
            .counted
            .as_mut()
            .and_then(|counted| counted.one_more(failed, Instant::now()));
        if let Some(line) = line {
            self.output.say(&format!("{} {line}", things(scope)));
        }
    }

    pub(super) fn finished(&self) {
        let state = std::mem::take(&mut *self.state());
        if let Some(reveal) = state.reveal {
            reveal.abort();
        }
        if let Some(bar) = state.bar {
            bar.finish_and_clear();
            self.output.bars.remove(&bar);
            self.output
                .bars
                .set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

impl Observer for Progress {
    fn begin(&self, scope: Scope, targets: usize) {
        self.begun(scope, targets);
    }

    fn ended(&self, scope: Scope, run: &Run) {
        // What was not begun has come no nearer.
        if run.ended != Ended::NotStarted {
            self.one_more(scope, matches!(run.ended, Ended::Failed(_)));
        }
    }

    fn finish(&self, _scope: Scope) {
        self.finished();
    }
}

impl backfill::Observer for Progress {
    fn begin(&self, tenants: usize) {
        self.begun(Scope::Tenant, tenants);
    }

    fn ended(&self, run: &backfill::Run) {
        match run.ended {
            backfill::Ended::Done | backfill::Ended::Before => self.one_more(Scope::Tenant, false),
            backfill::Ended::Failed(_) => self.one_more(Scope::Tenant, true),
            backfill::Ended::Stopped | backfill::Ended::NotStarted => {}
        }
    }

    fn finish(&self) {
        self.finished();
    }
}

/// Decides when a line is due: at every tenth, once the run has taken a while.
#[derive(Debug)]
struct Counted {
    targets: usize,
    done: usize,
    failed: usize,
    start: Instant,
}

impl Counted {
    fn new(targets: usize, start: Instant) -> Self {
        Self {
            targets,
            done: 0,
            failed: 0,
            start,
        }
    }

    fn one_more(&mut self, failed: bool, now: Instant) -> Option<String> {
        let tenths = |done: usize| done * 10 / self.targets.max(1);
        let before = tenths(self.done);
        self.done += 1;
        self.failed += usize::from(failed);
        if tenths(self.done) == before || now.duration_since(self.start) < PATIENCE {
            return None;
        }
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {} failed", human::number(failed)),
        };
        Some(format!(
            "{} of {} ({} %){failed}",
            human::number(self.done),
            human::number(self.targets),
            self.done * 100 / self.targets.max(1),
        ))
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix:>7} {bar:30} {human_pos} of {human_len}  {per_sec}  {eta} left  {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .progress_chars("━╸─")
}

fn things(scope: Scope) -> &'static str {
    match scope {
        Scope::Shared => "shared",
        Scope::Tenant => "tenants",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::arguments::{ColorWhen, Format, Global},
        sql::Ident,
        tenant::{ShardName, Target},
    };

    #[test]
    fn a_line_is_due_at_every_tenth() {
        let start = Instant::now();
        let late = start + PATIENCE;
        let mut counted = Counted::new(200, start);
        let lines: Vec<_> = (0..200)
            .filter_map(|n| counted.one_more(n == 5, late))
            .collect();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[0], "20 of 200 (10 %), 1 failed");
        assert_eq!(lines[9], "200 of 200 (100 %), 1 failed");
    }

    #[tokio::test]
    async fn what_was_not_begun_is_not_counted() {
        let global = Global {
            config: None,
            output: Format::Text,
            verbose: 0,
            quiet: false,
            color: ColorWhen::Never,
        };
        let progress = Progress {
            output: Output::new(&global),
            terminal: false,
            state: Mutex::default(),
        };
        let run = |ended| Run {
            target: Target {
                shard: ShardName::new("main"),
                schema: Ident::new("acme").unwrap(),
            },
            from: None,
            to: None,
            noticed: Vec::new(),
            migrations: 0,
            ended,
        };
        Observer::begin(&progress, Scope::Tenant, 3);
        for ended in [Ended::Done, Ended::NotStarted, Ended::NotStarted] {
            Observer::ended(&progress, Scope::Tenant, &run(ended));
        }
        assert_eq!(progress.state().counted.as_ref().unwrap().done, 1);
    }

    #[test]
    fn a_quick_run_needs_no_lines() {
        let start = Instant::now();
        let mut counted = Counted::new(10, start);
        assert!((0..10).all(|_| counted.one_more(false, start).is_none()));
    }
}
