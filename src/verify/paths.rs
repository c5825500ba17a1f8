//! Several migrations at once, as a tenant gets them that was away for a while: what fails only in one transaction, or leaves
//! something else, is found here. Without rows: what an application or a backfill does to them in between is not done here.

use std::collections::BTreeSet;

use super::{
    Proof, Stage, Verdict, VerifyError, course::Course, stands::Stands, trial::Trial, way::Way,
};
use crate::migration::Version;

/// Paths of one length, one after the other, from the first migration to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stride {
    /// How many migrations a path has; the last one may have fewer.
    size: usize,
    /// How many there are.
    pub(super) paths: usize,
}

/// What is known of the migrations by themselves.
pub(super) struct Known<'a> {
    pub(super) stands: &'a Stands,
    /// Those whose way back is faulty, or that have none.
    pub(super) one_way: BTreeSet<Version>,
    /// The last one that is irreversible, or that is not judged and has a faulty way back.
    pub(super) floor: Option<Version>,
}

/// The lengths that are tried for so many migrations: 2, 4, 8 and so on, and all of them.
pub(super) fn strides(migrations: usize) -> Vec<Stride> {
    let doubled = std::iter::successors(Some(2_usize), |size| size.checked_mul(2));
    let sizes = doubled.take_while(|size| *size < migrations);
    let all = (migrations > 1).then_some(migrations);
    sizes
        .chain(all)
        .map(|size| Stride {
            size,
            // One migration alone is no path.
            paths: migrations / size + usize::from(migrations % size > 1),
        })
        .collect()
}

/// One stride at work.
struct Walk<'a, 'b> {
    course: &'b Course<'a>,
    known: &'b Known<'b>,
}

/// Takes all paths of a length up, back and up again. The first one has its turn at `turn`.
pub(super) async fn walk<'a>(
    course: &Course<'a>,
    known: &Known<'_>,
    stride: Stride,
    turn: usize,
) -> Result<Vec<Proof>, VerifyError> {
    let walk = Walk { course, known };
    let mut trial = course.rebuild(course.base).await?;
    let mut from = course.base;
    let mut proofs = Vec::with_capacity(stride.paths);
    let chunks = course.migrations.chunks(stride.size).take(stride.paths);
    for (place, chunk) in chunks.enumerate() {
        let Some(to) = chunk.last().map(|migration| migration.version) else {
            continue;
        };
        let leads_back = chunk.iter().all(|m| !known.one_way.contains(&m.version));
        let way = Way { from, to };
        let mut proof = Proof::path(&name(way));
        match trial {
            Some(at) => trial = Box::pin(walk.path(at, way, leads_back, &mut proof)).await?,
            None => proof.verdict = Verdict::NotTried,
        }
        if chunk.iter().any(|migration| course.judges(migration)) {
            course.turns.tell(turn + place, course.scope, &proof);
            proofs.push(proof);
        } else {
            course.turns.pass(turn + place);
        }
        from = Some(to);
    }
    if let Some(trial) = trial {
        trial.close().await?;
    }
    Ok(proofs)
}

impl<'a> Walk<'a, '_> {
    /// One path; a schema at its end, where that is to be had.
    async fn path(
        &self,
        mut trial: Trial<'a>,
        way: Way,
        leads_back: bool,
        proof: &mut Proof,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        let stands = self.known.stands;
        let (Some(before), Some(after)) = (stands.at(way.from), stands.at(Some(way.to))) else {
            proof.verdict = Verdict::NotTried;
            return Ok(Some(trial));
        };
        let up = (Stage::Up, way.up(), &after);
        let back = [
            (Stage::Down, way.back(), &before),
            (Stage::UpAgain, way.up(), &after),
        ];
        let legs = [up]
            .into_iter()
            .chain(back.into_iter().filter(|_| leads_back));
        for (stage, goal, expected) in legs {
            match trial.go(goal).await? {
                Some(outcome) => proof.found(stage, outcome),
                None => proof.compare(stage, expected, &trial.snapshot().await?),
            }
            if !proof.findings.is_empty() {
                trial.close().await?;
                return self.course.rebuild(Some(way.to)).await;
            }
        }
        Ok(Some(trial))
    }
}

fn name(way: Way) -> String {
    match way.from {
        Some(from) => format!("from {from} to {} at once", way.to),
        None => format!("from nothing to {} at once", way.to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_double_until_it_is_all_of_them() {
        let told = |migrations| -> Vec<(usize, usize)> {
            let strides = strides(migrations);
            strides.iter().map(|s| (s.size, s.paths)).collect()
        };
        assert_eq!(told(0), []);
        assert_eq!(told(1), []);
        assert_eq!(told(2), [(2, 1)]);
        assert_eq!(told(7), [(2, 3), (4, 2), (7, 1)]);
        assert_eq!(told(8), [(2, 4), (4, 2), (8, 1)]);
    }
}
