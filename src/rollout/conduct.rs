//! Conducting: one daemon at a time plans a rollout, begins its waves and ends them. What it does next is decided by
//! `decide`; here it is done, each step guarded by the state that it was decided on.

use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{
    Errands, Member, Rollout, RolloutError, State,
    decide::{Move, View, decide, when_spent},
    errands::prefix,
    freeze::{Plan, plan},
    gate, hand_over,
    hooks::Call,
    release,
    state::Event,
    window::hours,
};
use crate::{
    config::WhenSpent,
    fleet::Fleet,
    postgres::Connection,
    store::{
        daemons, freeze, hooks,
        rollouts::{self, Told},
        waves::{self, Step},
    },
};

/// How long a look at the gate tells how it is.
const FRESH: Duration = Duration::from_secs(5);

/// How often it is looked, while a rollout is planned, whether something else is wanted.
const LISTEN: Duration = Duration::from_millis(500);

/// What a look at the rollouts came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// There is none to conduct.
    Nothing,
    /// Another daemon conducts the one there is.
    Others,
    /// It goes on with the files that it was started with only, and these are others.
    OtherFiles(i64),
    /// It waits: for its runs, for a time, for somebody.
    Waits,
    /// It waits for what runs to end, which nobody tells of, before it stands still.
    Ends,
}

/// Who conducts, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Conductor<'a> {
    /// The databases, the files and the limits.
    pub fleet: &'a Fleet,
    /// Who this daemon is.
    pub me: &'a Member,
    /// What is done beside.
    pub errands: &'a Errands,
    /// Cancelled when this daemon is to begin nothing more.
    pub stop: &'a CancellationToken,
}

/// Does whatever can be done now for the rollout that is under way.
///
/// # Errors
/// Where a database cannot be asked.
pub async fn conduct(by: Conductor<'_>, home: &mut Connection) -> Result<Look, RolloutError> {
    let errands = by.errands;
    loop {
        let row = rollouts::active(home).await?;
        errands.keep(row.as_ref().map(|row| row.id));
        let Some(row) = row else {
            return Ok(Look::Nothing);
        };
        let rollout = Rollout::of(row)?;
        let id = rollout.row.id;
        if !rollout.is_of(by.fleet) {
            daemons::lacks(home, by.me.id, id).await?;
            if rollout.needs_files() {
                errands.give_up();
                // Whoever has the files is not to wait for this daemon's end.
                rollouts::hand_on(home, id, by.me.id).await?;
                return Ok(Look::OtherFiles(id));
            }
        }
        if !rollouts::conduct(home, id, by.me.id).await? {
            errands.give_up();
            return Ok(Look::Others);
        }
        if matches!(rollout.row.wanted.as_str(), "cancel" | "back") {
            errands.give_up();
        }
        match by.once(home, &rollout).await? {
            Did::Moved(true) => {}
            // Somebody else was faster: whatever it is now, the next look tells.
            Did::Moved(false) => return Ok(Look::Waits),
            Did::Waits(why) => {
                rollouts::explain(home, id, why.as_deref().or(rollout.standing_why())).await?;
                return Ok(Look::Waits);
            }
            Did::Ends(why) => {
                rollouts::explain(home, id, why.as_deref().or(rollout.standing_why())).await?;
                return Ok(Look::Ends);
            }
        }
    }
}

