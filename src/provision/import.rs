//! Taking over a schema that is there already.

use super::ProvisionError;
use crate::{
    fleet::Fleet,
    store::{heads, tenants},
    tenant::{ShardName, TenantName, TenantState},
};

/// What taking a schema over came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Imported {
    /// It is registered, with nothing applied; `baseline` says where it stands.
    New,
    /// It was known under another OID: its history was given back to it.
    Repinned,
    /// It was registered and pinned as it is.
    Unchanged,
}

/// Registers the schema `name` of `shard` as a tenant. A schema that was restored from a dump, and so has another OID
/// than its history knows, gets its history back.
pub async fn import(
    fleet: &Fleet,
    name: &TenantName,
    shard: &ShardName,
) -> Result<Imported, ProvisionError> {
    let unknown =
        || ProvisionError::Shard(format!("there is no shard {shard} in the configuration"));
    let mut session = fleet
        .shard(fleet.shards.get(shard).ok_or_else(unknown)?)
        .await?;
    let schema = name.schema();
    if heads::present_oid(session.connection(), schema)
        .await?
        .is_none()
    {
        return Err(ProvisionError::NoSchema {
            schema: schema.as_str().to_owned(),
            shard: shard.clone(),
        });
    }
    let imported = match heads::get(session.connection(), schema).await? {
        None => {
            heads::pin(session.connection(), schema).await?;
            Imported::New
        }
        Some(pinned) if pinned.is_intact() => Imported::Unchanged,
        Some(_) => {
            heads::repin(session.connection(), schema).await?;
            Imported::Repinned
        }
    };
    session.close().await;
    let mut home = fleet.home().await?;
    let new = tenants::insert(
        home.connection(),
        name,
        shard,
        TenantState::Active,
        &tenants::Labels::new(),
    )
    .await?;
    home.close().await;
    Ok(if new && imported == Imported::Unchanged {
        Imported::New
    } else {
        imported
    })
}
