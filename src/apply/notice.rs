//! What the server said beside its answers, by migration.

use serde::Serialize;

use super::template::Origin;
use crate::{
    history::Head,
    migration::{Direction, Version},
    store::notices::Row,
    telemetry::{Notice, NoticeLevel},
};

/// What the server said while a migration, or a repeatable, ran that was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noticed {
    /// How much it matters.
    pub level: NoticeLevel,
    /// The migration's number; none for a repeatable.
    pub version: Option<Version>,
    /// The migration's or repeatable's name.
    pub name: String,
    /// Which way it was carried.
    pub direction: Direction,
    /// The text.
    pub message: String,
    /// How often it was sent.
    pub times: u64,
    /// By how much the migration raised the revision from where the message began; none for a repeatable.
    #[serde(skip)]
    raised: Option<i64>,
}

impl Noticed {
    /// What was said by a statement of the step at `position` among those of its message.
    pub(super) fn of(origin: &Origin, position: Option<usize>, notice: Notice) -> Self {
        let Notice {
            level,
            message,
            times,
        } = notice;
        let raised = position.and_then(|position| i64::try_from(position + 1).ok());
        Self {
            level,
            version: origin.version,
            name: origin.name.clone(),
            direction: origin.direction,
            message,
            times,
            raised: raised.filter(|_| origin.version.is_some()),
        }
    }

    /// As the shard stores it, when the message began at `head`. A repeatable has no place in the history.
    pub(super) fn row(&self, head: &Head) -> Option<Row> {
        Some(Row {
            schema_oid: head.schema_oid,
            revision: head.revision + self.raised?,
            level: self.level.as_str(),
            message: self.message.clone(),
            times: self.times,
        })
    }

    /// Whether it is the same message of the same migration.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.raised == other.raised
            && (self.level, self.version, self.direction)
                == (other.level, other.version, other.direction)
            && (&self.name, &self.message) == (&other.name, &other.message)
    }
}
