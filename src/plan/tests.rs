//! The planner against an in-memory head.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use proptest::prelude::*;

use super::{Drift, Goal, Plan, Refusal, Standing, Stored, drift, plan};
use crate::{
    history::{Applied, Digest, Running},
    migration::{Checksum, Direction, Migration, MigrationSet, Repeatable, Scope, Script, Version},
};

fn migration(version: u64, up: &str) -> Arc<Migration> {
    let script = |direction: &str, text: &str| {
        Arc::new(Script::parse(
            Path::new(&format!("{version}-m.{direction}.sql")),
            text,
        ))
    };
    Arc::new(Migration {
        version: Version::new(version),
        name: format!("m{version}"),
        up: script("up", up),
        down: Some(script("down", &format!("drop {version}"))),
        problems: Vec::new(),
    })
}

fn set(versions: impl IntoIterator<Item = u64>) -> MigrationSet {
    let migrations = versions
        .into_iter()
        .map(|version| migration(version, &format!("create {version}")))
        .collect();
    MigrationSet {
        migrations,
        ..MigrationSet::empty(Scope::Tenant)
    }
}

/// The head that a schema in memory has: what is applied, and the downs that were stored with it.
#[derive(Default)]
struct Memory {
    applied: Vec<Applied>,
    stored: Stored,
}

impl Memory {
    fn plan(&self, set: &MigrationSet, goal: Goal, out_of_order: bool) -> Result<Plan, Refusal> {
        let standing = Standing {
            applied: &self.applied,
            repeatables: Digest::EMPTY,
            running: None,
        };
        plan(set, standing, goal, &self.stored, out_of_order)
    }

    /// Does what a plan says, and checks what it promises of each step.
    fn carry(&mut self, plan: &Plan) {
        for step in &plan.steps {
            match step.direction {
                Direction::Up => {
                    self.stored.extend(
                        step.down
                            .iter()
                            .map(|down| (down.checksum, down.text.clone())),
                    );
                    self.applied.push(step.migration.clone());
                    self.applied.sort_by_key(|applied| applied.version);
                }
                Direction::Down => {
                    assert_eq!(Some(step.script.checksum), step.migration.down);
                    self.applied
                        .retain(|applied| applied.version != step.migration.version);
                }
            }
            assert_eq!(step.version, self.head());
            assert_eq!(step.digest, Digest::of(&self.applied));
        }
    }

    fn go(&mut self, set: &MigrationSet, goal: Goal) {
        let plan = self.plan(set, goal, true).unwrap();
        self.carry(&plan);
    }

    fn head(&self) -> Option<Version> {
        self.applied.last().map(|applied| applied.version)
    }

    fn versions(&self) -> Vec<u128> {
        self.applied
            .iter()
            .map(|applied| applied.version.number())
            .collect()
    }
}

#[test]
fn up_in_order_and_down_in_reverse() {
    let set = set([1, 2, 10]);
    let mut memory = Memory::default();
    memory.go(&set, Goal::Up(2));
    assert_eq!(memory.versions(), [1, 2]);
    memory.go(&set, Goal::Latest);
    let down = memory
        .plan(&set, Goal::DownTo(Version::new(1)), false)
        .unwrap();
    let order: Vec<_> = down
        .steps
        .iter()
        .map(|step| step.migration.version.number())
        .collect();
    assert_eq!(order, [10, 2]);
    memory.carry(&down);
    assert_eq!(memory.versions(), [1]);
}

#[test]
fn down_needs_no_files() {
    let mut memory = Memory::default();
    memory.go(&set([1, 2]), Goal::Latest);
    memory.go(&set([]), Goal::Empty);
    assert_eq!(memory.head(), None);
}

#[test]
fn redo_takes_the_new_text() {
    let mut memory = Memory::default();
    memory.go(&set([1, 2]), Goal::Latest);
    let mut changed = set([1]);
    changed
        .migrations
        .push(migration(2, "create 2 differently"));
    memory.go(&changed, Goal::Redo);
    assert_eq!(memory.applied[1].up, changed.migrations[1].up.checksum);
}

