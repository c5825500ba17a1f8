//! What a rollout is about, found out once: who is to be moved, and in which wave. Whoever comes later is no part of it.

use std::{
    collections::{BTreeSet, HashMap},
    io,
};

use sha2::{Digest as _, Sha256};

use super::{
    Rollout, RolloutError, release,
    waves::{Candidate, needs_approval, waves},
};
use crate::{
    config::Portion,
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    plan::Goal,
    postgres::Connection,
    rehearse,
    store::{
        drifted,
        freeze::{Frozen, Planned, Start},
    },
    tenant::{ShardName, Target, selector::Selector},
    travel::{Blocked, Cohorts, Request, Standing, Survey, Why, plan_all},
};

/// What a rollout is about, or why there is no plan.
pub(super) enum Plan {
    /// Who is moved, in which waves, and what people should know of that.
    Frozen(Frozen, Vec<Planned>, Option<String>),
    /// Why nobody can be.
    Refused(String),
}

/// Plans a rollout. Makes the shared schemas that are not there yet, and changes nothing else.
pub(super) async fn plan(
    fleet: &Fleet,
    home: &mut Connection,
    rollout: &Rollout,
) -> Result<Plan, RolloutError> {
    let selector = rollout.row.selector.as_deref().map(selector).transpose()?;
    let canary = Some(rollout.strategy.canary.as_str()).filter(|canary| !canary.is_empty());
    let canary = canary.map(self::selector).transpose()?;
    let select = |standing: &Standing| {
        let chooses = |selector: &Selector| is_chosen(selector, standing);
        selector.as_ref().is_none_or(chooses)
    };
    let request = Request {
        goal: rollout.goal,
        scopes: &[Scope::Shared, Scope::Tenant],
        select: &select,
        max_failures: Portion::Count(0),
    };
    let (survey, plans, reach) = reachable(fleet, home, request).await?;
    let canaries = survey.moving(Scope::Tenant).filter(|standing| {
        let chooses = |selector: &Selector| is_chosen(selector, standing);
        canary.as_ref().is_some_and(chooses)
    });
    let canaries: BTreeSet<_> = canaries.map(|standing| &standing.target).collect();
    let refusals = refusals(&plans);
    if !refusals.is_empty() {
        return Ok(Plan::Refused(refusals.join("; ")));
    }
    let drawn = Draft::of(fleet, rollout, &plans, &canaries).await;
    let chosen = survey.moving(Scope::Tenant);
    let chosen: Vec<_> = chosen.filter(|standing| select(standing)).collect();
    let frozen = Frozen {
        targets: chosen.len(),
        hash: hash(chosen.into_iter()),
        current: drawn.current,
        budget: rollout.strategy.max_failures.of(drawn.moving),
        reach,
    };
    let mut noted = noted(&survey, &drawn.waves);
    if canary.is_some() && canaries.is_empty() && drawn.moving > 0 {
        let named = &rollout.strategy.canary;
        noted.push(format!("no tenant that is moved is a canary by {named:?}"));
    }
    for note in &noted {
        tracing::warn!(rollout = rollout.row.id, "{note}");
    }
    let noted = (!noted.is_empty()).then(|| noted.join("; "));
    Ok(Plan::Frozen(frozen, drawn.waves, noted))
}

/// What people should know of a plan: on which shards nobody could look, and who is therefore moved last.
fn noted(survey: &Survey, waves: &[Planned]) -> Vec<String> {
    let runs = || waves.iter().flat_map(|wave| &wave.runs);
    let told = survey.away.iter().map(|(shard, why)| {
        let waits = runs().filter(|run| run.target.shard == *shard).count();
        format!(
            "shard {shard} is away, and {waits} of its schemas wait for it behind all others: {why}"
        )
    });
    told.collect()
}

/// Waves that are being drawn up.
#[derive(Default)]
struct Draft {
    waves: Vec<Planned>,
    /// What is on shards that are away: behind all others, the shared schemas first.
    late: Vec<Planned>,
    /// How many tenants are at the goal, and how many are not, as far as that is known.
    current: usize,
    moving: usize,
}

