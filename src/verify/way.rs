//! A way from one version to another, by one migration or several at once: there, back and there again, without rows and with
//! some.

use super::{Finding, Loss, Outcome, Proof, Stage, VerifyError, seed::Seeds, trial::Trial};
use crate::{
    migration::Version,
    plan::Goal,
    structure::{Snapshot, diff},
};

/// A way up, and back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Where it begins; none for nothing at all.
    pub(super) from: Option<Version>,
    /// Where it ends.
    pub(super) to: Version,
}

/// What a schema looks like at both ends of a way.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) after: &'a Snapshot,
}

impl Way {
    pub(super) fn up(self) -> Goal {
        Goal::UpTo(self.to)
    }

    pub(super) fn back(self) -> Goal {
        self.from.map_or(Goal::Empty, Goal::DownTo)
    }

    /// Up and back with rows in the tables, from the schema at the beginning. Whether the schema is there again, without them.
    pub(super) async fn with_rows(
        self,
        trial: &mut Trial<'_>,
        ends: Ends<'_>,
        seeds: &mut Seeds,
        proof: &mut Proof,
    ) -> Result<bool, VerifyError> {
        let planted = trial.plant(seeds).await?;
        let before = trial.held(&planted.catalog).await?;
        if let Some(outcome) = trial.go(self.up()).await? {
            proof.add(Finding::with_rows(Stage::Up, outcome));
            let is_back = trial.snapshot().await? == *ends.before;
            return Ok(is_back && trial.uproot(&planted).await?);
        }
        if !same(trial, Stage::Up, ends.after, proof).await? {
            return Ok(false);
        }
        // Tables that are new have rows on the way back, too.
        trial.plant_new(seeds, &planted).await?;
        if let Some(outcome) = trial.go(self.back()).await? {
            proof.add(Finding::with_rows(Stage::Down, outcome));
            return Ok(false);
        }
        if !same(trial, Stage::Down, ends.before, proof).await? {
            return Ok(false);
        }
        let now = trial.held(&planted.catalog).await?;
        let known = (&planted.catalog, &planted.empty);
        let losses = before.lost(&now, ends.after, known);
        let is_of_planted = |loss: &Loss| match loss {
            Loss::Rows { table, .. } | Loss::Values { table, .. } => planted.empty.contains(table),
            Loss::Numbers { .. } => false,
        };
        // What was made up is taken out anyway; what migrations wrote, the next ones need.
        let is_there = losses.iter().all(is_of_planted);
        if !losses.is_empty() {
            let outcome = Outcome::Loses { losses };
            proof.add(Finding::with_rows(Stage::Down, outcome));
        }
        Ok(is_there && trial.uproot(&planted).await?)
    }

    /// Up with rows in the tables, on a schema that is of no use afterwards.
    pub(super) async fn up_with_rows(
        self,
        trial: &mut Trial<'_>,
        after: &Snapshot,
        seeds: &mut Seeds,
        proof: &mut Proof,
    ) -> Result<(), VerifyError> {
        trial.plant(seeds).await?;
        match trial.go(self.up()).await? {
            Some(outcome) => proof.add(Finding::with_rows(Stage::Up, outcome)),
            None => {
                same(trial, Stage::Up, after, proof).await?;
            }
        }
        Ok(())
    }
}

/// Whether the schema looks as it should, though its tables have rows.
async fn same(
    trial: &mut Trial<'_>,
    stage: Stage,
    expected: &Snapshot,
    proof: &mut Proof,
) -> Result<bool, VerifyError> {
    let differences = diff(expected, &trial.snapshot().await?);
    if differences.is_empty() {
        return Ok(true);
    }
    let outcome = Outcome::Differs { differences };
    proof.add(Finding::with_rows(stage, outcome));
    Ok(false)
}
