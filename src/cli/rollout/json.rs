//! A rollout as JSON. The keys are part of the interface.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::view::View;
use crate::{
    rollout::Rollout,
    store::{events::Event, runs::Shown, tenants::Tenant, waves::Wave},
};

#[derive(Serialize)]
pub(super) struct RolloutJson<'a> {
    id: i64,
    state: &'static str,
    /// Whether it takes back what it did.
    back: bool,
    wanted: &'a str,
    why: Option<&'a str>,
    /// A version; null for all that the files have.
    goal: Option<&'a str>,
    selector: Option<&'a str>,
    who: &'a str,
    reason: Option<&'a str>,
    targets: Option<i32>,
    current: Option<i32>,
    created_at: Timestamp,
    begun_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// Whether daemons live, and none of them has the files that it needs to go on.
    lacks_files: bool,
}

#[derive(Serialize)]
pub(super) struct ViewJson<'a> {
    #[serde(flatten)]
    rollout: RolloutJson<'a>,
    strategy: &'a Value,
    daemons: i64,
    holds: Vec<HoldJson<'a>>,
    waves: Vec<WaveJson<'a>>,
    troubles: Vec<TroubleJson<'a>>,
    events: Vec<EventJson<'a>>,
    /// Tenants that were registered since it was planned: built up to where it goes (or, since it is taken back, to where
    /// the fleet stood before), and in none of its waves.
    joined: Vec<JoinedJson<'a>>,
}

#[derive(Serialize)]
struct HoldJson<'a> {
    shard: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct WaveJson<'a> {
    number: i32,
    kind: &'a str,
    state: &'a str,
    targets: i32,
    pending: i64,
    running: i64,
    done: i64,
    failed: i64,
    skipped: i64,
    needs_approval: bool,
    approved_by: Option<&'a str>,
    begun_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct TroubleJson<'a> {
    wave: i32,
    shard: &'a str,
    schema: &'a str,
    state: &'a str,
    attempts: i32,
    fault: Option<&'a str>,
    error: Option<&'a str>,
    blocker: Option<&'a str>,
}

#[derive(Serialize)]
struct JoinedJson<'a> {
    name: &'a str,
    shard: &'a str,
    state: &'static str,
    created_at: Timestamp,
}

#[derive(Serialize)]
struct EventJson<'a> {
    at: Timestamp,
    who: &'a str,
    action: &'a str,
    wave: Option<i32>,
    why: Option<&'a str>,
}

pub(super) fn rollout(rollout: &Rollout, lacks_files: bool) -> RolloutJson<'_> {
    let row = &rollout.row;
    RolloutJson {
        id: row.id,
        state: rollout.state.as_str(),
        back: row.back,
        wanted: &row.wanted,
        why: row.why.as_deref(),
        goal: row.goal.as_deref(),
        selector: row.selector.as_deref(),
        who: &row.who,
        reason: row.reason.as_deref(),
        targets: row.targets,
        current: row.current,
        created_at: row.created_at.to_jiff(),
        begun_at: row.begun_at.map(jiff_sqlx::Timestamp::to_jiff),
        ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
        lacks_files,
    }
}

pub(super) fn view(view: &View) -> ViewJson<'_> {
    ViewJson {
        rollout: rollout(&view.rollout, view.lacks_files()),
        strategy: &view.rollout.row.strategy.0,
        daemons: view.daemons,
        holds: view
            .holds
            .iter()
            .map(|(shard, why)| HoldJson { shard, why })
            .collect(),
        waves: view.waves.iter().map(wave).collect(),
        troubles: view.troubles.iter().map(trouble).collect(),
        events: view.events.iter().map(event).collect(),
        joined: view.joined.iter().map(joined).collect(),
    }
}

fn wave(wave: &Wave) -> WaveJson<'_> {
    WaveJson {
        number: wave.number,
        kind: &wave.kind,
        state: &wave.state,
        targets: wave.targets,
        pending: wave.pending,
        running: wave.running,
        done: wave.done,
        failed: wave.failed,
        skipped: wave.skipped,
        needs_approval: wave.needs_approval,
        approved_by: wave.approved_by.as_deref(),
        begun_at: wave.begun_at.map(jiff_sqlx::Timestamp::to_jiff),
        ended_at: wave.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
    }
}

fn trouble(run: &Shown) -> TroubleJson<'_> {
    TroubleJson {
        wave: run.wave,
        shard: &run.shard,
        schema: &run.schema_name,
        state: &run.state,
        attempts: run.attempts,
        fault: run.fault.as_deref(),
        error: run.error.as_deref(),
        blocker: run.blocker.as_deref(),
    }
}

fn event(event: &Event) -> EventJson<'_> {
    EventJson {
        at: event.at.to_jiff(),
        who: &event.who,
        action: &event.action,
        wave: event.wave,
        why: event.why.as_deref(),
    }
}

fn joined(tenant: &Tenant) -> JoinedJson<'_> {
    JoinedJson {
        name: tenant.name.as_str(),
        shard: tenant.shard.as_str(),
        state: tenant.state.as_str(),
        created_at: tenant.created_at,
    }
}
