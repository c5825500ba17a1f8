//! Changing what histories say without running a script: `baseline`, `force` and `repair`.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    Blocked, Standing,
    cohort::{Dirty, Place},
    histories::{Group, Histories},
};
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    migration::Scope,
    plan::{Amendment, Correction, Refusal, correct},
    store::{
        history::{self, How, Record},
        scripts,
    },
    tenant::{ShardName, Target},
};

/// What a correction of the record has come to.
#[derive(Debug, Clone, Default)]
pub struct Corrected {
    /// Targets whose history was changed.
    pub moved: Vec<Target>,
    /// Targets whose history says it already.
    pub current: usize,
    /// Targets that somebody else was at work on all the time.
    pub busy: Vec<Target>,
    /// Targets that somebody else moved meanwhile: left where they are now.
    pub skipped: Vec<Target>,
    /// Targets that were left out.
    pub blocked: Vec<Blocked>,
    /// Why nothing was changed, with the number of targets held up.
    pub refusals: Vec<(Refusal, usize)>,
}

impl Corrected {
    /// Whether every target's history says what it should.
    pub fn is_complete(&self) -> bool {
        let left = self.busy.len() + self.skipped.len() + self.blocked.len();
        left == 0 && self.refusals.is_empty()
    }

    /// Whether nothing is wrong but that somebody else was at work.
    pub fn is_only_busy(&self) -> bool {
        !self.is_complete() && self.blocked.is_empty() && self.refusals.is_empty()
    }
}

/// Corrects the histories of `standings`, all of the same scope. A refusal for any of them stops all.
pub async fn record<'a>(
    fleet: &Fleet,
    scope: Scope,
    standings: impl IntoIterator<Item = &'a Standing>,
    correction: Correction,
) -> Result<Corrected, FleetError> {
    let dirty = if correction.takes_dirty() {
        Dirty::Passes
    } else {
        Dirty::BlocksUnfinished
    };
    let mut histories = Histories::new(fleet, scope);
    let (groups, blocked) = histories.groups(standings, dirty).await?;
    let mut corrected = Corrected {
        blocked,
        ..Corrected::default()
    };
    let mut works = Vec::new();
    for Group {
        place,
        applied,
        targets,
    } in groups
    {
        let running = place.running.map(|running| running.version);
        let halfway = place.dirty.or(running);
        match correct(fleet.set(scope), &applied, halfway, correction) {
            Err(refusal) => corrected.refusals.push((refusal, targets.len())),
            Ok(amendment) if amendment.entries.is_empty() && halfway.is_none() => {
                corrected.current += targets.len();
            }
            Ok(amendment) => works.push((place, amendment, targets)),
        }
    }
    if corrected.refusals.is_empty() {
        let mut recorder = Recorder {
            fleet,
            histories,
            how: how(correction),
            corrected,
        };
        for (place, amendment, targets) in works {
            recorder.cohort(place, &amendment, targets).await?;
        }
        recorder.histories.close().await;
        return Ok(recorder.corrected);
    }
    histories.close().await;
    Ok(corrected)
}

fn how(correction: Correction) -> How {
    match correction {
        Correction::Baseline(_) => How::Baseline,
        Correction::Force(_) => How::Force,
        Correction::Accept(_) | Correction::Clear => How::Repair,
    }
}

/// So many schemas are moved, and locked, by one statement.
const SCHEMAS_A_STATEMENT: usize = 200;

/// So long is waited before busy schemas are tried again.
const PAUSE: Duration = Duration::from_millis(100);

struct Recorder<'a> {
    fleet: &'a Fleet,
    histories: Histories<'a>,
    how: How,
    corrected: Corrected,
}

impl Recorder<'_> {
    async fn cohort(
        &mut self,
        place: Place,
        amendment: &Amendment,
        targets: Vec<(Target, Head)>,
    ) -> Result<(), FleetError> {
        let record = Record {
            from: place.digest,
            dirty: place.dirty,
            entries: &amendment.entries,
            version: amendment.version,
            to: amendment.digest,
            how: self.how,
            who: &self.fleet.limits.who,
        };
        let mut by_shard: BTreeMap<ShardName, BTreeMap<u32, Target>> = BTreeMap::new();
        for (target, head) in targets {
            by_shard
                .entry(target.shard.clone())
                .or_default()
                .insert(head.schema_oid, target);
        }
        for (shard, targets) in by_shard {
            let session = self.histories.session(&shard).await?;
            let texts = amendment.scripts.iter().map(AsRef::as_ref);
            scripts::put(session.connection(), texts).await?;
            self.shard(&shard, &record, targets).await?;
        }
        Ok(())
    }

    /// Moves the schemas of one shard, and comes back to the busy ones until patience ends.
    async fn shard(
        &mut self,
        shard: &ShardName,
        record: &Record<'_>,
        mut targets: BTreeMap<u32, Target>,
    ) -> Result<(), FleetError> {
        let start = Instant::now();
        loop {
            let oids: Vec<u32> = targets.keys().copied().collect();
            let mut busy = HashSet::new();
            for chunk in oids.chunks(SCHEMAS_A_STATEMENT) {
                let session = self.histories.session(shard).await?;
                let recorded = history::record(session.connection(), chunk, record).await?;
                let moved = recorded.moved.iter().filter_map(|oid| targets.remove(oid));
                self.corrected.moved.extend(moved);
                busy.extend(recorded.busy);
            }
            let moved_on;
            (targets, moved_on) = targets.into_iter().partition(|(oid, _)| busy.contains(oid));
            self.corrected
                .skipped
                .extend::<Vec<_>>(BTreeMap::<u32, Target>::into_values(moved_on).collect());
            if targets.is_empty() || start.elapsed() >= self.fleet.limits.busy_wait {
                self.corrected.busy.extend(targets.into_values());
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
