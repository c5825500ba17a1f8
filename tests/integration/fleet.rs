//! A fleet moved end to end: shared first, then the tenants, and back.

use std::sync::atomic::{AtomicUsize, Ordering};

use tenantry::{
    config::Portion,
    migration::{Scope, Version},
    plan::{Correction, Goal},
    provision,
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
    travel::{
        Cohort, Cohorts, Ended, Observer, Report, Request, Run, Standing, Survey, record, travel,
    },
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Small, database,
    fleet::{DOWN, UP, go, sample},
    small,
};

#[tokio::test]
async fn up_and_down_and_up_again() {
    let database = database().await;
    let fleet = sample(&database.url);
    let shard = ShardName::new("main");
    let up = go(&fleet, Goal::Latest, UP).await;
    assert!(up.is_complete(), "{up:#?}");
    assert_eq!(up.scopes[0].migrations(), fleet.shared.migrations.len());
    for name in ["acme", r#"we"ird; drop schema public cascade--"#] {
        provision::add(
            &fleet,
            &TenantName::new(name).unwrap(),
            &shard,
            &Labels::new(),
        )
        .await
        .unwrap();
    }
    let nothing = go(&fleet, Goal::Latest, UP).await;
    assert_eq!(
        (nothing.scopes[1].current, nothing.scopes[1].runs.len()),
        (2, 0),
        "{nothing:#?}"
    );

    let down = go(&fleet, Goal::Empty, DOWN).await;
    assert!(down.is_complete(), "{down:#?}");
    assert_eq!(
        down.scopes[0].migrations(),
        2 * fleet.tenant.migrations.len()
    );
    let again = go(&fleet, Goal::Latest, UP).await;
    assert!(again.is_complete(), "{again:#?}");
    let redo = go(&fleet, Goal::Redo, &[Scope::Tenant]).await;
    assert_eq!(redo.scopes[0].migrations(), 4, "{redo:#?}");
}

/// Moves one tenant, as another run would.
async fn move_one(small: &Small, name: &str, goal: Goal) {
    let request = Request {
        goal,
        scopes: &[Scope::Tenant],
        select: &|standing| standing.target.schema.as_str() == name,
        max_failures: Portion::Count(0),
    };
    let report = travel(&small.fleet, &request, &CancellationToken::new(), &())
        .await
        .unwrap();
    assert!(report.is_complete(), "{report:#?}");
}

/// Each cohort's versions and tenants.
fn formed(cohorts: &Cohorts) -> Vec<(Vec<String>, Vec<String>)> {
    let versions = |cohort: &Cohort| -> Vec<_> {
        let applied = cohort.applied.iter();
        applied.map(|a| a.version.to_string()).collect()
    };
    let names = |cohort: &Cohort| {
        let targets = cohort.targets.iter();
        targets
            .map(|(target, _)| target.schema.as_str().to_owned())
            .collect()
    };
    let cohorts = cohorts.cohorts.iter();
    cohorts
        .map(|cohort| (versions(cohort), names(cohort)))
        .collect()
}

