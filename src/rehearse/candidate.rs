//! Whom a rehearsal chooses from: tenants that something is pending for, how large they are and whom they look like.
//!
//! A shard that cannot be asked is noted, and holds nobody else up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    RehearseError,
    conduct::{Pending, Request},
    size::{named, sizes},
    words::counted,
};
use crate::{
    drift::{Course, Pace, sweep},
    fleet::Fleet,
    history::Head,
    tenant::{ShardName, Target},
};

/// A tenant for which something is pending.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) target: Target,
    pub(super) head: Head,
    /// Whom it is like.
    pub(super) likeness: Likeness,
    /// How large it is.
    pub(super) bytes: u64,
}

/// What tenants have in common for which one speaks for the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Likeness {
    /// They share a plan: the cohort's number.
    pub(super) cohort: usize,
    /// They share a server.
    pub(super) shard: ShardName,
    /// They share a structure; none where it could not be looked at.
    pub(super) fingerprint: Option<[u8; 32]>,
}

/// All that there is to choose from.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// How large the shared schemas are.
    pub(super) shared: BTreeMap<ShardName, u64>,
    /// Shards that could not be asked; none of their tenants is a candidate.
    pub(super) unwell: Vec<(ShardName, RehearseError)>,
    /// What the reader has to know.
    pub(super) notes: Vec<String>,
}

impl Found {
    /// All tenants that something is pending for.
    pub(super) async fn of(
        fleet: &Fleet,
        request: &Request<'_>,
        shared: &Pending,
        tenants: &Pending,
    ) -> Result<Self, RehearseError> {
        let mut found = Self::default();
        for (cohort, (_, targets)) in tenants.plans().enumerate() {
            found
                .candidates
                .extend(targets.iter().map(|(target, head)| Candidate {
                    target: target.clone(),
                    head: head.clone(),
                    likeness: Likeness {
                        cohort,
                        shard: target.shard.clone(),
                        fingerprint: None,
                    },
                    bytes: 0,
                }));
        }
        let shared = shared.plans().flat_map(|(_, targets)| targets);
        let targets = shared.map(|(target, _)| target);
        let targets = targets.chain(found.candidates.iter().map(|c| &c.target));
        let shards: BTreeSet<_> = targets.map(|target| target.shard.clone()).collect();
        let without = &request.allowed.without;
        let mut unknown: BTreeSet<_> = without.iter().cloned().collect();
        let mut is_any = false;
        for shard in shards {
            match found.measure(fleet, &shard, without).await {
                Ok(known) => {
                    is_any = true;
                    unknown.retain(|name| !known.contains(name));
                }
                Err(error) if error.is_of_one_shard() => {
                    found.candidates.retain(|c| c.target.shard != shard);
                    found.unwell.push((shard, error));
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(name) = unknown.pop_first().filter(|_| is_any) {
            return Err(RehearseError::NoTable(name));
        }
        found.look(fleet, request).await;
        Ok(found)
    }

    /// Sees how large the schemas of a shard are, and which of the names in `without` are tables there.
    async fn measure(
        &mut self,
        fleet: &Fleet,
        name: &ShardName,
        without: &[String],
    ) -> Result<Vec<String>, RehearseError> {
        let Some(shard) = fleet.shards.get(name) else {
            return Ok(Vec::new());
        };
        let mut here: Vec<_> = self
            .candidates
            .iter_mut()
            .filter(|c| c.target.shard == *name)
            .collect();
        let shared = [&fleet.shared_schema];
        let all = here.iter().map(|c| &c.target.schema).chain(shared);
        let all = all.chain(&fleet.limits.also_writes);
        let schemas: Vec<_> = all.map(|schema| schema.as_str().to_owned()).collect();
        let mut session = fleet.shard(shard).await?;
        let sizes = sizes(&mut session, &schemas).await?;
        let known = named(&mut session, &schemas, without).await?;
        session.close().await;
        let size = |schema: &str| sizes.get(schema).copied().unwrap_or_default();
        for candidate in &mut here {
            candidate.bytes = size(candidate.target.schema.as_str());
        }
        self.shared
            .insert(name.clone(), size(fleet.shared_schema.as_str()));
        Ok(known)
    }

    /// Sees which of them look the same, as far as there is time. Of the others nothing is known, and that is noted.
    async fn look(&mut self, fleet: &Fleet, request: &Request<'_>) {
        if self.candidates.is_empty() {
            return;
        }
        let oids = self.candidates.iter();
        let oids = oids.map(|c| (c.target.clone(), c.head.schema_oid));
        let course = Course {
            deadline: Some(Instant::now() + request.look),
            ..Course::new(Pace::Full, request.stop)
        };
        let mut looked = sweep(fleet, oids, course).await;
        let mut not: BTreeMap<String, u64> = BTreeMap::new();
        for candidate in &mut self.candidates {
            let late = || Err(late(request.look));
            match looked.remove(&candidate.target).unwrap_or_else(late) {
                Ok(seen) => candidate.likeness.fingerprint = Some(seen.digest()),
                Err(why) => *not.entry(why).or_default() += 1,
            }
        }
        self.notes.extend(not.into_iter().map(|(why, tenants)| {
            let tenants = counted(tenants, "tenant");
            format!(
                "the structure of {tenants} is not known, so that nobody was chosen by it: {why}"
            )
        }));
    }
}

fn late(look: Duration) -> String {
    format!(
        "looking may take {} s at most (`--look` gives it more time)",
        look.as_secs_f64()
    )
}