impl Draft {
    async fn of(
        fleet: &Fleet,
        rollout: &Rollout,
        plans: &[Cohorts],
        canaries: &BTreeSet<&Target>,
    ) -> Self {
        let mut draft = Self::default();
        for cohorts in plans {
            let candidates = candidates(cohorts, canaries);
            let is_away = |blocked: &&Blocked| matches!(blocked.why, Why::Unreachable(_));
            let (away, blocked): (Vec<_>, Vec<_>) = cohorts.blocked.iter().partition(is_away);
            let skipped = blocked.into_iter().map(self::blocked).collect();
            let waits = away
                .into_iter()
                .map(|away| Start::unknown(&away.target, None));
            match cohorts.scope {
                Scope::Shared => {
                    let runs = candidates.into_iter().map(|candidate| candidate.start);
                    draft.waves.extend(shared(runs.chain(skipped).collect()));
                    // Where there are no shared migrations, none of these can be pending.
                    if !fleet.set(Scope::Shared).is_empty() {
                        draft.late.extend(shared(waits.collect()));
                    }
                }
                Scope::Tenant => {
                    let all: usize = cohorts.cohorts.iter().map(|c| c.targets.len()).sum();
                    draft.current = all - candidates.len();
                    draft.tenants(fleet, rollout, candidates, skipped).await;
                    draft.wait(rollout, waits.collect());
                }
            }
        }
        draft.waves.append(&mut draft.late);
        draft
    }

    async fn tenants(
        &mut self,
        fleet: &Fleet,
        rollout: &Rollout,
        mut candidates: Vec<Candidate>,
        skipped: Vec<Start>,
    ) {
        if rollout.strategy.canaries.of(candidates.len()) > 0 {
            describe(fleet, &mut candidates).await;
        }
        self.moving = candidates.len();
        let mut planned = waves(candidates, &rollout.strategy);
        add_skipped(&mut planned, skipped);
        self.waves.extend(planned);
    }

    /// A wave of those whose shards are away, behind all others.
    fn wait(&mut self, rollout: &Rollout, runs: Vec<Start>) {
        if runs.is_empty() {
            return;
        }
        self.moving += runs.len();
        let strategy = &rollout.strategy;
        self.late.push(Planned {
            kind: "wave",
            budget: strategy.max_failures_per_wave.of(runs.len()),
            needs_approval: needs_approval(strategy, self.waves.last()),
            runs,
        });
    }
}

/// Whoever cannot be moved is seen in the last wave.
fn add_skipped(waves: &mut Vec<Planned>, mut skipped: Vec<Start>) {
    match waves.last_mut() {
        Some(last) => last.runs.append(&mut skipped),
        None if skipped.is_empty() => {}
        None => waves.push(Planned {
            kind: "wave",
            budget: 0,
            needs_approval: false,
            runs: skipped,
        }),
    }
}

fn refusals(plans: &[Cohorts]) -> Vec<String> {
    let refusals = plans.iter().flat_map(Cohorts::refusals);
    refusals
        .map(|(refusal, targets)| format!("{refusal} ({targets} targets)"))
        .collect()
}

/// The plans as far as the version before the first migration that waits for something, and that version.
async fn reachable(
    fleet: &Fleet,
    home: &mut Connection,
    request: Request<'_>,
) -> Result<(Survey, Vec<Cohorts>, Option<Version>), RolloutError> {
    let (survey, plans) = plan_all(fleet, &request).await?;
    let Some(held) = release::first(fleet, home, &plans, request.goal).await? else {
        return Ok((survey, plans, None));
    };
    let request = Request {
        goal: Goal::UpTo(held.before),
        ..request
    };
    let (survey, plans) = plan_all(fleet, &request).await?;
    Ok((survey, plans, Some(held.before)))
}

/// A selector as a daemon can read it.
fn selector(text: &str) -> Result<Selector, RolloutError> {
    Ok(Selector::parse(text, |_| {
        let where_to = "a rollout is planned by a daemon, which has not this file: use labels";
        Err(io::Error::other(where_to))
    })?)
}

