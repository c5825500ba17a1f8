//! What drifted, for people.

use std::collections::BTreeMap;

use crate::{
    cli::{
        human,
        paint::Paint,
        report::name,
        trip::{targets, things},
    },
    drift::{Cluster, GroupReport, Report},
    fleet::Fleet,
    migration::Scope,
    tenant::Target,
};

/// So much is shown of anything, unless all is asked for.
#[derive(Clone, Copy)]
struct Shown {
    clusters: usize,
    names: usize,
    lines: usize,
}

const SOME: Shown = Shown {
    clusters: 10,
    names: 5,
    lines: 10,
};

const ALL: Shown = Shown {
    clusters: usize::MAX,
    names: usize::MAX,
    lines: usize::MAX,
};

/// A line for each group, below it what is odd, then what was not looked at.
pub(super) fn report(report: &Report, fleet: &Fleet, all: bool, paint: Paint) -> String {
    let shown = if all { ALL } else { SOME };
    let mut lines = Vec::new();
    for group in &report.groups {
        lines.push(heading(group, paint));
        lines.extend(
            group
                .why
                .iter()
                .map(|why| paint.faint(format!("  as {why}"))),
        );
        for cluster in group.odd.iter().take(shown.clusters) {
            let names = names(&cluster.targets, fleet, shown.names);
            lines.push(format!("  {}", paint.bad(names)));
            lines.extend(differences(cluster, shown.lines));
        }
        let more = group.odd.iter().skip(shown.clusters);
        let more: usize = more.map(|cluster| cluster.targets.len()).sum();
        if more > 0 {
            let more = targets(group.scope, more);
            lines.push(format!("  and {more} that differ otherwise: -v shows all"));
        }
        let by_kind = group.told_by_kind();
        if by_kind > 0 {
            let clusters = human::count(by_kind, "cluster is", "clusters are");
            lines.push(paint.caution(format!(
                "  {clusters} told by kind only: at most {} of a group are looked at exactly, and none that is locked",
                Report::EXACT
            )));
        }
    }
    if report.groups.is_empty() {
        lines.push("nothing was looked at".to_owned());
    }
    lines.extend(not_looked(report, fleet, shown, paint));
    lines.join("\n")
}

fn heading(group: &GroupReport, paint: Paint) -> String {
    let what = match group.scope {
        Scope::Shared => "shared schema",
        Scope::Tenant => "tenants",
    };
    let place = match (&group.version, &group.name) {
        (Some(version), Some(name)) => format!("{what} at {version} ({name})"),
        _ => format!("{what} with nothing applied"),
    };
    let should = match group.by_majority {
        true => "as most of them",
        false => "as the history makes them",
    };
    let (count, drifted) = (group.count(), group.drifted());
    let said = match drifted {
        0 => paint.good(format!("{} {should}", human::number(count))),
        _ => paint.bad(format!(
            "{} of {} not {should}",
            human::number(drifted),
            human::number(count)
        )),
    };
    format!("{}: {said}", paint.strong(place))
}

fn differences(cluster: &Cluster, lines: usize) -> Vec<String> {
    let words = cluster.words();
    let more = words.len().saturating_sub(lines);
    let shown = words.iter().take(lines);
    let mut shown: Vec<_> = shown.map(|words| format!("    {words}")).collect();
    if more > 0 {
        shown.push(format!("    and {more} more: -v shows all"));
    }
    shown
}

fn names(targets: &[Target], fleet: &Fleet, most: usize) -> String {
    let shown: Vec<_> = targets.iter().take(most).map(|t| name(t, fleet)).collect();
    let shown = shown.join(", ");
    match targets.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {} more", human::number(more)),
    }
}

fn not_looked(report: &Report, fleet: &Fleet, shown: Shown, paint: Paint) -> Vec<String> {
    let mut by_reason: BTreeMap<(&str, Scope), Vec<Target>> = BTreeMap::new();
    for not in &report.not_looked {
        let of_reason = by_reason.entry((&not.why, not.scope)).or_default();
        of_reason.push(not.target.clone());
    }
    let lines = by_reason.into_iter().map(|((why, scope), targets)| {
        let names = names(&targets, fleet, shown.names);
        let label = format!("{} not looked at:", things(scope));
        paint.caution(format!("{label} {names}: {why}"))
    });
    lines.collect()
}