#[test]
fn refuses_a_changed_text_upwards_only() {
    let mut memory = Memory::default();
    memory.go(&set([1]), Goal::Latest);
    let mut changed = set([]);
    changed.migrations.extend([
        migration(1, "create 1 differently"),
        migration(2, "create 2"),
    ]);
    assert!(matches!(
        memory.plan(&changed, Goal::Latest, false),
        Err(Refusal::Changed { .. })
    ));
    assert!(matches!(
        drift(&changed, &memory.applied)[..],
        [Drift::Changed { .. }]
    ));
    assert_eq!(
        memory
            .plan(&changed, Goal::Down(1), false)
            .unwrap()
            .steps
            .len(),
        1
    );
}

#[test]
fn refuses_what_was_merged_late() {
    let mut memory = Memory::default();
    memory.go(&set([1, 3]), Goal::Latest);
    assert!(matches!(
        memory.plan(&set([1, 2, 3]), Goal::Latest, false),
        Err(Refusal::OutOfOrder { .. })
    ));
    memory.go(&set([1, 2, 3]), Goal::Latest);
    assert_eq!(memory.versions(), [1, 2, 3]);
}

#[test]
fn on_the_way_back_nobody_knows_what_defers_in_texts_that_are_not_in_the_files() {
    let (mut memory, all) = (Memory::default(), set([1, 2]));
    memory.carry(&memory.plan(&all, Goal::Latest, false).unwrap());
    let may_defer = |files: &MigrationSet| {
        let back = memory.plan(files, Goal::Down(1), false).unwrap();
        back.has_deferrable
    };
    assert!(!may_defer(&all));
    assert!(may_defer(&set([2])));
    assert!(may_defer(&MigrationSet::empty(Scope::Tenant)));
}

#[test]
fn refuses_to_take_back_what_has_no_down() {
    let mut set = set([1]);
    set.migrations = vec![Arc::new(Migration {
        down: None,
        ..set.migrations[0].as_ref().clone()
    })];
    let mut memory = Memory::default();
    memory.go(&set, Goal::Latest);
    assert!(matches!(
        memory.plan(&set, Goal::Down(1), false),
        Err(Refusal::Irreversible { .. })
    ));
}

#[test]
fn refuses_a_lost_text() {
    let mut memory = Memory::default();
    memory.go(&set([1]), Goal::Latest);
    memory.stored.clear();
    assert!(matches!(
        memory.plan(&set([1]), Goal::Down(1), false),
        Err(Refusal::LostText { .. })
    ));
}

/// A baseline, `force` and `repair --accept-checksum` store texts that were never carried.
#[test]
fn refuses_a_stored_text_that_was_never_judged() {
    for (text, code) in [
        ("drop table a; -- 'b\nselect 'never closed", "F202"),
        ("drop table a; commit; drop table b", "F401"),
        ("copy a from stdin", "F408"),
    ] {
        let mut memory = Memory::default();
        memory.go(&set([1]), Goal::Latest);
        let text: Arc<str> = text.into();
        memory.applied[0].down = Some(Checksum::of(&text));
        memory.stored = Stored::from([(Checksum::of(&text), text)]);
        let refusal = memory.plan(&set([1]), Goal::Down(1), false).unwrap_err();
        let Refusal::Problems(problems) = refusal else {
            panic!("{refusal}");
        };
        assert_eq!(problems[0].code.id, code);
        let path = Path::new("<history>/1-m1.down.sql");
        assert_eq!(problems[0].path, path);
    }
}

#[test]
fn equal_texts_keep_their_own_names() {
    let mut memory = Memory::default();
    memory.go(&set([1, 2]), Goal::Latest);
    let text: Arc<str> = "drop table a".into();
    for applied in &mut memory.applied {
        applied.down = Some(Checksum::of(&text));
    }
    memory.stored = Stored::from([(Checksum::of(&text), text)]);
    let plan = memory.plan(&set([1, 2]), Goal::Empty, false).unwrap();
    let paths: Vec<_> = plan.steps.iter().map(|step| &*step.script.path).collect();
    let expected = ["2-m2", "1-m1"].map(|name| format!("<history>/{name}.down.sql"));
    assert_eq!(paths, expected.each_ref().map(Path::new));
}

/// What the way back drops may take functions along.
#[test]
fn redo_applies_the_repeatables_again() {
    let mut set = set([1]);
    let repeatable = Repeatable {
        name: "f".to_owned(),
        script: Arc::new(Script::parse("f.sql", "create function f")),
        problems: Vec::new(),
    };
    set.repeatables.push(Arc::new(repeatable));
    let mut memory = Memory::default();
    memory.go(&set, Goal::Latest);
    let standing = Standing {
        applied: &memory.applied,
        repeatables: Digest::of_repeatables(set.repeatables.iter().map(Arc::as_ref)),
        running: None,
    };
    let redo = plan(&set, standing, Goal::Redo, &memory.stored, false).unwrap();
    assert_eq!(redo.repeatables, set.repeatables);
}

