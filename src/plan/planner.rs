//! From a set, what is applied and a goal to the steps in between.

use std::{collections::BTreeMap, sync::Arc};

use super::{Built, Drift, Goal, Refusal, drift};
use crate::{
    history::{Applied, Digest, Running},
    migration::{Checksum, Direction, Migration, MigrationSet, Repeatable, Script, Version},
};

/// The down texts that the history has stored, by checksum. Nobody has judged them: a history can be told of texts that
/// were never carried.
pub type Stored = BTreeMap<Checksum, Arc<str>>;

/// Everything that takes one cohort to its goal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is run before the steps in a schema that has nothing yet, in place of as many migrations.
    pub built: Option<Built>,
    /// In the order in which they are carried.
    pub steps: Vec<Step>,
    /// What is applied again after the steps, in order of name.
    pub repeatables: Vec<Arc<Repeatable>>,
    /// Whether a script of the set or of the plan speaks of deferring, so that there may be constraints whose checks are.
    pub has_deferrable: bool,
    /// Repeatables that a way back leaves at their present text.
    pub left_in_place: usize,
}

impl Plan {
    /// The texts that the history will name, up and down: they have to be stored before.
    pub fn texts(&self) -> impl Iterator<Item = &Script> {
        let steps = self.steps.iter();
        let of_steps = steps.flat_map(|step| [Some(&step.script), step.down.as_ref()]);
        let built = self.built.iter().flat_map(|built| &built.migrations);
        let of_built = built.flat_map(|m| [Some(&m.up), m.down.as_ref()]);
        of_built.chain(of_steps).flatten().map(Arc::as_ref)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.built.is_none() && self.steps.is_empty() && self.repeatables.is_empty()
    }
}

/// One migration, carried one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which way.
    pub direction: Direction,
    /// What the history will say (or has said) of it.
    pub migration: Applied,
    /// The text that is run.
    pub script: Arc<Script>,
    /// The text that is stored for the way back.
    pub down: Option<Arc<Script>>,
    /// The highest version once this step is done.
    pub version: Option<Version>,
    /// The digest once this step is done.
    pub digest: Digest,
}

/// What a schema stands at, as far as planning needs it.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// In ascending order of version.
    pub applied: &'a [Applied],
    /// The hash of the repeatables as last applied.
    pub repeatables: Digest,
    /// What it is in the middle of.
    pub running: Option<Running>,
}

/// Plans the way from `standing` to `goal`.
///
/// `stored` must hold the down texts of what is applied when the way leads back. `out_of_order` allows versions lower
/// than the head.
pub fn plan(
    set: &MigrationSet,
    standing: Standing<'_>,
    goal: Goal,
    stored: &Stored,
    out_of_order: bool,
) -> Result<Plan, Refusal> {
    let mut way = Way {
        applied: standing
            .applied
            .iter()
            .map(|a| (a.version, a.clone()))
            .collect(),
        steps: Vec::new(),
    };
    let head = way.head();
    match (goal, goal.direction(head)) {
        (Goal::Redo, _) => {
            let Some(last) = head else {
                return Ok(Plan::default());
            };
            way.down(last, stored)?;
            let migration = set.get(last).ok_or(Refusal::UnknownVersion(last))?;
            refuse_problems([migration.as_ref()], &[])?;
            way.up(migration);
        }
        (_, Direction::Down) => {
            for version in backwards(&way, goal) {
                way.down(version, stored)?;
            }
        }
        (_, Direction::Up) => {
            let pending = forwards(set, &way, goal, out_of_order, standing.running)?;
            refuse_problems(pending.iter().copied().map(Arc::as_ref), &[])?;
            for migration in pending {
                way.up(migration);
            }
        }
    }
    require_first(&way, standing.running)?;
    let back = matches!(goal.direction(head), Direction::Down) && goal != Goal::Redo;
    let repeatables = if back {
        Vec::new()
    } else {
        let last = match goal {
            // The way back may have taken some of them along.
            Goal::Redo => Digest::EMPTY,
            _ => standing.repeatables,
        };
        changed_repeatables(set, &way, last)?
    };
    Ok(Plan {
        built: None,
        has_deferrable: has_deferrable(set, &way.steps)
            || back && !way.steps.is_empty() && !has_all(set, standing.applied),
        left_in_place: if back && !way.steps.is_empty() {
            set.repeatables.len()
        } else {
            0
        },
        steps: way.steps,
        repeatables,
    })
}

/// The keys that a migration relies on may be those of any older one.
fn has_deferrable(set: &MigrationSet, steps: &[Step]) -> bool {
    let of_set = set.migrations.iter().map(|migration| &migration.up);
    let mut scripts = of_set.chain(steps.iter().map(|step| &step.script));
    !steps.is_empty() && scripts.any(|script| script.text.to_ascii_lowercase().contains("deferr"))
}

/// Whether all that is applied is in the files: nobody has read the texts of what is not.
fn has_all(set: &MigrationSet, applied: &[Applied]) -> bool {
    let has = |applied: &Applied| {
        set.get(applied.version)
            .is_some_and(|m| Applied::of(m) == *applied)
    };
    applied.iter().all(has)
}

