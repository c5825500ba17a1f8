//! A schema dropped in as many transactions as the server's lock table has room for.

use sqlx::Row as _;

use crate::{
    fleet::Fleet,
    history::Head,
    postgres::{Message, Session},
    provision::{
        ProvisionError,
        guarded::{guarded, literal, seize, unreadable},
    },
    sql::Ident,
    store::{StoreError, heads},
};

/// What the catalogs and our own tables take of a transaction's locks before anything is dropped.
const OWN: i64 = 64;

/// The server has no more room for locks.
const OUT_OF_MEMORY: &str = "53200";

/// Drops the schema and its head, each transaction guarded as any other message is. Can be repeated.
///
/// With the first of them the head's fence is raised, so that nobody who has planned for the schema can move what is
/// left of it; a dirty one may be dropped like any other.
pub(in crate::provision) async fn drop_schema(
    session: &mut Session,
    fleet: &Fleet,
    head: &Head,
    schema: &Ident,
) -> Result<(), ProvisionError> {
    let mut places = places(session, fleet).await?;
    let head = seize(session, &fleet.limits, head, schema, true).await?;
    loop {
        match drop_some(session, fleet, &head, schema, places).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // Others have taken more of the room than we left them.
            Err(error) if places > 1 && is_out_of_places(&error) => places = (places / 2).max(1),
            Err(error) => return Err(error),
        }
    }
}

/// One transaction. True when nothing is left.
async fn drop_some(
    session: &mut Session,
    fleet: &Fleet,
    head: &Head,
    schema: &Ident,
    places: i64,
) -> Result<bool, ProvisionError> {
    let limits = &fleet.limits;
    let (oid, name) = (head.schema_oid, literal(schema));
    let (revision, fence) = (head.revision, head.fence);
    let message = |waits| {
        Message::vouched(format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             {waits}
             SET LOCAL client_min_messages = warning;
             CALL tenantry.enter({oid}, {name}, {revision}, {fence});
             SELECT tenantry.drop_some({oid}, {name}, {places});
             COMMIT;
             RESET ALL;"
        ))
    };
    let row = guarded(session, limits, schema, message, "drop a tenant's schema").await?;
    row.and_then(|row| row.try_get(0).ok())
        .ok_or_else(|| unreadable("whether the schema is gone"))
}

/// How many locks one transaction may take for what it drops: its share of half the server's room, or of what the server
/// would have by default, whichever is less.
async fn places(session: &mut Session, fleet: &Fleet) -> Result<i64, ProvisionError> {
    let room = heads::lock_room(session.connection()).await?;
    let at_once = fleet.shards.iter().map(|shard| shard.concurrency).max();
    let at_once = i64::try_from(at_once.unwrap_or(1)).unwrap_or(i64::MAX);
    let share = room / 2 / at_once.max(1);
    Ok((share.min(fleet.limits.locks.into()) - OWN).max(1))
}

fn is_out_of_places(error: &ProvisionError) -> bool {
    use crate::fleet::FleetError;
    matches!(
        error,
        ProvisionError::Fleet(FleetError::Store(StoreError::Query { error, .. }))
            if error.code == OUT_OF_MEMORY
    )
}
