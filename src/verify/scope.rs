//! One scope: the migrations by themselves, in ranges; then paths, the whole set and a second tenant.
//!
//! What is found must not depend on how many databases are worked on at once: the ranges are the same for one.

use std::collections::BTreeSet;

use futures::future::{try_join, try_join_all};

use super::{
    Outcome, Proof, ScopeReport, VerifyError,
    course::Course,
    paths::{self, Known},
    seed::Told,
    single::{self, Range, Walked},
    stands::Stands,
    trial::Trial,
    whole::whole,
};
use crate::migration::{Scope, Version};

/// A set is cut into so many ranges at most, since each has to be brought up first.
const RANGES: usize = 4;

/// A range has so many migrations at least.
const RANGE: usize = 16;

/// Judges one scope.
pub(super) async fn scope(course: &Course<'_>) -> Result<ScopeReport, VerifyError> {
    let judged = judge(course).await;
    let ended = course.end().await;
    let report = judged?;
    ended?;
    Ok(report)
}

async fn judge(course: &Course<'_>) -> Result<ScopeReport, VerifyError> {
    let mut report = ScopeReport::new(course.scope);
    let judged = course.migrations.iter().filter(|m| course.judges(m));
    report.taken_for_granted = course.below + course.migrations.len() - judged.count();
    report.paths_left_out = course.paths_left_out();
    if let Some(since) = course.request.since {
        let directories = &course.request.settings.migrations;
        report.deleted = since.deleted_from(match course.scope {
            Scope::Shared => &directories.shared,
            Scope::Tenant => &directories.tenant,
        });
    }
    if !course.is_needed() {
        pass(course, course.first_turn);
        return Ok(report);
    }
    let singles = try_join_all(
        ranges(course)
            .into_iter()
            .map(|range| Box::pin(single(course, range))),
    );
    let singles = Singles::of(singles.await?);
    report.migrations = singles.proofs;
    report.not_begun = singles.not_begun;
    report.rows = (course.request.rows > 0).then(|| Told::sum(singles.told));
    report.older_faults = singles.older_faults.into_iter().collect();
    let Some(trial) = singles.trial else {
        pass(course, course.path_turn());
        return Ok(report);
    };
    let known = known(course, &singles.stands, &report);
    let top = Box::pin(async {
        let _permit = course.permit().await;
        whole(course, trial, &known, course.whole_turn()).await
    });
    let (whole, paths) = try_join(top, Box::pin(paths(course, &known))).await?;
    report.paths = paths;
    report.back_to = whole.back_to;
    report.left_in_place = whole.left_in_place;
    report.whole = Some(whole.proof);
    report.second_tenant = whole.second_tenant;
    Ok(report)
}

async fn single<'a>(course: &Course<'a>, range: Range<'_>) -> Result<Walked<'a>, VerifyError> {
    let _permit = course.permit().await;
    single::walk(course, range).await
}

async fn paths(course: &Course<'_>, known: &Known<'_>) -> Result<Vec<Proof>, VerifyError> {
    let mut turn = course.path_turn();
    let strides = course.strides().into_iter().map(|stride| {
        let first = turn;
        turn += stride.paths;
        Box::pin(async move {
            let _permit = course.permit().await;
            paths::walk(course, known, stride, first).await
        })
    });
    let strides: Vec<_> = strides.collect();
    Ok(try_join_all(strides).await?.into_iter().flatten().collect())
}

/// Nothing is told at this turn of the scope and those after it.
fn pass(course: &Course<'_>, from: usize) {
    (from..course.next_turn()).for_each(|turn| course.turns.pass(turn));
}

/// The migrations, cut into ranges of the same length.
fn ranges<'b>(course: &Course<'b>) -> Vec<Range<'b>> {
    let migrations = course.migrations;
    let length = match course.is_alone {
        true => migrations.len(),
        false => migrations
            .len()
            .div_ceil((migrations.len() / RANGE).clamp(1, RANGES)),
    };
    let length = length.max(1);
    let mut ranges = Vec::new();
    for (number, chunk) in migrations.chunks(length).enumerate() {
        let below = (number * length).checked_sub(1);
        ranges.push(Range {
            from: below.map_or(course.base, |place| Some(migrations[place].version)),
            migrations: chunk,
            turn: course.first_turn + number * length,
        });
    }
    if ranges.is_empty() {
        ranges.push(Range {
            from: course.base,
            migrations,
            turn: course.first_turn,
        });
    }
    ranges
}

/// All ranges together.
struct Singles<'a> {
    proofs: Vec<Proof>,
    not_begun: Option<Outcome>,
    stands: Stands,
    told: Vec<Told>,
    older_faults: BTreeSet<Version>,
    /// The schema at the last version, where every up came up.
    trial: Option<Trial<'a>>,
}

impl<'a> Singles<'a> {
    fn of(ranges: Vec<Walked<'a>>) -> Self {
        let mut singles = Self {
            proofs: Vec::new(),
            not_begun: None,
            stands: Stands::default(),
            told: Vec::new(),
            older_faults: BTreeSet::new(),
            trial: None,
        };
        let is_whole = ranges.iter().all(|range| range.trial.is_some());
        for range in ranges {
            singles.proofs.extend(range.proofs);
            singles.not_begun = singles.not_begun.or(range.not_begun);
            singles.stands.extend(range.stands);
            singles.told.extend(range.told);
            singles.older_faults.extend(range.older_faults);
            singles.trial = range.trial.filter(|_| is_whole);
        }
        singles
    }
}

/// What the paths have to know of the migrations in them.
fn known<'b>(course: &Course<'_>, stands: &'b Stands, report: &ScopeReport) -> Known<'b> {
    let faulty = report.migrations.iter().filter(|proof| {
        let mut findings = proof.findings.iter();
        findings.any(|finding| !finding.with_rows)
    });
    let irreversible = course.migrations.iter().filter(|m| m.down.is_none());
    // No way leads further back than to the last of these.
    let mut floors: BTreeSet<Version> = irreversible.map(|m| m.version).collect();
    floors.extend(&report.older_faults);
    let floor = floors.last().copied();
    let mut one_way = floors;
    one_way.extend(faulty.filter_map(|proof| proof.version));
    Known {
        stands,
        one_way,
        floor,
    }
}
