//! Tests against a real PostgreSQL: one binary, one server, a database for each test.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod cli_refuse;
mod cli_run;
mod cli_show;
mod fleet;
mod scratch;
mod support;
