//! The whole set: repeatables, all the way back and up again, and a second tenant beside the first.

use std::sync::Arc;

use super::{Proof, Stage, VerifyError, course::Course, older, paths::Known, trial::Trial};
use crate::{
    migration::{Repeatable, Scope, Version},
    plan::Goal,
    structure::{Change, Detail, Snapshot, diff},
};

/// What came of the whole set.
pub(super) struct Whole {
    pub(super) proof: Proof,
    /// The last migration whose way back is not tried: no way leads further back.
    pub(super) back_to: Option<Version>,
    /// How many repeatables stay on the way back.
    pub(super) left_in_place: usize,
    /// None in the shared scope, and where the first tenant has not come to the top.
    pub(super) second_tenant: Option<Proof>,
}

/// Takes a schema at the last version back and up again; its turn is `turn`, that of the second tenant the next one.
pub(super) async fn whole<'a>(
    course: &Course<'a>,
    trial: Trial<'a>,
    known: &Known<'_>,
    turn: usize,
) -> Result<Whole, VerifyError> {
    let repeatables = course.ground.fleet.set(course.scope).repeatables.clone();
    let mut whole = walk(course, trial, repeatables, Some(known)).await?;
    let proofs = [Some(&mut whole.proof), whole.second_tenant.as_mut()];
    older::take_out(course, proofs.into_iter().flatten().collect()).await?;
    course.turns.tell(turn, course.scope, &whole.proof);
    match &whole.second_tenant {
        Some(proof) => course.turns.tell(turn + 1, course.scope, proof),
        None => course.turns.pass(turn + 1),
    }
    Ok(whole)
}

/// The same, and nothing is told. Where nothing is known of the migrations, there is no way back.
pub(super) async fn walk<'a>(
    course: &Course<'a>,
    mut trial: Trial<'a>,
    repeatables: Vec<Arc<Repeatable>>,
    known: Option<&Known<'_>>,
) -> Result<Whole, VerifyError> {
    let mut whole = Whole {
        proof: Proof::named("the whole set"),
        back_to: known.and_then(|known| known.floor),
        left_in_place: repeatables.len(),
        second_tenant: None,
    };
    let bare = trial.snapshot().await?;
    trial.set().repeatables = repeatables;
    let top = match trial.go(Goal::Latest).await? {
        Some(outcome) => {
            whole.proof.found(Stage::Repeatables, outcome);
            None
        }
        None => Some(trial.snapshot().await?),
    };
    if let Some(top) = &top {
        whole.repeat(&mut trial, top).await?;
        let floor = whole.back_to.or(course.base);
        if let Some(stood) = known.and_then(|known| known.stands.at(floor)) {
            whole
                .there_and_back(&mut trial, floor, &stood, (&bare, top))
                .await?;
        }
    }
    if let (Scope::Tenant, Some(top)) = (course.scope, &top) {
        whole.second_tenant = Some(second_tenant(course, &mut trial, top).await?);
    }
    trial.close().await?;
    Ok(whole)
}

impl Whole {
    /// The repeatables once more, as after a change of their texts: that must change nothing.
    async fn repeat(&mut self, trial: &mut Trial<'_>, top: &Snapshot) -> Result<(), VerifyError> {
        if self.left_in_place == 0 {
            return Ok(());
        }
        let stage = Stage::RepeatablesAgain;
        match trial.repeat().await? {
            Some(outcome) => self.proof.found(stage, outcome),
            None => self.proof.compare(stage, top, &trial.snapshot().await?),
        }
        Ok(())
    }

    /// From the top (without repeatables, and with them) to as far back as it goes, and up again.
    async fn there_and_back(
        &mut self,
        trial: &mut Trial<'_>,
        floor: Option<Version>,
        stood: &Snapshot,
        (bare, top): (&Snapshot, &Snapshot),
    ) -> Result<(), VerifyError> {
        let back = floor.map_or(Goal::Empty, Goal::DownTo);
        if let Some(outcome) = trial.go(back).await? {
            self.proof.found(Stage::Down, outcome);
            return Ok(());
        }
        let mut differences = diff(stood, &trial.snapshot().await?);
        // The way back leaves the repeatables where they are.
        differences.retain(|d| {
            let of_repeatable = top.get(&d.object).is_some() && bare.get(&d.object).is_none();
            d.change != Change::Added || !of_repeatable
        });
        self.proof.differ(Stage::Down, differences);
        match trial.go(Goal::Latest).await? {
            Some(outcome) => self.proof.found(Stage::UpAgain, outcome),
            None => {
                let again = trial.snapshot().await?;
                self.proof.compare(Stage::UpAgain, top, &again);
            }
        }
        Ok(())
    }
}

/// Another tenant beside the first: a script that asks the catalog without naming its schema sees the other's tables.
async fn second_tenant(
    course: &Course<'_>,
    trial: &mut Trial<'_>,
    first: &Snapshot,
) -> Result<Proof, VerifyError> {
    let mut proof = Proof::named("a second tenant");
    let name = course.request.settings.tenant_name("verify_two")?;
    match trial.another(&name).await? {
        Ok(second) => {
            // Each may have roles of its own.
            let first = first.clone().reduced(Detail::STRUCTURE);
            proof.compare(Stage::SecondTenant, &first, &second);
        }
        Err(outcome) => proof.found(Stage::SecondTenant, outcome),
    }
    Ok(proof)
}
