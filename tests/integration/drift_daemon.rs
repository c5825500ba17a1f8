//! Several daemons: one of them looks for drift, and says what it has found; when it dies, another one does.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tenantry::store::sweeps::{Claim, Turn, claim, give_back, renew};

use crate::support::{self, Shop, until};

/// A daemon that runs until it is dropped.
struct Daemon {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// On the fleet of a shop, looking for drift once an hour.
    fn start(shop: &Shop) -> Self {
        Self::at_pace(shop, "100")
    }

    /// The same, at so many tenants a second.
    fn at_pace(shop: &Shop, tenants: &str) -> Self {
        let mut process = support::tenantry()
            .arg("serve")
            .current_dir(shop.path())
            .env("TENANTRY__HOME__URL", &shop.database.url)
            .env("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0")
            .env("TENANTRY__DRIFT__INTERVAL", "1h")
            .env("TENANTRY__DRIFT__TENANTS_PER_SECOND", tenants)
            .env("TENANTRY__LOG__LEVEL", "info,tenantry::daemon=debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (said, kept) = (process.stderr.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { process, lines }
    }

    /// What it has said with these words in it.
    fn said(&self, what: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let lines = lines.iter().filter(|line| line.contains(what));
        lines.cloned().collect()
    }

    async fn says(&self, what: &str) {
        until(what, async || !self.said(what).is_empty()).await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A shop in which one tenant was changed by hand.
async fn changed() -> Shop {
    let shop = Shop::with(&["acme", "blue", "coral"]).await;
    shop.sql(
        "alter table blue.users add nick text; alter table blue.users alter email set not null",
    )
    .await;
    shop
}

/// How often somebody has claimed to look, and whether that was done.
async fn sweeps(shop: &Shop) -> (i64, bool) {
    sqlx::query_as("select token, done_at is not null and holder is null from tenantry.sweeps")
        .fetch_one(&mut shop.database.connect().await)
        .await
        .unwrap()
}

const LOOKED: &str = "looked for drift";

const NOT_ITS_TURN: &str = "another daemon looks for drift, or has just done so";

#[tokio::test]
async fn of_two_daemons_one_looks_and_says_what_it_found() {
    let shop = changed().await;
    let (one, other) = (Daemon::start(&shop), Daemon::start(&shop));
    let (mut looked, mut waited) = (&one, &other);
    until("one has looked and the other has not", async || {
        if !other.said(LOOKED).is_empty() {
            (looked, waited) = (&other, &one);
        }
        !looked.said(LOOKED).is_empty() && !waited.said(NOT_ITS_TURN).is_empty()
    })
    .await;
    let found = looked.said("drifted: ");
    assert_eq!(found.len(), 1, "{found:?}");
    for part in [
        "WARN",
        "drifted: users.email: not null no → yes",
        "main/blue",
        "reference=\"majority\"",
        "more=1",
    ] {
        assert!(found[0].contains(part), "{part}: {found:?}");
    }
    let summary = looked.said(LOOKED);
    for part in ["INFO", "drifted=1", "not_looked=0"] {
        assert!(summary[0].contains(part), "{part}: {summary:?}");
    }
    assert_eq!(
        waited.said("drifted: ").len() + waited.said(LOOKED).len(),
        0
    );
    assert_eq!(sweeps(&shop).await, (1, true));
    // Nor does one that is started now: it is not due.
    let third = Daemon::start(&shop);
    third.says(NOT_ITS_TURN).await;
    assert_eq!(sweeps(&shop).await, (1, true));
}

#[tokio::test]
async fn what_a_daemon_that_died_had_claimed_another_one_does_when_the_time_is_over() {
    let shop = changed().await;
    shop.fleet().home().await.unwrap().close().await;
    shop.sql(
        "insert into tenantry.sweeps (name, token, holder, held_until)
         values ('drift', 7, 'the dead one', clock_timestamp() + interval '2 s')",
    )
    .await;
    let daemon = Daemon::start(&shop);
    daemon.says(NOT_ITS_TURN).await;
    assert_eq!(sweeps(&shop).await, (7, false));
    daemon.says(LOOKED).await;
    until("that is noted", async || sweeps(&shop).await == (8, true)).await;
    assert_eq!(daemon.said("drifted: ").len(), 1);
}

#[tokio::test]
async fn whoever_has_lost_its_claim_notes_nothing() {
    let shop = changed().await;
    shop.fleet().home().await.unwrap().close().await;
    // Three tenants and a shared schema last four seconds.
    let daemon = Daemon::at_pace(&shop, "1");
    let mut connection = shop.database.connect().await;
    until("it is at it, and loses it", async || {
        let taken = sqlx::query(
            "update tenantry.sweeps set token = 2, holder = 'another', held_until = clock_timestamp() + interval '1 h'
              where token = 1 and holder is not null",
        );
        taken.execute(&mut connection).await.unwrap().rows_affected() == 1
    })
    .await;
    daemon
        .says("cannot note what drifted: another daemon has taken it over")
        .await;
    daemon.says(NOT_ITS_TURN).await;
    let noted: i64 = sqlx::query_scalar("select count(*) from tenantry.drifted")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(noted, 0, "{:#?}", daemon.said(""));
    assert_eq!(daemon.said("drifted: users").len(), 0);
    assert_eq!(sweeps(&shop).await, (2, false));
}

const HOUR: Duration = Duration::from_secs(3600);

/// Asks for the work as one of the daemons does.
async fn ask(shop: &Shop, interval: Duration) -> Claim {
    let mut connection = shop.database.connect().await.into();
    let asked = claim(&mut connection, "drift", "somebody", interval, HOUR);
    asked.await.unwrap()
}

async fn granted(shop: &Shop, interval: Duration) -> Turn {
    match ask(shop, interval).await {
        Claim::Ours(turn) => turn,
        Claim::Later(rest) => panic!("only in {rest:?}"),
    }
}

/// That it is somebody else's, or not due, for about an hour.
fn later(claim: Claim) {
    let Claim::Later(rest) = claim else {
        panic!("it was granted twice: {claim:?}");
    };
    assert!(rest <= HOUR && rest > HOUR / 2, "{rest:?}");
}

#[tokio::test]
async fn a_claim_is_granted_once_until_it_is_given_back_or_runs_out() {
    let shop = Shop::with(&[]).await;
    let asked = futures::join!(ask(&shop, HOUR), ask(&shop, HOUR), ask(&shop, HOUR));
    let asked = [asked.0, asked.1, asked.2];
    let ours: Vec<_> = asked
        .iter()
        .filter_map(|claim| match claim {
            Claim::Ours(turn) => Some(*turn),
            Claim::Later(_) => None,
        })
        .collect();
    let [first] = ours[..] else {
        panic!("{asked:?}");
    };
    let mut connection = shop.database.connect().await.into();
    assert!(renew(&mut connection, first, HOUR).await.unwrap());
    later(ask(&shop, HOUR).await);

    // Whoever has lost it can neither hold on to it nor say that it is done.
    shop.sql("update tenantry.sweeps set held_until = clock_timestamp()")
        .await;
    let second = granted(&shop, HOUR).await;
    assert!(!renew(&mut connection, first, HOUR).await.unwrap());
    assert!(!give_back(&mut connection, first, true).await.unwrap());
    later(ask(&shop, HOUR).await);

    // What was given back undone is due at once, what is done is due after its time.
    assert!(give_back(&mut connection, second, false).await.unwrap());
    let third = granted(&shop, HOUR).await;
    assert!(give_back(&mut connection, third, true).await.unwrap());
    later(ask(&shop, HOUR).await);
    granted(&shop, Duration::ZERO).await;
}
