//! From fingerprints to what differs: equal ones are equal, of the others one each is looked at exactly.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Cluster, Course, Group, GroupReport, Groups, NotLooked, Report,
    cluster::{Alike, cluster},
    reference::Basis,
    sweep::{said, sweep},
};
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    postgres::Session,
    store::{
        drifted::{self, Found, News},
        heads,
    },
    structure::{Fingerprint, Looked, Snapshot, Structure, diff, snapshot_at_once},
    tenant::{ShardName, Target},
    travel::Survey,
};

/// So many members of a cluster are tried to be looked at, as any of them may be locked.
const MEMBERS: usize = 3;

/// What is said of a schema that somebody works on.
const MOVED: &str = "it was moved while it was looked at";

/// So many lines of a difference are noted.
const NOTED: usize = 20;

/// Looks at all schemas of `groups` and says which are not as they should be, and in what. A group without a reference is
/// compared with its majority. What is moved meanwhile is left out.
///
/// What was not looked at, as `course` was stopped, is told.
///
/// # Errors
/// It cannot be asked any more where the fleet stands.
pub async fn compare(
    fleet: &Fleet,
    groups: Groups,
    course: Course<'_>,
) -> Result<Report, FleetError> {
    let targets = groups.groups.iter().flat_map(|group| &group.targets);
    let heads: BTreeMap<Target, Head> = targets.cloned().collect();
    let oids = heads
        .iter()
        .map(|(target, head)| (target.clone(), head.schema_oid));
    let mut looked = sweep(fleet, oids, course).await;
    leave_out_moved(fleet, &heads, &mut looked).await?;
    let mut report = Report {
        groups: Vec::new(),
        not_looked: groups.not_looked,
    };
    let mut eyes = Eyes {
        fleet,
        heads: &heads,
        sessions: BTreeMap::new(),
    };
    for group in groups.groups {
        let of_group = group.targets.iter().map(|(target, _)| {
            let looked = looked.remove(target);
            let stopped = || Err("it was not its turn when this was stopped".to_owned());
            (target.clone(), looked.unwrap_or_else(stopped))
        });
        let (clusters, not) = cluster(of_group);
        let not = not.into_iter().map(|(target, why)| NotLooked {
            target,
            scope: group.scope,
            why,
        });
        report.not_looked.extend(not);
        if !clusters.is_empty() {
            report.groups.push(judge(&group, clusters, &mut eyes).await);
        }
    }
    for session in eyes.sessions.into_values() {
        session.close().await;
    }
    report.not_looked.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(report)
}

/// What has another place by now was not looked at where it was thought to be.
async fn leave_out_moved(
    fleet: &Fleet,
    heads: &BTreeMap<Target, Head>,
    looked: &mut BTreeMap<Target, Looked>,
) -> Result<(), FleetError> {
    let survey = Survey::take(fleet).await?;
    for standing in survey.shared.iter().chain(&survey.tenants) {
        // A shard that went away says nothing of what was seen before.
        if standing.away.is_some() {
            continue;
        }
        let now = standing.pinned.as_ref().filter(|pinned| pinned.is_intact());
        if let Some(looked) = looked.get_mut(&standing.target)
            && now.map(|pinned| &pinned.head) != heads.get(&standing.target)
        {
            *looked = Err(MOVED.to_owned());
        }
    }
    Ok(())
}

/// Notes in the home database which schemas are not as they should be, and forgets those that are again.
///
/// # Errors
/// The home database.
pub async fn note(fleet: &Fleet, report: &Report) -> Result<News, FleetError> {
    let mut found = Vec::new();
    for group in &report.groups {
        for cluster in &group.odd {
            let mut words = cluster.words();
            let more = words.len().saturating_sub(NOTED);
            words.truncate(NOTED);
            words.extend((more > 0).then(|| format!("and {more} more")));
            let summary = words.join("\n");
            found.extend(cluster.targets.iter().map(|target| Found {
                target,
                version: group.version.map(|version| version.to_string()),
                reference: group.reference(),
                fingerprint: cluster.fingerprint,
                summary: summary.clone(),
            }));
        }
    }
    let well: Vec<_> = report.groups.iter().flat_map(|group| &group.same).collect();
    let mut home = fleet.home().await?;
    let news = drifted::note(home.connection(), &found, &well, &fleet.shared_schema).await?;
    home.close().await;
    Ok(news)
}

