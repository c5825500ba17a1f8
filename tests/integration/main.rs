//! Tests of whole texts and sets, and against a real PostgreSQL: one binary, one server, a database for each test.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod attacks;
mod audit;
mod backfill;
mod chaos;
mod cli_daemon;
mod cli_first;
mod cli_record;
mod cli_refuse;
mod cli_run;
mod cli_show;
mod cli_tenant;
mod daemon;
mod docs;
mod economy;
mod fixtures;
mod fleet;
mod groups;
mod kinds;
mod protocol;
mod provision;
mod real_sets;
mod record;
mod refusals;
mod roundtrip;
mod scratch;
mod sets;
mod split;
mod statements;
mod structure;
mod support;
