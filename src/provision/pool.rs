//! The warm pool: schemas that are built ahead, and become a new tenant's by getting its name.
//!
//! They are built by what builds a tenant, and handed out only where they stand at what a new tenant would be built to now.
//! Whatever is wrong with the pool makes a sign-up slower, and never fails one.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    ProvisionError, add::complete, goal, retire::drop_schema, shared::require_shared, structure::By,
};
use crate::{
    fleet::Fleet,
    history::{Applied, Digest, Head},
    postgres::{Fault, Session, Shard},
    sql::Ident,
    store::{
        heads,
        pool::{self, Pooled},
        runs, tenants,
    },
};

/// As many as there were new tenants within this time are built ahead, where the settings allow so many.
const DEMAND: Duration = Duration::from_secs(3600);

/// What was done to the pool of one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many may be handed out now.
    pub ready: usize,
    /// How many were made.
    pub made: usize,
    /// How many were brought to where a new tenant would be.
    pub moved: usize,
    /// How many were dropped.
    pub dropped: usize,
}

/// Where a new tenant stands: the digests of its migrations and of its repeatables.
pub fn stands(fleet: &Fleet) -> (Digest, Digest) {
    let set = &fleet.tenant;
    let applied: Vec<_> = set.migrations.iter().map(|m| Applied::of(m)).collect();
    let repeatables = set.repeatables.iter().map(AsRef::as_ref);
    (Digest::of(&applied), Digest::of_repeatables(repeatables))
}

/// Gives a schema of the pool the name of a new tenant: its OID; none where nobody built one ahead that fits.
pub(super) async fn hand_out(session: &mut Session, fleet: &Fleet, schema: &Ident) -> Option<u32> {
    if !is_on(fleet) {
        return None;
    }
    let (digest, repeatables) = stands(fleet);
    match pool::hand_out(session.connection(), schema, digest, repeatables).await {
        Ok(given) => given,
        Err(error) => {
            tracing::warn!(schema = schema.as_str(), "not built ahead: {error}");
            None
        }
    }
}

/// A script that writes to other schemas may leave the name of its own there, and nobody would find it.
fn is_on(fleet: &Fleet) -> bool {
    fleet.provision.pool_max > 0 && fleet.limits.also_writes.is_empty()
}

/// Brings the pool of a shard to where it should be, one schema after the other: moves or drops what is not where a new
/// tenant would be, and makes what lacks. Several may do so at once. None where a rollout is at work on the shard.
///
/// # Errors
/// Among others [`ProvisionError::NamesItself`]: then none can be built ahead with these files.
pub async fn keep(
    fleet: &Fleet,
    shard: &Shard,
    stop: &CancellationToken,
) -> Result<Option<Kept>, ProvisionError> {
    let mut home = fleet.home().await?;
    if runs::are_left(home.connection(), &shard.name).await? {
        return Ok(None);
    }
    let mut session = fleet.shard(shard).await?;
    let fleet = &*goal::of_new(fleet, &mut home, (shard, &mut session)).await?;
    session.close().await;
    let new = tenants::new_within(home.connection(), &shard.name, DEMAND).await?;
    home.close().await;
    let (least, most) = match is_on(fleet) {
        true => (
            usize::try_from(fleet.provision.pool_min).unwrap_or(usize::MAX),
            usize::try_from(fleet.provision.pool_max).unwrap_or(usize::MAX),
        ),
        false => (0, 0),
    };
    let keeper = Keeper { fleet, shard, stop };
    keeper.keep(new.clamp(least, most), most).await.map(Some)
}

/// Drops all of a shard's pool: what is built ahead may need what somebody is about to change in the shared schema, and
/// nobody takes it along. What cannot be dropped is told, and left.
pub async fn drain(fleet: &Fleet, shard: &Shard) {
    let stop = CancellationToken::new();
    let stop = &stop;
    if let Err(error) = (Keeper { fleet, shard, stop }).keep(0, 0).await {
        tracing::warn!(shard = %shard.name, "schemas that are built ahead could not all be dropped: {error}");
    }
}

/// Who keeps the pool of a shard.
struct Keeper<'a> {
    fleet: &'a Fleet,
    shard: &'a Shard,
    stop: &'a CancellationToken,
}

