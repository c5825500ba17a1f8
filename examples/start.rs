//! The least that an application does for its fleet: at start-up, take every schema to the version that this program knows.
//!
//!     TENANTRY__HOME__URL=postgres://localhost/shop cargo run --example start
//!
//! Where the databases and the files are is said by `./tenantry.toml` and the environment, as for the command.

use std::error::Error;

use tenantry::{Fleet, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let fleet = start(&Settings::load(None, std::env::vars_os())?).await?;
    fleet.add("acme").await?; // whenever somebody signs up
    Ok(())
}

/// The fleet, with every schema up to date.
pub(crate) async fn start(settings: &Settings) -> Result<Fleet, Box<dyn Error + Send + Sync>> {
    let fleet = Fleet::open(settings)?;
    fleet.up().await?.complete()?;
    Ok(fleet)
}
