//! What a rollout tried with one tenant, try by try.

use serde_json::Value;

use crate::support::rollouts::{daemon, fleet, json, until_number};

/// Puts words in place of what differs each time.
fn without_times(shown: &mut Value) {
    for run in shown["runs"].as_array_mut().unwrap() {
        for key in ["begun_at", "ended_at"] {
            assert!(run[key].is_string(), "{run}");
            run[key] = "[time]".into();
        }
        for tried in run["tries"].as_array_mut().unwrap() {
            assert!(tried["at"].is_string(), "{tried}");
            tried["at"] = "[time]".into();
            assert!(
                tried["daemon"].as_str().unwrap().contains(" pid "),
                "{tried}"
            );
            tried["daemon"] = "[daemon]".into();
        }
    }
}

#[tokio::test]
async fn each_try_that_failed_is_shown_also_once_it_came_through() {
    let small = fleet(2).await;
    small.run("create table tenant_1.t1 ()").await;
    let _daemon = daemon(&small, &[]);
    let start = [
        "rollout",
        "start",
        "--canaries",
        "0",
        "--waves",
        "100%",
        "--max-failures",
        "0",
        "--wait",
    ];
    let (code, shown) = json(&small, &start);
    assert_eq!(code, 7, "{shown}");
    // It fails again.
    assert_eq!(json(&small, &["rollout", "retry"]).0, 0);
    let tries = "select count(*) from tenantry.attempts";
    until_number(&small, "it has failed twice", tries, 2).await;
    assert_eq!(json(&small, &["rollout", "watch"]).0, 7);
    let of_one = ["rollout", "show", "--tenant", "tenant_1"];
    let text = small.text(&of_one);
    assert!(
        text.contains("main/tenant_1, wave 0 (wave): failed, begun 2 times"),
        "{text}"
    );
    assert!(
        text.contains("\ntry 1 ") && text.contains("\ntry 2 "),
        "{text}"
    );
    assert!(text.contains("relation \"t1\" already exists"), "{text}");

    small.run("drop table tenant_1.t1").await;
    assert_eq!(json(&small, &["rollout", "retry"]).0, 0);
    assert_eq!(json(&small, &["rollout", "watch"]).0, 0);
    let (code, mut shown) = json(&small, &of_one);
    assert_eq!(code, 0, "{shown}");
    without_times(&mut shown);
    insta::assert_json_snapshot!("rollout_show_tenant", shown);
    let text = small.text(&["rollout", "show", "1", "--tenant", "tenant_2"]);
    assert!(
        text.contains("main/tenant_2, wave 0 (wave): done, begun once"),
        "{text}"
    );
    assert!(!text.contains("try 1"), "{text}");
    let (code, told) = json(&small, &["rollout", "show", "--tenant", "nobody"]);
    assert_eq!(code, 2, "{told}");
    assert!(
        told.as_str()
            .unwrap()
            .contains("nobody is in no wave of rollout 1"),
        "{told}"
    );
}

#[tokio::test]
async fn who_was_in_the_way_is_told_of_each_try() {
    let small = fleet(2).await;
    small.tenantry(&["up"]).assert().success();
    small.write("tenant/2-t2.up.sql", "alter table t1 add column more int;");
    small.write("tenant/2-t2.down.sql", "alter table t1 drop column more;");
    let mut application = small.connect().await;
    sqlx::raw_sql("begin; lock tenant_1.t1 in access share mode")
        .execute(&mut application)
        .await
        .unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut application)
        .await
        .unwrap();
    let _daemon = daemon(&small, &[]);
    assert_eq!(json(&small, &["rollout", "start", "--canaries", "0"]).0, 0);
    let named = "select count(*) > 0 and bool_or(blocker like '%pid%') from tenantry.attempts";
    let named = format!("select ({named})::integer::bigint");
    until_number(&small, "who is in the way is written", &named, 1).await;
    sqlx::raw_sql("rollback")
        .execute(&mut application)
        .await
        .unwrap();
    assert_eq!(json(&small, &["rollout", "watch"]).0, 0);
    let text = small.text(&["rollout", "show", "--tenant", "tenant_1"]);
    assert!(
        text.contains("main/tenant_1, wave 0 (wave): done"),
        "{text}"
    );
    assert!(text.contains(&format!("in its way: pid {pid}")), "{text}");
}
