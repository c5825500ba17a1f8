//! What a rehearsal found, for people and for programs. Times are in microseconds, sizes in bytes.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::lock::{Blocks, Mode};
use crate::{
    apply::{Failure, Place},
    migration::{Checksum, Scope},
    plan::Refusal,
    tenant::ShardName,
};

/// What a rehearsal found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Rehearsal {
    /// Whether the copies were in the fleet's own databases.
    pub in_place: bool,
    /// How many tenants something is pending for, and can be carried.
    pub tenants: usize,
    /// Shards that could not be asked.
    pub away: Vec<ShardName>,
    /// Shards on which nothing could be rehearsed, those that could not be asked among them.
    pub unwell: Vec<Unwell>,
    /// The structures of the tenants, those that most have first.
    pub clusters: Vec<Cluster>,
    /// One a copy, in the order in which they were made.
    pub copies: Vec<Rehearsed>,
    /// What it will take for all of them; none where the copies say nothing about it.
    pub estimate: Option<Estimate>,
    /// What should be thought over.
    pub warnings: Vec<Warning>,
    /// What the reader has to know.
    pub notes: Vec<String>,
    /// Why there is no plan, and for how many targets.
    #[serde(serialize_with = "reasons")]
    pub refusals: Vec<(Refusal, usize)>,
}

/// A shard on which nothing could be rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unwell {
    /// Which one.
    pub shard: ShardName,
    /// Why, and what to do.
    pub message: String,
}

/// Tenants whose schemas look the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// What it is called in this report: the largest is 1.
    #[serde(rename = "cluster")]
    pub number: usize,
    /// The hash of what they look like; none for all those that could not be looked at.
    pub fingerprint: Option<Checksum>,
    /// How many something is pending for.
    pub tenants: usize,
    /// How many of them were copied.
    pub copies: usize,
}

/// Whom a copy stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StandsFor {
    /// The number of their cluster.
    pub cluster: usize,
    /// How many of it they are, itself among them.
    pub tenants: usize,
}

/// One copy, and what running the plan on it took.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsed {
    /// Whether it is a shared schema's or a tenant's.
    pub scope: Scope,
    /// Where the original is.
    pub shard: ShardName,
    /// What it is called.
    pub schema: String,
    /// How large it is, with indexes.
    pub bytes: u64,
    /// Whom it stands for; none for a shared schema.
    pub stands_for: Option<StandsFor>,
    /// What was copied; none where that failed.
    pub copied: Option<Copied>,
    /// What was committed together, in order.
    pub transactions: Vec<Transaction>,
    /// How it ended.
    pub ended: Ended,
    /// How long the plan took on the copy.
    #[serde(rename = "elapsed_us", serialize_with = "microseconds")]
    pub elapsed: Duration,
    /// How long it would take with all rows; none where that cannot be told.
    #[serde(rename = "estimated_us", serialize_with = "known")]
    pub estimated: Option<Duration>,
}

/// What was copied of a schema.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Copied {
    /// How many tables hold rows.
    pub tables: usize,
    /// How many rows they have, about.
    pub rows: u64,
    /// What they take, without indexes.
    pub bytes: u64,
    /// Those that do not have all of their rows.
    pub partial: Vec<Partial>,
    /// What the copy lacks beside rows.
    pub left_out: Vec<String>,
}

/// A table that has not all of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partial {
    /// Its name.
    pub table: String,
    /// How many it has, about.
    pub rows: u64,
    /// How many the original has, about.
    pub of: u64,
    /// How large it is.
    pub bytes: u64,
    /// How large the original is.
    pub of_bytes: u64,
    /// Whether an ANALYZE has counted the original's rows; else they are told by its size.
    pub is_counted: bool,
}

/// How a rehearsal on one copy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ended {
    /// All of the plan ran.
    Passed,
    /// A statement failed, as it would on the original.
    Failed {
        /// Which one, and why.
        failure: Box<Failure>,
        /// Why that may be the copy's fault.
        doubt: Option<String>,
        /// Whether the server said more, which may quote rows.
        withheld: bool,
    },
    /// A statement was not run on, since that would have touched what is in use.
    Kept {
        /// Which one.
        place: Box<Place>,
        /// Why.
        why: String,
    },
    /// It could not be begun.
    NotRehearsed {
        /// Why not.
        why: String,
    },
}

/// What was committed together.
#[derive(Debug, Clone, Serialize)]
pub struct Transaction {
    /// Whether it is a transaction; else one statement that no transaction takes.
    pub is_transaction: bool,
    /// With the COMMIT and the checks before it.
    #[serde(rename = "elapsed_us", serialize_with = "microseconds")]
    pub elapsed: Duration,
    /// In order.
    pub statements: Vec<Traced>,
}

