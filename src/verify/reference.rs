//! What a history makes, tried out on a scratch server: the structure that every schema of that history should have.

use super::{Outcome, VerifyError, ground::Ground, scratch::Server, trial::Trial};
use crate::{
    config::Settings,
    migration::{MigrationSet, Scope},
    plan::Goal,
    store::heads,
    structure::{Limits, Structure, StructureError, fingerprints, snapshot},
};

/// The longest that looking at one schema may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What is to be tried out.
pub struct ReferenceRequest<'a> {
    /// How migrations are carried. None of the databases it names is touched.
    pub settings: &'a Settings,
    /// SQL for what a database of the application has before its first migration, such as extensions.
    pub prepare: Option<&'a str>,
    /// What the shared schema has.
    pub shared: MigrationSet,
    /// What a tenant has; none where the shared schema is asked for.
    pub tenant: Option<MigrationSet>,
}

/// What a history makes.
#[derive(Debug, Clone)]
pub enum Made {
    /// It came up.
    Structure {
        /// What it left.
        structure: Structure,
        /// The major version of PostgreSQL that wrote it.
        postgres: i32,
    },
    /// It does not come up.
    Stuck(Scope, Outcome),
}

/// Applies the sets to a database that is made for it on `server`, and looks at what they leave.
///
/// # Errors
/// Only where nothing could be tried.
pub async fn reference(
    server: &Server,
    request: ReferenceRequest<'_>,
) -> Result<Made, VerifyError> {
    let ground = Ground::new(server, request.settings, request.prepare)?;
    let mut trial = Trial::shared(&ground).await?;
    *trial.set() = request.shared;
    if let Some(outcome) = trial.go(Goal::Latest).await? {
        trial.close().await?;
        return Ok(Made::Stuck(Scope::Shared, outcome));
    }
    if let Some(set) = request.tenant {
        trial = trial
            .into_tenant(&request.settings.tenant_name("drift_reference")?)
            .await?;
        *trial.set() = set;
        if let Some(outcome) = trial.go(Goal::Latest).await? {
            trial.close().await?;
            return Ok(Made::Stuck(Scope::Tenant, outcome));
        }
    }
    let made = look(&mut trial).await;
    let closed = trial.close().await;
    let made = made?;
    closed?;
    Ok(made)
}

async fn look(trial: &mut Trial<'_>) -> Result<Made, VerifyError> {
    let (schema, locks) = (trial.schema().clone(), 1000);
    let connection = trial.session().await?.connection();
    // Owners and privileges are the scratch server's own.
    let snapshot = snapshot(connection, &schema).await?;
    let oid = heads::present_oid(connection, &schema)
        .await?
        .unwrap_or_default();
    let limits = Limits {
        locks,
        time: PATIENCE,
    };
    let mut looked = fingerprints(connection, &[oid], limits).await?;
    let fingerprint = looked
        .remove(&oid)
        .unwrap_or_else(|| Ok(Default::default()));
    let structure = Structure {
        fingerprint: fingerprint.map_err(|reason| StructureError::NotSeen {
            schema: schema.as_str().to_owned(),
            reason,
        })?,
        snapshot,
    };
    let postgres = heads::postgres(connection).await;
    let postgres = postgres.map_err(VerifyError::Store)?;
    Ok(Made::Structure {
        structure,
        postgres,
    })
}
