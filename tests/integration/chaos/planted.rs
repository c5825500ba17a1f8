//! The checker against bugs that were planted on purpose.
//!
//! Each test takes a run to the one place where its bug shows. Built as always, nothing may be wrong afterwards; built
//! with the bug (`tests/mutants.sh` does), the checker has to find it.

use super::{
    checker::{Expect, check},
    ground::{Ground, SINGLY, Trap},
};

/// A run is killed where the record is about to be written: was the migration committed before it?
#[tokio::test]
async fn a_record_that_is_late_is_found() {
    let mut ground = Ground::of(2).await;
    ground.grow();
    ground.grow();
    assert_eq!(ground.up().end().await.0, 0);
    ground.grow();
    ground.set(Trap::Record, 2).await;
    let up = ground.up_with(&[SINGLY]);
    ground.caught(1).await;
    assert!(up.kill());
    // In the trap still: the server has to notice by itself that nobody is there any more.
    ground.quiet().await;
    ground.spring().await;
    let mut wrong = check(&ground, Expect::AnyStep).await;
    // With the bug it cannot go on: its table is there already.
    let (code, _) = ground.up_with(&[SINGLY]).end().await;
    wrong.extend(check(&ground, Expect::All).await);
    let is_planted = cfg!(feature = "mutant-late-history");
    let found = wrong
        .iter()
        .any(|w| w.contains("not each migration has run once"));
    assert_eq!((code != 0, found), (is_planted, is_planted), "{wrong:#?}");
    assert_eq!(wrong.is_empty(), !is_planted, "{wrong:#?}");
}

/// A run is killed while it builds an index concurrently, which leaves an invalid one: is that taken for done?
#[tokio::test]
async fn an_invalid_index_that_is_taken_for_done_is_found() {
    let mut ground = Ground::of(2).await;
    ground.grow();
    assert_eq!(ground.up().end().await.0, 0);
    ground.grow();
    let writer = ground.writer(2).await;
    let up = ground.up();
    ground.building().await;
    assert!(up.kill());
    ground.quiet().await;
    drop(writer);
    // Nobody ended it well: it is there, and good for nothing.
    let left: i64 = sqlx::query_scalar("select count(*) from pg_index where not indisvalid")
        .fetch_one(&mut ground.connect().await)
        .await
        .unwrap();
    assert_eq!(left, 1);
    assert_eq!(check(&ground, Expect::AnyStep).await, [""; 0]);
    assert_eq!(ground.up().end().await.0, 0);
    let wrong = check(&ground, Expect::All).await;
    let is_planted = cfg!(feature = "mutant-if-not-exists");
    let found = wrong
        .iter()
        .any(|w| w == "the index tenant_2.i2 is invalid");
    assert_eq!(found, is_planted, "{wrong:#?}");
    assert_eq!(wrong.is_empty(), !is_planted, "{wrong:#?}");
}
