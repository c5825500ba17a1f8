//! What every test against a server needs: one server for all of them, a database for each.

mod command;
pub(crate) mod fleet;
pub(crate) mod held;
pub(crate) mod proxy;
mod server;
mod shop;
mod small;
pub(crate) mod traces;
mod wait;

pub(crate) use command::tenantry;
pub(crate) use server::{Database, database, options, server};
pub(crate) use shop::{Ran, Shop, snapshots};
pub(crate) use small::{Small, small};
pub(crate) use wait::{until, until_within};
