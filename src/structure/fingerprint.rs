//! Fingerprints of many schemas at once, computed by the server from the very queries that a snapshot is made of.
//!
//! A filter: equal fingerprints mean equal snapshots. Equal snapshots may have different fingerprints where a text holds the
//! schema's own name in an odd place; whoever has to know takes two snapshots.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection, FromRow, PgConnection, postgres::types::Oid, query, query_as};
use tokio::time::timeout;

use super::{Kind, Snapshot, StructureError, snapshot};
use crate::sql::Ident;

/// What keeps no lock beyond the reading of one object.
const LETTING_GO: &str = concat!(
    include_str!("fingerprint_head.sql"),
    include_str!("extensions.sql"),
    "\nunion all\n",
    include_str!("collations.sql"),
    "\nunion all\n",
    include_str!("types.sql"),
    "\nunion all\n",
    include_str!("sequences.sql"),
    "\nunion all\n",
    include_str!("tables.sql"),
    "\nunion all\n",
    include_str!("columns.sql"),
    "\nunion all\n",
    include_str!("constraints.sql"),
    "\nunion all\n",
    include_str!("indexes.sql"),
    "\nunion all\n",
    include_str!("statistics.sql"),
    "\nunion all\n",
    include_str!("triggers.sql"),
    "\nunion all\n",
    include_str!("operators.sql"),
    "\nunion all\n",
    include_str!("operator_families.sql"),
    "\nunion all\n",
    include_str!("operator_classes.sql"),
    "\nunion all\n",
    include_str!("casts.sql"),
    "\nunion all\n",
    include_str!("text_search.sql"),
    "\nunion all\n",
    include_str!("conversions.sql"),
    include_str!("fingerprint_tail.sql"),
);

/// What has queries inside: to write one, PostgreSQL locks all that it reads from, to the end of the transaction.
const HOLDING_ON: &str = concat!(
    include_str!("fingerprint_head.sql"),
    include_str!("views.sql"),
    "\nunion all\n",
    include_str!("rules.sql"),
    "\nunion all\n",
    include_str!("functions.sql"),
    "\nunion all\n",
    include_str!("policies.sql"),
    include_str!("fingerprint_tail.sql"),
);

/// A lock is waited for no longer: everybody who comes later waits behind us.
const LOCK_TIMEOUT: &str = "200ms";

/// What the server needs to say that a statement took too long.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest that one schema is looked at exactly.
const EXACTLY: Duration = Duration::from_secs(60);

/// Hashes of a schema's objects, by kind; free of the schema's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// In hexadecimal.
    kinds: BTreeMap<Kind, String>,
    objects: u64,
}

/// All that is known of what a schema looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Its hash.
    pub fingerprint: Fingerprint,
    /// All of it.
    pub snapshot: Snapshot,
}

/// What one schema looks like, or why it could not be looked at.
pub type Looked = Result<Fingerprint, String>;

/// How the server is asked.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many locks on tables and views may be held at once.
    pub locks: u32,
    /// How long one of the two queries may take.
    pub time: Duration,
}

#[derive(FromRow)]
struct Row {
    namespace: Oid,
    kind: Option<Kind>,
    objects: Option<i64>,
    hash: Option<String>,
    reason: Option<String>,
}

impl Fingerprint {
    /// The whole of it as one hash.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (kind, of_kind) in &self.kinds {
            // Words with an end: none is the beginning of another.
            for word in [&kind.to_string(), of_kind] {
                hash.update(word);
                hash.update([0]);
            }
        }
        hash.finalize().into()
    }

    /// How many objects the schema has.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// The kinds of objects in which two schemas differ.
    pub fn differing(&self, other: &Self) -> Vec<Kind> {
        let kinds: BTreeSet<_> = self.kinds.keys().chain(other.kinds.keys()).collect();
        kinds
            .into_iter()
            .filter(|kind| self.kinds.get(kind) != other.kinds.get(kind))
            .copied()
            .collect()
    }

    fn add(&mut self, kind: Kind, hash: String, objects: i64) {
        self.kinds.insert(kind, hash);
        self.objects += objects.unsigned_abs();
    }
}

/// What decides what a fingerprint is: two of different recipes cannot be compared.
pub fn recipe() -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(LETTING_GO);
    hash.update(HOLDING_ON);
    hash.update(include_str!("settings.sql"));
    hash.finalize().into()
}