#[tokio::test]
async fn a_history_that_has_moved_on_is_read_as_it_was_seen() {
    let small = small(4).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    small.go(Goal::UpTo(Version::new(2))).await;
    let form = async |survey: &Survey| {
        let standings = &survey.tenants;
        Cohorts::form(&small.fleet, Scope::Tenant, standings, Goal::Empty)
            .await
            .unwrap()
    };
    // Acme, which is read for both, goes on after the look.
    let survey = Survey::take(&small.fleet).await.unwrap();
    move_one(&small, "acme", Goal::UpTo(Version::new(3))).await;
    let cohorts = form(&survey).await;
    let two = vec!["1".to_owned(), "2".to_owned()];
    assert_eq!(
        formed(&cohorts),
        [(two, vec!["acme".to_owned(), "bolt".to_owned()])]
    );
    let force = Correction::Force(Some(Version::new(1)));
    let forced = record(&small.fleet, Scope::Tenant, &survey.tenants, force)
        .await
        .unwrap();
    assert_eq!((forced.moved.len(), forced.skipped.len()), (1, 1));
    assert_eq!(
        small.log("acme").await.last().unwrap().version,
        Version::new(3)
    );

    // Both go on: what was applied where they were seen is still told by the log. Whoever carries such a plan is told that it
    // is stale.
    let survey = Survey::take(&small.fleet).await.unwrap();
    move_one(&small, "acme", Goal::DownTo(Version::new(2))).await;
    let zero = Correction::Force(None);
    let one = &survey.tenants[1..];
    record(&small.fleet, Scope::Tenant, one, zero)
        .await
        .unwrap();
    let found = formed(&form(&survey).await);
    let until = |last: u32| (1..=last).map(|version| version.to_string()).collect();
    let mut expected = vec![
        (until(3), vec!["acme".to_owned()]),
        (until(1), vec!["bolt".to_owned()]),
    ];
    expected.sort_by(|a: &(Vec<String>, _), b| a.0.cmp(&b.0));
    let mut found = found;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_history_that_does_not_add_up_is_named() {
    let small = small(2).await;
    small.import("acme").await;
    small.go(Goal::UpTo(Version::new(1))).await;
    small.run("delete from tenantry.history").await;
    // Else the files would tell what is applied.
    small.write("tenant/1-t1.down.sql", "drop table if exists t1;");
    let small = small.reopened();
    let survey = Survey::take(&small.fleet).await.unwrap();
    let formed = Cohorts::form(&small.fleet, Scope::Tenant, &survey.tenants, Goal::Latest).await;
    let error = formed.unwrap_err().to_string();
    assert!(
        error.contains("schema acme on shard main") && error.contains("try again"),
        "{error}"
    );
}

/// Two migrations of each scope, and these tenants at their head.
async fn with_shared(tenants: &[&str]) -> Small {
    let small = small(2).await;
    for number in 1..=2 {
        small.write(
            &format!("shared/{number}-s{number}.up.sql"),
            &format!("create table s{number} ();"),
        );
        small.write(
            &format!("shared/{number}-s{number}.down.sql"),
            &format!("drop table s{number};"),
        );
    }
    let small = small.reopened();
    assert!(go(&small.fleet, Goal::Latest, UP).await.is_complete());
    for tenant in tenants {
        small.add(tenant).await;
    }
    small
}

async fn refused(small: &Small, goal: Goal, scopes: &[Scope]) -> String {
    let request = Request {
        goal,
        scopes,
        select: &|_| true,
        max_failures: Portion::Count(0),
    };
    let report = travel(&small.fleet, &request, &CancellationToken::new(), &()).await;
    report.unwrap_err().to_string()
}

#[tokio::test]
async fn the_shared_schema_is_not_taken_back_under_tenants_that_stay() {
    let small = with_shared(&["acme", "bolt", "coil"]).await;
    for (stays, back) in [
        (
            "update tenantry.tenants set state = 'suspended' where name = 'bolt'",
            "update tenantry.tenants set state = 'active'",
        ),
        (
            "update tenantry.tenants set state = 'provisioning' where name = 'bolt'",
            "update tenantry.tenants set state = 'active'",
        ),
        (
            "update tenantry.heads set dirty_version = '2' where schema_name = 'bolt'",
            "update tenantry.heads set dirty_version = null",
        ),
        (
            "alter schema bolt rename to other",
            "alter schema other rename to bolt",
        ),
        (
            "delete from tenantry.tenants where name = 'bolt'",
            "insert into tenantry.tenants (name, shard, state) values ('bolt', 'main', 'active')",
        ),
    ] {
        small.run(stays).await;
        let error = refused(&small, Goal::DownTo(Version::new(1)), DOWN).await;
        assert!(
            error.contains("do not go back themselves: bolt;"),
            "{stays}: {error}"
        );
        assert_eq!(
            small.tables("acme").await,
            ["t1", "t2"],
            "nothing was begun"
        );
        small.run(back).await;
    }
    assert_eq!(small.tables("shared").await, ["s1", "s2"]);
    // One that is where the others go holds nobody up.
    small
        .run("update tenantry.tenants set state = 'suspended' where name = 'bolt'")
        .await;
    let forced = Correction::Force(Some(Version::new(1)));
    let survey = Survey::take(&small.fleet).await.unwrap();
    record(&small.fleet, Scope::Tenant, &survey.tenants[1..2], forced)
        .await
        .unwrap();
    let down = go(&small.fleet, Goal::DownTo(Version::new(1)), DOWN).await;
    assert!(down.is_complete(), "{down:#?}");
    assert_eq!(small.tables("shared").await, ["s1"]);
}

#[tokio::test]
async fn the_shared_schema_stays_when_a_tenant_fails_on_the_way_back() {
    let small = with_shared(&["acme", "bolt"]).await;
    small.run("drop table acme.t1").await;
    let request = Request {
        goal: Goal::Empty,
        scopes: DOWN,
        select: &|_| true,
        max_failures: Portion::Count(5),
    };
    let down = travel(&small.fleet, &request, &CancellationToken::new(), &())
        .await
        .unwrap();
    assert!(!down.is_complete());
    assert_eq!(down.scopes.len(), 1, "{down:#?}");
    assert_eq!(small.tables("shared").await, ["s1", "s2"]);
}

#[tokio::test]
async fn tenants_do_not_go_up_before_what_they_share() {
    let small = with_shared(&["acme"]).await;
    for scope in ["shared", "tenant"] {
        small.write(&format!("{scope}/3-x.up.sql"), "create table x ();");
        small.write(&format!("{scope}/3-x.down.sql"), "drop table x;");
    }
    let small = small.reopened();
    let tenants = &[Scope::Tenant];
    for goal in [Goal::Latest, Goal::Up(1), Goal::Goto(Version::new(3))] {
        let error = refused(&small, goal, tenants).await;
        assert!(
            error.contains("shard main lacks 1 migration")
                && error.contains("`tenantry up --scope shared`"),
            "{error}"
        );
    }
    // What goes back, or stays below what is missing, does not need it.
    for goal in [
        Goal::DownTo(Version::new(1)),
        Goal::Goto(Version::new(2)),
        Goal::Redo,
    ] {
        assert!(go(&small.fleet, goal, tenants).await.is_complete());
    }
    assert!(
        go(&small.fleet, Goal::Latest, &[Scope::Shared])
            .await
            .is_complete()
    );
    assert!(go(&small.fleet, Goal::Latest, tenants).await.is_complete());
    small
        .run("update tenantry.heads set dirty_version = '3' where schema_name = 'shared'")
        .await;
    small.write("tenant/4-y.up.sql", "create table y ();");
    small.write("tenant/4-y.down.sql", "drop table y;");
    let small = small.reopened();
    let error = refused(&small, Goal::Latest, tenants).await;
    assert!(error.contains("stopped half-way at 3"), "{error}");
}

#[tokio::test]
async fn a_shard_that_takes_nothing_is_one_failure() {
    let small = small(1).await;
    for tenant in ["acme", "bolt", "coil"] {
        small.import(tenant).await;
    }
    small
        .run("alter table tenantry.scripts rename to elsewhere")
        .await;
    let report = small.go(Goal::Latest).await;
    let scope = &report.scopes[0];
    let codes: Vec<_> = scope
        .failures()
        .map(|(_, failure)| failure.error.code.as_str())
        .collect();
    assert_eq!((codes, scope.not_started()), (vec!["42P01"], 2));
}

/// Counts what it is told.
#[derive(Default)]
struct Counter {
    begun: AtomicUsize,
    ended: AtomicUsize,
    migrations: AtomicUsize,
    /// Cancelled by the last one that ends.
    stop: CancellationToken,
}

impl Observer for Counter {
    fn begin(&self, _scope: Scope, targets: usize) {
        self.begun.fetch_add(targets, Ordering::Relaxed);
    }

    fn ended(&self, _scope: Scope, run: &Run) {
        self.migrations.fetch_add(run.migrations, Ordering::Relaxed);
        if self.ended.fetch_add(1, Ordering::Relaxed) + 1 == self.begun.load(Ordering::Relaxed) {
            self.stop.cancel();
        }
    }
}

impl Counter {
    async fn go(&self, small: &Small, select: &(dyn Fn(&Standing) -> bool + Sync)) -> Report {
        let request = Request {
            goal: Goal::Latest,
            scopes: &[Scope::Tenant],
            select,
            max_failures: Portion::Count(0),
        };
        travel(&small.fleet, &request, &self.stop, self)
            .await
            .unwrap()
    }

    /// Begun, ended, migrations.
    fn told(&self) -> (usize, usize, usize) {
        let number = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (
            number(&self.begun),
            number(&self.ended),
            number(&self.migrations),
        )
    }
}

#[tokio::test]
async fn what_was_committed_before_somebody_came_in_between_is_counted() {
    let small = small(3).await;
    small.import("acme").await;
    small.write("tenant/1-t1.up.sql", "create type mood as enum ('good');");
    // A new value ends the transaction; then the schema is moved as if by somebody else.
    small.write(
        "tenant/2-t2.up.sql",
        "alter type mood add value 'bad';
         update tenantry.heads set revision = revision + 1;",
    );
    let small = small.reopened();
    let counter = Counter::default();
    let report = counter.go(&small, &|_| true).await;
    let run = &report.scopes[0].runs[0];
    assert_eq!(
        (&run.ended, run.migrations, run.from),
        (&Ended::Done, 3, None)
    );
    assert_eq!(counter.told(), (1, 1, 3));
}

#[tokio::test]
async fn a_tenant_that_somebody_else_has_finished_is_told_of_and_current() {
    let small = small(2).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    // Between the look and the first message.
    let meanwhile = std::sync::Once::new();
    let select = |_: &Standing| {
        let move_acme = || {
            let tenantry = || small.tenantry(&["up", "acme"]).output().unwrap();
            assert!(tenantry().status.success());
        };
        meanwhile.call_once(move_acme);
        true
    };
    let counter = Counter::default();
    let report = counter.go(&small, &select).await;
    let scope = &report.scopes[0];
    assert_eq!((scope.current, scope.done()), (1, 1), "{report:#?}");
    assert_eq!(counter.told(), (2, 2, 2));
}

#[tokio::test]
async fn who_asks_to_stop_after_the_last_one_has_stopped_nobody() {
    let small = small(1).await;
    small.import("acme").await;
    let counter = Counter::default();
    let report = counter.go(&small, &|_| true).await;
    assert!(
        counter.stop.is_cancelled() && report.is_complete(),
        "{report:#?}"
    );
    small.import("bolt").await;
    let report = counter.go(&small, &|_| true).await;
    assert!(report.stopped && !report.is_complete(), "{report:#?}");
}
