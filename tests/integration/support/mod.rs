//! What every test against a server needs: one server for all of them, a database for each.

pub(crate) mod proxy;
mod server;
mod shop;

pub(crate) use server::{Database, database, server};
pub(crate) use shop::{Ran, Shop, snapshots};
