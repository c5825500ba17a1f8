//! Conducting: one daemon at a time plans a rollout, begins its waves and ends them. What it does next is decided by
//! `decide`; here it is done, each step guarded by the state that it was decided on.

use super::{
    Member, Rollout, RolloutError, State,
    decide::{Move, View, decide, when_spent},
    freeze::{Plan, plan},
    hand_over,
    state::Event,
    window::hours,
};
use crate::{
    config::WhenSpent,
    fleet::Fleet,
    postgres::Connection,
    store::{
        freeze,
        rollouts::{self, Told},
        waves,
    },
};

/// What a look at the rollouts came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// There is none to conduct.
    Nothing,
    /// Another daemon conducts the one there is.
    Others,
    /// It was started with other files than these.
    OtherFiles(i64),
    /// It waits: for its runs, for a time, for somebody.
    Waits,
}

/// Does whatever can be done now for the rollout that is under way.
///
/// # Errors
/// Where a database cannot be asked.
pub async fn conduct(
    fleet: &Fleet,
    home: &mut Connection,
    me: &Member,
) -> Result<Look, RolloutError> {
    loop {
        let Some(row) = rollouts::active(home).await? else {
            return Ok(Look::Nothing);
        };
        let rollout = Rollout::of(row)?;
        let id = rollout.row.id;
        if !rollout.is_of(fleet) {
            return Ok(Look::OtherFiles(id));
        }
        if !rollouts::conduct(home, id, me.id).await? {
            return Ok(Look::Others);
        }
        let all = waves::list(home, id).await?;
        let hours = hours(&rollout.strategy, rollout.row.now.to_jiff());
        let view = View {
            state: rollout.state,
            wanted: &rollout.row.wanted,
            is_planned: rollout.row.begun_at.is_some(),
            back: rollout.row.back,
            budget: rollout.row.budget,
            forgiven: rollout.row.forgiven,
            waves: &all,
            strategy: &rollout.strategy,
            hours: &hours,
            open_until: rollout.row.open_until.map(|until| until.to_jiff()),
        };
        let next = decide(&view);
        tracing::debug!(rollout = id, ?next, "conducts");
        let moved = match next {
            Move::Wait(why) => {
                rollouts::explain(home, id, why.as_deref().or(rollout.standing_why())).await?;
                return Ok(Look::Waits);
            }
            Move::Open(until) => rollouts::open(home, id, me.id, until.into()).await?,
            Move::Plan => begin(fleet, home, me, &rollout).await?,
            Move::Wave(number, step) => {
                waves::step(home, id, me.id, number, step, &me.name).await?
            }
            Move::TakeBack => hand_over::turn_round(home, me, &rollout, None).await?,
            Move::Pause => advance(home, me, &rollout, Event::Pause, None).await?,
            Move::Resume if rollout.state == State::Halted => {
                advance(home, me, &rollout, Event::Retry, None).await?
            }
            Move::Resume => advance(home, me, &rollout, Event::Resume, None).await?,
            Move::Cancel => advance(home, me, &rollout, Event::Cancel, None).await?,
            Move::Complete => advance(home, me, &rollout, Event::Complete, None).await?,
            Move::Spent(why) => match when_spent(&rollout.strategy, rollout.row.back) {
                WhenSpent::Pause => advance(home, me, &rollout, Event::Pause, Some(&why)).await?,
                WhenSpent::Halt => advance(home, me, &rollout, Event::Halt, Some(&why)).await?,
                WhenSpent::Rollback => {
                    hand_over::turn_round(home, me, &rollout, Some(&why)).await?
                }
            },
        };
        if !moved {
            // Somebody else was faster: whatever it is now, the next look tells.
            return Ok(Look::Waits);
        }
    }
}

impl Rollout {
    /// Why it stands still, where that was said when it stopped.
    fn standing_why(&self) -> Option<&str> {
        let stands = matches!(self.state, State::Paused | State::Halted) || self.state.is_over();
        self.row.why.as_deref().filter(|_| stands)
    }
}

async fn begin(
    fleet: &Fleet,
    home: &mut Connection,
    me: &Member,
    rollout: &Rollout,
) -> Result<bool, RolloutError> {
    let refused = match plan(fleet, rollout).await {
        Ok(Plan::Frozen(frozen, waves)) => {
            let told = Told {
                who: &me.name,
                action: "plan",
                why: None,
            };
            let id = rollout.row.id;
            return Ok(freeze::freeze(home, id, me.id, &frozen, &waves, &told).await?);
        }
        Ok(Plan::Refused(why)) => why,
        // Whatever may pass is tried again.
        Err(RolloutError::Fleet(error)) if error.is_of_one_shard() => {
            return Err(RolloutError::Fleet(error));
        }
        Err(error @ (RolloutError::Fleet(_) | RolloutError::Selector(_))) => error.to_string(),
        Err(error) => return Err(error),
    };
    advance(home, me, rollout, Event::Halt, Some(&refused)).await
}

async fn advance(
    home: &mut Connection,
    me: &Member,
    rollout: &Rollout,
    event: Event,
    why: Option<&str>,
) -> Result<bool, RolloutError> {
    let from = rollout.state;
    let Ok(to) = from.on(event) else {
        tracing::warn!(rollout = rollout.row.id, %from, %event, "cannot happen: looking again");
        return Ok(false);
    };
    let change = rollouts::Move {
        id: rollout.row.id,
        daemon: me.id,
        from: from.as_str(),
        to: to.as_str(),
        holds: matches!(event, Event::Halt) || (event == Event::Pause && why.is_some()),
        forgives: matches!(event, Event::Resume | Event::Retry),
    };
    let action = event.to_string();
    let told = Told {
        who: &me.name,
        action: &action,
        why,
    };
    let moved = rollouts::advance(home, &change, &told).await?;
    if moved {
        tracing::info!(rollout = rollout.row.id, %from, %to, why, "rollout");
    }
    Ok(moved)
}
