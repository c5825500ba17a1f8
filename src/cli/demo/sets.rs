//! The sample sets, carried inside the program so that the demo needs no files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rust_embed::RustEmbed;
use tempfile::TempDir;

use crate::cli::error::CliError;

#[derive(RustEmbed)]
#[folder = "migrations"]
struct Shared;

#[derive(RustEmbed)]
#[folder = "tenant_migrations"]
struct Tenant;

/// The sample sets as files in a directory that goes with this.
pub(super) struct SampleSets {
    directory: TempDir,
}

impl SampleSets {
    /// Writes them to the directory for temporary files.
    pub(super) fn unpack() -> Result<Self, CliError> {
        let unpacked = || -> io::Result<Self> {
            let sets = Self {
                directory: TempDir::with_prefix("tenantry-demo-")?,
            };
            write::<Shared>(&sets.shared())?;
            write::<Tenant>(&sets.tenant())?;
            fs::write(sets.no_settings(), "")?;
            Ok(sets)
        };
        unpacked().map_err(CliError::Runtime)
    }

    pub(super) fn shared(&self) -> PathBuf {
        self.directory.path().join("migrations")
    }

    pub(super) fn tenant(&self) -> PathBuf {
        self.directory.path().join("tenant_migrations")
    }

    /// A file of settings without any, to be read instead of the one in the current directory.
    pub(super) fn no_settings(&self) -> PathBuf {
        self.directory.path().join("tenantry.toml")
    }
}

fn write<Set: RustEmbed>(directory: &Path) -> io::Result<()> {
    for name in Set::iter() {
        let file = directory.join(name.as_ref());
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        if let Some(embedded) = Set::get(&name) {
            fs::write(file, embedded.data)?;
        }
    }
    Ok(())
}
