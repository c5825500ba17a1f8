//! What people say: start, pause, resume, cancel, retry, approve, roll back. Each writes a wish and who had it; saying the
//! same twice changes nothing.

use std::borrow::Cow;

use super::{Rollout, RolloutError, State, files, held};
use crate::{
    config::Strategy,
    fleet::Fleet,
    migration::{MigrationSet, Version},
    plan::Goal,
    postgres::Connection,
    store::{
        acks,
        rollouts::{self, New, Told},
        runs, waves,
    },
};

/// A rollout, as somebody asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Where to: [`Goal::Latest`] or [`Goal::UpTo`].
    pub goal: Goal,
    /// Which tenants; none for all.
    pub selector: Option<&'a str>,
    /// How.
    pub strategy: &'a Strategy,
    /// Why.
    pub reason: Option<&'a str>,
    /// Whether the maintenance windows of the strategy do not count.
    pub ignores_windows: bool,
}

/// What can be wanted of a rollout that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// That it stands still.
    Pause,
    /// That it goes on.
    Resume,
    /// That it ends where it is.
    Cancel,
    /// That what it changed is taken back.
    RollBack,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It was written, and a daemon will see to it.
    Done,
    /// It was so already.
    Already,
    /// Nothing is left to be taken back.
    Nothing,
}

/// Asks for a rollout. Gives its number.
///
/// # Errors
/// Among others: another one is under way, or to be taken back; no file has the version.
pub async fn start(
    fleet: &Fleet,
    home: &mut Connection,
    ask: &Ask<'_>,
) -> Result<i64, RolloutError> {
    check_version(fleet, ask.goal)?;
    let mut strategy = ask.strategy.clone();
    let ignores = ask.ignores_windows && !strategy.windows.is_empty();
    if ignores {
        strategy.windows.clear();
    }
    let new = New {
        goal: match ask.goal {
            Goal::UpTo(version) => Some(version.to_string()),
            _ => None,
        },
        selector: ask.selector,
        strategy: serde_json::json!(strategy),
        files: files(fleet, ask.goal).0,
        who: &fleet.limits.who,
        reason: ask.reason,
        action: match ignores {
            true => "start, ignoring the windows",
            false => "start",
        },
    };
    match rollouts::start(home, &new).await? {
        Some(id) => Ok(id),
        None => Err(match other(home, None).await? {
            Some(active) => active,
            // It ended in this moment.
            None => RolloutError::NoneActive,
        }),
    }
}

/// That another rollout than this one is under way, where one is.
async fn other(
    home: &mut Connection,
    id: Option<i64>,
) -> Result<Option<RolloutError>, RolloutError> {
    let other = rollouts::active(home).await?;
    let other = other.filter(|other| Some(other.id) != id);
    let other = other.map(Rollout::of).transpose()?;
    Ok(other.map(|other| RolloutError::Active {
        id: other.row.id,
        state: other.word(),
    }))
}

/// A rollout goes no further than the files, so a version that is in none is a slip of the keyboard. 0 is before everything, as it is for `up`.
fn check_version(fleet: &Fleet, goal: Goal) -> Result<(), RolloutError> {
    let Goal::UpTo(version) = goal else {
        return Ok(());
    };
    let has = |set: &MigrationSet| set.get(version).is_some();
    if has(&fleet.shared) || has(&fleet.tenant) || version == Version::new(0) {
        Ok(())
    } else {
        Err(RolloutError::NoFile(version))
    }
}

/// Says what is wanted of a rollout.
///
/// # Errors
/// Among others: it cannot be done in the state that the rollout is in.
pub async fn want(
    home: &mut Connection,
    rollout: &Rollout,
    wish: Wish,
    who: &str,
    why: Option<&str>,
) -> Result<Asked, RolloutError> {
    use State::{Cancelled, Complete, Halted, Paused, Running, Waiting};
    let on = if rollout.row.back { "back" } else { "run" };
    let is_to_go_back = rollout.row.wanted == "back" && !rollout.row.back;
    let (wanted, action, states, remedy): (_, _, &[State], _) = match wish {
        Wish::Pause => (
            "pause",
            "pause",
            &[Waiting, Running, Paused, Halted],
            "it is over",
        ),
        Wish::Resume => (
            on,
            "resume",
            &[Waiting, Running, Paused],
            "`tenantry rollout retry` tries what failed again",
        ),
        // Nobody has turned it round yet.
        Wish::Cancel if is_to_go_back => ("cancel", "cancel", &State::ALL, ""),
        Wish::Cancel => (
            "cancel",
            "cancel",
            &[Waiting, Running, Paused, Halted],
            "it is over",
        ),
        Wish::RollBack => (
            "back",
            "roll back",
            &[Waiting, Running, Paused, Halted, Complete, Cancelled],
            "",
        ),
    };
    let id = rollout.row.id;
    if !states.contains(&rollout.state) {
        return Err(RolloutError::NotNow {
            id,
            state: rollout.state,
            action,
            remedy: match wish {
                Wish::Resume => over(rollout, "it is over").unwrap_or(remedy.into()),
                _ => remedy.into(),
            },
        });
    }
    let starts_again = wish == Wish::RollBack && rollout.state.is_over();
    let told = Told { who, action, why };
    if starts_again && rollout.row.back {
        return back_again(home, rollout, &told).await;
    }
    let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    if rollouts::want(home, id, &states, wanted, &told).await? {
        return Ok(Asked::Done);
    }
    match other(home, Some(id)).await? {
        Some(active) if starts_again => Err(active),
        _ => Ok(Asked::Already),
    }
}

