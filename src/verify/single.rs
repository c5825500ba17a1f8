//! Each migration by itself: a range of them, on one database.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Finding, Outcome, Proof, Stage, Verdict, VerifyError,
    course::Course,
    held::Held,
    roles,
    seed::{Catalog, Seeds, Told},
    stands::Stands,
    trial::Trial,
    way::{Ends, Way},
    widened::{dropped, widened},
};
use crate::{
    migration::{Migration, Version},
    plan::Refusal,
    structure::{Snapshot, diff},
};

/// Some migrations that follow each other.
pub(super) struct Range<'a> {
    /// The version below them.
    pub(super) from: Option<Version>,
    pub(super) migrations: &'a [Arc<Migration>],
    /// The turn of the first of them.
    pub(super) turn: usize,
}

/// What came of a range.
#[derive(Default)]
pub(super) struct Walked<'a> {
    pub(super) proofs: Vec<Proof>,
    /// What was wrong with the shared set, before anything was tried.
    pub(super) not_begun: Option<Outcome>,
    pub(super) stands: Stands,
    pub(super) told: Option<Told>,
    /// Those that are not judged and whose way back is faulty.
    pub(super) older_faults: BTreeSet<Version>,
    /// The schema at the last version, where all of them came up.
    pub(super) trial: Option<Trial<'a>>,
}

/// A way, what is at its ends, and what is held at its beginning.
type Road<'a> = (Way, Ends<'a>, Option<(Catalog, Held)>);

/// One range at work.
struct Walk<'a, 'b> {
    course: &'b Course<'a>,
    range: Range<'b>,
    seeds: Option<Seeds>,
    walked: Walked<'a>,
}

/// Takes each migration of a range up, down and up again.
pub(super) async fn walk<'a>(
    course: &Course<'a>,
    range: Range<'_>,
) -> Result<Walked<'a>, VerifyError> {
    let seeds = course.seeds();
    let mut walk = Walk {
        course,
        range,
        seeds,
        walked: Walked::default(),
    };
    match walk.begin().await? {
        Some(trial) => walk.run(trial).await?,
        None => walk.rest_not_tried(0),
    }
    walk.walked.told = walk.seeds.as_ref().map(Seeds::told);
    Ok(walk.walked)
}

