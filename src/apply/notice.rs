//! What the server said beside its answers, by migration.

use serde::Serialize;

use super::{Carrier, Template, template::Origin};
use crate::{
    history::Head,
    migration::{Direction, Version},
    postgres::Session,
    store::notices::{self, Row},
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

/// So many messages of the server are stored at once.
const SAVED_AT_ONCE: usize = 200;

impl Carrier<'_> {
    /// Stores what the server said. Should that fail, the migrations are no less committed.
    pub(super) async fn save(&mut self) {
        let rows = std::mem::take(&mut self.unsaved);
        if rows.is_empty() {
            return;
        }
        let saved = match self.session().await {
            Ok(session) => notices::put(session.connection(), &rows).await,
            Err(error) => {
                tracing::warn!(%error, "what the server said could not be stored");
                return;
            }
        };
        if let Err(error) = saved {
            tracing::warn!(%error, "what the server said could not be stored");
            self.session = None;
        }
    }

    /// Keeps what the server said while a message ran that is committed now.
    pub(super) fn note(&mut self, template: &Template, head: &Head) {
        let noticed = template.noticed(self.take_notices());
        self.keep(head, &noticed);
        self.noticed.extend(noticed);
    }

    /// What the server said while the last message ran.
    pub(super) fn take_notices(&mut self) -> Vec<(usize, Notice)> {
        let session = self.session.as_mut();
        session.map(Session::take_notices).unwrap_or_default()
    }

    /// Keeps what was said to the schema of `head` until it is stored.
    pub(super) fn keep(&mut self, head: &Head, noticed: &[Noticed]) {
        let rows = noticed.iter().filter_map(|notice| notice.row(head));
        self.unsaved.extend(rows);
    }

    /// Stores what was said, once it is much.
    pub(super) async fn save_many(&mut self) {
        if self.unsaved.len() >= SAVED_AT_ONCE {
            self.save().await;
        }
    }
}
