//! Scratch PostgreSQL servers: started for one purpose, gone with the process that started them.
//!
//! Whatever ends that process, a [`guardian`] cleans up behind it; nothing here relies on a destructor being run.

mod binaries;
mod charge;
mod cluster;
#[cfg(feature = "container")]
mod container;
mod database;
#[cfg(feature = "download")]
mod download;
mod error;
mod guard;
pub mod guardian;
#[cfg(feature = "container")]
mod image;
mod local;
mod options;
mod owner;
mod secret;
mod server;
mod source;
mod supply;
mod url;

pub use error::ScratchError;
pub use options::{Options, Purpose};
pub use server::Server;
pub use source::Source;

/// How the names of everything that has to be removed begin.
const NAME_PREFIX: &str = "tenantry-scratch-";

/// How clients prove who they are: by a random password, which goes no further than this machine.
/// SCRAM would make each connection of a debug build ten times slower.
const AUTHENTICATION: &str = "password";
