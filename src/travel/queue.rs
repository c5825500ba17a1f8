//! Who is next on one shard: targets one by one until the first of their plan is through, then in groups where the plan
//! is light enough, as large as the time for a transaction allows.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::conduct::Work;
use crate::{
    apply::{Audit, Compiled, Cut, Group, Limits, compile},
    history::Digest,
    migration::{Direction, Scope, Version},
    plan::Plan,
};

/// A plan, compiled in each way in which it may be carried.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) plan: Arc<Plan>,
    /// For the first targets: whether it keeps to its schema is seen there.
    pub(super) first: Compiled,
    /// For the others.
    pub(super) others: Compiled,
    /// For several of these at once.
    pub(super) group: Option<Group>,
}

impl Prepared {
    /// How many migrations it has, repeatables aside.
    pub(crate) fn steps(&self) -> usize {
        self.plan.steps.len()
    }

    /// The versions that it takes back.
    pub(crate) fn reverts(&self) -> Vec<Version> {
        let steps = self.plan.steps.iter();
        let back = steps.filter(|step| step.direction == Direction::Down);
        back.map(|step| step.migration.version).collect()
    }

    /// The version and the digest that so many of its migrations leave; none where they are none.
    pub(crate) fn after(&self, migrations: usize) -> Option<(Option<Version>, Digest)> {
        let step = self.plan.steps.get(migrations.checked_sub(1)?)?;
        Some((step.version, step.digest))
    }

    /// Whether several of these at once on a database would only wait for each other.
    pub(crate) fn waits_for_all(&self) -> bool {
        self.others.waits_for_all()
    }

    pub(crate) fn new(plan: Arc<Plan>, limits: &Limits, scope: Scope) -> Self {
        let first = compile(&plan, limits, Cut::Coarse, Audit::first(scope));
        let others = compile(&plan, limits, Cut::Coarse, Audit::others(scope));
        let group = Group::of(&plan, &others, limits).filter(|_| scope == Scope::Tenant);
        Self {
            plan,
            first,
            others,
            group,
        }
    }
}

/// What one worker does next.
#[derive(Debug)]
pub(super) enum Job<'a> {
    /// One target.
    One {
        work: Work<'a>,
        /// Whether none before it has come through.
        first: bool,
        /// Whether a connection broke with it, so that it may be at its goal already.
        unsure: bool,
    },
    /// Several, of the same plan, in one transaction.
    Several(&'a Group, Vec<Work<'a>>),
}

impl Job<'_> {
    /// How many statements of scripts it runs.
    pub(super) fn statements(&self) -> usize {
        let of = |work: &Work<'_>| work.prepared.others.statements();
        match self {
            Self::One { work, .. } => of(work),
            Self::Several(_, works) => works.iter().map(of).sum(),
        }
    }
}

/// How one target, or several together, came to be carried alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// A group failed with it.
    Next,
    /// The same, and nobody saw how it ended.
    Unsure,
    /// Others are at work on it, or hold it locked: when nothing else is left.
    Last,
}

/// The works of one shard.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    lanes: Mutex<Vec<Lane<'a>>>,
    workers: usize,
    group_time: Duration,
    /// How many groups are under way, whose targets may come back.
    groups: AtomicUsize,
    /// Wakes those that wait for the first of a plan, or for groups.
    ended: Notify,
}

/// So long the others wait for the first of a plan: what is wrong with a plan is mostly wrong with it there already. When
/// it takes longer, they begin all the same.
const FIRST: Duration = Duration::from_millis(200);

/// By so much a group may be larger than the one before it: what is quick for a few may wait for something for many.
const GROWTH: usize = 8;

/// What was learnt of a plan on one shard, for those works of it that come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Learnt {
    /// How many go together.
    size: usize,
    /// How long one of them took when it was last measured.
    each: Duration,
}