/// The fingerprints of these schemas, by OID, in the same number of queries for one as for thousands. A schema that is not
/// there any more has the fingerprint of an empty one.
///
/// Waits for no lock of anybody: a schema that is locked is said to be. The database must have our tables.
///
/// # Errors
/// The database failed, or did not answer in time.
pub async fn fingerprints(
    conn: &mut PgConnection,
    schemas: &[u32],
    limits: Limits,
) -> Result<BTreeMap<u32, Looked>, StructureError> {
    let failed = |doing| {
        move |source| StructureError::Fingerprints {
            doing,
            schemas: schemas.len(),
            source,
        }
    };
    let asked = async {
        let mut transaction = conn.begin().await.map_err(failed("begin reading"))?;
        query(include_str!("settings.sql"))
            .bind("pg_catalog")
            .persistent(false)
            .execute(&mut *transaction)
            .await
            .map_err(failed("set the path for reading"))?;
        // One process a slice: more would hold as much memory each.
        query(
            "select pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('statement_timeout', $2, true),
                    pg_catalog.set_config('max_parallel_workers_per_gather', '0', true)",
        )
        .bind(LOCK_TIMEOUT)
        .bind(limits.time.as_millis().to_string())
        .persistent(false)
        .execute(&mut *transaction)
        .await
        .map_err(failed("set the limits for reading"))?;
        let mut looked: BTreeMap<u32, Looked> = schemas
            .iter()
            .map(|&oid| (oid, Ok(Fingerprint::default())))
            .collect();
        for (sql, locks) in [
            (LETTING_GO, None),
            (HOLDING_ON, Some(i64::from(limits.locks))),
        ] {
            let oids: Vec<_> = schemas.iter().copied().map(Oid).collect();
            let rows: Vec<Row> = query_as(
                "select namespace, kind, objects, hash, reason from tenantry.fingerprints($1, $2, $3)",
            )
            .bind(sql)
            .bind(oids)
            .bind(locks)
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed("read the structure"))?;
            rows.into_iter().for_each(|row| row.add_to(&mut looked));
        }
        transaction
            .rollback()
            .await
            .map_err(failed("end reading"))?;
        Ok(looked)
    };
    timeout(limits.time * 2 + SILENCE, asked)
        .await
        .unwrap_or_else(|_| {
            let silence = io::Error::new(io::ErrorKind::TimedOut, "the server gave no answer");
            Err(failed("read the structure")(silence.into()))
        })
}

/// Takes a snapshot without waiting for a lock of anybody, or for ever for an answer.
///
/// # Errors
/// As [`snapshot`]; also where the schema is locked.
pub async fn snapshot_at_once(
    conn: &mut PgConnection,
    schema: &Ident,
) -> Result<Snapshot, StructureError> {
    let failed = |source| StructureError::Database {
        doing: "begin reading",
        schema: schema.as_str().to_owned(),
        source,
    };
    let seen = async {
        let mut transaction = conn.begin().await.map_err(failed)?;
        query("select pg_catalog.set_config('lock_timeout', $1, true)")
            .bind(LOCK_TIMEOUT)
            .persistent(false)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let seen = snapshot(&mut transaction, schema).await?;
        transaction.rollback().await.map_err(failed)?;
        Ok(seen)
    };
    timeout(EXACTLY, seen).await.unwrap_or_else(|_| {
        let silence = io::Error::new(io::ErrorKind::TimedOut, "the server gave no answer");
        Err(failed(silence.into()))
    })
}

impl Row {
    fn add_to(self, looked: &mut BTreeMap<u32, Looked>) {
        let Some(of_schema) = looked.get_mut(&self.namespace.0) else {
            return;
        };
        if let Some(reason) = self.reason {
            *of_schema = Err(reason);
        } else if let (Ok(fingerprint), Some(kind), Some(hash)) = (of_schema, self.kind, self.hash)
        {
            fingerprint.add(kind, hash, self.objects.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::catalog::{AS_IT_IS, QUERIES};

    #[test]
    fn everything_a_snapshot_sees_is_in_a_fingerprint_once() {
        for (doing, sql) in QUERIES {
            let times = LETTING_GO.matches(sql).count() + HOLDING_ON.matches(sql).count();
            assert_eq!(times, 1, "{doing}");
        }
    }

    #[test]
    fn words_of_people_are_kept_apart() {
        for property in AS_IT_IS {
            // Once where it is kept, once where it is taken out of the rest.
            let property = format!("'{property}'");
            let times = include_str!("fingerprint_tail.sql").matches(&property);
            assert_eq!(times.count(), 2, "{property}");
        }
    }

    #[test]
    fn kinds_that_differ_are_told() {
        let (mut one, mut other) = (Fingerprint::default(), Fingerprint::default());
        one.add(Kind::Table, "1".into(), 2);
        other.add(Kind::Table, "1".into(), 2);
        assert_eq!(one.digest(), other.digest());
        one.add(Kind::Index, "2".into(), 1);
        other.add(Kind::Index, "3".into(), 1);
        other.add(Kind::View, "4".into(), 1);
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.differing(&other), [Kind::View, Kind::Index]);
        assert_eq!((one.objects(), other.objects()), (3, 4));
    }
}
