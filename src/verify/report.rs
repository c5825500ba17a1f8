//! What a roundtrip found, for people and for machines.

use serde::{Serialize, Serializer};

use super::{rows::Loss, words::texts};
use crate::{
    apply::Failure,
    migration::{Migration, Scope, Version},
    plan::Refusal,
    structure::{Difference, Snapshot, diff},
};

/// What was found, scope by scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they were asked for.
    pub scopes: Vec<ScopeReport>,
}

/// What was found in one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeReport {
    /// Which one.
    pub scope: Scope,
    /// What kept the tenants' set from being tried: the shared set, which comes first, does not come up.
    pub not_begun: Option<Outcome>,
    /// How many migrations were brought up and not judged, as they are older than what is to be judged.
    pub taken_for_granted: usize,
    /// Files that are gone since what is judged began, of which nothing can be tried.
    pub deleted: Vec<String>,
    /// Each migration by itself, in order.
    pub migrations: Vec<Proof>,
    /// What rows were put into the tables; none where there were to be none.
    pub rows: Option<Seeded>,
    /// Several migrations at once, where every up ran.
    pub paths: Vec<Proof>,
    /// The whole set back and up again, where every up ran.
    pub whole: Option<Proof>,
    /// Why there are no paths, where none are tried.
    pub paths_left_out: Option<String>,
    /// Migrations that are not judged and whose way back is faulty; no path and no whole set is taken back over them.
    pub older_faults: Vec<Version>,
    /// How far the whole set was taken back: to nothing, or to the last migration that is irreversible or one of these.
    pub back_to: Option<Version>,
    /// How many repeatables stay when everything is taken back.
    pub left_in_place: usize,
    /// A second tenant beside the first; none in the shared scope.
    pub second_tenant: Option<Proof>,
}

/// Into which tables rows were put.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seeded {
    /// How many tables took some.
    pub tables: usize,
    /// Those that took none, when it was last tried.
    pub not_seeded: Vec<NotSeeded>,
}

/// A table without rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotSeeded {
    /// Its name.
    pub table: String,
    /// Why it took none.
    pub reason: String,
}

/// One thing that was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The migration; none where it is about the whole set.
    pub version: Option<Version>,
    /// Its name, or words for what was tried.
    pub name: String,
    /// Whether it is about several migrations at once.
    #[serde(skip)]
    pub is_path: bool,
    /// What it comes to.
    pub verdict: Verdict,
    /// What was wrong, in the order in which it was met.
    pub findings: Vec<Finding>,
    /// What is wrong without what is judged, too: an older fault, which fails nothing.
    pub older: Vec<Finding>,
    /// Columns (`users.nickname`) that the down takes away with all that was written to them since the up. That is no fault.
    pub drops: Vec<String>,
    /// What may be written after the up and could not be before (`users.name may be NULL`): on that, the down fails. That is no
    /// fault either, as long as nobody has used it.
    pub widens: Vec<String>,
}

/// What a proof comes to; the worst of its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every structure is what it should be.
    Exact,
    /// Marked irreversible, so only its up was tried.
    Irreversible,
    /// Only what is wrong without what is judged, too.
    NotJudged,
    /// Something before it failed.
    NotTried,
    /// Rows or values that were there before the up are gone after the down.
    LosesRows,
    /// A statement fails where tables have rows, and only there.
    FailsOnRows,
    /// A structure is another one than it should be.
    Differs,
    /// It is written in a way that is not carried.
    Refused,
    /// A statement failed.
    Fails,
}

/// One thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// When it was met.
    pub stage: Stage,
    /// Whether the tables had rows; without them it was not met.
    pub with_rows: bool,
    /// What it was.
    pub outcome: Outcome,
}

/// A stage of a roundtrip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The first way up.
    Up,
    /// The way back.
    Down,
    /// The second way up.
    UpAgain,
    /// The repeatables, once the first way up is done.
    Repeatables,
    /// The repeatables once more, as after a change of their texts.
    RepeatablesAgain,
    /// The second tenant, brought up beside the first.
    SecondTenant,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Outcome {
    /// The structure is another one than it should be.
    Differs {
        /// From what should be to what is.
        differences: Vec<Difference>,
    },
    /// Rows or values are gone.
    Loses {
        /// Which ones.
        losses: Vec<Loss>,
    },
    /// A statement failed.
    Fails {
        /// Which one, and why.
        failure: Box<Failure>,
    },
    /// There is no plan.
    Refused {
        /// Why not.
        #[serde(rename = "reasons", serialize_with = "reasons")]
        refusal: Refusal,
    },
}

