//! No tenant before the shared schema that it depends on.

use super::ProvisionError;
use crate::{
    fleet::Fleet,
    history::{Applied, Digest},
    postgres::Session,
    store::{heads, history},
    tenant::ShardName,
};

/// Refuses a shard whose shared schema lacks anything that the files have.
pub(super) async fn require_shared(
    fleet: &Fleet,
    session: &mut Session,
    shard: &ShardName,
) -> Result<(), ProvisionError> {
    let set = &fleet.shared;
    if set.migrations.is_empty() {
        return Ok(());
    }
    let behind = |missing: String| ProvisionError::SharedBehind {
        schema: fleet.shared_schema.clone(),
        shard: shard.clone(),
        missing,
    };
    let pinned = heads::get(session.connection(), &fleet.shared_schema).await?;
    let Some(pinned) = pinned.filter(heads::Pinned::is_intact) else {
        return Err(behind("is not there".to_owned()));
    };
    if let Some(version) = pinned.head.dirty {
        return Err(behind(format!("stopped half-way at {version}")));
    }
    let all: Vec<_> = set.migrations.iter().map(|m| Applied::of(m)).collect();
    if pinned.head.digest == Digest::of(&all) {
        return Ok(());
    }
    let applied = history::applied(session.connection(), &pinned.head).await?;
    let is_pending = |entry: &&Applied| applied.iter().all(|a| a.version != entry.version);
    match all.iter().filter(is_pending).count() {
        0 => Ok(()),
        1 => Err(behind("lacks 1 migration".to_owned())),
        pending => Err(behind(format!("lacks {pending} migrations"))),
    }
}