#[test]
fn what_was_begun_comes_first() {
    let (set, mut memory) = (set([1, 2, 3, 4]), Memory::default());
    memory.go(&set, Goal::UpTo(Version::new(1)));
    let from = |(direction, version): (Direction, u64), goal, out_of_order| {
        let running = Running {
            version: Version::new(version),
            direction,
        };
        let standing = Standing {
            applied: &memory.applied,
            repeatables: Digest::EMPTY,
            running: Some(running),
        };
        let plan = plan(&set, standing, goal, &memory.stored, out_of_order)?;
        let step = |step: &crate::plan::Step| (step.direction, step.migration.version.number());
        Ok(plan.steps.iter().map(step).collect::<Vec<_>>())
    };
    use Direction::{Down, Up};
    assert_eq!(
        from((Up, 2), Goal::Latest, false),
        Ok(vec![(Up, 2), (Up, 3), (Up, 4)])
    );
    assert_eq!(from((Up, 2), Goal::Up(1), false), Ok(vec![(Up, 2)]));
    // 2 was merged after 3 was begun.
    assert_eq!(from((Up, 3), Goal::Latest, false), Ok(vec![(Up, 3)]));
    assert_eq!(
        from((Up, 3), Goal::Latest, true),
        Ok(vec![(Up, 3), (Up, 2), (Up, 4)])
    );
    assert_eq!(from((Down, 1), Goal::Down(1), false), Ok(vec![(Down, 1)]));
    assert_eq!(
        from((Down, 1), Goal::Redo, false),
        Ok(vec![(Down, 1), (Up, 1)])
    );
    for (running, goal) in [
        ((Up, 2), Goal::Empty),
        ((Up, 2), Goal::UpTo(Version::new(1))),
        ((Up, 3), Goal::UpTo(Version::new(2))),
        ((Up, 9), Goal::Latest),
        ((Down, 1), Goal::Latest),
    ] {
        let refused = from(running, goal, false);
        assert!(
            matches!(refused, Err(Refusal::Unfinished(_))),
            "{running:?} {goal:?}: {refused:?}"
        );
    }
}

fn goals() -> impl Strategy<Value = Goal> {
    let version = (0..30_u64).prop_map(Version::new);
    prop_oneof![
        Just(Goal::Latest),
        Just(Goal::Empty),
        Just(Goal::Redo),
        (0..5_usize).prop_map(Goal::Up),
        (0..5_usize).prop_map(Goal::Down),
        version.clone().prop_map(Goal::UpTo),
        version.clone().prop_map(Goal::DownTo),
        version.prop_map(Goal::Goto),
    ]
}

proptest! {
    #[test]
    fn random_plans_reach_their_goals(
        versions in proptest::collection::btree_set(1..30_u64, 0..12),
        goals in proptest::collection::vec(goals(), 0..12),
    ) {
        let set = set(versions.iter().copied());
        let all: BTreeSet<u128> = versions.iter().map(|version| u128::from(*version)).collect();
        let mut memory = Memory::default();
        for goal in goals {
            let before: BTreeSet<u128> = memory.versions().into_iter().collect();
            memory.go(&set, goal);
            let expected: BTreeSet<u128> = match goal {
                Goal::Latest => all.clone(),
                Goal::Empty => BTreeSet::new(),
                Goal::Redo => before.clone(),
                Goal::Up(steps) => {
                    let pending = all.difference(&before).take(steps).copied();
                    before.iter().copied().chain(pending).collect()
                }
                Goal::Down(steps) => before.iter().rev().skip(steps).copied().collect(),
                Goal::UpTo(version) => before.iter().copied().chain(all.range(..=version.number()).copied()).collect(),
                Goal::DownTo(version) => before.range(..=version.number()).copied().collect(),
                Goal::Goto(version) if before.last().is_some_and(|head| *head > version.number()) => {
                    before.range(..=version.number()).copied().collect()
                }
                Goal::Goto(version) => before.iter().copied().chain(all.range(..=version.number()).copied()).collect(),
            };
            prop_assert_eq!(memory.versions().into_iter().collect::<BTreeSet<_>>(), expected, "goal {:?}", goal);
        }
    }
}