/// The works that share a plan.
#[derive(Debug)]
struct Lane<'a> {
    prepared: &'a Prepared,
    rest: VecDeque<Work<'a>>,
    alone: VecDeque<(Work<'a>, bool)>,
    last: VecDeque<Work<'a>>,
    /// Whether one of them has come through.
    seen: bool,
    /// Since when the first of them has been under way, where none has come through.
    begun: Option<Instant>,
    /// How many go together.
    size: usize,
    /// How long one of them took when it was last measured.
    each: Duration,
}

impl<'a> Queue<'a> {
    /// Those that share a plan stand side by side in `works`.
    pub(super) fn new(
        works: impl IntoIterator<Item = Work<'a>>,
        workers: usize,
        group_time: Duration,
    ) -> Self {
        let mut lanes: Vec<Lane<'a>> = Vec::new();
        for work in works {
            match lanes.last_mut() {
                Some(lane) if std::ptr::eq(lane.prepared, work.prepared) => {
                    lane.rest.push_back(work);
                }
                _ => lanes.push(Lane {
                    prepared: work.prepared,
                    rest: VecDeque::from([work]),
                    alone: VecDeque::new(),
                    last: VecDeque::new(),
                    seen: false,
                    begun: None,
                    size: 1,
                    each: Duration::MAX,
                }),
            }
        }
        Self {
            lanes: Mutex::new(lanes),
            workers: workers.max(1),
            group_time,
            groups: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }

    /// Goes on with what was learnt of a plan before: its first one is through.
    pub(super) fn recall(&self, prepared: &Prepared, learnt: Learnt) {
        let mut lanes = self.lanes();
        let is_of = |lane: &&mut Lane<'_>| std::ptr::eq(lane.prepared, prepared);
        for lane in lanes.iter_mut().filter(is_of) {
            (lane.seen, lane.size, lane.each) = (true, learnt.size, learnt.each);
        }
    }

    /// What was learnt of a plan; none before its first one is through.
    pub(super) fn learnt(&self, prepared: &Prepared) -> Option<Learnt> {
        let lanes = self.lanes();
        let mut lanes = lanes.iter();
        let lane = lanes.find(|lane| lane.seen && std::ptr::eq(lane.prepared, prepared))?;
        let (size, each) = (lane.size, lane.each);
        Some(Learnt { size, each })
    }

    /// The plans, each once.
    pub(super) fn plans(&self) -> Vec<&'a Plan> {
        self.lanes()
            .iter()
            .map(|lane| &*lane.prepared.plan)
            .collect()
    }

