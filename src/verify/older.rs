//! What is wrong with the set as a whole without what is judged, too: that is told, and fails nothing.
//!
//! Only what is found in the same words both times counts as older; all else is laid at the door of what is judged.

use super::{Finding, Outcome, Proof, Stage, Verdict, VerifyError, course::Course, whole};
use crate::plan::Goal;

/// Sets aside what is older. Tries the older set only where there are findings; nothing may be open that is in its way.
pub(super) async fn take_out(
    course: &Course<'_>,
    proofs: Vec<&mut Proof>,
) -> Result<(), VerifyError> {
    if proofs.iter().all(|proof| proof.findings.is_empty()) {
        return Ok(());
    }
    let older = Box::pin(findings(course)).await?;
    for proof in proofs {
        sort(proof, &older);
    }
    Ok(())
}

/// What is wrong with the older set; nothing where it does not come up, as then there is nothing to compare with.
async fn findings(course: &Course<'_>) -> Result<Vec<Finding>, VerifyError> {
    let Some(mut set) = course.older_set() else {
        return Ok(Vec::new());
    };
    let Ok(mut trial) = Box::pin(course.begin()).await? else {
        return Ok(Vec::new());
    };
    let repeatables = std::mem::take(&mut set.repeatables);
    *trial.set() = set;
    if trial.go(Goal::Latest).await?.is_some() {
        trial.close().await?;
        return Ok(Vec::new());
    }
    let whole = Box::pin(whole::walk(course, trial, repeatables, None)).await?;
    let proofs = [Some(whole.proof), whole.second_tenant];
    let proofs = proofs.into_iter().flatten();
    Ok(proofs.flat_map(|proof| proof.findings).collect())
}

/// Divides what a proof found into older faults and others.
fn sort(proof: &mut Proof, older: &[Finding]) {
    let found = std::mem::take(&mut proof.findings);
    let verdict = std::mem::replace(&mut proof.verdict, Verdict::Exact);
    if found.is_empty() {
        proof.verdict = verdict;
    }
    for finding in found {
        let stage = finding.stage;
        let outcomes = older
            .iter()
            .filter(|known| is_like(known.stage, stage))
            .map(|known| &known.outcome);
        let (known, new) = divide(finding.outcome, &outcomes.collect::<Vec<_>>());
        let of = |outcome| Finding {
            stage,
            with_rows: finding.with_rows,
            outcome,
        };
        proof.older.extend(known.map(of));
        if let Some(new) = new {
            proof.add(of(new));
        }
    }
    if proof.findings.is_empty() && !proof.older.is_empty() {
        proof.verdict = Verdict::NotJudged;
    }
}

/// With the last migration the repeatables come once more.
fn is_like(known: Stage, stage: Stage) -> bool {
    known == stage || (known, stage) == (Stage::RepeatablesAgain, Stage::UpAgain)
}

/// What is known of an outcome, and what is not.
fn divide(outcome: Outcome, known: &[&Outcome]) -> (Option<Outcome>, Option<Outcome>) {
    let Outcome::Differs { differences } = outcome else {
        let text = outcome.to_string();
        let is_known = known.iter().any(|known| known.to_string() == text);
        return if is_known {
            (Some(outcome), None)
        } else {
            (None, Some(outcome))
        };
    };
    let (old, new): (Vec<_>, Vec<_>) = differences.into_iter().partition(|difference| {
        known.iter().any(|known| {
            matches!(known, Outcome::Differs { differences } if differences.contains(difference))
        })
    });
    let some =
        |differences: Vec<_>| (!differences.is_empty()).then_some(Outcome::Differs { differences });
    (some(old), some(new))
}
