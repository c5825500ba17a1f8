//! Why no plan can be made.

use crate::{
    history::Running,
    migration::{Checksum, Direction, Problem, Version},
};

/// Why no plan can be made, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A version that no file has.
    #[error(
        "version {0} is in no file: versions are the numbers that the names of the files begin with"
    )]
    UnknownVersion(Version),
    /// The file of an applied migration is another one than was run.
    #[error(
        "{version} {name} was changed after it was applied (checksum {} then, {} now); put the file back \
         (`tenantry repair --restore {version}` shows the text that was run), or take the new text as the applied one \
         with `tenantry repair --accept-checksum {version}`",
        applied.short(), file.short()
    )]
    Changed {
        /// The migration.
        version: Version,
        /// Its name.
        name: String,
        /// What was run.
        applied: Checksum,
        /// What the file holds.
        file: Checksum,
    },
    /// A lower version than the head was added later.
    #[error(
        "{version} {name} is not applied, but the later {head} is: it was merged late; give it a higher version, \
         or allow it with --allow-out-of-order or `migrations.allow_out_of_order`"
    )]
    OutOfOrder {
        /// The late one.
        version: Version,
        /// Its name.
        name: String,
        /// Where the schema stands.
        head: Version,
    },
    /// A baseline for a schema that has a history.
    #[error(
        "a baseline is for schemas without a history, and this one is at {head}; `tenantry force` corrects a history"
    )]
    HasHistory {
        /// Where the schema stands.
        head: Version,
    },
    /// A migration on the way back that has no down.
    #[error("{version} {name} has no down: it cannot be taken back")]
    Irreversible {
        /// The migration.
        version: Version,
        /// Its name.
        name: String,
    },
    /// The down text is named in the history and not on the shard.
    #[error("the stored down of {version} {name} (checksum {}) is missing from tenantry.scripts on the shard", checksum.short())]
    LostText {
        /// The migration.
        version: Version,
        /// Its name.
        name: String,
        /// The text's checksum.
        checksum: Checksum,
    },
    /// A schema that is in the middle of another migration than the goal begins with.
    #[error(
        "{} was begun on the way {} and is not finished: it has to be the first step; `tenantry {}` goes on with it, and \
         `tenantry force {}` or `tenantry repair --clear-dirty` say how it is when it was finished or undone by hand",
        .0.version, .0.direction, match .0.direction { Direction::Up => "up", Direction::Down => "down --steps 1" }, .0.version
    )]
    Unfinished(Running),
    /// What is pending cannot be carried as it is written.
    #[error("{} in what is pending", count(.0.len()))]
    Problems(Vec<Problem>),
}

fn count(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    }
}
