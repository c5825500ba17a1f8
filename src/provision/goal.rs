//! How far a new tenant is built: all that the files have; while a rollout is under way, what that one goes to.

use std::borrow::Cow;

use super::ProvisionError;
use crate::{
    fleet::Fleet,
    migration::{MigrationSet, Version},
    postgres::Session,
    store::{StoreError, rollouts},
};

/// The fleet with what new tenants get now. It is another one than `fleet` only while a rollout goes to a version beyond
/// which the files have more: then its sets end there, and the file of the structure, which has all, is left out.
pub(super) async fn of_new<'a>(
    fleet: &'a Fleet,
    home: &mut Session,
) -> Result<Cow<'a, Fleet>, ProvisionError> {
    let active = rollouts::active(home.connection()).await?;
    let Some(goal) = active.and_then(|row| row.goal) else {
        return Ok(Cow::Borrowed(fleet));
    };
    let last: Version = goal.parse().map_err(|_| StoreError::Unreadable {
        table: "rollouts",
        value: goal.clone(),
        expected: "a version",
    })?;
    let is_beyond = |set: &MigrationSet| set.migrations.iter().any(|m| m.version > last);
    if !is_beyond(&fleet.shared) && !is_beyond(&fleet.tenant) {
        return Ok(Cow::Borrowed(fleet));
    }
    let mut narrowed = fleet.clone();
    for set in [&mut narrowed.shared, &mut narrowed.tenant] {
        set.migrations.retain(|migration| migration.version <= last);
    }
    narrowed.structure = None;
    Ok(Cow::Owned(narrowed))
}