impl Report {
    /// Whether everything that was tried is as it should be, and nothing was left out but irreversible downs.
    pub fn is_ok(&self) -> bool {
        self.scopes.iter().all(ScopeReport::is_ok)
    }
}

impl ScopeReport {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            not_begun: None,
            taken_for_granted: 0,
            deleted: Vec::new(),
            migrations: Vec::new(),
            rows: None,
            paths: Vec::new(),
            whole: None,
            paths_left_out: None,
            older_faults: Vec::new(),
            back_to: None,
            left_in_place: 0,
            second_tenant: None,
        }
    }

    /// Whether everything in this scope is as it should be.
    pub fn is_ok(&self) -> bool {
        self.not_begun.is_none() && self.proofs().all(Proof::is_ok)
    }

    /// Everything that was tried, in order.
    pub fn proofs(&self) -> impl Iterator<Item = &Proof> {
        let whole = self.whole.iter().chain(&self.second_tenant);
        self.migrations.iter().chain(&self.paths).chain(whole)
    }

    /// How many migrations came to this.
    pub fn count(&self, verdict: Verdict) -> usize {
        let of_it = self.migrations.iter().filter(|p| p.verdict == verdict);
        of_it.count()
    }
}

impl Proof {
    /// A migration, of which nothing bad is known yet.
    pub(super) fn of(migration: &Migration) -> Self {
        Self {
            version: Some(migration.version),
            ..Self::named(&migration.name)
        }
    }

    /// Something else than one migration.
    pub(super) fn named(name: &str) -> Self {
        Self {
            version: None,
            name: name.to_owned(),
            is_path: false,
            verdict: Verdict::Exact,
            findings: Vec::new(),
            older: Vec::new(),
            drops: Vec::new(),
            widens: Vec::new(),
        }
    }

    /// Several migrations at once.
    pub(super) fn path(name: &str) -> Self {
        Self {
            is_path: true,
            ..Self::named(name)
        }
    }

    /// A migration that nothing is known of, since something before it failed.
    pub(super) fn not_tried(migration: &Migration) -> Self {
        Self {
            verdict: Verdict::NotTried,
            ..Self::of(migration)
        }
    }

    /// Whether there is nothing wrong.
    pub fn is_ok(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Exact | Verdict::Irreversible | Verdict::NotJudged
        )
    }

    /// What is no fault and should be known all the same, a line each.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let drops = self.drops.iter();
        let widens = self.widens.iter();
        let older = self
            .older
            .iter()
            .map(|finding| format!("an older fault, not judged: {finding}"));
        let older: Vec<_> = older
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        drops
            .map(|column| format!("down drops data: {column}"))
            .chain(widens.map(|what| format!("down may fail once used: {what}")))
            .chain(older)
    }

    pub(super) fn found(&mut self, stage: Stage, outcome: Outcome) {
        self.add(Finding {
            stage,
            with_rows: false,
            outcome,
        });
    }

    pub(super) fn compare(&mut self, stage: Stage, expected: &Snapshot, is: &Snapshot) {
        self.differ(stage, diff(expected, is));
    }

    pub(super) fn differ(&mut self, stage: Stage, differences: Vec<Difference>) {
        if !differences.is_empty() {
            self.found(stage, Outcome::Differs { differences });
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.verdict = self.verdict.max(finding.verdict());
        self.findings.push(finding);
    }
}

impl Finding {
    /// What was met at a stage only where the tables had rows.
    pub(super) fn with_rows(stage: Stage, outcome: Outcome) -> Self {
        Self {
            stage,
            with_rows: true,
            outcome,
        }
    }

    fn verdict(&self) -> Verdict {
        match &self.outcome {
            Outcome::Differs { .. } => Verdict::Differs,
            Outcome::Loses { .. } => Verdict::LosesRows,
            Outcome::Fails { .. } if self.with_rows => Verdict::FailsOnRows,
            Outcome::Fails { .. } => Verdict::Fails,
            Outcome::Refused { .. } => Verdict::Refused,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Fails {
            failure: Box::new(failure),
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal }
    }
}

fn reasons<S: Serializer>(refusal: &Refusal, serializer: S) -> Result<S::Ok, S::Error> {
    texts(refusal).serialize(serializer)
}