    /// What to do next; none when nothing is left. Waits while all that is left waits for the first of its plan, or is in groups
    /// that others carry: they may have to be taken apart.
    pub(super) async fn next(&self) -> Option<Job<'a>> {
        loop {
            let ended = self.ended.notified();
            match self.at_once() {
                Ok(job) => return Some(job),
                // Late or not, it is looked again.
                Err(wait) => _ = tokio::time::timeout(wait?, ended).await,
            }
        }
    }

    /// What to do next; else how long to wait, where there is anything to wait for.
    fn at_once(&self) -> Result<Job<'a>, Option<Duration>> {
        let (mut lanes, now) = (self.lanes(), Instant::now());
        let next = lanes
            .iter_mut()
            .find_map(|lane| lane.next(self.workers, self.group_time / 5, now))
            .or_else(|| lanes.iter_mut().find_map(Lane::last));
        if let Some(Job::Several(..)) = next {
            self.groups.fetch_add(1, Ordering::AcqRel);
        }
        next.ok_or_else(|| {
            let first = lanes.iter().filter_map(|lane| lane.wait(now)).min();
            // Looked at while nobody can bring anything back.
            let groups = self.groups.load(Ordering::Acquire) > 0;
            first.or_else(|| groups.then_some(Duration::MAX))
        })
    }

    /// A group has ended, and whoever has to be carried alone is back.
    pub(super) fn group_ended(&self) {
        self.groups.fetch_sub(1, Ordering::AcqRel);
        self.ended.notify_waiters();
    }

    /// The first of a plan has failed: the next one goes first.
    pub(super) fn failed(&self, work: Work<'a>) {
        self.in_lane(work, |lane| lane.begun = None);
        self.ended.notify_waiters();
    }

    /// All that are left.
    pub(super) fn drain(&self) -> Vec<Work<'a>> {
        let mut lanes = self.lanes();
        let mut left = Vec::new();
        for lane in lanes.iter_mut() {
            left.extend(lane.alone.drain(..).map(|(work, _)| work));
            left.extend(lane.rest.drain(..));
            left.extend(lane.last.drain(..));
        }
        left
    }

    /// `targets` of a plan took so long together, without a failure.
    pub(super) fn took(&self, work: Work<'a>, targets: usize, elapsed: Duration) {
        self.in_lane(work, |lane| {
            if !lane.seen {
                lane.seen = true;
                self.ended.notify_waiters();
            }
            lane.each = elapsed / u32::try_from(targets).unwrap_or(u32::MAX).max(1);
            if targets == lane.size && elapsed > self.group_time {
                lane.size = (lane.size / 2).max(1);
            } else if targets == lane.size {
                let times = self.group_time.as_nanos() / elapsed.as_nanos().max(1);
                let times = usize::try_from(times).unwrap_or(GROWTH).clamp(1, GROWTH);
                let most = lane.prepared.group.as_ref().map_or(1, Group::most);
                lane.size = (lane.size * times).min(most);
            }
        });
    }

    /// These have to be carried alone.
    pub(super) fn part(&self, works: Vec<Work<'a>>, how: Alone) {
        let Some(first) = works.first() else { return };
        self.in_lane(*first, |lane| match how {
            Alone::Last => lane.last.extend(works),
            Alone::Next | Alone::Unsure => {
                lane.size = (lane.size / 2).max(1);
                let unsure = how == Alone::Unsure;
                let works = works.into_iter().map(|work| (work, unsure));
                lane.alone.extend(works);
            }
        });
    }

    /// These were not begun: they are next again.
    pub(super) fn give_back(&self, works: Vec<Work<'a>>) {
        let Some(first) = works.first() else { return };
        self.in_lane(*first, |lane| {
            for work in works.into_iter().rev() {
                lane.rest.push_front(work);
            }
        });
    }

    fn in_lane(&self, work: Work<'a>, change: impl FnOnce(&mut Lane<'a>)) {
        let mut lanes = self.lanes();
        let lane = lanes
            .iter_mut()
            .find(|lane| std::ptr::eq(lane.prepared, work.prepared));
        if let Some(lane) = lane {
            change(lane);
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane<'a>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Lane<'a> {
    /// How long the others still wait for the first.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let begun = self.begun.filter(|_| !self.seen && !self.rest.is_empty());
        begun.and_then(|begun| FIRST.checked_sub(now.duration_since(begun)))
    }

    /// Groups that take no longer than `short` are not made smaller for the sake of others that have nothing to do.
    fn next(&mut self, workers: usize, short: Duration, now: Instant) -> Option<Job<'a>> {
        if self.wait(now).is_some() {
            return None;
        }
        if let Some((work, unsure)) = self.alone.pop_front() {
            return Some(self.one(work, unsure));
        }
        let together = match &self.prepared.group {
            // At the end nobody should wait for the last one with much to do.
            Some(group) if self.seen => self
                .size
                .min(group.most())
                .min(self.rest.len())
                .min(self.rest.len().div_ceil(workers).max(self.within(short))),
            _ => 1,
        };
        match &self.prepared.group {
            Some(group) if together > 1 => {
                Some(Job::Several(group, self.rest.drain(..together).collect()))
            }
            _ => self.rest.pop_front().map(|work| self.one(work, false)),
        }
    }

    /// How many go into so much time.
    fn within(&self, time: Duration) -> usize {
        let many = time.as_nanos() / self.each.as_nanos().max(1);
        usize::try_from(many).unwrap_or(usize::MAX)
    }

    fn last(&mut self) -> Option<Job<'a>> {
        self.last.pop_front().map(|work| self.one(work, false))
    }

    fn one(&mut self, work: Work<'a>, unsure: bool) -> Job<'a> {
        self.begun.get_or_insert_with(Instant::now);
        Job::One {
            work,
            first: !self.seen,
            unsure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        history::{Applied, Digest, Head},
        migration::{Checksum, Direction, Script, Version},
        plan::Step,
        sql::Ident,
        tenant::{ShardName, Target},
    };

    const TARGET_TIME: Duration = Duration::from_millis(50);

    fn plan(text: &str) -> Arc<Plan> {
        let script = Script::parse(Path::new("1-x.up.sql"), text);
        let migration = Applied {
            version: Version::new(1),
            name: "x".to_owned(),
            up: Checksum::of(text),
            down: None,
        };
        let step = Step {
            direction: Direction::Up,
            version: Some(migration.version),
            digest: Digest::of([&migration]),
            migration,
            script: Arc::new(script),
            down: None,
        };
        Arc::new(Plan {
            steps: vec![step],
            ..Plan::default()
        })
    }

    fn limits() -> Limits {
        Limits {
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(60),
            grace: Duration::ZERO,
            lock_tries: 1,
            busy_wait: Duration::ZERO,
            extra_search_path: Vec::new(),
            also_writes: Vec::new(),
            group_time: TARGET_TIME,
            locks: 800,
            relations: 1_000_000,
            who: String::new(),
        }
    }

    fn targets(count: usize) -> Vec<(Target, Head)> {
        let target = |number: usize| {
            let target = Target {
                shard: ShardName::new("main"),
                schema: Ident::new(format!("t{number}")).unwrap(),
            };
            (target, Head::default())
        };
        (0..count).map(target).collect()
    }

    fn works<'a>(
        prepared: &'a Prepared,
        targets: &'a [(Target, Head)],
    ) -> impl Iterator<Item = Work<'a>> {
        targets.iter().map(move |(target, head)| Work {
            prepared,
            target,
            head,
            met: None,
        })
    }

    /// How many targets each job has when each takes so long.
    fn sizes(queue: &Queue<'_>, each: Duration) -> Vec<usize> {
        std::iter::from_fn(|| {
            let (work, count) = match queue.at_once().ok()? {
                Job::One { work, .. } => (work, 1),
                Job::Several(_, works) => (works[0], works.len()),
            };
            queue.took(work, count, each * u32::try_from(count).unwrap());
            Some(count)
        })
        .collect()
    }

    #[test]
    fn groups_grow_to_the_time_that_a_transaction_should_take() {
        let (plan, limits, targets) = (plan("create table x ()"), limits(), targets(200));
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Tenant);
        let queue = Queue::new(works(&prepared, &targets), 1, TARGET_TIME);
        let sizes = sizes(&queue, Duration::from_millis(2));
        assert_eq!(sizes[..6], [1, 8, 24, 24, 24, 24]);
        assert_eq!(sizes.iter().sum::<usize>(), 200);
    }

    #[test]
    fn slow_ones_go_one_by_one_and_so_does_what_belongs_to_all() {
        let (plan, limits, targets) = (plan("create table x ()"), limits(), targets(20));
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Tenant);
        let queue = Queue::new(works(&prepared, &targets), 1, TARGET_TIME);
        assert_eq!(sizes(&queue, Duration::from_millis(40)), [1; 20]);
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Shared);
        let queue = Queue::new(works(&prepared, &targets), 1, TARGET_TIME);
        assert_eq!(sizes(&queue, Duration::ZERO), [1; 20]);
    }

    #[test]
    fn nobody_has_much_to_do_at_the_end_while_others_have_nothing() {
        let (plan, limits, targets) = (plan("create table x ()"), limits(), targets(64));
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Tenant);
        let queue = Queue::new(works(&prepared, &targets), 4, TARGET_TIME);
        let sizes = sizes(&queue, Duration::from_millis(1));
        assert_eq!(sizes, [1, 8, 14, 11, 10, 10, 10]);
    }

    #[test]
    fn the_others_wait_for_the_first_until_it_has_come_through_or_takes_long() {
        let (plan, limits, targets) = (plan("create table x ()"), limits(), targets(10));
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Tenant);
        let work = works(&prepared, &targets).next().unwrap();
        let queue = Queue::new(works(&prepared, &targets), 2, TARGET_TIME);
        let is_first = |job| matches!(job, Ok(Job::One { first: true, .. }));
        let waits = || matches!(queue.at_once(), Err(Some(wait)) if wait <= FIRST);
        assert!(is_first(queue.at_once()));
        assert!(waits());
        // When it fails, another one is the first.
        queue.failed(work);
        assert!(is_first(queue.at_once()));
        assert!(waits());
        queue.in_lane(work, |lane| {
            lane.begun = lane.begun.and_then(|begun| begun.checked_sub(FIRST));
        });
        assert!(is_first(queue.at_once()));
        queue.took(work, 1, Duration::ZERO);
        assert!(matches!(queue.at_once(), Ok(Job::Several(..))));
    }

    #[test]
    fn nobody_leaves_while_a_group_may_come_back() {
        let (plan, limits, targets) = (plan("create table x ()"), limits(), targets(9));
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Tenant);
        let queue = Queue::new(works(&prepared, &targets), 4, TARGET_TIME);
        let Ok(Job::One { work, .. }) = queue.at_once() else {
            panic!("the first goes alone");
        };
        queue.took(work, 1, Duration::ZERO);
        let Ok(Job::Several(_, group)) = queue.at_once() else {
            panic!("the others go together");
        };
        assert_eq!(group.len(), 8);
        assert!(matches!(queue.at_once(), Err(Some(_))));
        queue.part(group, Alone::Next);
        queue.group_ended();
        for _ in 0..8 {
            assert!(matches!(queue.at_once(), Ok(Job::One { .. })));
        }
        assert!(matches!(queue.at_once(), Err(None)));
    }

    #[test]
    fn whoever_is_carried_alone_is_next_and_whoever_is_busy_is_last() {
        let (plan, limits, targets) = (plan("create table x ()"), limits(), targets(5));
        let prepared = Prepared::new(plan.clone(), &limits, Scope::Tenant);
        let all: Vec<Work<'_>> = works(&prepared, &targets).collect();
        let queue = Queue::new([all[0]], 1, TARGET_TIME);
        queue.part(vec![all[1]], Alone::Last);
        queue.part(vec![all[2]], Alone::Unsure);
        queue.part(vec![all[3]], Alone::Next);
        queue.give_back(vec![all[4]]);
        queue.took(all[0], 0, Duration::ZERO);
        let order: Vec<_> = std::iter::from_fn(|| match queue.at_once().ok()? {
            Job::One { work, unsure, .. } => Some((work.target.schema.to_string(), unsure)),
            Job::Several(..) => None,
        })
        .collect();
        let expected = [
            ("\"t2\"", true),
            ("\"t3\"", false),
            ("\"t4\"", false),
            ("\"t0\"", false),
            ("\"t1\"", false),
        ];
        let expected = expected.map(|(name, unsure)| (name.to_owned(), unsure));
        assert_eq!(order, expected);
    }

    #[test]
    fn what_changes_more_than_its_schema_is_never_in_a_group() {
        let limits = limits();
        for text in [
            "do $$ begin null; end $$",
            "select f()",
            "update x set y = 1",
            "create temp table x ()",
            "set local work_mem = '1MB'; create table x ()",
            "-- tenantry: lock-timeout=5s\ncreate table x ()",
        ] {
            let plan = plan(text);
            assert!(
                Prepared::new(plan.clone(), &limits, Scope::Tenant)
                    .group
                    .is_none(),
                "{text}"
            );
        }
    }
}
