//! The life of a rollout: its states, and what may happen in each. `docs/states.md` draws it; a test compares the two.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a rollout is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has planned it yet.
    Waiting,
    /// Its waves are carried, one after the other.
    Running,
    /// Nothing is begun until somebody resumes it.
    Paused,
    /// Something went wrong that has to be looked at: nothing is begun until somebody retries what failed.
    Halted,
    /// All waves are done.
    Complete,
    /// Somebody gave it up.
    Cancelled,
}

/// What can happen to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its targets are frozen, and its first wave may begin.
    Begin,
    /// Nothing of it runs any more, as somebody wanted or the failure budget asks for.
    Pause,
    /// It goes on.
    Resume,
    /// It cannot go on by itself.
    Halt,
    /// What failed is tried again.
    Retry,
    /// Nothing of it runs any more, and nothing will.
    Cancel,
    /// Its last wave is done.
    Complete,
    /// What it changed is taken back.
    TakeBack,
}

/// An event that cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rollout that is {state} cannot {event}")]
pub struct IllegalTransition {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Running,
        Self::Paused,
        Self::Halted,
        Self::Complete,
        Self::Cancelled,
    ];

    /// The state after `event`.
    ///
    /// # Errors
    /// Where it cannot happen in this state.
    pub fn on(self, event: Event) -> Result<Self, IllegalTransition> {
        use State::{Cancelled, Complete, Halted, Paused, Running, Waiting};
        match (self, event) {
            (Waiting, Event::Begin)
            | (Paused, Event::Resume)
            | (Paused | Halted, Event::Retry)
            | (Running | Paused | Halted | Complete | Cancelled, Event::TakeBack) => Ok(Running),
            (Running, Event::Pause) => Ok(Paused),
            (Waiting | Running, Event::Halt) => Ok(Halted),
            (Waiting | Running | Paused | Halted, Event::Cancel) => Ok(Cancelled),
            (Running, Event::Complete) => Ok(Complete),
            (state, event) => Err(IllegalTransition { state, event }),
        }
    }

    /// Whether it is over, but for being taken back.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled)
    }

    /// As it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Event {
    /// All events.
    pub const ALL: [Self; 8] = [
        Self::Begin,
        Self::Pause,
        Self::Resume,
        Self::Halt,
        Self::Retry,
        Self::Cancel,
        Self::Complete,
        Self::TakeBack,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Begin => "begin",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Halt => "halt",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Complete => "complete",
            Self::TakeBack => "be taken back",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/states.md`, one row a state and one column an event.
    fn drawn() -> String {
        let head = Event::ALL.map(|event| format!(" {event} |")).concat();
        let rule = Event::ALL.map(|_| "---|").concat();
        let rows = State::ALL.map(|state| {
            let cells = Event::ALL.map(|event| match state.on(event) {
                Ok(next) => format!(" {next} |"),
                Err(_) => " |".to_owned(),
            });
            format!("| **{state}** |{}\n", cells.concat())
        });
        format!("| |{head}\n|---|{rule}\n{}", rows.concat())
    }

    #[test]
    fn the_page_draws_every_pair() {
        let path = "docs/states.md";
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page.contains(&drawn()),
            "{path} should have this table:\n{}",
            drawn()
        );
    }

    #[test]
    fn what_is_over_can_only_be_taken_back() {
        for state in State::ALL.into_iter().filter(|state| state.is_over()) {
            for event in Event::ALL {
                assert_eq!(state.on(event).is_ok(), event == Event::TakeBack);
            }
        }
    }

    #[test]
    fn states_survive_their_text_form() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
