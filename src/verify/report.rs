//! What a roundtrip found, for people and for machines.

use serde::{Serialize, Serializer};

use super::words::texts;
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
    /// Each migration by itself, in order.
    pub migrations: Vec<Proof>,
    /// The whole set back and up again, where every up ran.
    pub whole: Option<Proof>,
    /// How far the whole set was taken back: to nothing, or to the last irreversible migration.
    pub back_to: Option<Version>,
    /// How many repeatables stay when everything is taken back.
    pub left_in_place: usize,
    /// A second tenant beside the first; none in the shared scope.
    pub second_tenant: Option<Proof>,
}

/// One thing that was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The migration; none where it is about the whole set.
    pub version: Option<Version>,
    /// Its name, or words for what was tried.
    pub name: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// What was wrong, in the order in which it was met.
    pub findings: Vec<Finding>,
}

/// What a proof comes to; the worst of its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every structure is what it should be.
    Exact,
    /// Marked irreversible, so only its up was tried.
    Irreversible,
    /// Something before it failed.
    NotTried,
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
            migrations: Vec::new(),
            whole: None,
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
        self.migrations.iter().chain(whole)
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
            verdict: Verdict::Exact,
            findings: Vec::new(),
        }
    }

    /// Whether there is nothing wrong.
    pub fn is_ok(&self) -> bool {
        matches!(self.verdict, Verdict::Exact | Verdict::Irreversible)
    }

    pub(super) fn found(&mut self, stage: Stage, outcome: Outcome) {
        self.verdict = self.verdict.max(outcome.verdict());
        self.findings.push(Finding { stage, outcome });
    }

    pub(super) fn compare(&mut self, stage: Stage, expected: &Snapshot, is: &Snapshot) {
        self.differ(stage, diff(expected, is));
    }

    pub(super) fn differ(&mut self, stage: Stage, differences: Vec<Difference>) {
        if !differences.is_empty() {
            self.found(stage, Outcome::Differs { differences });
        }
    }
}

impl Outcome {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Differs { .. } => Verdict::Differs,
            Self::Fails { .. } => Verdict::Fails,
            Self::Refused { .. } => Verdict::Refused,
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
