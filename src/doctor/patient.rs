use sqlx::{Postgres, pool::PoolConnection};

use crate::{
    fleet::Fleet,
    postgres::{Connection, Session, Shard},
    store::tenants::Tenant,
};

/// A database that is looked at, and what is known of it.
pub struct Patient<'a> {
    /// The fleet that it belongs to.
    pub fleet: &'a Fleet,
    /// How it is reached, and how many tenants are moved on it at once.
    pub shard: &'a Shard,
    /// Whether it holds tenants.
    pub is_shard: bool,
    /// Whether it holds the registry.
    pub is_home: bool,
    /// Whether our tables are there to be read.
    pub has_tables: bool,
    /// All registered tenants; none where the registry could not be read.
    pub tenants: Option<&'a [Tenant]>,
    /// A session as migrations have it.
    pub session: Session,
    /// A second connection, as any application has it. Where it leads through a pooler, a query has to be
    /// `.persistent(false)`, in a transaction of its own.
    pub plain: PoolConnection<Postgres>,
}

impl Patient<'_> {
    /// The session's connection.
    pub fn connection(&mut self) -> &mut Connection {
        self.session.connection()
    }

    /// How many connections the work on it takes: one for each tenant that is moved at once, and one to look after them.
    pub fn connections(&self) -> i64 {
        let moved = if self.is_shard {
            self.shard.concurrency
        } else {
            0
        };
        i64::try_from(moved).unwrap_or(i64::MAX).saturating_add(1)
    }
}
