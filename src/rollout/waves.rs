//! Which schema is moved in which wave: pure, so that the same fleet and strategy always come to the same waves.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    config::{Approval, Portion, Strategy},
    store::freeze::{Planned, Start},
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
}

/// The waves of a scope's tenants. Canaries are taken from every shard and cohort in turn.
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
    for portion in strategy.waves.iter().chain([&Portion::Share(10_000)]) {
        let many = portion.of(all).saturating_sub(moved).min(rest.len());
        if many > 0 {
            moved += many;
            waves.push(("wave", rest.drain(..many).collect()));
        }
    }
    let mut planned: Vec<Planned> = Vec::new();
    for (kind, mut candidates) in waves {
        let needs_approval = match strategy.approval {
            Approval::Never => false,
            Approval::Canaries => planned.last().is_some_and(|before| before.kind == "canary"),
            Approval::Each => !planned.is_empty(),
        };
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

/// One of each shard and cohort, then another one of each, and so on.
fn spread(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let all = candidates.len();
    let mut kinds: BTreeMap<_, VecDeque<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let kind = (candidate.start.target.shard.clone(), candidate.cohort);
        kinds.entry(kind).or_default().push_back(candidate);
    }
    let mut spread = Vec::with_capacity(all);
    while spread.len() < all {
        spread.extend(kinds.values_mut().filter_map(VecDeque::pop_front));
    }
    spread
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::{
        config::WhenSpent,
        history::Digest,
        sql::Ident,
        tenant::{ShardName, Target},
    };

    fn strategy(canaries: &str, waves: &[&str], approval: Approval) -> Strategy {
        Strategy {
            canaries: canaries.parse().unwrap(),
            canary: String::new(),
            waves: waves.iter().map(|wave| wave.parse().unwrap()).collect(),
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
                digest: Digest::EMPTY,
                applied: 0,
                blocked: None,
                keep: None,
            },
            cohort,
            is_canary: false,
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
}