/// Goes on with a way back that is over: with what of it failed, was left alone or was never begun.
async fn back_again(
    home: &mut Connection,
    rollout: &Rollout,
    told: &Told<'_>,
) -> Result<Asked, RolloutError> {
    let id = rollout.row.id;
    // One that was cancelled is ended as it should be, also where nothing is left.
    if rollout.state == State::Complete && waves::left_back(home, id).await? == 0 {
        return Ok(Asked::Nothing);
    }
    if runs::back_again(home, id, told).await? {
        return Ok(Asked::Done);
    }
    match other(home, Some(id)).await? {
        Some(active) => Err(active),
        // Somebody else has asked for it in this moment.
        None => Ok(Asked::Already),
    }
}

/// What can be done about a rollout that is over; none where it is not.
fn over(rollout: &Rollout, forth: &'static str) -> Option<Cow<'static, str>> {
    let id = rollout.row.id;
    let on =
        || format!("`tenantry rollout rollback {id}` goes on with what is left to be taken back");
    let is_over = rollout.state.is_over();
    is_over.then(|| match rollout.row.back {
        true => on().into(),
        false => forth.into(),
    })
}

/// Lets what failed or was skipped be tried again, and the rollout go on. Gives how many runs that is.
///
/// # Errors
/// Among others: the rollout is over.
pub async fn retry(
    home: &mut Connection,
    rollout: &Rollout,
    who: &str,
    why: Option<&str>,
) -> Result<u64, RolloutError> {
    let (id, state) = (rollout.row.id, rollout.state);
    if state.is_over() || state == State::Waiting {
        return Err(RolloutError::NotNow {
            id,
            state,
            action: "retry",
            remedy: over(rollout, "start another one for the tenants that are left").unwrap_or(
                "nothing of it was begun; `tenantry rollout resume` lets it go on".into(),
            ),
        });
    }
    let told = Told {
        who,
        action: "retry",
        why,
    };
    Ok(runs::retry(home, id, &told).await?)
}

/// Says that no application needs any more what a contract takes away.
///
/// # Errors
/// Among others: the files have no such contract.
pub async fn release(
    fleet: &Fleet,
    home: &mut Connection,
    version: Version,
    why: Option<&str>,
) -> Result<Asked, RolloutError> {
    let mut held = held(fleet).into_iter();
    if !held.any(|held| held.contract && held.version == version) {
        return Err(RolloutError::NoContract(version));
    }
    let told = Told {
        who: &fleet.limits.who,
        action: "release",
        why,
    };
    let said = acks::ack(home, version, &told).await?;
    Ok(if said { Asked::Done } else { Asked::Already })
}

/// Says that the wave may begin that waits for it. Gives its number.
///
/// # Errors
/// Among others: none does.
pub async fn approve(
    home: &mut Connection,
    rollout: &Rollout,
    who: &str,
    why: Option<&str>,
) -> Result<i32, RolloutError> {
    let id = rollout.row.id;
    let waves = waves::list(home, id).await?;
    let mut open = waves.iter().filter(|wave| wave.state == "waiting");
    let next = open.next().filter(|wave| wave.needs_approval);
    let next = next.filter(|wave| wave.approved_by.is_none());
    let next = next.ok_or(RolloutError::NothingToApprove(id))?;
    let told = Told {
        who,
        action: "approve wave",
        why,
    };
    match waves::approve(home, id, next.number, &told).await? {
        true => Ok(next.number),
        false => Err(RolloutError::NothingToApprove(id)),
    }
}
