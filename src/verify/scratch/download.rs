//! PostgreSQL fetched from the network, for machines with neither binaries nor Docker.

use std::{env, fs, io, path::PathBuf};

use postgresql_embedded::{PostgreSQL, Settings};

use super::local::new_directory;

/// The directory with the programs of a PostgreSQL that was fetched from the network, now or an earlier time.
///
/// The crate can also start servers, but not as root and not so that they end with us.
pub(super) async fn fetch() -> Result<PathBuf, String> {
    let prepared = prepare().map_err(|error| format!("cannot prepare the download: {error}"))?;
    let mut postgres = PostgreSQL::new(prepared);
    let result = postgres.setup().await;
    let settings = postgres.settings();
    fs::remove_dir_all(&settings.data_dir).map_err(|error| error.to_string())?;
    result.map_err(|error| error.to_string())?;
    Ok(settings.binary_dir())
}

fn prepare() -> io::Result<Settings> {
    let (unused, owner) = new_directory()?;
    let defaults = Settings::default();
    // It has made two directories already, and forgets them.
    fs::remove_dir(&defaults.data_dir)?;
    if let Some(directory) = defaults.password_file.parent() {
        fs::remove_dir(directory)?;
    }
    // With a configuration in it, the crate takes the directory for complete, and leaves it.
    fs::write(unused.join("postgresql.conf"), "")?;
    let installation_dir = cache(owner.is_some())?.join("postgresql");
    Ok(Settings {
        installation_dir,
        data_dir: unused,
        timeout: None,
        ..defaults
    })
}

/// Where downloads are kept. Root's is not in its home, which the server's user may not enter.
fn cache(root: bool) -> io::Result<PathBuf> {
    if root {
        return Ok("/var/cache/tenantry".into());
    }
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("tenantry"))
        .ok_or_else(|| io::Error::other("there is no home directory"))
}
