//! What a rollout's conductor does next: pure, from what the home database says of the rollout and its waves.

use jiff::Timestamp;

use super::{
    hooks::{Hooked, When, Which, next},
    state::State,
    window::Hours,
};
use crate::{
    config::{Hooks, Strategy, WhenSpent},
    store::waves::{Step, Wave},
};

/// What the conductor looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: State,
    /// `run`, `pause`, `cancel` or `back`.
    pub(super) wanted: &'a str,
    pub(super) is_planned: bool,
    /// Whether it takes back what it did.
    pub(super) back: bool,
    pub(super) budget: i32,
    pub(super) forgiven: i32,
    pub(super) waves: &'a [Wave],
    pub(super) strategy: &'a Strategy,
    /// What the maintenance windows say now.
    pub(super) hours: &'a Hours,
    /// Until when runs may be claimed, as the home database has it.
    pub(super) open_until: Option<Timestamp>,
    /// Whether something has to be well between two waves.
    pub(super) has_gate: bool,
    /// What is run before and after waves.
    pub(super) hooks: &'a Hooks,
    /// What of that came through.
    pub(super) hooked: &'a Hooked,
    /// Whether it goes only so far for now, the next migration waiting for something.
    pub(super) is_held: bool,
}

/// What the conductor does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// Freezes the targets, and plans the waves.
    Plan,
    /// Stands still, as somebody wants.
    Pause,
    /// Goes on; what has failed is forgiven.
    Resume,
    /// Ends it, as somebody wants.
    Cancel,
    /// Turns round.
    TakeBack,
    /// Stops, since too much has failed.
    Spent(String),
    /// Lets runs be claimed until a window closes.
    Open(Timestamp),
    /// Runs a hook.
    Hook(Which),
    /// Sees whether all is well after this wave, and ends it where it is.
    Gate(i32),
    /// Stops, since all others would fail alike.
    Fatal(String),
    /// Sees whether what the next migration waits for has come, and plans the rest.
    Extend,
    /// Moves a wave on.
    Wave(i32, Step),
    /// Ends it.
    Complete,
    /// Nothing, until something changes; why, where it is not for runs to end.
    Wait(Option<String>),
}

/// What to do next.
pub(super) fn decide(view: &View<'_>) -> Move {
    let is_busy = view.waves.iter().any(|wave| wave.running > 0);
    match (view.state, view.wanted) {
        (State::Complete | State::Cancelled, "back") if !view.back => Move::TakeBack,
        (State::Complete | State::Cancelled, _) => Move::Wait(None),
        // What is under way ends first: whoever is told that it stands still can rely on it.
        (_, "pause" | "cancel") if is_busy => Move::Wait(ends_first()),
        (State::Running, "pause") => Move::Pause,
        (_, "pause") => Move::Wait(None),
        (_, "cancel") => Move::Cancel,
        (_, "back") if !view.is_planned => Move::Cancel,
        (_, "back") if !view.back && is_busy => Move::Wait(ends_first()),
        (_, "back") if !view.back => Move::TakeBack,
        (_, _) if !view.is_planned => Move::Plan,
        (State::Paused | State::Halted, _) => Move::Resume,
        (State::Waiting | State::Running, _) => waves(view),
    }
}

fn ends_first() -> Option<String> {
    Some("what is under way ends first".to_owned())
}

