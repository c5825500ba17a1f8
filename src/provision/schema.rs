//! Schemas themselves: made and pinned in one transaction.

use std::time::Duration;

use super::ProvisionError;
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    postgres::{Message, Outcome, ServerError, Session, SessionError, Watch},
    sql::{Ident, Literal},
    store::{
        StoreError,
        heads::{self, Pinned},
    },
    tenant::{ShardName, Target},
};

/// Makes the shared schema of a shard and pins it; one that is there already is pinned as it is.
pub async fn shared_schema(fleet: &Fleet, target: &Target) -> Result<(), FleetError> {
    let Some(shard) = fleet.shards.get(&target.shard) else {
        return Ok(());
    };
    let mut session = fleet.shard(shard).await?;
    if heads::present_oid(session.connection(), &target.schema)
        .await?
        .is_none()
    {
        // Somebody else may be as far as we are: whoever is first makes it, and both find it.
        create(&mut session, &target.schema).await?;
    } else if heads::get(session.connection(), &target.schema)
        .await?
        .is_none()
    {
        heads::pin(session.connection(), &target.schema).await?;
    }
    session.close().await;
    Ok(())
}

/// Refuses the name of a schema that is there, whether or not the shard has a history of it.
pub(super) async fn require_free(
    session: &mut Session,
    shard: &ShardName,
    schema: &Ident,
) -> Result<(), ProvisionError> {
    match heads::present_oid(session.connection(), schema).await? {
        None => Ok(()),
        Some(_) => Err(ProvisionError::SchemaExists {
            schema: schema.as_str().to_owned(),
            shard: shard.clone(),
        }),
    }
}

/// Makes a tenant's schema and pins it. One that is pinned already is taken as it is, which makes this repeatable.
/// True beside its head when it was made by this call.
pub(super) async fn tenant_schema(
    session: &mut Session,
    shard: &ShardName,
    schema: &Ident,
) -> Result<(Head, bool), ProvisionError> {
    if let Some(old) = heads::get(session.connection(), schema).await?
        && old.present.is_none()
    {
        // Dropped by hand: its head would be in the new one's way; its history stays in the log.
        heads::forget(session.connection(), old.head.schema_oid).await?;
    }
    let is_new = create(session, schema).await?;
    match heads::get(session.connection(), schema).await? {
        Some(pinned) if pinned.is_intact() => Ok((pinned.head, is_new)),
        Some(Pinned {
            present: Some(now), ..
        }) => Err(ProvisionError::Renamed {
            schema: schema.as_str().to_owned(),
            now,
        }),
        _ => Err(ProvisionError::SchemaExists {
            schema: schema.as_str().to_owned(),
            shard: shard.clone(),
        }),
    }
}

/// How long making a schema may take where nobody sees whether the server is at it.
const MAKING: Duration = Duration::from_secs(120);

/// False when the schema was there before.
async fn create(session: &mut Session, schema: &Ident) -> Result<bool, FleetError> {
    // An Ident holds no NUL.
    let name = Literal::new(schema.as_str())
        .map(|name| name.to_string())
        .unwrap_or_default();
    let message = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         CREATE SCHEMA {schema};
         INSERT INTO tenantry.heads (schema_oid, schema_name)
         SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname = {name};
         COMMIT;"
    );
    let watch = Watch {
        unseen: MAKING,
        ..Watch::default()
    };
    let message = Message::vouched(message);
    match session.ask(&message, watch, &mut None).await? {
        Outcome::Done => Ok(true),
        // duplicate_schema, or the unique index of the catalog when two were quick
        Outcome::Refused { error, .. } if matches!(error.code.as_str(), "42P06" | "23505") => {
            Ok(false)
        }
        Outcome::Refused { error, .. } => Err(failed("create a schema", error)),
    }
}

/// An error of the server outside any script.
pub(super) fn failed(doing: &'static str, error: ServerError) -> FleetError {
    FleetError::Store(StoreError::Query { doing, error })
}

impl From<SessionError> for ProvisionError {
    fn from(error: SessionError) -> Self {
        Self::Fleet(FleetError::Session(error))
    }
}

impl From<StoreError> for ProvisionError {
    fn from(error: StoreError) -> Self {
        Self::Fleet(FleetError::Store(error))
    }
}
