//! How far a new tenant is built: all that the files have but contracts that nobody has released; while a rollout is under
//! way, what that one goes to, or back to.
//!
//! Asks the shard only where the files have a contract that is not released, and then one question.

use std::{
    borrow::Cow,
    ops::{Bound, RangeBounds},
};

use super::ProvisionError;
use crate::{
    fleet::Fleet,
    history::{Applied, Digest},
    migration::{MigrationSet, Scope, Version},
    postgres::{Connection, Session, Shard},
    store::{StoreError, acks, history, rollouts, starts},
};

/// The fleet with what new tenants get now. It is another one than `fleet` only where the files have more than that: then
/// its sets end there, and the file of the structure is left out where it goes further.
pub(super) async fn of_new<'a>(
    fleet: &'a Fleet,
    home: &mut Session,
    (shard, session): (&Shard, &mut Session),
) -> Result<Cow<'a, Fleet>, ProvisionError> {
    let mut ends = match rollouts::active(home.connection()).await? {
        Some(row) => Ends::of(home.connection(), &row).await?,
        None => Ends::both(Bound::Unbounded),
    };
    let contracts = contracts(fleet, &ends);
    if !contracts.is_empty() {
        let acks = acks::list(home.connection()).await?;
        for (scope, version) in contracts {
            let is_released = acks.iter().any(|ack| ack.version == version.to_string());
            if !is_released && is_pending(fleet, (shard, session), scope, version).await? {
                ends = Ends::both(Bound::Excluded(version)).within(&ends);
                break;
            }
        }
    }
    Ok(ends.narrow(fleet))
}

/// The contracts that a new tenant would get, the lowest first.
fn contracts(fleet: &Fleet, ends: &Ends) -> Vec<(Scope, Version)> {
    let of = |scope| {
        let migrations = fleet.set(scope).migrations.iter();
        let contracts = migrations.filter(|migration| migration.up.directives.contract);
        contracts
            .map(move |migration| (scope, migration.version))
            .filter(move |(_, version)| is_within(ends.of_scope(scope), *version))
    };
    let mut contracts: Vec<_> = of(Scope::Shared).chain(of(Scope::Tenant)).collect();
    contracts.sort_by_key(|(_, version)| *version);
    contracts
}

/// Whether a contract that nobody has released is still to come for those who are there: `up` may have brought it to all.
/// Where nobody is on the shard, the others tell; one that cannot be asked may have somebody.
async fn is_pending(
    fleet: &Fleet,
    (shard, session): (&Shard, &mut Session),
    scope: Scope,
    version: Version,
) -> Result<bool, ProvisionError> {
    let migrations = fleet.set(scope).migrations.iter();
    let all: Vec<_> = migrations.map(|migration| Applied::of(migration)).collect();
    let (shared, latest) = (&fleet.shared_schema, Digest::of(&all));
    let lacks = async |connection: &mut Connection| {
        history::is_lacking(connection, shared, scope, version, latest).await
    };
    if let Some(lacks) = lacks(session.connection()).await? {
        return Ok(lacks);
    }
    for other in fleet.shards.iter().filter(|other| other.name != shard.name) {
        let Ok(mut session) = fleet.shard(other).await else {
            return Ok(true);
        };
        let told = lacks(session.connection()).await;
        session.close().await;
        match told {
            Ok(None) => {}
            Ok(Some(lacks)) => return Ok(lacks),
            Err(_) => return Ok(true),
        }
    }
    Ok(false)
}

/// Where each set ends for a new tenant.
#[derive(Debug, Clone, Copy)]
struct Ends {
    shared: Bound<Version>,
    tenant: Bound<Version>,
}

/// Before the first migration, whatever its number.
const NOTHING: Bound<Version> = Bound::Excluded(Version::new(0));

impl Ends {
    fn both(end: Bound<Version>) -> Self {
        Self {
            shared: end,
            tenant: end,
        }
    }

    /// While a rollout is under way.
    async fn of(home: &mut Connection, row: &rollouts::Row) -> Result<Self, ProvisionError> {
        let goal = row.reach.as_ref().or(row.goal.as_ref());
        let goal = goal.map_or(Ok(Bound::Unbounded), |goal| included(goal))?;
        let mut ends = Self::both(goal);
        if !row.back && row.wanted != "back" {
            return Ok(ends);
        }
        // Where most of the fleet stands when all is taken back. Who was at the goal before stays there.
        let mut most = i64::from(row.current.unwrap_or_default());
        for before in starts::before(home, row.id).await? {
            let end = before.version.as_deref().map_or(Ok(NOTHING), included)?;
            match before.is_shared {
                true => ends.shared = end,
                false if before.schemas > most => (ends.tenant, most) = (end, before.schemas),
                false => {}
            }
        }
        Ok(ends)
    }

    fn of_scope(&self, scope: Scope) -> Bound<Version> {
        match scope {
            Scope::Shared => self.shared,
            Scope::Tenant => self.tenant,
        }
    }

    /// These, but nowhere beyond the others.
    fn within(self, others: &Self) -> Self {
        let lower = |one: Bound<Version>, other: Bound<Version>| match one {
            Bound::Excluded(version) if is_within(other, version) => one,
            _ => other,
        };
        Self {
            shared: lower(self.shared, others.shared),
            tenant: lower(self.tenant, others.tenant),
        }
    }

    fn narrow<'a>(&self, fleet: &'a Fleet) -> Cow<'a, Fleet> {
        let ends_before = |set: &MigrationSet, end| {
            let mut migrations = set.migrations.iter();
            migrations.any(|migration| !is_within(end, migration.version))
        };
        let is_shared_narrowed = ends_before(&fleet.shared, self.shared);
        if !is_shared_narrowed && !ends_before(&fleet.tenant, self.tenant) {
            return Cow::Borrowed(fleet);
        }
        let mut narrowed = fleet.clone();
        for (set, end) in [
            (&mut narrowed.shared, self.shared),
            (&mut narrowed.tenant, self.tenant),
        ] {
            set.migrations
                .retain(|migration| is_within(end, migration.version));
            // They are of what the migrations make.
            if set.migrations.is_empty() {
                set.repeatables.clear();
            }
        }
        let is_beyond = |version| !is_within(self.tenant, version);
        narrowed
            .structure
            .take_if(|file| is_shared_narrowed || file.version().is_some_and(is_beyond));
        Cow::Owned(narrowed)
    }
}

fn is_within(end: Bound<Version>, version: Version) -> bool {
    (Bound::Unbounded, end).contains(&version)
}

fn included(version: &str) -> Result<Bound<Version>, StoreError> {
    let version = version.parse().map_err(|_| StoreError::Unreadable {
        table: "rollouts",
        value: version.to_owned(),
        expected: "a version",
    })?;
    Ok(Bound::Included(version))
}
