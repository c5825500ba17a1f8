//! Several runs at once: each does what the others leave, and none waits in the server for another.

use super::{
    checker::{Expect, check},
    ground::{Ground, SINGLY, Trap, Up},
};
use crate::support::until;

/// Looks, as long as any of them runs, for somebody who waits for an advisory lock. How often it looked, and what it saw.
async fn watch(ground: &Ground, ups: &mut [Up]) -> (usize, i64) {
    let mut connection = ground.connect().await;
    let (mut looks, mut waiting) = (0, 0);
    until("all runs have ended", async || {
        waiting += waiters(&mut connection).await;
        looks += 1;
        ups.iter_mut().all(Up::has_ended)
    })
    .await;
    (looks, waiting)
}

async fn waiters(connection: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from pg_locks where locktype = 'advisory' and not granted")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn runs_at_the_same_time_do_everything_once() {
    for runs in [2, 3] {
        let mut ground = Ground::of(20).await;
        for _ in 0..3 {
            ground.grow();
        }
        let mut ups: Vec<_> = (0..runs).map(|_| ground.up()).collect();
        let (looks, waiting) = watch(&ground, &mut ups).await;
        assert!(looks > 1);
        assert_eq!(waiting, 0, "{runs} runs");
        for up in ups {
            let (code, said) = up.end().await;
            assert_eq!(code, 0, "{said}");
        }
        assert_eq!(check(&ground, Expect::All).await, [""; 0], "{runs} runs");
    }
}

/// Whose groups meet the same tenants at once comes away from some of them, and says nothing else of it than that they are
/// busy.
#[tokio::test]
async fn runs_at_the_same_time_in_groups_do_everything_once() {
    let mut ground = Ground::of(200).await;
    ground.grow();
    assert_eq!(ground.up().end().await.0, 0);
    for runs in [3, 4] {
        ground.grow_light();
        ground.grow_light();
        let mut ups: Vec<_> = (0..runs).map(|_| ground.up()).collect();
        let (_, waiting) = watch(&ground, &mut ups).await;
        assert_eq!(waiting, 0, "{runs} runs");
        for up in ups {
            let (code, said) = up.end().await;
            assert!([0, 75].contains(&code), "{runs} runs: exit {code}: {said}");
        }
        let (code, said) = ground.up().end().await;
        assert_eq!(code, 0, "{said}");
        assert_eq!(check(&ground, Expect::All).await, [""; 0], "{runs} runs");
    }
}

#[tokio::test]
async fn whoever_finds_a_tenant_busy_says_so_and_does_the_others() {
    let mut ground = Ground::of(5).await;
    ground.grow();
    ground.set(Trap::Half, 3).await;
    let first = ground.up_with(&[SINGLY]);
    ground.caught(1).await;
    // One that soon gives up, and one that waits until the first is through.
    let mut impatient = [ground.up_with(&[SINGLY, ("TENANTRY__APPLY__BUSY_WAIT", "1ms")])];
    let mut patient = [ground.up_with(&[SINGLY])];
    assert_eq!(watch(&ground, &mut impatient).await.1, 0);
    let (code, said) = { impatient }.into_iter().next().unwrap().end().await;
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("tenant_3"), "{said}");
    let mut connection = ground.connect().await;
    let others = "select count(*) = 4 from tenantry.history where schema_name ~ '^tenant_'";
    until("all others are moved", async || {
        sqlx::query_scalar(others)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
    .await;
    assert_eq!(waiters(&mut connection).await, 0);
    ground.spring().await;
    assert_eq!(watch(&ground, &mut patient).await.1, 0);
    for up in [first].into_iter().chain(patient) {
        let (code, said) = up.end().await;
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(check(&ground, Expect::All).await, [""; 0]);
}
