//! Taking over a schema that is there already.

use super::{ProvisionError, shard::choose_shard};
use crate::{
    fleet::Fleet,
    postgres::Session,
    sql::Ident,
    store::{
        heads,
        tenants::{self, Labels, Tenant},
    },
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
    if name.schema() == &fleet.shared_schema {
        return Err(ProvisionError::SharedName(name.to_string()));
    }
    let on = choose_shard(fleet, Some(shard))?;
    let mut home = fleet.home().await?;
    let known = tenants::get(home.connection(), name).await?;
    match &known {
        Some(tenant) => refuse_elsewhere(tenant, shard)?,
        None => refuse_promised(&mut home, name).await?,
    }
    let mut session = fleet.shard(on).await?;
    let imported = pin(&mut session, shard, name.schema()).await?;
    session.close().await;
    let (provisioning, active) = (TenantState::Provisioning, TenantState::Active);
    let registered = match known {
        None => {
            let labels = Labels::new();
            let inserted = tenants::insert(home.connection(), name, shard, active, &labels).await?;
            // Somebody else was quicker.
            if !inserted {
                return Err(ProvisionError::Taken(name.to_string()));
            }
            true
        }
        // Begun as a new tenant, and now taken as it is.
        Some(_) => tenants::set_state(home.connection(), name, provisioning, active).await?,
    };
    home.close().await;
    Ok(if registered && imported == Imported::Unchanged {
        Imported::New
    } else {
        imported
    })
}

/// Pins the shared schema of each shard as it is, where that was not done before. Makes none. A shard that cannot be asked
/// is passed over: surveys tell of it.
pub async fn import_shared(fleet: &Fleet) -> Result<(), ProvisionError> {
    for shard in fleet.shards.iter() {
        let pinned = async {
            let mut session = fleet.shard(shard).await?;
            let pinned = pin(&mut session, &shard.name, &fleet.shared_schema).await;
            session.close().await;
            pinned
        };
        let pinned = match pinned.await {
            Err(ProvisionError::Fleet(error)) if error.is_of_one_shard() => continue,
            pinned => pinned,
        };
        pinned.map_err(|error| match error {
            ProvisionError::NoSchema { shard, .. } => ProvisionError::SharedBehind {
                schema: fleet.shared_schema.clone(),
                shard,
                missing: "is not there".to_owned(),
            },
            error => error,
        })?;
    }
    Ok(())
}

fn refuse_elsewhere(tenant: &Tenant, shard: &ShardName) -> Result<(), ProvisionError> {
    if tenant.shard != *shard {
        return Err(ProvisionError::Shard(format!(
            "tenant {} is registered on shard {}, not on {shard}",
            tenant.name, tenant.shard
        )));
    }
    if tenant.state == TenantState::Retiring {
        return Err(ProvisionError::State {
            name: tenant.name.to_string(),
            state: tenant.state,
        });
    }
    Ok(())
}

/// Refuses a name that another tenant is about to have.
async fn refuse_promised(home: &mut Session, name: &TenantName) -> Result<(), ProvisionError> {
    match tenants::promised_to(home.connection(), name).await? {
        None => Ok(()),
        Some(another) => Err(ProvisionError::BeingRenamed {
            name: another,
            to: name.to_string(),
        }),
    }
}

async fn pin(
    session: &mut Session,
    shard: &ShardName,
    schema: &Ident,
) -> Result<Imported, ProvisionError> {
    let absent = || ProvisionError::NoSchema {
        schema: schema.as_str().to_owned(),
        shard: shard.clone(),
    };
    let present = heads::present_oid(session.connection(), schema).await?;
    let pinned = heads::get(session.connection(), schema).await?;
    let in_the_way = in_the_way(session, schema).await?;
    let done = match (present, pinned) {
        (None, _) => return Err(absent()),
        (_, Some(pinned)) if pinned.is_intact() => return Ok(Imported::Unchanged),
        (_, None) => {
            if let Some(restored) = in_the_way {
                heads::repin(session.connection(), &restored).await?;
            }
            let pinned = heads::pin(session.connection(), schema).await?;
            pinned.then_some(Imported::New)
        }
        (_, Some(_)) => heads::repin(session.connection(), schema)
            .await?
            .then_some(Imported::Repinned),
    };
    // Dropped between the two queries.
    done.ok_or_else(absent)
}

/// The head that has the OID of this schema, where that is another one: after a restore OIDs have changed hands. Refuses
/// when the schema of that head is not there, or of one that is in its way in turn: then it was renamed.
async fn in_the_way(
    session: &mut Session,
    schema: &Ident,
) -> Result<Option<Ident>, ProvisionError> {
    let (mut first, mut name) = (None, schema.clone());
    // Every step is another schema: the chain ends, or comes back to where it began.
    while let Some(pinned_as) = heads::holder(session.connection(), &name).await? {
        let anothers = || ProvisionError::Anothers {
            schema: name.as_str().to_owned(),
            pinned_as: pinned_as.clone(),
        };
        let next = Ident::new(pinned_as.as_str()).map_err(|_| anothers())?;
        let is_there = heads::present_oid(session.connection(), &next).await?;
        is_there.ok_or_else(anothers)?;
        if next == *schema {
            break;
        }
        first = first.or_else(|| Some(next.clone()));
        name = next;
    }
    Ok(first)
}