async fn judge(group: &Group, mut clusters: Vec<Alike>, eyes: &mut Eyes<'_>) -> GroupReport {
    let (mut same, mut why) = (Vec::new(), None);
    let should = match &group.basis {
        Basis::History(structure) => Some(structure.clone()),
        basis => {
            why = match basis {
                Basis::Majority(why) => why.clone(),
                _ => Some("what their history makes is not known".to_owned()),
            };
            let most = clusters.remove(0);
            same.clone_from(&most.targets);
            match clusters.is_empty() {
                true => None,
                false => eyes.structure(most).await.map(Arc::new),
            }
        }
    };
    let mut odd: Vec<(Cluster, Option<Snapshot>)> = Vec::new();
    let mut exact = 0;
    for alike in clusters {
        let should = should.as_deref();
        if should.is_some_and(|should| should.fingerprint.digest() == alike.fingerprint.digest()) {
            same.extend(alike.targets);
            continue;
        }
        let seen = match exact {
            ..Report::EXACT => eyes.any_of(&alike.targets).await,
            _ => None,
        };
        exact += 1;
        let cluster = odd_one(alike, should, seen.as_ref());
        // The fingerprint was too careful.
        if cluster.differences.as_ref().is_some_and(Vec::is_empty) {
            same.extend(cluster.targets);
            continue;
        }
        let twin = odd
            .iter_mut()
            .find(|(_, other)| seen.is_some() && *other == seen);
        match twin {
            Some((twin, _)) => twin.targets.extend(cluster.targets),
            None => odd.push((cluster, seen)),
        }
    }
    same.sort();
    GroupReport {
        scope: group.scope,
        version: group.version(),
        name: group.name().map(str::to_owned),
        postgres: group.postgres,
        by_majority: !matches!(group.basis, Basis::History(_)),
        why,
        same,
        odd: odd.into_iter().map(|(cluster, _)| cluster).collect(),
    }
}

fn odd_one(alike: Alike, should: Option<&Structure>, seen: Option<&Snapshot>) -> Cluster {
    let nothing = Fingerprint::default();
    let expected = should.map_or(&nothing, |should| &should.fingerprint);
    Cluster {
        fingerprint: alike.fingerprint.digest(),
        kinds: expected.differing(&alike.fingerprint),
        targets: alike.targets,
        differences: should
            .zip(seen)
            .map(|(should, seen)| diff(&should.snapshot, seen)),
    }
}

/// Looks at single schemas, exactly.
struct Eyes<'a> {
    fleet: &'a Fleet,
    /// Where they were when their fingerprints were taken.
    heads: &'a BTreeMap<Target, Head>,
    sessions: BTreeMap<ShardName, Session>,
}

impl Eyes<'_> {
    /// All of what these schemas look like.
    async fn structure(&mut self, alike: Alike) -> Option<Structure> {
        let snapshot = self.any_of(&alike.targets).await?;
        Some(Structure {
            fingerprint: alike.fingerprint,
            snapshot,
        })
    }

    /// What one of these schemas looks like, which should all look the same; none where none can be read.
    async fn any_of(&mut self, targets: &[Target]) -> Option<Snapshot> {
        for target in targets.iter().take(MEMBERS) {
            match self.look(target).await {
                Ok(snapshot) => return Some(snapshot),
                Err(why) => tracing::debug!(%target, "cannot be looked at exactly: {why}"),
            }
        }
        None
    }

    async fn look(&mut self, target: &Target) -> Result<Snapshot, String> {
        let mut session = match self.sessions.remove(&target.shard) {
            Some(session) => session,
            None => {
                let shard = self.fleet.shards.get(&target.shard);
                let shard = shard.ok_or_else(|| "its shard is not configured".to_owned())?;
                let session = self.fleet.shard(shard).await;
                session.map_err(|error| error.to_string())?
            }
        };
        let seen = snapshot_at_once(session.connection(), &target.schema).await;
        let seen = seen.map_err(|error| said(&error));
        let now = heads::get(session.connection(), &target.schema).await;
        let now = now.map_err(|error| error.to_string())?;
        if now.as_ref().map(|pinned| &pinned.head) != self.heads.get(target) {
            return Err(MOVED.to_owned());
        }
        // After an error the connection may be of no more use.
        if seen.is_ok() {
            self.sessions.insert(target.shard.clone(), session);
        }
        seen
    }
}
