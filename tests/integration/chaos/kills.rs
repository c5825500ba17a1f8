//! Runs that are killed at random moments, one after the other, on a fleet that has more to do each time.

use std::{io::Write, time::Duration};

use super::{
    checker::{Expect, check},
    ground::{Ground, IN_GROUPS, LONG, Trap},
};
use crate::support::until_within;

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After so long.
    Time(Duration),
    /// When so many migrations more are recorded.
    Records(i64),
    /// When a tenant is in the middle of a migration, or at its record.
    Trap(Trap, usize),
    /// When the record of a tenant is written that is in one transaction with others.
    Group(usize),
    /// When an index of a tenant is being built concurrently.
    Building(usize),
}

/// So many kinds of kills take turns.
const TURN: usize = 8;

/// Whether what has come last is light when this kill is made.
fn is_light(number: usize) -> bool {
    number % TURN >= 6
}

/// One row of kills.
struct Campaign {
    random: fastrand::Rng,
    ground: Ground,
    kills: usize,
}

#[tokio::test]
async fn whoever_is_killed_leaves_nothing_twice_nothing_missing_and_nothing_half() {
    let is_full = std::env::var("TENANTRY_CHAOS").is_ok_and(|size| size == "full");
    let (tenants, kills) = if is_full { (500, 20) } else { (25, 8) };
    let seed = std::env::var("TENANTRY_CHAOS_SEED").map_or_else(
        |_| fastrand::u64(..) % 1_000_000,
        |seed| seed.parse().unwrap(),
    );
    say(&format!(
        "chaos: {tenants} tenants, {kills} kills, TENANTRY_CHAOS_SEED={seed}"
    ));
    let mut campaign = Campaign {
        random: fastrand::Rng::with_seed(seed),
        ground: Ground::of(tenants).await,
        kills,
    };
    campaign.run().await;
}

/// Not `eprintln!`, which the test runner would keep to itself.
fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

impl Campaign {
    async fn run(&mut self) {
        let mut killed = 0;
        self.ground.grow();
        let (code, said) = self.ground.up().end().await;
        assert_eq!(code, 0, "{said}");
        for number in 0..self.kills {
            if is_light(number) {
                // Only those that lack the same, and nothing else, are carried together.
                self.finish().await;
                self.ground.grow_light();
            } else {
                self.ground.grow();
            }
            let moment = self.moment(number);
            let was_running = self.kill(moment).await;
            killed += usize::from(was_running);
            // Half of the time the next run finds whatever the server is still doing for the one before.
            if self.random.bool() {
                self.ground.quiet().await;
                let wrong = check(&self.ground, Expect::AnyStep).await;
                assert!(wrong.is_empty(), "{moment:?}:\n{}", wrong.join("\n"));
            }
            let running = if was_running { "" } else { ", too late" };
            say(&format!("chaos: killed at {moment:?}{running}"));
        }
        assert!(killed * 2 > self.kills, "{killed} of {} were", self.kills);
        self.finish().await;
    }

    /// A run that is left alone does what is left.
    async fn finish(&self) {
        let (code, said) = self.ground.up().end().await;
        assert_eq!(code, 0, "{said}");
        let wrong = check(&self.ground, Expect::All).await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Every kind of moment has its turn; which one of its kind is left to chance.
    fn moment(&mut self, number: usize) -> Moment {
        let tenants = self.ground.tenants;
        let tenant = self.random.usize(1..=tenants);
        let some = self.random.i64(1..=i64::try_from(tenants).unwrap());
        match number % TURN {
            // The migration that has come last is no transaction.
            0 => Moment::Building(tenant),
            2 => Moment::Trap(Trap::Progress, tenant),
            // It is a transaction.
            1 => Moment::Records(some),
            3 => Moment::Time(self.random_time()),
            // It is light. The first by name is carried alone.
            6 => Moment::Group(tenant.max(2)),
            7 => Moment::Records(some),
            // Either.
            _ => Moment::Trap([Trap::Half, Trap::Record][self.random.usize(0..2)], tenant),
        }
    }

    /// Within about the time that a run takes, with its start.
    fn random_time(&mut self) -> Duration {
        let longest = 100 + 4 * u64::try_from(self.ground.tenants).unwrap();
        Duration::from_millis(self.random.u64(0..longest))
    }

    /// Starts a run and kills it. Whether it was still running.
    async fn kill(&mut self, moment: Moment) -> bool {
        let before = self.records().await;
        match moment {
            Moment::Trap(trap, tenant) => self.ground.set(trap, tenant).await,
            Moment::Group(tenant) => self.ground.set(Trap::Record, tenant).await,
            _ => {}
        }
        let writer = match moment {
            Moment::Building(tenant) => Some(self.ground.writer(tenant).await),
            _ => None,
        };
        let mut up = match moment {
            Moment::Group(_) => self.ground.up_with(&IN_GROUPS),
            _ => self.ground.up(),
        };
        match moment {
            // The one wait that is for a time: which one is the point.
            Moment::Time(after) => tokio::time::sleep(after).await,
            Moment::Records(more) => {
                until_within(LONG, "so many are recorded", async || {
                    self.records().await >= before + more || up.has_ended()
                })
                .await;
            }
            Moment::Trap(..) => self.ground.caught(1).await,
            Moment::Group(_) => {
                self.ground.caught(1).await;
                assert!(self.ground.caught_in_group().await);
            }
            Moment::Building(_) => self.ground.building().await,
        }
        let was_running = up.kill();
        drop(writer);
        self.ground.spring().await;
        was_running
    }

    async fn records(&self) -> i64 {
        sqlx::query_scalar("select count(*) from tenantry.history")
            .fetch_one(&mut self.ground.connect().await)
            .await
            .unwrap()
    }
}
