//! Takes one tenant after the other through its batches, on a session of its own.

use governor::DefaultDirectRateLimiter;
use std::num::NonZeroU32;
use tokio_util::sync::CancellationToken;

use super::{Definition, Ended, Run, batch::Batch, key::Key};
use crate::{
    apply::{Failure, Limits, Patience},
    history::Head,
    postgres::{Fault, Outcome, ServerError, Session, SessionError, Shard},
    store::{
        StoreError,
        cursors::{self, Cursor},
    },
    tenant::Target,
};

/// What all workers of a run heed.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) definition: &'a Definition,
    pub(super) limits: &'a Limits,
    /// Whether every tenant is begun again from its first row.
    pub(super) restart: bool,
    /// Rows a second, of all workers together.
    pub(super) rate: &'a DefaultDirectRateLimiter,
    pub(super) stop: &'a CancellationToken,
}

/// Works on one tenant at a time.
pub(super) struct Worker<'a> {
    pub(super) order: Order<'a>,
    pub(super) shard: &'a Shard,
    pub(super) session: Option<Session>,
}

/// How far a tenant has come in this run.
#[derive(Default)]
struct Way {
    rows: u64,
    batches: u64,
    restarted: bool,
}

impl Worker<'_> {
    /// Takes a tenant to its last row, as far as nobody stops us. Tries again whatever may be tried again.
    pub(super) async fn tenant(&mut self, target: &Target, head: &Head) -> Run {
        let mut way = Way::default();
        let mut patience = Patience::new(self.order.limits);
        let ended = loop {
            let batches = way.batches;
            let failure = match self.batches(head, &mut way).await {
                Ok(ended) => break ended,
                Err(failure) => failure,
            };
            if matches!(failure.fault, Fault::Connection | Fault::Cancelled) {
                self.session = None;
            }
            // Its batch is rolled back: it goes on from there the next time.
            if failure.fault == Fault::Cancelled {
                break Ended::Stopped;
            }
            if way.batches > batches {
                patience = Patience::new(self.order.limits);
            }
            // Somebody else has moved the cursor, so all is well: it is read again.
            let fault = if failure.fault == Fault::Stale {
                Fault::Busy
            } else {
                failure.fault
            };
            let tries = patience.tries();
            let Some(delay) = patience.delay(fault) else {
                break Ended::Failed(Box::new(Failure { tries, ..failure }));
            };
            let waited = self
                .order
                .stop
                .run_until_cancelled(tokio::time::sleep(delay))
                .await;
            if waited.is_none() {
                break Ended::Stopped;
            }
        };
        Run {
            target: target.clone(),
            rows: way.rows,
            batches: way.batches,
            ended,
        }
    }

    /// Batch after batch, from wherever the cursor stands.
    async fn batches(&mut self, head: &Head, way: &mut Way) -> Result<Ended, Failure> {
        let order = self.order;
        let session = self.session().await?;
        let key = Key::find(session.connection(), head, order.definition).await?;
        let mut cursor = begin(session, order, head, &key, way).await?;
        if cursor.done && way.batches == 0 {
            return Ok(Ended::Before);
        }
        while !cursor.done {
            let rows = u32::try_from(cursor.rows)
                .unwrap_or(u32::MAX)
                .min(order.definition.pace.batch);
            if let Some(rows) = NonZeroU32::new(rows) {
                // Between the transactions, never within one. The bucket holds a batch, so this cannot be refused.
                let waited = order
                    .stop
                    .run_until_cancelled(order.rate.until_n_ready(rows))
                    .await;
                if waited.is_none() {
                    return Ok(Ended::Stopped);
                }
            }
            if order.stop.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            let next = batch(session, order, head, &key, &cursor).await?;
            way.rows += next.rows_done - cursor.rows_done;
            way.batches += next.batches - cursor.batches;
            cursor = next;
        }
        Ok(Ended::Done)
    }

    async fn session(&mut self) -> Result<&mut Session, Failure> {
        let most = self.order.limits.relations;
        if let Some(worn) = self.session.take_if(|session| session.touched() >= most) {
            worn.close().await;
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => self.shard.connect().await.map_err(lost)?,
        };
        Ok(self.session.insert(session))
    }
}

/// The tenant's cursor, put back to the start once a run where that was asked for.
async fn begin(
    session: &mut Session,
    order: Order<'_>,
    head: &Head,
    key: &Key,
    way: &mut Way,
) -> Result<Cursor, Failure> {
    let Definition { name, checksum, .. } = order.definition;
    let (oid, column) = (head.schema_oid, key.column.as_str());
    if order.restart && !way.restarted {
        cursors::restart(session.connection(), oid, name, column, *checksum)
            .await
            .map_err(refused)?;
        way.restarted = true;
    }
    let cursor = cursors::begin(session.connection(), oid, name, column, *checksum)
        .await
        .map_err(refused)?;
    if cursor.checksum != *checksum || cursor.key != column {
        let message = format!(
            "the backfill was begun here with another statement, table or key ({}); --restart begins again from the first row",
            cursor.key
        );
        return Err(Failure::without_place(
            Fault::Tenant,
            ServerError::local(message),
        ));
    }
    Ok(cursor)
}

/// One batch; returns the cursor as it was committed with it.
async fn batch(
    session: &mut Session,
    order: Order<'_>,
    head: &Head,
    key: &Key,
    cursor: &Cursor,
) -> Result<Cursor, Failure> {
    let batch = Batch {
        definition: order.definition,
        limits: order.limits,
        head,
        key,
        cursor,
    };
    let invalid = |error: crate::sql::InvalidIdent| {
        Failure::without_place(Fault::Gone, ServerError::local(error.to_string()))
    };
    let message = batch.message().map_err(invalid)?;
    let mut row = None;
    match session
        .ask(&message.to_message(), order.limits.watch(), &mut row)
        .await
        .map_err(lost)?
    {
        Outcome::Refused {
            completed, error, ..
        } => {
            let failure = message.failure(order.definition, error, completed);
            Err(failure.blocked_by(session.blockers()))
        }
        Outcome::Done => match row {
            Some(row) => Cursor::of(&row).map_err(refused),
            None => Err(refused(StoreError::Unreadable {
                table: "backfill_cursors",
                value: "no row".to_owned(),
                expected: "a cursor",
            })),
        },
    }
}

fn lost(error: SessionError) -> Failure {
    let fault = Fault::of_session(&error);
    Failure::without_place(fault, error.into_error())
}

/// A query over our own tables: a lost connection has no SQLSTATE.
fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::Query { error, .. } if error.code.is_empty() => {
            Failure::without_place(Fault::Connection, error)
        }
        StoreError::Query { error, .. } => Failure::without_place(Fault::of(&error), error),
        error => Failure::without_place(Fault::Tenant, ServerError::local(error.to_string())),
    }
}
