//! Tests of whole texts and sets, and against a real PostgreSQL: one binary, one server, a database for each test.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod backfill;
mod cli_daemon;
mod daemon;
mod fixtures;
mod fleet;
mod kinds;
mod real_sets;
mod refusals;
mod scratch;
mod sets;
mod split;
mod structure;
mod support;