/// Whether a selector finds a tenant.
fn is_chosen(selector: &Selector, standing: &Standing) -> bool {
    let candidate = standing.candidate();
    candidate.is_some_and(|candidate| selector.matches(&candidate))
}

fn candidates(cohorts: &Cohorts, canaries: &BTreeSet<&Target>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (number, cohort) in cohorts.cohorts.iter().enumerate() {
        if cohort.plan.as_ref().is_ok_and(|plan| plan.is_empty()) {
            continue;
        }
        let applied = cohort.applied.len();
        let starts = cohort.targets.iter();
        candidates.extend(starts.map(|(target, head)| Candidate {
            start: Start::of(target, head, applied),
            cohort: number,
            is_canary: canaries.contains(target),
            decile: 0,
            drift: String::new(),
        }));
    }
    candidates
}

/// How large the candidates are, and in what they were last seen to differ: so that canaries are of all kinds. What cannot be
/// found out makes them worse, and keeps nobody waiting.
async fn describe(fleet: &Fleet, candidates: &mut [Candidate]) {
    let mut sizes = HashMap::new();
    for shard in fleet.shards.iter() {
        let of_shard = candidates.iter().map(|candidate| &candidate.start.target);
        let of_shard = of_shard.filter(|target| target.shard == shard.name);
        let schemas: Vec<_> = of_shard
            .map(|target| target.schema.as_str().to_owned())
            .collect();
        if schemas.is_empty() {
            continue;
        }
        let found = async {
            let mut session = shard.connect().await.map_err(|error| error.to_string())?;
            let found = rehearse::sizes_at_once(&mut session, &schemas).await;
            session.close().await;
            found.map_err(|error| error.to_string())
        };
        match found.await {
            Ok(found) => sizes.extend(
                found
                    .into_iter()
                    .map(|(schema, size)| ((shard.name.clone(), schema), size)),
            ),
            Err(error) => {
                tracing::warn!(shard = %shard.name, error, "canaries are chosen without their sizes")
            }
        }
    }
    let key = |candidate: &Candidate| {
        let target = &candidate.start.target;
        (target.shard.clone(), target.schema.as_str().to_owned())
    };
    let drifts = drifts(fleet).await;
    for candidate in &mut *candidates {
        candidate.drift = drifts.get(&key(candidate)).cloned().unwrap_or_default();
    }
    let size = |candidate: &Candidate| sizes.get(&key(candidate)).copied().unwrap_or_default();
    candidates.sort_by_cached_key(size);
    let all = candidates.len();
    for (place, candidate) in candidates.iter_mut().enumerate() {
        candidate.decile = place * 10 / all;
    }
}

/// What is noted of schemas that drifted, by shard and name.
async fn drifts(fleet: &Fleet) -> HashMap<(ShardName, String), String> {
    let found = async {
        let mut home = fleet.home().await?;
        let found = drifted::list(home.connection()).await?;
        home.close().await;
        Ok::<_, FleetError>(found)
    };
    let found = found.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "canaries are chosen without what is known of drift");
        Vec::new()
    });
    let noted = found.into_iter();
    noted
        .map(|one| ((one.shard, one.schema), one.summary.join("\n")))
        .collect()
}

/// The wave of the shared schemas; none where there is nothing to do.
fn shared(runs: Vec<Start>) -> Option<Planned> {
    (!runs.is_empty()).then_some(Planned {
        kind: "shared",
        budget: 0,
        needs_approval: false,
        runs,
    })
}

fn blocked(blocked: &Blocked) -> Start {
    Start::unknown(&blocked.target, Some(blocked.why.to_string()))
}

/// The hash of who was chosen: where they are, what they are called, and which schemas they are.
fn hash<'a>(standings: impl Iterator<Item = &'a Standing>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for standing in standings {
        let oid = standing
            .pinned
            .as_ref()
            .map_or(0, |pinned| pinned.head.schema_oid);
        hash.update(standing.target.to_string());
        hash.update([0]);
        hash.update(oid.to_be_bytes());
    }
    hash.finalize().into()
}
