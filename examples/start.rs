//! The least that an application does for its fleet: at start-up, take every schema to the version that this program knows.
//!
//!     TENANTRY__HOME__URL=postgres://localhost/shop cargo run --example start
//!
//! Where the databases and the files are is said by `./tenantry.toml` and the environment, as for the command.

use tenantry::{Fleet, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let settings = Settings::load(None, std::env::vars_os())?;
    let fleet = Fleet::open(&settings)?;
    let report = fleet.up().await?.complete()?;
    for scope in &report.scopes {
        println!(
            "{}: {} moved, {} stood there already",
            scope.scope,
            scope.done(),
            scope.current
        );
    }
    Ok(())
}
