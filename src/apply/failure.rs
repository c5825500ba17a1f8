//! Why a target did not get to its goal, and where exactly it stopped.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::template::Origin;
use crate::{
    migration::{Direction, Version},
    postgres::{Blocker, Fault, ServerError},
    sql::Position,
};

/// Why a target did not get to its goal. Its transaction was rolled back, unless the fault says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What the error asks us to do.
    pub fault: Fault,
    /// What the server said.
    pub error: ServerError,
    /// Which statement it belongs to, where that can be told.
    pub place: Option<Place>,
    /// How often it was tried.
    pub tries: usize,
    /// Who was in the way of the last try, where it waited for a lock in vain.
    pub blockers: Vec<Blocker>,
}

/// A statement of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The migration's number; none for a repeatable.
    pub version: Option<Version>,
    /// The migration's or repeatable's name.
    pub name: String,
    /// Which way it was carried.
    pub direction: Direction,
    /// The script's file.
    pub path: PathBuf,
    /// Where in it: what the server pointed at, else where the statement starts.
    pub position: Position,
    /// The statement's text.
    pub statement: String,
    /// The byte in the statement that the server pointed at.
    #[serde(skip)]
    pub offset: usize,
    /// The line of the file on which the statement starts.
    #[serde(skip)]
    pub line: usize,
}

impl Place {
    pub(super) fn of(origin: &Origin, offset: Option<usize>) -> Self {
        let text = &origin.script.text;
        let at = offset.unwrap_or(origin.span.start);
        Self {
            version: origin.version,
            name: origin.name.clone(),
            direction: origin.direction,
            path: origin.script.path.clone(),
            position: origin.script.position(at),
            statement: text[origin.span.clone()].to_owned(),
            offset: at - origin.span.start,
            line: origin.script.position(origin.span.start).line,
        }
    }
}

impl Failure {
    /// A failure that no statement of a script is to blame for.
    pub fn without_place(fault: Fault, error: ServerError) -> Self {
        Self {
            fault,
            error,
            place: None,
            tries: 1,
            blockers: Vec::new(),
        }
    }

    /// Names those who were in the way of the last try, where it waited for a lock in vain.
    #[must_use]
    pub fn blocked_by(self, blockers: &[Blocker]) -> Self {
        // The last is query_canceled: by the statement timeout, which may run out in the midst of a wait.
        let waited = ["55P03", "40P01", "57014"].contains(&self.error.code.as_str());
        let blockers = if waited {
            blockers.to_vec()
        } else {
            Vec::new()
        };
        Self { blockers, ..self }
    }

    /// Failures with the same kind are shown together: the statement and what the server said of it, without the values
    /// that differ from tenant to tenant.
    pub fn kind(&self) -> String {
        match &self.place {
            Some(place) => format!("{}:{} {}", place.path.display(), place.position, self.error),
            None => self.error.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}: ", place.path.display(), place.position)?;
        }
        write!(f, "{}", self.error)?;
        self.blockers
            .iter()
            .try_for_each(|blocker| write!(f, "; blocked by {blocker}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::migration::Script;

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        let script = Arc::new(Script::parse("a.sql", "\u{feff}select nope"));
        let origin = Origin {
            version: None,
            name: "a".to_owned(),
            direction: Direction::Up,
            span: script.statements[0].span.clone(),
            script,
        };
        let at = origin.script.text.find("nope");
        assert_eq!(Place::of(&origin, None).position.to_string(), "1:1");
        assert_eq!(Place::of(&origin, at).position.to_string(), "1:8");
    }
}