fn waves(view: &View<'_>) -> Move {
    let stop = match (fatal(view), spent(view)) {
        (Some(why), _) => Some((why, Move::Fatal as fn(String) -> Move)),
        (None, Some(why)) => Some((why, Move::Spent as fn(String) -> Move)),
        (None, None) => None,
    };
    if let Some((why, stop)) = stop {
        // The others are told by the claims, which give nobody anything any more.
        let is_busy = view.waves.iter().any(|wave| wave.running > 0);
        return if is_busy {
            Move::Wait(Some(why))
        } else {
            stop(why)
        };
    }
    for wave in view.waves {
        let ended = wave.pending + wave.running == 0;
        let step = match wave.state.as_str() {
            "done" => continue,
            "waiting" if wave.needs_approval && wave.approved_by.is_none() => {
                let number = wave.number;
                let why = format!("wave {number} waits for `tenantry rollout approve`");
                return Move::Wait(Some(why));
            }
            "waiting" => match outside(view) {
                Some(waits) => return waits,
                None => match next(view, &[When::BeforeRollout, When::BeforeWave(wave.number)]) {
                    Some(hook) => return Move::Hook(hook),
                    None => Step::Begin,
                },
            },
            "running" if ended && failed_shared(wave) => {
                return Move::Fatal(
                    "a shared schema could not be moved, and tenants depend on it".to_owned(),
                );
            }
            "running" if ended => match next(view, &[When::AfterWave(wave.number)]) {
                Some(hook) => return Move::Hook(hook),
                None => after(view, wave),
            },
            "running" => return outside(view).unwrap_or(Move::Wait(None)),
            _ if wave.has_soaked && is_gated(view, wave) => return Move::Gate(wave.number),
            _ if wave.has_soaked => Step::End,
            _ => return Move::Wait(Some(format!("wave {} is watched", wave.number))),
        };
        return Move::Wave(wave.number, step);
    }
    if view.is_held && !view.back {
        return Move::Extend;
    }
    match next(view, &[When::AfterRollout]) {
        // Nothing was moved.
        _ if view.waves.is_empty() => Move::Complete,
        Some(hook) => Move::Hook(hook),
        None => Move::Complete,
    }
}

/// How a wave goes on whose runs have ended: the last one is followed by nothing.
fn after(view: &View<'_>, wave: &Wave) -> Step {
    let is_watched = !view.strategy.soak.is_zero() && !is_last(view, wave);
    if is_watched || is_gated(view, wave) {
        Step::Soak(view.strategy.soak)
    } else {
        Step::End
    }
}

/// Whether something has to be well before the next wave. The way back waits for nothing.
fn is_gated(view: &View<'_>, wave: &Wave) -> bool {
    view.has_gate && !view.back && !is_last(view, wave)
}

/// What there is to do, or to wait for, before runs may be begun within the maintenance windows. They hold for the way forth
/// only: whoever takes back what was done does not wait.
fn outside(view: &View<'_>) -> Option<Move> {
    match view.hours {
        _ if view.back => None,
        Hours::Any => None,
        Hours::Open(until) if view.open_until == Some(*until) => None,
        Hours::Open(until) => Some(Move::Open(*until)),
        Hours::Closed(_) => Some(Move::Wait(view.hours.why())),
    }
}

/// Why no further run may be begun, where what is wrong with one is wrong with all: retried once the cause is gone, or started
/// anew with other files.
fn fatal(view: &View<'_>) -> Option<String> {
    // What failed on the way there is nothing to the way back.
    let is_fatal = |wave: &&Wave| wave.fatal > 0 && wave.goes_back() == view.back;
    let wave = view.waves.iter().find(is_fatal)?;
    let number = wave.number;
    Some(format!(
        "what failed in wave {number} is wrong for all: cancel this rollout, and start one with the mended files"
    ))
}

/// Why no further run may be begun, where so many have failed.
fn spent(view: &View<'_>) -> Option<String> {
    let failed: i64 = view.waves.iter().map(|wave| wave.failed).sum();
    let (budget, forgiven) = (i64::from(view.budget), i64::from(view.forgiven));
    if failed - forgiven > budget {
        return Some(format!("{failed} failed, and {} may", budget + forgiven));
    }
    let over = |wave: &&Wave| wave.failed - i64::from(wave.forgiven) > i64::from(wave.budget);
    let wave = view.waves.iter().find(over)?;
    let may = wave.budget + wave.forgiven;
    Some(format!(
        "{} of wave {} failed, and {may} may",
        wave.failed, wave.number
    ))
}

fn failed_shared(wave: &Wave) -> bool {
    wave.kind == "shared" && wave.failed + wave.skipped > 0
}

fn is_last(view: &View<'_>, wave: &Wave) -> bool {
    let waits = view.is_held && !view.back;
    let last = view.waves.last();
    !waits && last.is_some_and(|last| last.number == wave.number)
}

