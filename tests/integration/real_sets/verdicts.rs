//! What `psql` and `pg_dump` said of each migration, and what `verify` says of it.
//!
//! `tests/fixtures/real-sets/verdicts.csv` holds the former: an up, its down and the up again, file by file, compared by
//! `pg_dump --schema-only` each time.

use std::{collections::BTreeMap, fmt};

use tenantry::{
    structure::Change,
    verify::{Finding, Outcome, Proof, Stage, Verdict},
};

const VERDICTS: &str = include_str!("../../fixtures/real-sets/verdicts.csv");

/// What `psql` and `pg_dump` said of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// In words, such as `exact` or `objects lost`.
    pub(crate) down: &'static str,
    /// The same of the second up; empty where it was not come to.
    pub(crate) again: &'static str,
}

/// What one way, the down or the second up, comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The structure is what it should be.
    Exact,
    /// Only columns stand in another order.
    Order,
    /// The structure is another one.
    Differs,
    /// A statement failed.
    Fails,
    /// There is no such script, or nobody came to it.
    None,
}

/// The lines of a set, by what they call each migration.
pub(crate) fn of_set(set: &str) -> BTreeMap<&'static str, Line> {
    let rows = VERDICTS.lines().skip(1).map(fields);
    rows.filter(|(of, ..)| *of == set)
        .map(|(_, label, line)| (label, line))
        .collect()
}

/// Set, migration and verdicts; only verdicts have commas in them, and are then in quotes.
fn fields(row: &'static str) -> (&'static str, &'static str, Line) {
    let mut fields = row.splitn(5, ',');
    let mut next = || fields.next().unwrap();
    let (set, label, _, _, verdicts) = (next(), next(), next(), next(), next());
    let (down, again) = match verdicts.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",").unwrap(),
        None => verdicts.split_once(',').unwrap(),
    };
    let again = again.trim_matches('"');
    (set, label, Line { down, again })
}

impl Line {
    /// What it says of the down and of the second up.
    pub(crate) fn ways(&self) -> [Way; 2] {
        [self.down, self.again].map(|words| match words {
            "exact" => Way::Exact,
            "column order only" => Way::Order,
            "error" => Way::Fails,
            "missing" | "" => Way::None,
            _ => Way::Differs,
        })
    }
}

/// What `verify` says of the down and of the second up; none where it did not come so far as to judge.
pub(crate) fn ways(proof: &Proof) -> Option<[Way; 2]> {
    match proof.verdict {
        Verdict::Irreversible => return Some([Way::None, Way::None]),
        Verdict::NotJudged | Verdict::NotTried | Verdict::Refused => return None,
        Verdict::Exact
        | Verdict::Differs
        | Verdict::Fails
        | Verdict::LosesRows
        | Verdict::FailsOnRows => {}
    }
    if proof
        .findings
        .iter()
        .any(|finding| finding.stage == Stage::Up)
    {
        return None;
    }
    let way = |stage| {
        let found = proof.findings.iter().find(|finding| finding.stage == stage);
        found.map_or(Way::Exact, way_of)
    };
    let down = way(Stage::Down);
    let again = match down {
        Way::Fails => Way::None,
        _ => way(Stage::UpAgain),
    };
    Some([down, again])
}

fn way_of(finding: &Finding) -> Way {
    match &finding.outcome {
        Outcome::Differs { differences } => {
            let moved = |change: &Change| matches!(change, Change::ColumnOrder { .. });
            if differences.iter().all(|d| moved(&d.change)) {
                Way::Order
            } else {
                Way::Differs
            }
        }
        Outcome::Loses { .. } | Outcome::Fails { .. } | Outcome::Refused { .. } => Way::Fails,
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "psql and pg_dump: {}, then {}", self.down, self.again)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Order => "column order",
            Self::Differs => "differs",
            Self::Fails => "fails",
            Self::None => "none",
        })
    }
}

#[test]
fn every_line_is_read() {
    let lines = of_set("SpongePowered/Ore");
    assert_eq!(lines.len(), 137);
    let ways = |label| lines[label].ways();
    assert_eq!(ways("2.sql"), [Way::Exact, Way::Exact]);
    assert_eq!(ways("12.sql"), [Way::Differs, Way::Fails]);
    assert_eq!(ways("59.sql"), [Way::Fails, Way::None]);
    assert_eq!(ways("39.sql"), [Way::None, Way::None]);
    assert_eq!(ways("118.sql"), [Way::Order, Way::Exact]);
    assert_eq!(lines["128.sql"].down, "objects left and/or lost, mixed");
}
