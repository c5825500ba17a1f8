//! What every test against a server needs: one server for all of them, a database for each.

mod server;

pub(crate) use server::{database, server};
