//! What a rollout waits for besides its runs: windows.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use tenantry::{
    store::runs::{self, Of},
    tenant::ShardName,
};

use crate::support::{
    rollouts::{MINUTE, daemon, fleet, json, moved, number},
    until_within,
};

/// A window that is open on one day of the week: the one that comes after so many days.
fn window(days: i64) -> String {
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date() + days.days();
    format!("{} 00:00-24:00", day.strftime("%a"))
}

#[tokio::test]
async fn nothing_is_begun_outside_of_a_window_unless_somebody_says_so() {
    let small = fleet(5).await;
    let _daemon = daemon(&small, &[]);
    let start = |more: &[&str]| {
        let arguments = [&["rollout", "start", "--canaries", "0"], more].concat();
        let mut command =
            small.tenantry(&[&arguments[..], &["--output", "json", "--quiet"]].concat());
        command.env("TENANTRY__ROLLOUT__WINDOWS", window(3));
        command.env("TENANTRY__ROLLOUT__TIME_ZONE", "Europe/Berlin");
        command.assert().success();
    };
    start(&[]);
    let mut connection = small.connect().await;
    let waits = "select count(*) from tenantry.rollouts where why like 'waits for the window that opens %(Europe/Berlin)'";
    until_within(MINUTE, "it waits", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
    let (_, shown) = json(&small, &["rollout", "show"]);
    assert_eq!(shown["state"], "running", "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::new());
    assert_eq!(json(&small, &["rollout", "cancel"]).0, 0);
    let cancelled = "select count(*) from tenantry.rollouts where state = 'cancelled'";
    until_within(MINUTE, "it is cancelled", async || {
        number(&mut connection, cancelled).await == 1
    })
    .await;

    start(&["--ignore-windows"]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
    let first = &shown["events"][0]["action"];
    assert_eq!(first, "start, ignoring the windows", "{shown}");
}

#[tokio::test]
async fn within_a_window_it_goes_on_and_nothing_is_claimed_once_it_is_closed() {
    let small = fleet(5).await;
    {
        let _daemon = daemon(&small, &[]);
        let mut command = small.tenantry(&["rollout", "start", "--wait"]);
        // Today, and so that it does not end while the test runs: tomorrow, too.
        let windows = format!("{},{}", window(0), window(1));
        command.env("TENANTRY__ROLLOUT__WINDOWS", windows);
        command.assert().success();
    }
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
    let mut connection = small.connect().await;
    let open =
        "select count(*) from tenantry.rollouts where open_until > now() + interval '23 hours'";
    assert_eq!(number(&mut connection, open).await, 1);

    // As a wave is that is under way, by the daemon that does so.
    small
        .run(
            "with d as (insert into tenantry.daemons (name, expires_at) values ('d', now() + interval '1 h') returning id)
             update tenantry.rollouts set state = 'running', ended_at = null, daemon = (select id from d);
             update tenantry.waves set state = 'running' where number = 0;
             update tenantry.runs set state = 'pending', ended_at = null, not_before = '-infinity' where wave = 0",
        )
        .await;
    let daemon = number(
        &mut connection,
        "select id from tenantry.daemons where name = 'd'",
    )
    .await;
    let of = Of {
        rollout: 1,
        wave: 0,
    };
    let main = ShardName::new("main");
    let close = "update tenantry.rollouts set open_until = now() - interval '1 ms'";
    small.run(close).await;
    let mut connection = connection.into();
    let claimed = runs::claim(&mut connection, of, &main, daemon, 1).await;
    assert_eq!(claimed.unwrap(), []);
    let open = "update tenantry.rollouts set open_until = now() + interval '1 h'";
    small.run(open).await;
    let claimed = runs::claim(&mut connection, of, &main, daemon, 1).await;
    assert_eq!(claimed.unwrap().len(), 1);
}