impl Keeper<'_> {
    /// Keeps `aim` of them; as many as there are stay, up to `most`.
    async fn keep(&self, aim: usize, most: usize) -> Result<Kept, ProvisionError> {
        let mut session = self.fleet.shard(self.shard).await?;
        let pooled = pool::list(session.connection()).await?;
        if pooled.is_empty() && aim == 0 {
            session.close().await;
            return Ok(Kept::default());
        }
        if most > 0 {
            require_shared(self.fleet, &mut session, &self.shard.name).await?;
        }
        session.close().await;
        let mut kept = Kept::default();
        for one in pooled {
            if self.stop.is_cancelled() {
                return Ok(kept);
            }
            unless_busy(self.one(&one, most, &mut kept).await)?;
        }
        while kept.ready < aim && !self.stop.is_cancelled() {
            if !self.make(aim, &mut kept).await? {
                break;
            }
        }
        Ok(kept)
    }

    /// One that is there.
    async fn one(&self, one: &Pooled, most: usize, kept: &mut Kept) -> Result<(), ProvisionError> {
        let head = &one.pinned.head;
        if !one.pinned.is_intact() {
            return self.lost(head).await;
        }
        if kept.ready >= most {
            kept.dropped += 1;
            return self.drop(head).await;
        }
        if one.is_ready && (head.digest, head.repeatables) == stands(self.fleet) {
            kept.ready += 1;
            return Ok(());
        }
        match self.build(head).await {
            Ok(true) => {
                kept.ready += 1;
                kept.moved += 1;
                return Ok(());
            }
            // It has more than new tenants get.
            Ok(false) => {}
            // Made by other files, say: one from scratch may do.
            Err(error) if is_of_the_schema(&error) => {
                tracing::info!(schema = head.schema, "built ahead, and made anew: {error}");
            }
            Err(error) => return Err(error),
        }
        kept.dropped += 1;
        self.drop(head).await
    }

    /// One more. False where there are enough.
    async fn make(&self, aim: usize, kept: &mut Kept) -> Result<bool, ProvisionError> {
        let mut session = self.fleet.shard(self.shard).await?;
        let made = pool::make(session.connection(), aim).await?;
        let Some(name) = made.and_then(|name| Ident::new(name).ok()) else {
            return Ok(false);
        };
        let pinned = heads::get(session.connection(), &name).await?;
        session.close().await;
        let Some(pinned) = pinned else {
            return Ok(false);
        };
        match self.build(&pinned.head).await {
            Ok(true) => {
                kept.made += 1;
                kept.ready += 1;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                // No other one can be built either.
                if is_of_the_schema(&error) {
                    self.drop(&pinned.head).await?;
                }
                unless_busy(Err(error)).map(|()| false)
            }
        }
    }

    /// Brings one to where a new tenant would be, and lets it be handed out. False where it is beyond that.
    async fn build(&self, head: &Head) -> Result<bool, ProvisionError> {
        let mut session = self.fleet.shard(self.shard).await?;
        pool::withdraw(session.connection(), &head.schema).await?;
        complete(self.fleet, self.shard, session, head, &mut By::Migrations).await?;
        let mut session = self.fleet.shard(self.shard).await?;
        let (oid, name) = (head.schema_oid, &head.schema);
        if let Some(what) = pool::names_itself(session.connection(), oid, name).await? {
            return Err(ProvisionError::NamesItself(what));
        }
        let (digest, repeatables) = stands(self.fleet);
        let offered = pool::offer(session.connection(), oid, digest, repeatables).await?;
        session.close().await;
        Ok(offered)
    }

    async fn drop(&self, head: &Head) -> Result<(), ProvisionError> {
        let mut session = self.fleet.shard(self.shard).await?;
        pool::withdraw(session.connection(), &head.schema).await?;
        if let Ok(schema) = Ident::new(head.schema.clone()) {
            drop_schema(&mut session, self.fleet, head, &schema).await?;
        }
        session.close().await;
        Ok(())
    }

    /// One whose schema is gone, or was restored under another OID.
    async fn lost(&self, head: &Head) -> Result<(), ProvisionError> {
        let mut session = self.fleet.shard(self.shard).await?;
        pool::withdraw(session.connection(), &head.schema).await?;
        let schema = Ident::new(head.schema.clone());
        let restored = match &schema {
            Ok(schema) => heads::repin(session.connection(), schema).await?,
            Err(_) => false,
        };
        if !restored {
            heads::forget(session.connection(), head.schema_oid).await?;
        }
        session.close().await;
        Ok(())
    }
}

/// Whether the schema itself, or what it was made from, is in the way: not a lock, a connection or a server.
fn is_of_the_schema(error: &ProvisionError) -> bool {
    match error {
        ProvisionError::Refused(_) | ProvisionError::NamesItself(_) => true,
        ProvisionError::Failed(failure) => !matches!(
            failure.fault,
            Fault::Busy
                | Fault::Stale
                | Fault::Retry
                | Fault::Connection
                | Fault::Shard
                | Fault::Cancelled
        ),
        _ => false,
    }
}

/// Whoever is at work on one, or has just handed it out, needs nobody else for it.
fn unless_busy(done: Result<(), ProvisionError>) -> Result<(), ProvisionError> {
    match done {
        Err(ProvisionError::Busy(_) | ProvisionError::MadeAnew { .. }) => Ok(()),
        Err(ProvisionError::Failed(failure))
            if matches!(failure.fault, Fault::Busy | Fault::Stale | Fault::Gone) =>
        {
            Ok(())
        }
        done => done,
    }
}