impl Conductor<'_> {
    /// Does the next thing, or says what is waited for.
    async fn once(&self, home: &mut Connection, rollout: &Rollout) -> Result<Did, RolloutError> {
        let id = rollout.row.id;
        let all = waves::list(home, id).await?;
        let hooked = hooks::done(home, id).await?;
        let hours = hours(&rollout.strategy, rollout.row.now.to_jiff());
        let next = decide(&View {
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
            has_gate: self.errands.gate.is_there(),
            hooks: &self.errands.hooks,
            hooked: &hooked,
            is_held: rollout.row.reach.is_some(),
        });
        tracing::debug!(rollout = id, ?next, "conducts");
        Ok(match next {
            Move::Wait(why) => {
                let is_busy = all.iter().any(|wave| wave.running > 0);
                match is_busy && (why.is_some() || !rollout.is_wanted()) {
                    true => Did::Ends(why),
                    false => Did::Waits(why),
                }
            }
            Move::Hook(which) => match Call::of(rollout, &all, which, &self.errands.hooks) {
                Some(call) => self.hook(home, rollout, call).await?,
                None => Did::Moved(false),
            },
            Move::Gate(wave) => self.pass(home, rollout, wave).await?,
            Move::Extend => self.extend(home, rollout).await?,
            next => Did::Moved(self.apply(home, rollout, &all, next).await?),
        })
    }

    /// Does what is done at once. False where it is not as it was any more.
    async fn apply(
        &self,
        home: &mut Connection,
        rollout: &Rollout,
        all: &[waves::Wave],
        next: Move,
    ) -> Result<bool, RolloutError> {
        let (me, id) = (self.me, rollout.row.id);
        let (event, why) = match next {
            Move::Wait(_) | Move::Hook(_) | Move::Gate(_) | Move::Extend => return Ok(false),
            Move::Open(until) => {
                return Ok(rollouts::open(home, id, me.id, until.into()).await?);
            }
            Move::Plan => return self.begin(home, rollout).await,
            Move::Wave(number, step) => {
                return Ok(waves::step(home, id, me.id, number, step, &me.name).await?);
            }
            Move::TakeBack => return hand_over::turn_round(home, me, rollout, None).await,
            Move::Pause => (Event::Pause, None),
            Move::Resume if rollout.state == State::Halted => (Event::Retry, None),
            Move::Resume => (Event::Resume, None),
            Move::Cancel => (Event::Cancel, None),
            Move::Complete => (Event::Complete, left(rollout, all)),
            Move::Fatal(why) => (Event::Halt, Some(why)),
            Move::Spent(why) => match when_spent(&rollout.strategy, rollout.row.back) {
                WhenSpent::Pause => (Event::Pause, Some(why)),
                WhenSpent::Halt => (Event::Halt, Some(why)),
                WhenSpent::Rollback => {
                    return hand_over::turn_round(home, me, rollout, Some(&why)).await;
                }
            },
        };
        advance(home, me, rollout, event, why.as_deref()).await
    }

    /// Runs a hook, or waits for it.
    async fn hook(
        &self,
        home: &mut Connection,
        rollout: &Rollout,
        call: Call,
    ) -> Result<Did, RolloutError> {
        let (key, why) = (call.key.clone(), format!("runs {}", call.which.told()));
        let begin = || call.run(self.fleet.clone(), self.me.clone());
        let Some(ended) = self.errands.ended(&key, Duration::MAX, begin) else {
            return Ok(Did::Waits(Some(why)));
        };
        self.errands.forget(&key);
        Ok(Did::Moved(match ended {
            // It was written meanwhile.
            Ok(()) => true,
            Err(why) => advance(home, self.me, rollout, Event::Halt, Some(&why)).await?,
        }))
    }

    /// Plans the rest of a rollout where what it waited for has come, or goes on waiting.
    async fn extend(&self, home: &mut Connection, rollout: &Rollout) -> Result<Did, RolloutError> {
        let key = format!("{}release", prefix(rollout.row.id));
        let (fleet, reach) = (self.fleet.clone(), rollout.reach);
        let look = || async move {
            let mut home = fleet.home().await.map_err(|error| error.to_string())?;
            let waits = release::waits(&fleet, home.connection(), reach).await;
            home.close().await;
            match waits {
                Ok(None) => Ok(()),
                Ok(Some(why)) => Err(why),
                Err(error) => Err(error.to_string()),
            }
        };
        match self.errands.ended(&key, FRESH, look) {
            None => Ok(Did::Waits(rollout.row.why.clone())),
            Some(Err(why)) => Ok(Did::Waits(Some(why))),
            Some(Ok(())) => {
                self.errands.forget(&key);
                Ok(Did::Moved(self.begin(home, rollout).await?))
            }
        }
    }

    /// Ends a wave where all is well, or waits until it is.
    async fn pass(
        &self,
        home: &mut Connection,
        rollout: &Rollout,
        wave: i32,
    ) -> Result<Did, RolloutError> {
        let (me, id) = (self.me, rollout.row.id);
        let gate = &self.errands.gate;
        let key = format!("{}wave-{wave}/gate", prefix(id));
        let begin = || gate::look(self.fleet.clone(), gate.clone());
        let Some(ended) = self.errands.ended(&key, FRESH, begin) else {
            let before = rollout.row.why.clone();
            let looks = || format!("wave {wave} is done: the gate is looked at");
            return Ok(Did::Waits(before.or_else(|| Some(looks()))));
        };
        let Err(why) = ended else {
            self.errands.forget(&key);
            let ended = waves::step(home, id, me.id, wave, Step::End, &me.name).await?;
            return Ok(Did::Moved(ended));
        };
        if !waves::shut(home, id, wave, gate.patience).await? {
            let why = format!("wave {wave} is done, and the gate is shut: {why}");
            return Ok(Did::Waits(Some(why)));
        }
        self.errands.forget(&key);
        let patience = SignedDuration::try_from(gate.patience).unwrap_or(SignedDuration::MAX);
        let why = format!("the gate behind wave {wave} was shut for {patience:#}: {why}");
        let halted = advance(home, me, rollout, Event::Halt, Some(&why)).await?;
        Ok(Did::Moved(halted))
    }

    /// Plans, and freezes what was planned.
    async fn begin(&self, home: &mut Connection, rollout: &Rollout) -> Result<bool, RolloutError> {
        let (me, id) = (self.me, rollout.row.id);
        let Some(planned) = self.planned(home, rollout).await? else {
            // Whoever wants something else is heard by the next look.
            return Ok(!self.stop.is_cancelled());
        };
        let refused = match planned {
            Ok(Plan::Frozen(frozen, waves, noted)) => {
                let told = Told {
                    who: &me.name,
                    action: "plan",
                    why: noted.as_deref(),
                };
                return Ok(match rollout.row.begun_at {
                    None => freeze::freeze(home, id, me.id, &frozen, &waves, &told).await?,
                    Some(_) => freeze::extend(home, id, me.id, &frozen, &waves, &told).await?,
                });
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

    /// A plan; none where this daemon is to end, or something else is wanted meanwhile: then planning is left where it is.
    /// Its sessions are its own, and a server ends what a session does that is gone.
    async fn planned(
        &self,
        home: &mut Connection,
        rollout: &Rollout,
    ) -> Result<Option<Result<Plan, RolloutError>>, RolloutError> {
        let id = rollout.row.id;
        let planning = async {
            let mut own = self.fleet.home().await?;
            let planned = plan(self.fleet, own.connection(), rollout).await;
            own.close().await;
            planned
        };
        let mut planning = std::pin::pin!(planning);
        loop {
            let waited = tokio::time::timeout(LISTEN, &mut planning);
            match self.stop.run_until_cancelled(waited).await {
                Some(Ok(planned)) => return Ok(Some(planned)),
                Some(Err(_)) => {}
                None => return Ok(None),
            }
            let now = rollouts::get(home, id).await?;
            if now.is_none_or(|row| row.wanted != rollout.row.wanted) {
                return Ok(None);
            }
            rollouts::explain(home, id, Some("it is planned")).await?;
        }
    }
}

/// What one look has come to.
enum Did {
    /// Something was done, unless it was not as it had been any more.
    Moved(bool),
    /// Nothing can be done now; why.
    Waits(Option<String>),
    /// Nothing can be done before what runs has ended.
    Ends(Option<String>),
}

impl Rollout {
    /// Why it stands still, where that was said when it stopped.
    fn standing_why(&self) -> Option<&str> {
        let stands = matches!(self.state, State::Paused | State::Halted) || self.state.is_over();
        self.row.why.as_deref().filter(|_| stands)
    }
}

/// What a way back has left as it is, for a person to look at.
fn left(rollout: &Rollout, all: &[waves::Wave]) -> Option<String> {
    let back = all.iter().filter(|wave| wave.goes_back());
    let left: i64 = back.map(|wave| wave.skipped + wave.failed).sum();
    let are_left = match left {
        1 => "1 schema is left as it is".to_owned(),
        _ => format!("{left} schemas are left as they are"),
    };
    (rollout.row.back && left > 0)
        .then(|| format!("{are_left}: `tenantry rollout show` says why of each, and what to do"))
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