/// The steps so far, and what they leave applied.
struct Way {
    applied: BTreeMap<Version, Applied>,
    steps: Vec<Step>,
}

impl Way {
    fn head(&self) -> Option<Version> {
        self.applied.keys().next_back().copied()
    }

    fn up(&mut self, migration: &Arc<Migration>) {
        let applied = Applied::of(migration);
        self.applied.insert(migration.version, applied.clone());
        self.push(
            Direction::Up,
            applied,
            migration.up.clone(),
            migration.down.clone(),
        );
    }

    fn down(&mut self, version: Version, stored: &Stored) -> Result<(), Refusal> {
        let Some(applied) = self.applied.remove(&version) else {
            return Err(Refusal::UnknownVersion(version));
        };
        let name = applied.name.clone();
        let Some(checksum) = applied.down else {
            return Err(Refusal::Irreversible { version, name });
        };
        let Some(text) = stored.get(&checksum) else {
            return Err(Refusal::LostText {
                version,
                name,
                checksum,
            });
        };
        let file = format!("{version}-{name}.down.sql");
        let (script, problems) = Script::stored(&file, text.clone());
        if !problems.is_empty() {
            return Err(Refusal::Problems(problems));
        }
        self.push(Direction::Down, applied, script.into(), None);
        Ok(())
    }

    fn push(
        &mut self,
        direction: Direction,
        migration: Applied,
        script: Arc<Script>,
        down: Option<Arc<Script>>,
    ) {
        self.steps.push(Step {
            direction,
            migration,
            script,
            down,
            version: self.head(),
            digest: Digest::of(self.applied.values()),
        });
    }
}

/// The migrations on the way up, in order.
fn forwards<'a>(
    set: &'a MigrationSet,
    way: &Way,
    goal: Goal,
    out_of_order: bool,
    running: Option<Running>,
) -> Result<Vec<&'a Arc<Migration>>, Refusal> {
    refuse_changed(set, way)?;
    let mut pending: Vec<_> = set
        .migrations
        .iter()
        .filter(|m| !way.applied.contains_key(&m.version))
        .collect();
    match goal {
        Goal::UpTo(version) | Goal::Goto(version) => pending.retain(|m| m.version <= version),
        _ => {}
    }
    // What was begun is finished before anything else, and alone when something lower was merged since then.
    if let Some(running) = running {
        pending.sort_by_key(|m| m.version != running.version);
        if !out_of_order && pending.iter().any(|m| m.version < running.version) {
            pending.truncate(1);
        }
    }
    if let Goal::Up(steps) = goal {
        pending.truncate(steps);
    }
    if let (Some(head), Some(late), false) = (way.head(), pending.first(), out_of_order)
        && late.version < head
    {
        return Err(Refusal::OutOfOrder {
            version: late.version,
            name: late.name.clone(),
            head,
        });
    }
    Ok(pending)
}

/// What was begun comes first, whatever else is asked for.
fn require_first(way: &Way, running: Option<Running>) -> Result<(), Refusal> {
    let Some(running) = running else {
        return Ok(());
    };
    let is_first = way.steps.first().is_some_and(|first| {
        (first.migration.version, first.direction) == (running.version, running.direction)
    });
    if is_first {
        Ok(())
    } else {
        Err(Refusal::Unfinished(running))
    }
}

/// The versions on the way back, newest first.
fn backwards(way: &Way, goal: Goal) -> Vec<Version> {
    let newest_first = way.applied.keys().rev().copied();
    match goal {
        Goal::Down(steps) => newest_first.take(steps).collect(),
        Goal::DownTo(version) | Goal::Goto(version) => {
            newest_first.take_while(|v| *v > version).collect()
        }
        _ => newest_first.collect(),
    }
}

/// Applied migrations are immutable.
fn refuse_changed(set: &MigrationSet, way: &Way) -> Result<(), Refusal> {
    let applied: Vec<_> = way.applied.values().cloned().collect();
    let changed = drift(set, &applied)
        .into_iter()
        .find_map(|drift| match drift {
            Drift::Changed {
                version,
                name,
                applied,
                file,
            } => Some(Refusal::Changed {
                version,
                name,
                applied,
                file,
            }),
            _ => None,
        });
    changed.map_or(Ok(()), Err)
}

/// The repeatables to apply: all of them, once nothing is pending and any of them has changed.
fn changed_repeatables(
    set: &MigrationSet,
    way: &Way,
    last: Digest,
) -> Result<Vec<Arc<Repeatable>>, Refusal> {
    let complete = set
        .migrations
        .iter()
        .all(|m| way.applied.contains_key(&m.version));
    if !complete || Digest::of_repeatables(set.repeatables.iter().map(Arc::as_ref)) == last {
        return Ok(Vec::new());
    }
    refuse_problems([], &set.repeatables)?;
    Ok(set.repeatables.clone())
}

fn refuse_problems<'a>(
    migrations: impl IntoIterator<Item = &'a Migration>,
    repeatables: &[Arc<Repeatable>],
) -> Result<(), Refusal> {
    let of_repeatables = repeatables.iter().flat_map(|r| &r.problems);
    let problems: Vec<_> = migrations
        .into_iter()
        .flat_map(|m| &m.problems)
        .chain(of_repeatables)
        .cloned()
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Problems(problems))
    }
}
