//! A rollout as people read it.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::Cell;
use jiff::Timestamp;

use super::view::View;
use crate::{
    cli::{
        human,
        paint::Paint,
        table::{Table, bad, caution, faint, good},
    },
    rollout::{Rollout, State},
    store::{runs::Shown, tenants::Tenant, waves::Wave},
};

/// So many groups of runs in trouble are shown.
const SHOWN: usize = 10;

/// So many events are shown, the last ones.
const EVENTS: usize = 20;

/// `running`, `rolling back`, `complete` and so on.
pub(super) fn state(rollout: &Rollout, paint: Paint) -> String {
    let word = rollout.word();
    match rollout.state {
        State::Complete if rollout.row.back => paint.caution(word),
        State::Waiting if rollout.row.wanted == "pause" => paint.bad(word),
        _ if rollout.row.wanted == "back" && !rollout.row.back => paint.strong(word),
        State::Complete => paint.good(word),
        State::Paused | State::Halted | State::Cancelled => paint.bad(word),
        State::Waiting | State::Running => paint.strong(word),
    }
}

/// All that `show` says.
pub(super) fn view(view: &View, paint: Paint) -> String {
    let mut text = head(view, paint);
    if !view.waves.is_empty() {
        text.push_str("\n\n");
        text.push_str(&waves(&view.waves, paint));
    }
    if !view.troubles.is_empty() {
        text.push_str("\n\n");
        text.push_str(&troubles(&view.troubles, paint));
    }
    if !view.joined.is_empty() {
        text.push_str("\n\n");
        text.push_str(&joined(&view.joined));
    }
    if !view.events.is_empty() {
        text.push_str("\n\n");
        text.push_str(&events(view, paint));
    }
    text
}

/// Who came since it was planned.
fn joined(tenants: &[Tenant]) -> String {
    let names = tenants.iter().take(SHOWN).map(|t| t.name.as_str());
    let mut text = format!(
        "in none of its waves, as added since it was planned: {}",
        names.collect::<Vec<_>>().join(", ")
    );
    if tenants.len() > SHOWN {
        text.push_str(&format!(
            " and {} more",
            human::number(tenants.len() - SHOWN)
        ));
    }
    text
}

/// What it is, and what it waits for.
pub(super) fn head(view: &View, paint: Paint) -> String {
    let row = &view.rollout.row;
    let goal = row.goal.as_deref().unwrap_or("all that the files have");
    let mut lines = vec![format!(
        "rollout {} is {}: {} to {goal}",
        row.id,
        state(&view.rollout, paint),
        row.selector.as_deref().unwrap_or("the fleet"),
    )];
    let asked = match &row.reason {
        Some(reason) => format!("started by {} ({reason})", row.who),
        None => format!("started by {}", row.who),
    };
    lines.push(paint.faint(format!("{asked} {}", ago(row.created_at.to_jiff()))));
    if let (Some(targets), Some(current)) = (row.targets, view.current()) {
        lines.push(tally(view, targets, current));
    }
    if let Some(why) = &row.why {
        lines.push(paint.labelled("because:", why));
    }
    for (shard, why) in &view.holds {
        lines.push(paint.labelled("waits:", &format!("shard {shard}: {why}")));
    }
    if view.daemons == 0 && !view.is_still() {
        let nobody = "no daemon is running: `tenantry serve` carries rollouts";
        lines.push(paint.labelled("warning:", nobody));
    }
    if view.lacks_files() {
        lines.push(paint.labelled("warning:", &lacking(row.id)));
    }
    lines.join("\n")
}

/// How many tenants it is about, and what has become of them.
fn tally(view: &View, targets: i32, current: i64) -> String {
    let count = |number: i64| human::number(usize::try_from(number).unwrap_or_default());
    let tally = view.tally;
    let mut parts = vec![
        format!("{} moved", count(tally.moved)),
        format!("{} failed", count(tally.failed)),
    ];
    if view.rollout.row.back {
        parts.insert(0, format!("{} taken back", count(tally.taken_back)));
    }
    if tally.skipped > 0 {
        parts.push(format!("{} left alone", count(tally.skipped)));
    }
    format!(
        "{} tenants, {} at the goal before; {}",
        count(targets.into()),
        count(current),
        parts.join(", ")
    )
}

