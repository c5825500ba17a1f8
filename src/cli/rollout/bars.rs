//! A rollout on a terminal: a bar a wave, and a line on what it waits for.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{text, view::View};
use crate::{
    cli::{human, output::Output},
    store::waves::Wave,
};

/// The bars of the waves that were begun, and the line below them.
pub(super) struct Bars<'a> {
    output: &'a Output,
    waves: BTreeMap<i32, ProgressBar>,
    line: ProgressBar,
}

impl<'a> Bars<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        output.bars.set_draw_target(ProgressDrawTarget::stderr());
        let line = output.bars.add(ProgressBar::new_spinner());
        line.enable_steady_tick(Duration::from_millis(120));
        Self {
            output,
            waves: BTreeMap::new(),
            line,
        }
    }

    pub(super) fn show(&mut self, view: &View) {
        for wave in view.waves.iter().filter(|wave| wave.state != "waiting") {
            let bar = self.waves.entry(wave.number).or_insert_with(|| {
                let targets = u64::try_from(wave.targets).unwrap_or_default();
                // Drawn once it is among the others.
                let bar =
                    ProgressBar::with_draw_target(Some(targets), ProgressDrawTarget::hidden());
                bar.set_style(style());
                bar.set_prefix(format!("wave {} {}", wave.number, wave.kind));
                self.output.bars.insert_before(&self.line, bar)
            });
            let ended = wave.done + wave.failed + wave.skipped;
            bar.set_position(u64::try_from(ended).unwrap_or_default());
            bar.set_message(message(wave));
        }
        let open = view
            .waves
            .iter()
            .filter(|wave| wave.state == "waiting")
            .count();
        let mut line = format!("rollout {} is {}", view.rollout.row.id, view.rollout.word());
        if open > 0 {
            line.push_str(&format!(", {open} more to come"));
        }
        if let Some(why) = &view.rollout.row.why {
            line.push_str(&format!(": {why}"));
        }
        if view.lacks_files() {
            line.push_str(&format!("\n  {}", text::lacking(view.rollout.row.id)));
        }
        for (shard, why) in &view.holds {
            line.push_str(&format!("\n  shard {shard} waits: {why}"));
        }
        let trouble = view.troubles.iter().find(|run| run.state != "skipped");
        if let Some((run, error)) = trouble.and_then(|run| Some((run, run.error.as_ref()?))) {
            let error = error.lines().next().unwrap_or_default();
            line.push_str(&format!(
                "\n  last: {}/{}: {error}",
                run.shard, run.schema_name
            ));
            if let Some(blocker) = &run.blocker {
                line.push_str(&format!("\n  in its way: {blocker}"));
            }
        }
        self.line.set_message(line);
    }

    pub(super) fn finish(self) {
        self.line.finish_and_clear();
        for bar in self.waves.values() {
            bar.finish_and_clear();
            self.output.bars.remove(bar);
        }
        self.output.bars.remove(&self.line);
        self.output
            .bars
            .set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn message(wave: &Wave) -> String {
    match (wave.state.as_str(), wave.failed) {
        ("done", 0) => "done".to_owned(),
        ("soaking", 0) => "is watched".to_owned(),
        (_, 0) => format!("{} at work", wave.running),
        (_, failed) => format!("{failed} failed"),
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix:>14} {bar:30} {human_pos} of {human_len}  {rate}  {left}{msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
        let _ = write!(text, "{:.0}/s", state.per_sec());
    })
    .with_key("left", |state: &ProgressState, text: &mut dyn Write| {
        if state.len().is_some_and(|all| state.pos() < all) {
            let _ = write!(text, "{} left  ", human::duration(state.eta()));
        }
    })
    .progress_chars("━╸─")
}
