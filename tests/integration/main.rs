//! Tests against a real PostgreSQL: one binary, one server, a database for each test.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod fleet;
mod roundtrip;
mod scratch;
mod support;
