//! Random structures, written as SQL and made again from it: nothing may be lost, and the second text is the first.
//!
//! A case is a list of operations. Each one is turned into a statement that fits what stands there so far; one that the
//! server refuses leaves nothing. `TENANTRY_PROPERTY_SEED` and `TENANTRY_PROPERTY_CASES` ask for other cases than the usual
//! ones; a failing case tells its statements.

mod behaviour;
mod case;
mod changes;
mod constraints;
mod dice;
mod family;
mod found;
mod model;
mod operations;
mod partitions;
mod routines;
mod tables;
mod types;
mod values;
mod views;

use std::{cell::RefCell, collections::BTreeMap, env, io::Write as _, thread};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use case::{Ground, STYLES, Tried};
use operations::{OPERATIONS, Operation};

/// How many connections work at once.
const WORKERS: u32 = 4;

/// The longest case.
const LONGEST: usize = 32;

fn asked(variable: &str, usual: u32) -> u32 {
    env::var(variable).map_or(usual, |value| value.parse().unwrap())
}

#[test]
fn five_hundred_random_structures_are_restored_from_what_was_written() {
    let seed = asked("TENANTRY_PROPERTY_SEED", 20_260_301);
    let cases = asked("TENANTRY_PROPERTY_CASES", 500);
    let line = format!("{cases} random structures, TENANTRY_PROPERTY_SEED={seed}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| thread::spawn(move || work(seed, worker, cases.div_ceil(WORKERS))))
        .collect();
    let mut tried = Tried::default();
    let mut wrong = Vec::new();
    for worker in workers {
        let (its, failure) = worker.join().unwrap();
        tried.add(its);
        wrong.extend(failure);
    }
    assert!(
        wrong.is_empty(),
        "with TENANTRY_PROPERTY_SEED={seed}: {}",
        wrong.join("\n\n")
    );
    still_valid(&tried, cases);
}

/// Each kind of operation must still be one that the server takes, or nothing would be tested.
fn still_valid(tried: &Tried, cases: u32) {
    let of_kinds: BTreeMap<_, _> = OPERATIONS
        .iter()
        .map(|(name, _, _)| (*name, tried.of(name)))
        .collect();
    let taken: u32 = of_kinds.values().map(|(taken, _)| taken).sum();
    let all: u32 = of_kinds.values().map(|(_, all)| all).sum();
    assert!(taken * 4 > all * 3, "only {taken} of {all}: {of_kinds:?}");
    let never: Vec<_> = of_kinds
        .iter()
        .filter(|(_, (taken, all))| *taken == 0 && *all >= 5)
        .collect();
    assert!(cases < 500 || never.is_empty(), "{never:?}");
}

/// What stands there before the other operations, most of which are about something that stands there.
const GROUND: &[&str] = &["an enum", "a table", "a table", "a function for triggers"];

/// The operations of a case, and which kind of name its schema has.
fn cases() -> impl Strategy<Value = (u32, Vec<Operation>)> {
    let operation = any::<(u32, u64)>().prop_map(|(which, seed)| Operation::new(which, seed));
    let operations = prop::collection::vec(operation.no_shrink(), 4..LONGEST);
    let ground = any::<[u64; GROUND.len()]>().no_shrink();
    (0..4 * STYLES, ground, operations).prop_map(|(style, seeds, operations)| {
        let ground = GROUND.iter().zip(seeds);
        let ground = ground.map(|(name, seed)| Operation::of(name, seed));
        (style, ground.chain(operations).collect())
    })
}

fn work(seed: u32, worker: u32, count: u32) -> (Tried, Option<String>) {
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    bytes[4..8].copy_from_slice(&worker.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ground = RefCell::new(runtime.block_on(Ground::new()));
    let done = TestRunner::new_with_rng(config, random).run(&cases(), |(style, operations)| {
        let mut ground = ground.borrow_mut();
        let done = runtime.block_on(ground.case(style, &operations));
        done.map_err(TestCaseError::fail)
    });
    let failure = match done {
        Ok(()) => None,
        Err(TestError::Fail(why, _)) => Some(why.to_string()),
        Err(TestError::Abort(why)) => Some(format!("given up: {why}")),
    };
    (ground.into_inner().tried, failure)
}
