//! What kills, crashes and rivals may leave behind: a checker that reads the databases, and those who try to make it find
//! something.
//!
//! The suite runs a few rounds. `TENANTRY_CHAOS=full cargo test --test integration -- chaos` takes 500 tenants through
//! 20 kills; `TENANTRY_CHAOS_SEED=N` repeats a run as far as time allows.

mod checker;
mod crash;
mod ground;
mod kills;
mod planted;
mod several;
