//! A tenants' set written in a test, and what `verify` says of it.

use std::path::Path;

use tenantry::{
    config::Settings,
    migration::Scope,
    verify::{Report, Request, ScopeReport, verify},
};

use super::server;

/// A directory with a tenants' set, and an empty one for the shared set.
pub(crate) struct Written {
    directory: tempfile::TempDir,
}

impl Written {
    /// Migrations numbered from 1: name, up, down; without a down they are irreversible.
    pub(crate) fn new(migrations: &[(&str, &str, Option<&str>)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("shared")).unwrap();
        std::fs::create_dir(directory.path().join("tenant")).unwrap();
        let written = Self { directory };
        for (place, (name, up, down)) in migrations.iter().enumerate() {
            let stem = format!("{}-{name}", place + 1);
            match down {
                Some(down) => {
                    written.write(&format!("tenant/{stem}.up.sql"), up);
                    written.write(&format!("tenant/{stem}.down.sql"), down);
                }
                None => {
                    let up = format!("-- tenantry: irreversible\n{up}");
                    written.write(&format!("tenant/{stem}.up.sql"), &up);
                }
            }
        }
        written
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let directory = |name: &str| self.path().join(name).display().to_string();
        [
            ("TENANTRY__MIGRATIONS__SHARED", directory("shared")),
            ("TENANTRY__MIGRATIONS__TENANT", directory("tenant")),
        ]
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::load(None, self.environment()).unwrap()
    }

    /// What `verify` says of the tenants' set.
    pub(crate) async fn verify(&self) -> ScopeReport {
        let settings = self.settings();
        let mut report = self.report(Request::new(&settings)).await;
        report.scopes.remove(0)
    }

    /// The same, of the tenants' set alone.
    pub(crate) async fn report(&self, request: Request<'_>) -> Report {
        let request = Request {
            scopes: &[Scope::Tenant],
            ..request
        };
        verify(server().await, &request).await.unwrap()
    }
}