/// What one statement took.
#[derive(Debug, Clone, Serialize)]
pub struct Traced {
    /// Which one.
    pub place: Place,
    /// How long it ran on the copy.
    #[serde(rename = "elapsed_us", serialize_with = "microseconds")]
    pub elapsed: Duration,
    /// How long it would run with all rows; none where that cannot be told.
    #[serde(rename = "estimated_us", serialize_with = "known")]
    pub estimated: Option<Duration>,
    /// Of which tables too few rows were copied to tell it.
    pub too_few_rows_of: Vec<String>,
    /// Whether its time grows with the rows.
    pub grows: bool,
    /// What it has locked that was not, or not so strongly, locked before in its transaction. What the transaction itself
    /// has made is left out.
    pub locks: Vec<Lock>,
    /// Whether its locks were looked at; of what no transaction takes they are gone, and stand here by rule.
    pub locks_seen: bool,
    /// Tables that were written anew.
    pub rewritten: Vec<Rewritten>,
    /// Tables that were emptied by a TRUNCATE.
    pub emptied: Vec<String>,
    /// Indexes that were built, or built anew.
    pub built: Vec<Built>,
    /// Tables that were read.
    pub scanned: Vec<Scanned>,
    /// Tables whose rows were changed.
    pub changed: Vec<Changed>,
    /// What it wrote to the log of the server; none where others write to it as well.
    pub wal_bytes: Option<i64>,
}

/// A lock that lasts to the end of its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// The relation, with its schema where that is another one.
    pub relation: String,
    /// Whether it is outside the schema.
    pub is_outside: bool,
    /// How strong it is.
    pub mode: Mode,
    /// What nobody else can do meanwhile.
    pub blocks: Blocks,
    /// From the statement to the end of its transaction, with all rows; none where that cannot be told.
    #[serde(rename = "held_us", serialize_with = "known")]
    pub held: Option<Duration>,
    /// So long in any case.
    #[serde(skip)]
    pub held_at_least: Duration,
}

/// A table that was written anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    /// Its name.
    pub table: String,
    /// How many rows the original has, about.
    pub rows: u64,
}

/// An index that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// Its name.
    pub index: String,
    /// The table's.
    pub table: String,
}

/// A table that was read from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scanned {
    /// Its name.
    pub table: String,
    /// How many rows of the copy were read, also by indexes.
    pub rows_read: u64,
    /// How many rows the original has, about.
    pub rows: u64,
    /// Whether all of it was read.
    pub is_full: bool,
}

/// A table whose rows were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its name.
    pub table: String,
    /// How many rows of the copy.
    pub rows: u64,
}

/// What a rollout will take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// From its beginning to its end.
    #[serde(rename = "elapsed_us", serialize_with = "microseconds")]
    pub elapsed: Duration,
    /// The longest of the tenants.
    pub slowest: Option<String>,
    /// How long that takes.
    #[serde(rename = "slowest_us", serialize_with = "microseconds")]
    pub slowest_elapsed: Duration,
    /// One a shard: they are worked on at the same time.
    pub shards: Vec<ShardEstimate>,
    /// What this supposes.
    pub assumptions: Vec<String>,
}

/// What it will take on one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardEstimate {
    /// Which one.
    pub shard: ShardName,
    /// How many tenants something is pending for.
    pub tenants: usize,
    /// How many are worked on at once.
    pub at_once: usize,
    /// The shared schema, which comes first.
    #[serde(rename = "shared_us", serialize_with = "microseconds")]
    pub shared: Duration,
    /// The tenants after it.
    #[serde(rename = "tenants_us", serialize_with = "microseconds")]
    pub tenants_elapsed: Duration,
}

/// What should be thought over before the plan meets the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What kind of thing.
    pub kind: WarningKind,
    /// Which statement it is about.
    pub place: Place,
    /// What it does to whom, for people.
    pub message: String,
    /// The copy on which it is worst.
    pub schema: String,
    /// On how many copies it was seen.
    pub copies: usize,
}

/// What should be thought over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// A lock that applications feel, for long.
    LongLock,
    /// A large table is written anew.
    Rewrite,
    /// A large table is read whole while applications wait for it.
    ScanUnderLock,
    /// Something that is not the tenant's is locked.
    Outside,
}

impl Rehearsal {
    /// Whether every copy ran the plan to its end, on every shard.
    pub fn has_passed(&self) -> bool {
        let mut copies = self.copies.iter();
        self.unwell.is_empty() && copies.all(|copy| copy.ended == Ended::Passed)
    }
}

impl Rehearsed {
    /// Its statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = &Traced> {
        self.transactions.iter().flat_map(|t| &t.statements)
    }
}

fn microseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn known<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => microseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

fn reasons<S: Serializer>(refusals: &[(Refusal, usize)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Refused {
        reason: String,
        targets: usize,
    }
    serializer.collect_seq(refusals.iter().map(|(refusal, targets)| Refused {
        reason: refusal.to_string(),
        targets: *targets,
    }))
}