/// What is wanted of a rollout whose failure budget is spent.
pub(super) fn when_spent(strategy: &Strategy, back: bool) -> WhenSpent {
    match strategy.when_spent {
        // What cannot be taken back is for a person to look at.
        WhenSpent::Rollback if back => WhenSpent::Halt,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Approval, Portion};

    fn strategy() -> Strategy {
        Strategy {
            canaries: Portion::Count(1),
            canary: String::new(),
            waves: Vec::new(),
            growth: 0,
            soak: Duration::from_secs(60),
            approval: Approval::Never,
            max_failures: Portion::Count(2),
            max_failures_per_wave: Portion::Share(10_000),
            when_spent: WhenSpent::Pause,
            windows: Vec::new(),
            time_zone: "UTC".parse().unwrap(),
        }
    }

    fn wave(number: i32, state: &str) -> Wave {
        Wave {
            number,
            kind: "wave".to_owned(),
            targets: 10,
            budget: 10,
            forgiven: 0,
            needs_approval: false,
            approved_by: None,
            state: state.to_owned(),
            begun_at: None,
            ended_at: None,
            soaks_until: None,
            has_soaked: false,
            pending: 10,
            running: 0,
            done: 0,
            failed: 0,
            skipped: 0,
            fatal: 0,
        }
    }

    fn ended(number: i32, failed: i64) -> Wave {
        Wave {
            pending: 0,
            done: 10 - failed,
            failed,
            ..wave(number, "running")
        }
    }

    fn next(state: State, wanted: &str, waves: &[Wave]) -> Move {
        let strategy = strategy();
        decide(&View {
            state,
            wanted,
            is_planned: !waves.is_empty(),
            back: false,
            budget: 2,
            forgiven: 0,
            waves,
            strategy: &strategy,
            hours: &Hours::Any,
            open_until: None,
            has_gate: false,
            hooks: &hooks(&[]),
            hooked: &Hooked::new(),
            is_held: false,
        })
    }

    /// One hook at each of these times.
    fn hooks(times: &[&str]) -> Hooks {
        let hook = |time| match times.contains(&time) {
            true => vec![crate::config::Hook::Command(vec!["true".to_owned()])],
            false => Vec::new(),
        };
        Hooks {
            before_rollout: hook("before_rollout"),
            after_rollout: hook("after_rollout"),
            before_wave: hook("before_wave"),
            after_wave: hook("after_wave"),
            deadline: Duration::from_secs(1),
        }
    }

    #[test]
    fn hooks_and_the_gate_stand_between_waves_on_the_way_forth() {
        let (mut strategy, mut hooked) = (strategy(), Hooked::new());
        strategy.soak = Duration::ZERO;
        let hooks = hooks(&[
            "before_rollout",
            "after_rollout",
            "before_wave",
            "after_wave",
        ]);
        let soaked = Wave {
            has_soaked: true,
            ..wave(0, "soaking")
        };
        let go = |back, waves: &[Wave], hooked: &Hooked| {
            decide(&View {
                state: State::Running,
                wanted: if back { "back" } else { "run" },
                is_planned: true,
                back,
                budget: 2,
                forgiven: 0,
                waves,
                strategy: &strategy,
                hours: &Hours::Any,
                open_until: None,
                has_gate: true,
                hooks: &hooks,
                hooked,
                is_held: false,
            })
        };
        let begin = Move::Wave(0, Step::Begin);
        let mut comes = |name: &str, waves: &[Wave], then: Move| {
            let Move::Hook(which) = go(false, waves, &hooked) else {
                panic!("{name}: {:?}", go(false, waves, &hooked));
            };
            assert_eq!(which.to_string(), name);
            hooked.insert(name.to_owned());
            if !matches!(then, Move::Hook(_)) {
                assert_eq!(go(false, waves, &hooked), then);
            }
            // The way back runs none, and waits for nothing.
            assert!(!matches!(go(true, waves, &hooked), Move::Hook(_)));
        };
        let another = Move::Hook(Which {
            when: When::BeforeRollout,
            place: 1,
        });
        let first = [wave(0, "waiting"), wave(1, "waiting")];
        comes("before/1", &first, another);
        comes("wave-0/before/1", &first, begin);
        let over = [ended(0, 0), wave(1, "waiting")];
        // It is watched for no time, and so is the gate looked at.
        comes(
            "wave-0/after/1",
            &over,
            Move::Wave(0, Step::Soak(Duration::ZERO)),
        );
        let last = [wave(0, "done"), ended(1, 0)];
        comes("wave-1/after/1", &last, Move::Wave(1, Step::End));
        let all = [wave(0, "done"), wave(1, "done")];
        comes("after/1", &all, Move::Complete);
        let gated = [soaked, wave(1, "waiting")];
        assert_eq!(go(false, &gated, &Hooked::new()), Move::Gate(0));
        assert_eq!(go(true, &gated, &Hooked::new()), Move::Wave(0, Step::End));
        assert_eq!(go(false, &[], &Hooked::new()), Move::Complete);
    }

    #[test]
    fn what_waits_for_a_contract_is_not_complete_but_on_the_way_back() {
        let (strategy, hooks) = (strategy(), hooks(&["after_rollout"]));
        let at = |back, waves: &[Wave]| {
            decide(&View {
                state: State::Running,
                wanted: if back { "back" } else { "run" },
                is_planned: true,
                back,
                budget: 2,
                forgiven: 0,
                waves,
                strategy: &strategy,
                hours: &Hours::Any,
                open_until: None,
                has_gate: false,
                hooks: &hooks,
                hooked: &Hooked::new(),
                is_held: true,
            })
        };
        assert_eq!(at(false, &[wave(0, "done")]), Move::Extend);
        assert_eq!(at(false, &[]), Move::Extend);
        assert_eq!(at(true, &[wave(0, "done")]), Move::Complete);
        // Something follows, so it is watched.
        let soak = Step::Soak(Duration::from_secs(60));
        assert_eq!(at(false, &[ended(0, 0)]), Move::Wave(0, soak));
    }

    #[test]
    fn nothing_is_begun_outside_of_a_window_and_what_has_ended_is_ended() {
        let (strategy, until) = (strategy(), Timestamp::UNIX_EPOCH);
        let at = |hours: &Hours, open_until, back, waves: &[Wave]| {
            decide(&View {
                state: State::Running,
                wanted: if back { "back" } else { "run" },
                is_planned: true,
                back,
                budget: 2,
                forgiven: 0,
                waves,
                strategy: &strategy,
                hours,
                open_until,
                has_gate: false,
                hooks: &hooks(&[]),
                hooked: &Hooked::new(),
                is_held: false,
            })
        };
        let (open, closed) = (Hours::Open(until), Hours::Closed(None));
        let begin = Move::Wave(0, Step::Begin);
        for state in ["waiting", "running"] {
            let waves = [wave(0, state)];
            let told = at(&closed, Some(until), false, &waves);
            assert!(matches!(told, Move::Wait(Some(why)) if why.contains("window")));
            // The claims are told first.
            assert_eq!(at(&open, None, false, &waves), Move::Open(until));
        }
        assert_eq!(at(&open, Some(until), false, &[wave(0, "waiting")]), begin);
        let runs = [wave(0, "running")];
        assert_eq!(at(&open, Some(until), false, &runs), Move::Wait(None));
        let all = [ended(0, 0)];
        assert_eq!(at(&closed, None, false, &all), Move::Wave(0, Step::End));
        // The way back waits for no window.
        assert_eq!(at(&closed, None, true, &[wave(0, "waiting")]), begin);
    }

    #[test]
    fn waves_follow_each_other_with_a_pause_in_between() {
        let go = |waves: &[Wave]| next(State::Running, "run", waves);
        assert_eq!(next(State::Waiting, "run", &[]), Move::Plan);
        assert_eq!(
            go(&[wave(0, "waiting"), wave(1, "waiting")]),
            Move::Wave(0, Step::Begin)
        );
        assert_eq!(
            go(&[wave(0, "running"), wave(1, "waiting")]),
            Move::Wait(None)
        );
        let soak = Step::Soak(Duration::from_secs(60));
        assert_eq!(go(&[ended(0, 0), wave(1, "waiting")]), Move::Wave(0, soak));
        assert!(matches!(
            go(&[wave(0, "soaking"), wave(1, "waiting")]),
            Move::Wait(Some(_))
        ));
        let soaked = Wave {
            has_soaked: true,
            ..wave(0, "soaking")
        };
        assert_eq!(go(&[soaked, wave(1, "waiting")]), Move::Wave(0, Step::End));
        assert_eq!(
            go(&[wave(0, "done"), wave(1, "waiting")]),
            Move::Wave(1, Step::Begin)
        );
        // Nothing follows the last one.
        assert_eq!(
            go(&[wave(0, "done"), ended(1, 1)]),
            Move::Wave(1, Step::End)
        );
        assert_eq!(go(&[wave(0, "done"), wave(1, "done")]), Move::Complete);
    }

    #[test]
    fn nothing_is_begun_without_approval_or_above_a_shared_schema_that_failed() {
        let unapproved = Wave {
            needs_approval: true,
            ..wave(1, "waiting")
        };
        let told = next(State::Running, "run", &[wave(0, "done"), unapproved]);
        assert!(matches!(told, Move::Wait(Some(why)) if why.contains("approve")));
        let shared = Wave {
            kind: "shared".to_owned(),
            ..ended(0, 1)
        };
        let told = next(State::Running, "run", &[shared, wave(1, "waiting")]);
        assert!(matches!(told, Move::Fatal(_)));
    }

    #[test]
    fn a_spent_budget_stops_it_once_what_runs_has_ended() {
        let running = Wave {
            pending: 4,
            running: 1,
            done: 2,
            failed: 3,
            ..wave(0, "running")
        };
        let told = next(State::Running, "run", std::slice::from_ref(&running));
        assert!(matches!(told, Move::Wait(Some(_))));
        let stands = Wave {
            running: 0,
            ..running.clone()
        };
        assert_eq!(
            next(State::Running, "run", std::slice::from_ref(&stands)),
            Move::Spent("3 failed, and 2 may".to_owned())
        );
        // One wave may be allowed less than all of them.
        let strict = Wave {
            budget: 0,
            failed: 1,
            ..stands
        };
        assert_eq!(
            next(State::Running, "run", &[strict]),
            Move::Spent("1 of wave 0 failed, and 0 may".to_owned())
        );
    }

    #[test]
    fn what_is_wrong_for_all_stops_it_whatever_may_fail() {
        let told = next(
            State::Running,
            "run",
            &[Wave {
                fatal: 1,
                ..ended(0, 1)
            }],
        );
        assert!(matches!(told, Move::Fatal(_)));
    }

    #[test]
    fn what_people_want_comes_first_and_waits_for_what_runs() {
        let busy = Wave {
            running: 1,
            ..wave(0, "running")
        };
        for wanted in ["pause", "cancel", "back"] {
            let waits = next(State::Running, wanted, std::slice::from_ref(&busy));
            assert_eq!(waits, Move::Wait(ends_first()), "{wanted}");
        }
        let still = [wave(0, "running")];
        assert_eq!(next(State::Running, "pause", &still), Move::Pause);
        assert_eq!(next(State::Paused, "pause", &still), Move::Wait(None));
        assert_eq!(next(State::Paused, "run", &still), Move::Resume);
        assert_eq!(next(State::Halted, "run", &still), Move::Resume);
        assert_eq!(next(State::Paused, "cancel", &still), Move::Cancel);
        assert_eq!(next(State::Running, "back", &still), Move::TakeBack);
        assert_eq!(next(State::Complete, "back", &still), Move::TakeBack);
        assert_eq!(next(State::Complete, "run", &still), Move::Wait(None));
        // There is nothing to take back.
        assert_eq!(next(State::Waiting, "back", &[]), Move::Cancel);
    }

    #[test]
    fn what_cannot_be_taken_back_is_for_a_person() {
        let strategy = Strategy {
            when_spent: WhenSpent::Rollback,
            ..strategy()
        };
        assert_eq!(when_spent(&strategy, false), WhenSpent::Rollback);
        assert_eq!(when_spent(&strategy, true), WhenSpent::Halt);
    }
}
