//! Which schema is moved in which wave: pure, so that the same fleet and strategy always come to the same waves.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
};

use crate::{
    config::{Approval, Portion, Strategy},
    store::freeze::{Planned, Start},
    tenant::ShardName,
};

/// A tenant to be moved.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Where it stands.
    pub(super) start: Start,
    /// Which of those that share a plan it belongs to.
    pub(super) cohort: usize,
    /// Whether it was named as one that goes first.
    pub(super) is_canary: bool,
    /// How large it is among all of these: 0 for the smallest tenth, 9 for the largest.
    pub(super) decile: usize,
    /// What it was last seen to differ in from what its history makes; empty where it does not.
    pub(super) drift: String,
}

/// The waves of a scope's tenants. Canaries are taken so that every shard, cohort, size and drift is met as often as the others.
pub(super) fn waves(candidates: Vec<Candidate>, strategy: &Strategy) -> Vec<Planned> {
    let all = candidates.len();
    let (mut canaries, mut rest): (Vec<_>, Vec<_>) = spread(candidates)
        .into_iter()
        .partition(|candidate| candidate.is_canary);
    let more = strategy.canaries.of(all).min(rest.len());
    canaries.extend(rest.drain(..more));
    let mut waves = Vec::new();
    let mut moved = canaries.len();
    if !canaries.is_empty() {
        waves.push(("canary", canaries));
    }
    for until in steps(strategy, moved, all) {
        let many = until.saturating_sub(moved).min(rest.len());
        if many > 0 {
            moved += many;
            waves.push(("wave", rest.drain(..many).collect()));
        }
    }
    let mut planned: Vec<Planned> = Vec::new();
    for (kind, mut candidates) in waves {
        let needs_approval = needs_approval(strategy, planned.last());
        // Those that share a plan stand side by side, so that they can be carried together.
        candidates.sort_by_key(|candidate: &Candidate| candidate.cohort);
        let runs: Vec<_> = candidates
            .into_iter()
            .map(|candidate| candidate.start)
            .collect();
        planned.push(Planned {
            kind,
            budget: strategy.max_failures_per_wave.of(runs.len()),
            needs_approval,
            runs,
        });
    }
    planned
}

/// How many of all are moved when each wave behind the canaries is done.
fn steps(strategy: &Strategy, canaries: usize, all: usize) -> Vec<usize> {
    let growth = usize::try_from(strategy.growth).unwrap_or(usize::MAX);
    if growth < 2 {
        let portions = strategy.waves.iter().chain([&Portion::Share(10_000)]);
        return portions.map(|portion| portion.of(all)).collect();
    }
    let (mut steps, mut size, mut moved) = (Vec::new(), canaries.max(1), canaries);
    while moved < all {
        size = size.saturating_mul(growth);
        moved = moved.saturating_add(size).min(all);
        steps.push(moved);
    }
    steps
}

/// In such an order that after any number of them, of each shard, cohort, decile and drift about as many were taken.
fn spread(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let all = candidates.len();
    let mut kinds: BTreeMap<Kind, VecDeque<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        kinds
            .entry(Kind::of(&candidate))
            .or_default()
            .push_back(candidate);
    }
    let mut taken = Taken::default();
    let mut spread = Vec::with_capacity(all);
    while spread.len() < all {
        let open = kinds.iter_mut().filter(|(_, rest)| !rest.is_empty());
        let Some((kind, rest)) = open.min_by_key(|(kind, _)| taken.of(kind)) else {
            break;
        };
        taken.take(kind);
        spread.extend(rest.pop_front());
    }
    spread
}

/// What a tenant is an example of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    shard: ShardName,
    cohort: usize,
    // The largest first: what is slow is slowest there.
    decile: Reverse<usize>,
    drift: String,
}

impl Kind {
    fn of(candidate: &Candidate) -> Self {
        Self {
            shard: candidate.start.target.shard.clone(),
            cohort: candidate.cohort,
            decile: Reverse(candidate.decile),
            drift: candidate.drift.clone(),
        }
    }
}

/// How often each was taken.
#[derive(Default)]
struct Taken {
    shards: HashMap<ShardName, usize>,
    cohorts: HashMap<usize, usize>,
    deciles: HashMap<Reverse<usize>, usize>,
    drifts: HashMap<String, usize>,
}

impl Taken {
    fn of(&self, kind: &Kind) -> usize {
        let often = |count: Option<&usize>| count.copied().unwrap_or_default();
        often(self.shards.get(&kind.shard))
            + often(self.cohorts.get(&kind.cohort))
            + often(self.deciles.get(&kind.decile))
            + often(self.drifts.get(&kind.drift))
    }

    fn take(&mut self, kind: &Kind) {
        *self.shards.entry(kind.shard.clone()).or_default() += 1;
        *self.cohorts.entry(kind.cohort).or_default() += 1;
        *self.deciles.entry(kind.decile).or_default() += 1;
        *self.drifts.entry(kind.drift.clone()).or_default() += 1;
    }
}