impl<'a> Walk<'a, '_> {
    async fn begin(&mut self) -> Result<Option<Trial<'a>>, VerifyError> {
        if self.range.from.is_some() {
            return self.course.rebuild(self.range.from).await;
        }
        match self.course.begin().await? {
            Ok(trial) => Ok(Some(trial)),
            Err(outcome) => {
                self.walked.not_begun = Some(outcome);
                Ok(None)
            }
        }
    }

    async fn run(&mut self, mut trial: Trial<'a>) -> Result<(), VerifyError> {
        let mut before = trial.snapshot().await?;
        let mut from = self.range.from;
        self.walked.stands = Stands::new(from, before.clone());
        let migrations = self.range.migrations;
        for (index, migration) in migrations.iter().enumerate() {
            let way = Way {
                from,
                to: migration.version,
            };
            let (proof, next) = if self.course.judges(migration) {
                Box::pin(self.one(trial, migration, way, &before)).await?
            } else {
                Box::pin(self.unjudged(trial, migration, (way, &before))).await?
            };
            self.tell(index, proof);
            let Some((next, left)) = next else {
                self.rest_not_tried(index + 1);
                return Ok(());
            };
            self.walked.stands.add(migration.version, &before, &left);
            (trial, before, from) = (next, left, Some(migration.version));
        }
        self.walked.trial = Some(trial);
        Ok(())
    }

    /// A migration that is not judged; the proof tells only where its up fails. Whether its way back leads back has to be known
    /// all the same, or those that are judged would be blamed for it.
    async fn unjudged(
        &mut self,
        mut trial: Trial<'a>,
        migration: &Migration,
        (way, before): (Way, &Snapshot),
    ) -> Result<(Option<Proof>, Option<(Trial<'a>, Snapshot)>), VerifyError> {
        if let Some(outcome) = trial.go(way.up()).await? {
            let mut proof = Proof::of(migration);
            proof.found(Stage::Up, outcome);
            trial.close().await?;
            return Ok((Some(proof), None));
        }
        let left = trial.snapshot().await?;
        let leads_back = migration.down.is_none()
            || trial.go(way.back()).await?.is_none()
                && trial.snapshot().await? == *before
                && trial.go(way.up()).await?.is_none()
                && trial.snapshot().await? == left;
        if leads_back {
            return Ok((None, Some((trial, left))));
        }
        self.walked.older_faults.insert(way.to);
        let trial = self.anew(trial, Some(way.to)).await?;
        Ok((None, trial.map(|trial| (trial, left))))
    }

    /// One migration by itself, with a schema at its version and what its up left, where that is to be had.
    async fn one(
        &mut self,
        mut trial: Trial<'a>,
        migration: &Migration,
        way: Way,
        before: &Snapshot,
    ) -> Result<(Option<Proof>, Option<(Trial<'a>, Snapshot)>), VerifyError> {
        let mut proof = Proof::of(migration);
        // A role that the one makes is in the way of the other.
        let makes_roles = migration.down.is_none() && roles::are_in(&migration.up);
        let copy = match (&migration.down, &self.seeds) {
            (None, Some(_)) if !makes_roles => Some(trial.copy().await?),
            _ => None,
        };
        let held = self.held(&mut trial, migration).await?;
        if let Some(outcome) = trial.go(way.up()).await? {
            proof.found(Stage::Up, outcome);
            trial.close().await?;
            if let Some(copy) = copy {
                copy.close().await?;
            }
            return Ok((Some(proof), None));
        }
        let left = trial.snapshot().await?;
        if migration.down.is_none() {
            proof.verdict = Verdict::Irreversible;
            if let (Some(mut copy), Some(seeds)) = (copy, &mut self.seeds) {
                way.up_with_rows(&mut copy, &left, seeds, &mut proof)
                    .await?;
                copy.close().await?;
            } else if makes_roles && self.seeds.is_some() {
                let trial = self
                    .one_way_with_rows(trial, way, &left, &mut proof)
                    .await?;
                return Ok((Some(proof), trial.map(|trial| (trial, left))));
            }
            return Ok((Some(proof), Some((trial, left))));
        }
        let ends = Ends {
            before,
            after: &left,
        };
        let road = (way, ends, held);
        let trial = Box::pin(self.back_and_up(trial, road, &mut proof)).await?;
        Ok((Some(proof), trial.map(|trial| (trial, left))))
    }

    /// What the schema holds before a way that leads back: what earlier migrations wrote, as long as it is there.
    async fn held(
        &self,
        trial: &mut Trial<'a>,
        migration: &Migration,
    ) -> Result<Option<(Catalog, Held)>, VerifyError> {
        if self.seeds.is_none() || migration.down.is_none() {
            return Ok(None);
        }
        let catalog = trial.catalog().await?;
        let held = trial.held(&catalog).await?;
        Ok((!held.is_nothing()).then_some((catalog, held)))
    }

    /// Up with rows, where both cannot be done beside each other; the schema at the end of the way without them.
    async fn one_way_with_rows(
        &mut self,
        trial: Trial<'a>,
        way: Way,
        left: &Snapshot,
        proof: &mut Proof,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        let Some(mut trial) = self.anew(trial, way.from).await? else {
            return Ok(None);
        };
        if let Some(seeds) = &mut self.seeds {
            way.up_with_rows(&mut trial, left, seeds, proof).await?;
        }
        self.anew(trial, Some(way.to)).await
    }

    /// Down, with rows up and down, and up again. The schema at the end of the way; none where it cannot be had any more.
    async fn back_and_up(
        &mut self,
        mut trial: Trial<'a>,
        (way, ends, held): Road<'_>,
        proof: &mut Proof,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        // What a faulty way back leaves behind must not be laid at the next one's door.
        if let Some(outcome) = trial.go(way.back()).await? {
            proof.found(Stage::Down, outcome);
            return self.anew(trial, Some(way.to)).await;
        }
        proof.compare(Stage::Down, ends.before, &trial.snapshot().await?);
        if proof.findings.is_empty() && self.seeds.is_some() {
            proof.drops = dropped(&diff(ends.before, ends.after), ends.after);
            proof.widens = widened(ends.before, ends.after);
            let rows = self.with_rows(trial, (way, ends, held), proof);
            let Some(again) = Box::pin(rows).await? else {
                return Ok(None);
            };
            trial = again;
        }
        let found = proof.findings.len();
        let is_back = proof.findings.iter().all(|finding| finding.with_rows);
        match trial.go(way.up()).await? {
            Some(outcome) => proof.found(Stage::UpAgain, outcome),
            None => proof.compare(Stage::UpAgain, ends.after, &trial.snapshot().await?),
        }
        if is_back && proof.findings.len() == found {
            return Ok(Some(trial));
        }
        self.anew(trial, Some(way.to)).await
    }

    /// Up and down with rows, those that earlier migrations wrote and others. The schema at the beginning of the way; none where
    /// it cannot be had any more.
    async fn with_rows(
        &mut self,
        mut trial: Trial<'a>,
        (way, ends, held): Road<'_>,
        proof: &mut Proof,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        let mut losses = Vec::new();
        if let Some((catalog, held)) = &held {
            let now = trial.held(catalog).await?;
            losses = held.lost(&now, ends.after, (catalog, &BTreeSet::new()));
        }
        let is_damaged = !losses.is_empty();
        if is_damaged {
            let Some(again) = self.anew(trial, way.from).await? else {
                return Ok(None);
            };
            trial = again;
        }
        let is_back = match &mut self.seeds {
            Some(seeds) => Box::pin(way.with_rows(&mut trial, ends, seeds, proof)).await?,
            None => true,
        };
        let is_lost = |finding: &Finding| matches!(finding.outcome, Outcome::Loses { .. });
        if is_damaged && !proof.findings.iter().any(is_lost) {
            proof.add(Finding::with_rows(Stage::Down, Outcome::Loses { losses }));
        }
        if is_back && !is_damaged {
            return Ok(Some(trial));
        }
        self.anew(trial, way.from).await
    }

    /// Another schema, brought to a version by ups alone.
    async fn anew(
        &self,
        trial: Trial<'a>,
        version: Option<Version>,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        trial.close().await?;
        self.course.rebuild(version).await
    }

    fn tell(&mut self, index: usize, proof: Option<Proof>) {
        let turn = self.range.turn + index;
        match proof {
            Some(proof) => {
                self.course.turns.tell(turn, self.course.scope, &proof);
                self.walked.proofs.push(proof);
            }
            None => self.course.turns.pass(turn),
        }
    }

    fn rest_not_tried(&mut self, index: usize) {
        let migrations = self.range.migrations;
        for (index, migration) in migrations.iter().enumerate().skip(index) {
            let is_told = self.walked.not_begun.is_none() && self.course.judges(migration);
            // What is refused whatever came before is known from the text alone.
            let proof = || match &migration.problems[..] {
                [] => Proof::not_tried(migration),
                problems => {
                    let mut proof = Proof::of(migration);
                    proof.found(Stage::Up, Refusal::Problems(problems.to_vec()).into());
                    proof
                }
            };
            self.tell(index, is_told.then(proof));
        }
    }
}
