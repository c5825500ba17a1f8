//! What every test against a server needs: one server for all of them, a database for each.

mod command;
pub(crate) mod fleet;
pub(crate) mod held;
mod pages;
pub(crate) mod pooler;
pub(crate) mod proxy;
pub(crate) mod rollouts;
mod server;
mod sets;
pub(crate) mod several;
mod shop;
mod small;
pub(crate) mod traces;
mod wait;

pub(crate) use command::tenantry;
pub(crate) use pages::write_or_compare;
pub(crate) use server::{Database, database, options, server};
pub(crate) use sets::Written;
pub(crate) use several::Several;
pub(crate) use shop::{Ran, Shop, snapshots};
pub(crate) use small::{Small, small};
pub(crate) use wait::{until, until_within};
