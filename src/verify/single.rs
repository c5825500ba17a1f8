//! Each migration by itself: a range of them, on one database.

use std::sync::Arc;

use super::{
    Outcome, Proof, Stage, Verdict, VerifyError,
    course::Course,
    seed::{Seeds, Told},
    stands::Stands,
    trial::Trial,
    way::{Ends, Way},
};
use crate::{
    migration::{Migration, Version},
    structure::{Change, Difference, Kind, ObjectKey, Snapshot, diff},
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
    /// The schema at the last version, where all of them came up.
    pub(super) trial: Option<Trial<'a>>,
}

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
                self.up(trial, migration, way).await?
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

    /// A migration that is not judged; the proof tells only where that fails.
    async fn up(
        &mut self,
        mut trial: Trial<'a>,
        migration: &Migration,
        way: Way,
    ) -> Result<(Option<Proof>, Option<(Trial<'a>, Snapshot)>), VerifyError> {
        if let Some(outcome) = trial.go(way.up()).await? {
            let mut proof = Proof::of(migration);
            proof.found(Stage::Up, outcome);
            trial.close().await?;
            return Ok((Some(proof), None));
        }
        let left = trial.snapshot().await?;
        Ok((None, Some((trial, left))))
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
        let copy = match (&migration.down, &self.seeds) {
            (None, Some(_)) => Some(trial.copy().await?),
            _ => None,
        };
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
            }
            return Ok((Some(proof), Some((trial, left))));
        }
        let ends = Ends {
            before,
            after: &left,
        };
        let trial = Box::pin(self.back_and_up(trial, way, ends, &mut proof)).await?;
        Ok((Some(proof), trial.map(|trial| (trial, left))))
    }

    /// Down, with rows up and down, and up again. The schema at the end of the way; none where it cannot be had any more.
    async fn back_and_up(
        &mut self,
        mut trial: Trial<'a>,
        way: Way,
        ends: Ends<'_>,
        proof: &mut Proof,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        // What a faulty way back leaves behind must not be laid at the next one's door.
        if let Some(outcome) = trial.go(way.back()).await? {
            proof.found(Stage::Down, outcome);
            return self.anew(trial, Some(way.to)).await;
        }
        proof.compare(Stage::Down, ends.before, &trial.snapshot().await?);
        if proof.findings.is_empty()
            && let Some(seeds) = &mut self.seeds
        {
            proof.drops = dropped(&diff(ends.before, ends.after), ends.after);
            if !Box::pin(way.with_rows(&mut trial, ends, seeds, proof)).await? {
                let Some(again) = self.anew(trial, way.from).await? else {
                    return Ok(None);
                };
                trial = again;
            }
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
            self.tell(index, is_told.then(|| Proof::not_tried(migration)));
        }
    }
}

/// The columns that a way up adds to tables that are there before it: what is written to them goes with the way back. Where it
/// takes another column of the table away, it may have been a change of name.
fn dropped(differences: &[Difference], after: &Snapshot) -> Vec<String> {
    let columns = |change: fn(&Change) -> bool| {
        differences
            .iter()
            .filter(move |d| d.object.kind == Kind::Column && change(&d.change))
            .map(|difference| &difference.object)
    };
    let in_table = |column: &ObjectKey| {
        let table = ObjectKey {
            kind: Kind::Table,
            table: None,
            name: column.table.clone().unwrap_or_default(),
        };
        after.get(&table).is_some()
    };
    let is_written = |column: &ObjectKey| {
        let properties = after.get(column);
        properties.is_some_and(|properties| !properties.contains_key("generated"))
    };
    let is_renamed = |column: &ObjectKey| {
        columns(|change| *change == Change::Missing).any(|gone| gone.table == column.table)
    };
    columns(|change| *change == Change::Added)
        .filter(|column| in_table(column) && is_written(column) && !is_renamed(column))
        .map(ToString::to_string)
        .collect()
}