/// That nobody can carry it forth, and what to do.
pub(super) fn lacking(id: i64) -> String {
    format!(
        "no daemon that runs has the migrations that it was started with: start one that has them, or `tenantry rollout cancel \
         {id}` (or `rollback {id}`), which needs none"
    )
}

fn waves(waves: &[Wave], paint: Paint) -> String {
    let headings = [
        "WAVE", "KIND", "STATE", "SCHEMAS", "DONE", "RUNNING", "FAILED", "SKIPPED", "TOOK",
    ];
    let mut table = Table::new(paint, headings).numbers(&[3, 4, 5, 6, 7]);
    for wave in waves {
        let number = |count: i64| human::number(usize::try_from(count).unwrap_or_default());
        let trouble = |count: i64| match count {
            0 => faint("0"),
            count => bad(number(count)),
        };
        let state = match (wave.state.as_str(), wave.needs_approval, &wave.approved_by) {
            ("waiting", true, None) => caution("needs approval"),
            ("done", ..) => good("done"),
            ("waiting", ..) => faint("waiting"),
            (state, ..) => Cell::new(state),
        };
        table.row([
            Cell::new(wave.number),
            Cell::new(&wave.kind),
            state,
            Cell::new(number(wave.targets.into())),
            Cell::new(number(wave.done)),
            Cell::new(number(wave.running)),
            trouble(wave.failed),
            trouble(wave.skipped),
            Cell::new(took(wave)),
        ]);
    }
    table.render()
}

fn took(wave: &Wave) -> String {
    let Some(begun) = wave.begun_at else {
        return String::new();
    };
    let ended = wave
        .ended_at
        .map_or_else(Timestamp::now, jiff_sqlx::Timestamp::to_jiff);
    let took = Duration::try_from(ended.duration_since(begun.to_jiff())).unwrap_or_default();
    human::duration(took)
}

/// Runs in trouble, those together that have the same error.
fn troubles(runs: &[Shown], paint: Paint) -> String {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Shown>> = BTreeMap::new();
    for run in runs {
        let error = run.error.as_deref().unwrap_or_default();
        let fault = run.fault.as_deref().unwrap_or_default();
        groups
            .entry((run.state.as_str(), fault, error))
            .or_default()
            .push(run);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, runs)| std::cmp::Reverse(runs.len()));
    let more = groups.len().saturating_sub(SHOWN);
    let lines = groups
        .into_iter()
        .take(SHOWN)
        .map(|((state, _, error), runs)| {
            let first = runs.first().map_or_else(String::new, |run| {
                format!("{}/{} (try {})", run.shard, run.schema_name, run.attempts)
            });
            let whom = match runs.len() {
                1 => first,
                many => format!("{} schemas, {first} for one", human::number(many)),
            };
            let state = match state {
                "failed" => paint.bad("failed"),
                "skipped" => paint.caution("skipped"),
                _ => paint.caution("to be tried again"),
            };
            let blocker = runs.iter().find_map(|run| run.blocker.as_deref());
            let blocker =
                blocker.map_or_else(String::new, |blocker| format!("\n  in its way: {blocker}"));
            format!(
                "{state}: {whom}\n  {}{blocker}",
                error.replace('\n', "\n  ")
            )
        });
    let mut lines: Vec<_> = lines.collect();
    if more > 0 {
        lines.push(paint.faint(format!("and {more} more errors")));
    }
    lines.join("\n")
}

fn events(view: &View, paint: Paint) -> String {
    let earlier = view.events.len().saturating_sub(EVENTS);
    let shown = view.events.iter().skip(earlier);
    let hint = (earlier > 0).then(|| {
        let earlier = human::number(earlier);
        paint.faint(format!(
            "{earlier} earlier events: `tenantry rollout show {} --output json` has all",
            view.rollout.row.id
        ))
    });
    let lines = shown.map(|event| {
        let wave = event
            .wave
            .map_or_else(String::new, |wave| format!(" {wave}"));
        let why = event
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        let at = event.at.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC");
        format!(
            "{} {}{wave}, by {}{why}",
            paint.faint(at.to_string()),
            event.action,
            event.who
        )
    });
    hint.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// `3 min ago`.
pub(super) fn ago(then: Timestamp) -> String {
    let since = Timestamp::now().duration_since(then);
    let since = Duration::try_from(since).unwrap_or_default();
    format!("{} ago", human::duration(since))
}
