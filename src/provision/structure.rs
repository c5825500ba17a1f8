//! A new tenant from the file of the structure, where there is one that fits; its migrations otherwise.
//!
//! The file makes a new tenant faster, and never fails one: whatever is wrong with it is told, and the migrations do it.

use super::ProvisionError;
use crate::{
    apply::{Carried, Failure},
    fleet::Fleet,
    history::{Digest, Head},
    plan::Plan,
    postgres::{Fault, Session},
    store::heads,
};

/// What built a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The migrations, from the first or from where somebody had stopped.
    Migrations,
    /// The file of the structure, and the migrations after it.
    Structure,
    /// The migrations, though there is a file of the structure: why it was of no use.
    MigrationsInstead(String),
    /// Whoever built it ahead: it was given the tenant's name.
    Pool,
    /// Somebody else, who was quicker.
    Another,
}

/// The plan that builds a new tenant from the file, where there is one and it fits; none where all is for the migrations to
/// do, and `by` then says why.
pub(super) async fn plan(
    fleet: &Fleet,
    session: &mut Session,
    head: &Head,
    by: &mut By,
) -> Result<Option<Plan>, ProvisionError> {
    let is_new = head.digest == Digest::EMPTY && head.running.is_none() && head.dirty.is_none();
    let Some(file) = fleet.structure.as_ref().filter(|_| is_new) else {
        return Ok(None);
    };
    // It was of no use the last time.
    if matches!(by, By::MigrationsInstead(_)) {
        return Ok(None);
    }
    let postgres = heads::postgres(session.connection()).await?;
    let beside = fleet.beside_tenants();
    match file.fit(&fleet.tenant, beside, postgres, fleet.out_of_order) {
        Ok(plan) => Ok(Some(plan?)),
        Err(unfit) => {
            *by = instead(head, unfit.to_string());
            Ok(None)
        }
    }
}

/// What built it once the plan was carried so far. An error that the migrations need not meet is told, and left to them.
pub(super) fn outcome(head: &Head, carried: &Carried, by: &mut By) -> Option<ProvisionError> {
    if carried.migrations > 0 {
        *by = By::Structure;
    }
    let failure = carried.failure.as_ref()?;
    if carried.migrations == 0 && is_of_the_file(failure) {
        *by = instead(head, failure.to_string());
        return None;
    }
    Some(ProvisionError::Failed(Box::new(failure.clone())))
}

/// Whether a statement of the file did not run, and nothing else was wrong. Nothing of it is left then.
fn is_of_the_file(failure: &Failure) -> bool {
    let is_of_a_script = matches!(
        failure.fault,
        Fault::Author | Fault::Tenant | Fault::Finer | Fault::Foreign | Fault::Wandered
    );
    // Out of shared memory: the migrations take fewer locks at once.
    is_of_a_script || failure.error.code == "53200"
}

fn instead(head: &Head, why: String) -> By {
    let schema = &head.schema;
    tracing::warn!(
        schema,
        "not built from its structure, but by its migrations: {why}"
    );
    By::MigrationsInstead(why)
}