/// Whether somebody has to say that the wave may begin that comes after this one of tenants, if any does.
pub(super) fn needs_approval(strategy: &Strategy, before: Option<&Planned>) -> bool {
    let before = before.filter(|before| before.kind != "shared");
    match strategy.approval {
        Approval::Never => false,
        Approval::Canaries => before.is_some_and(|before| before.kind == "canary"),
        Approval::Each => before.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::{config::WhenSpent, history::Digest, sql::Ident, tenant::Target};

    fn strategy(canaries: &str, waves: &[&str], approval: Approval) -> Strategy {
        Strategy {
            canaries: canaries.parse().unwrap(),
            canary: String::new(),
            waves: waves.iter().map(|wave| wave.parse().unwrap()).collect(),
            growth: 0,
            soak: std::time::Duration::ZERO,
            approval,
            max_failures: Portion::Count(0),
            max_failures_per_wave: "10%".parse().unwrap(),
            when_spent: WhenSpent::Pause,
            windows: Vec::new(),
            time_zone: "UTC".parse().unwrap(),
        }
    }

    fn candidate(number: usize, shard: &str, cohort: usize) -> Candidate {
        Candidate {
            start: Start {
                target: Target {
                    shard: ShardName::new(shard),
                    schema: Ident::new(format!("t{number:05}")).unwrap(),
                },
                version: None,
                applied: Some((Digest::EMPTY, 0)),
                blocked: None,
                keep: None,
            },
            cohort,
            is_canary: false,
            decile: number % 7,
            drift: String::new(),
        }
    }

    fn fleet(tenants: usize) -> Vec<Candidate> {
        (0..tenants)
            .map(|number| {
                candidate(
                    number,
                    if number % 10 == 0 { "eu2" } else { "eu1" },
                    number % 3,
                )
            })
            .collect()
    }

    fn sizes(planned: &[Planned]) -> Vec<(&'static str, usize)> {
        planned
            .iter()
            .map(|wave| (wave.kind, wave.runs.len()))
            .collect()
    }

    #[test]
    fn waves_grow_as_the_strategy_says() {
        let planned = waves(fleet(1000), &strategy("1%", &["10%"], Approval::Never));
        assert_eq!(
            sizes(&planned),
            [("canary", 10), ("wave", 90), ("wave", 900)]
        );
        assert_eq!(planned[2].budget, 90);
        let planned = waves(fleet(1000), &strategy("0", &[], Approval::Never));
        assert_eq!(sizes(&planned), [("wave", 1000)]);
        let planned = waves(fleet(3), &strategy("1%", &["10%", "50%"], Approval::Never));
        assert_eq!(sizes(&planned), [("canary", 1), ("wave", 1), ("wave", 1)]);
        assert!(waves(Vec::new(), &strategy("1%", &["10%"], Approval::Never)).is_empty());
    }

    #[test]
    fn canaries_are_from_every_shard_and_cohort() {
        let planned = waves(fleet(600), &strategy("6", &[], Approval::Never));
        let canaries = &planned[0].runs;
        for shard in ["eu1", "eu2"] {
            let of = canaries
                .iter()
                .filter(|run| run.target.shard.as_str() == shard);
            assert_eq!(of.count(), 3, "{shard}");
        }
    }

    #[test]
    fn canaries_are_of_every_size_and_whoever_has_drifted_is_among_them() {
        let mut fleet = fleet(700);
        fleet[123].drift = "table orders: column priority: there is none".to_owned();
        let planned = waves(fleet, &strategy("7", &[], Approval::Never));
        let names: Vec<_> = planned[0]
            .runs
            .iter()
            .map(|run| run.target.schema.as_str())
            .collect();
        assert!(names.contains(&"t00123"), "{names:?}");
        let mut deciles: Vec<_> = names
            .iter()
            .map(|name| name[1..].parse::<usize>().unwrap() % 7)
            .collect();
        deciles.sort_unstable();
        deciles.dedup();
        assert!(deciles.len() >= 6, "{deciles:?}");
    }

    #[test]
    fn those_that_were_named_go_first() {
        let mut fleet = fleet(100);
        fleet[99].is_canary = true;
        let planned = waves(fleet, &strategy("0", &[], Approval::Never));
        assert_eq!(sizes(&planned), [("canary", 1), ("wave", 99)]);
        assert_eq!(planned[0].runs[0].target.schema.as_str(), "t00099");
    }

    #[test]
    fn approval_is_asked_for_before_the_waves_that_need_it() {
        let needs = |approval| -> Vec<bool> {
            let planned = waves(fleet(100), &strategy("1", &["10%"], approval));
            planned.iter().map(|wave| wave.needs_approval).collect()
        };
        assert_eq!(needs(Approval::Never), [false, false, false]);
        assert_eq!(needs(Approval::Canaries), [false, true, false]);
        assert_eq!(needs(Approval::Each), [false, true, true]);
    }

    proptest! {
        #[test]
        fn everybody_is_in_one_wave(tenants in 0_usize..400, canaries in 0_usize..500, first in 1_u16..10_000) {
            let mut strategy = strategy("0", &[], Approval::Never);
            strategy.canaries = Portion::Count(canaries);
            strategy.waves = vec![Portion::Share(first)];
            let planned = waves(fleet(tenants), &strategy);
            let mut names: Vec<_> = planned
                .iter()
                .flat_map(|wave| &wave.runs)
                .map(|run| run.target.schema.as_str().to_owned())
                .collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), tenants);
            prop_assert!(planned.iter().all(|wave| !wave.runs.is_empty()));
        }
    }

    #[test]
    fn waves_grow_from_the_canaries_on() {
        let grows = |canaries, growth, tenants| {
            let strategy = Strategy {
                growth,
                ..strategy(canaries, &[], Approval::Never)
            };
            let planned = waves(fleet(tenants), &strategy);
            planned
                .iter()
                .map(|wave| wave.runs.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(grows("10", 4, 1000), [10, 40, 160, 640, 150]);
        assert_eq!(grows("0", 10, 1000), [10, 100, 890]);
        assert_eq!(grows("1", 2, 3), [1, 2]);
        assert_eq!(grows("3", 2, 3), [3]);
        assert_eq!(grows("1", u32::MAX, 30), [1, 29]);
    }
}
