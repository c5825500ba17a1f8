//! How runs end: written to `tenantry.runs` and `tenantry.attempts`, many at once.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;

use super::{StoreError, daemons::interval, freeze::number, runs::Of};
use crate::{
    history::{Digest, Head},
    postgres::{Answered, Connection},
};

/// How a run ended, or what became of the try.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its place in the wave.
    pub position: i32,
    /// What it is now.
    pub state: Now,
    /// Where the schema was found, where somebody else had moved it since it was planned or tried.
    pub found: Option<Place>,
    /// Where the rollout has left the schema; none where it has done nothing to it.
    pub left: Option<Place>,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// Where a schema stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The version.
    pub version: Option<String>,
    /// How many migrations are applied.
    pub applied: usize,
    /// The hash of these.
    pub digest: Digest,
}

impl Place {
    /// Where the schema of a head stands, so many migrations being applied in it.
    pub fn of(head: &Head, applied: usize) -> Self {
        Self {
            version: head.version.map(|version| version.to_string()),
            applied,
            digest: head.digest,
        }
    }
}

/// What went wrong with a run.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What the error asks us to do, in a word.
    pub fault: String,
    /// In words.
    pub error: String,
    /// Who was in the way.
    pub blocker: Option<String>,
}

/// What a run is after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// It came through.
    Done,
    /// It did not, and is not tried again.
    Failed,
    /// It is left alone: there is a reason not to begin it, and nothing went wrong.
    Skipped,
    /// Somebody may try again after this time; whether the try met a lock.
    Later(Duration, bool),
    /// It was not begun, and is to be after so long.
    Untouched(Duration),
}

impl Now {
    /// As it stands in the table.
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Later(..) | Self::Untouched(_) => "pending",
        }
    }
}

/// Writes how runs ended that this daemon has claimed. What another daemon has taken over meanwhile stays as that one finds it.
///
/// Nobody waits until that is on the disk. A server that forgets it has lost this daemon's connections, and claims as well: the
/// runs are begun again, and their histories tell what was done. Whatever is decided on them is written after them.
pub async fn report(
    connection: &mut Connection,
    of: Of,
    daemon: i64,
    outcomes: &[Outcome],
) -> Result<(), StoreError> {
    let columns = Columns::of(outcomes);
    sqlx::query(
        "with e as materialized (
             select * from unnest($4::integer[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::text[], $10::text[],
                                  $11::interval[], $12::boolean[], $13::boolean[], $14::bytea[], $15::text[],
                                  $16::integer[], $17::bytea[])
                  as e (position, state, version, applied, fault, error, blocker, pause, met, untouched, digest,
                        found_version, found_applied, found_digest)
                  cross join (select pg_catalog.set_config('synchronous_commit', 'off', true) offset 0) as soft
         ), ended as (
             update tenantry.runs r
                set state = e.state, daemon = null,
                    to_version = case when e.applied is null then r.to_version else e.version end,
                    to_applied = coalesce(e.applied, r.to_applied), to_digest = coalesce(e.digest, r.to_digest),
                    from_version = case when e.found_applied is null then r.from_version else e.found_version end,
                    from_applied = coalesce(e.found_applied, r.from_applied),
                    from_digest = coalesce(e.found_digest, r.from_digest),
                    fault = e.fault, error = e.error, blocker = e.blocker,
                    not_before = clock_timestamp() + e.pause, met = r.met + e.met::integer,
                    attempts = r.attempts - e.untouched::integer,
                    ended_at = case when e.state <> 'pending' then clock_timestamp() end
               from e
              where r.rollout = $1 and r.wave = $2 and r.position = e.position and r.daemon = $3
             returning r.position, r.attempts, e.fault, e.error, e.blocker, e.untouched
         ), tried as (
             insert into tenantry.attempts (rollout, wave, position, number, daemon, fault, error, blocker)
             select $1, $2, position, attempts, (select name from tenantry.daemons where id = $3), fault, error, blocker
               from ended where fault is not null and not untouched
             on conflict do nothing
         )
         select pg_notify('tenantry', 'runs')
          where exists (select from ended where fault is not null)
             or not exists (select from tenantry.runs r
                             where r.rollout = $1 and r.wave = $2 and r.state = 'pending'
                               and not exists (select from e where e.position = r.position and e.state <> 'pending'))",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .bind(daemon)
    .bind(columns.positions)
    .bind(columns.states)
    .bind(columns.left.versions)
    .bind(columns.left.applied)
    .bind(columns.faults)
    .bind(columns.errors)
    .bind(columns.blockers)
    .bind(columns.pauses)
    .bind(columns.met)
    .bind(columns.untouched)
    .bind(columns.left.digests)
    .bind(columns.found.versions)
    .bind(columns.found.applied)
    .bind(columns.found.digests)
    .execute(connection)
    .answered(StoreError::query("write how runs ended"))
    .await?;
    Ok(())
}

/// Outcomes as PostgreSQL takes them: an array for each column.
struct Columns {
    positions: Vec<i32>,
    states: Vec<&'static str>,
    found: Places,
    left: Places,
    faults: Vec<Option<String>>,
    errors: Vec<Option<String>>,
    blockers: Vec<Option<String>>,
    pauses: Vec<PgInterval>,
    met: Vec<bool>,
    untouched: Vec<bool>,
}

struct Places {
    versions: Vec<Option<String>>,
    applied: Vec<Option<i32>>,
    digests: Vec<Option<Vec<u8>>>,
}

impl Columns {
    fn of(outcomes: &[Outcome]) -> Self {
        let trouble = |of: fn(&Trouble) -> Option<String>| {
            let troubles = outcomes.iter().map(|outcome| outcome.trouble.as_ref());
            troubles.map(|trouble| trouble.and_then(of)).collect()
        };
        let pause = |outcome: &Outcome| match outcome.state {
            Now::Later(pause, _) | Now::Untouched(pause) => interval(pause),
            _ => interval(Duration::ZERO),
        };
        let met = |outcome: &Outcome| matches!(outcome.state, Now::Later(_, true));
        let untouched = |outcome: &Outcome| matches!(outcome.state, Now::Untouched(_));
        let each = || outcomes.iter();
        Self {
            positions: each().map(|outcome| outcome.position).collect(),
            states: each().map(|outcome| outcome.state.word()).collect(),
            found: Places::of(each().map(|outcome| outcome.found.as_ref())),
            left: Places::of(each().map(|outcome| outcome.left.as_ref())),
            faults: trouble(|trouble| Some(trouble.fault.clone())),
            errors: trouble(|trouble| Some(trouble.error.clone())),
            blockers: trouble(|trouble| trouble.blocker.clone()),
            pauses: each().map(pause).collect(),
            met: each().map(met).collect(),
            untouched: each().map(untouched).collect(),
        }
    }
}

impl Places {
    fn of<'a>(places: impl Iterator<Item = Option<&'a Place>> + Clone) -> Self {
        let digest = |place: &Place| place.digest.0.to_vec();
        Self {
            versions: places.clone().map(|place| place?.version.clone()).collect(),
            applied: places
                .clone()
                .map(|place| Some(number(place?.applied)))
                .collect(),
            digests: places.map(|place| place.map(digest)).collect(),
        }
    }
}
