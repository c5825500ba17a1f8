//! A rollout on a terminal: a bar a wave, and a line on what it waits for.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{pace::Pace, text, view::View};
use crate::{
    cli::{human, output::Output},
    store::waves::Wave,
};

/// The bars of the waves that were begun, and the line below them.
pub(super) struct Bars<'a> {
    output: &'a Output,
    waves: BTreeMap<i32, (ProgressBar, Pace)>,
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
            let (bar, pace) = self.waves.entry(wave.number).or_insert_with(|| {
                let targets = u64::try_from(wave.targets).unwrap_or_default();
                // Drawn once it is among the others.
                let bar =
                    ProgressBar::with_draw_target(Some(targets), ProgressDrawTarget::hidden());
                bar.set_style(style());
                bar.set_prefix(format!("wave {} {}", wave.number, wave.kind));
                let bar = self.output.bars.insert_before(&self.line, bar);
                (bar, Pace::default())
            });
            let ended = u64::try_from(wave.done + wave.failed + wave.skipped).unwrap_or_default();
            bar.set_position(ended);
            pace.see(Instant::now(), ended);
            bar.set_message(message(wave, pace, view.held_up(wave.number)));
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
        for (bar, _) in self.waves.values() {
            bar.finish_and_clear();
            self.output.bars.remove(bar);
        }
        self.output.bars.remove(&self.line);
        self.output
            .bars
            .set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// `61/s  3 s left  4 at work`, as far as it moves; `held_up` runs met something and are tried again.
fn message(wave: &Wave, pace: &Pace, held_up: usize) -> String {
    match wave.state.as_str() {
        "done" if wave.failed == 0 => return "done".to_owned(),
        "soaking" if wave.failed == 0 => return "is watched".to_owned(),
        _ => {}
    }
    let mut said = Vec::new();
    let open = usize::try_from(wave.pending + wave.running).unwrap_or_default();
    if open > 0 {
        if let Some(rate) = pace.rate() {
            said.push(format!("{rate:.0}/s"));
        }
        // Nobody can tell how long a lock is held: what waits for one is in no time that is left.
        let moving = u64::try_from(open.saturating_sub(held_up)).unwrap_or_default();
        let left = pace.left(moving).filter(|_| moving > 0);
        said.extend(left.map(|left| format!("{} left", human::duration(left))));
        said.push(format!("{} at work", wave.running));
    }
    if held_up > 0 {
        said.push(format!("{} held up", human::number(held_up)));
    }
    if wave.failed > 0 {
        said.push(format!("{} failed", wave.failed));
    }
    said.join("  ")
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>14} {bar:30} {human_pos} of {human_len}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(pending: i64, running: i64) -> Wave {
        Wave {
            number: 1,
            kind: "wave".to_owned(),
            targets: 100,
            budget: 0,
            forgiven: 0,
            needs_approval: false,
            approved_by: None,
            state: "running".to_owned(),
            begun_at: None,
            ended_at: None,
            soaks_until: None,
            has_soaked: false,
            pending,
            running,
            done: 100 - pending - running,
            failed: 0,
            skipped: 0,
            fatal: 0,
        }
    }

    #[test]
    fn no_time_is_told_for_what_waits_for_a_lock() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        pace.see(start, 0);
        pace.see(start + Duration::from_secs(1), 60);
        let moving = message(&wave(38, 2), &pace, 1);
        assert_eq!(moving, "60/s  650 ms left  2 at work  1 held up");
        assert_eq!(message(&wave(1, 0), &pace, 1), "60/s  0 at work  1 held up");
        pace.see(start + Duration::from_secs(20), 60);
        pace.see(start + Duration::from_secs(31), 60);
        let still = message(&wave(38, 2), &pace, 0);
        assert_eq!(still, "0/s  2 at work");
    }
}
