//! What drifted, for programs.

use serde::Serialize;

use crate::{
    cli::report::json::{TargetJson, target},
    drift::{Cluster, GroupReport, NotLooked, Report},
    migration::{Checksum, Scope, Version},
    structure::{Difference, Kind},
};

#[derive(Serialize)]
pub(super) struct ReportJson<'a> {
    /// How many schemas were looked at.
    looked_at: usize,
    /// How many of them are not as they should be.
    drifted: usize,
    groups: Vec<GroupJson<'a>>,
    not_looked_at: Vec<NotLookedJson<'a>>,
}

#[derive(Serialize)]
struct GroupJson<'a> {
    scope: Scope,
    version: Option<Version>,
    name: Option<&'a str>,
    /// The major version of PostgreSQL.
    postgres: i32,
    /// `history` or `majority`.
    reference: &'static str,
    /// Why it is the majority, where that was not asked for.
    why: Option<&'a str>,
    count: usize,
    same: usize,
    /// How many of the clusters were not looked at exactly.
    told_by_kind: usize,
    clusters: Vec<ClusterJson<'a>>,
}

#[derive(Serialize)]
struct ClusterJson<'a> {
    count: usize,
    targets: Vec<TargetJson<'a>>,
    fingerprint: String,
    kinds: &'a [Kind],
    /// None where the schemas were not looked at exactly.
    differences: Option<Vec<DifferenceJson<'a>>>,
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    message: String,
    object: &'a crate::structure::ObjectKey,
    change: &'a crate::structure::Change,
}

#[derive(Serialize)]
struct NotLookedJson<'a> {
    target: TargetJson<'a>,
    scope: Scope,
    message: &'a str,
}

/// All of it.
pub(super) fn report(report: &Report) -> ReportJson<'_> {
    ReportJson {
        looked_at: report.groups.iter().map(GroupReport::count).sum(),
        drifted: report.drifted(),
        groups: report.groups.iter().map(group).collect(),
        not_looked_at: report.not_looked.iter().map(not_looked).collect(),
    }
}

fn group(group: &GroupReport) -> GroupJson<'_> {
    GroupJson {
        scope: group.scope,
        version: group.version,
        name: group.name.as_deref(),
        postgres: group.postgres,
        reference: group.reference(),
        why: group.why.as_deref(),
        count: group.count(),
        same: group.same.len(),
        told_by_kind: group.told_by_kind(),
        clusters: group.odd.iter().map(cluster).collect(),
    }
}

fn cluster(cluster: &Cluster) -> ClusterJson<'_> {
    let differences = cluster.differences.as_ref();
    ClusterJson {
        count: cluster.targets.len(),
        targets: cluster.targets.iter().map(target).collect(),
        fingerprint: Checksum::from(cluster.fingerprint).to_string(),
        kinds: &cluster.kinds,
        differences: differences.map(|all| all.iter().map(difference).collect()),
    }
}

fn difference(difference: &Difference) -> DifferenceJson<'_> {
    DifferenceJson {
        message: difference.to_string(),
        object: &difference.object,
        change: &difference.change,
    }
}

fn not_looked(not: &NotLooked) -> NotLookedJson<'_> {
    NotLookedJson {
        target: target(&not.target),
        scope: not.scope,
        message: &not.why,
    }
}
