//! Messages that change a schema as a whole: one transaction each, tried again while somebody else is in the way.

use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};

use super::{ProvisionError, schema::failed};
use crate::{
    apply::{Limits, Patience},
    history::Head,
    postgres::{Fault, Message, Outcome, ServerError, Session},
    sql::{Ident, Literal},
};

/// Something of another schema would go as well.
const NEEDED: &str = "TN008";

/// How long each statement of a try may wait for a lock and run: `SET LOCAL` of both.
pub(super) struct Waits {
    lock_timeout: Duration,
    statement_timeout: Duration,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // 0 would be no limit: whoever uses the schema would then wait behind us.
        let [lock, statement] =
            [self.lock_timeout, self.statement_timeout].map(|timeout| timeout.as_millis().max(1));
        write!(
            f,
            "SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement};"
        )
    }
}

/// Sends a message as often as the limits allow it to meet a lock or somebody else at work, each time with more patience.
/// Gives its last row.
pub(super) async fn guarded(
    session: &mut Session,
    limits: &Limits,
    schema: &Ident,
    message: impl Fn(Waits) -> Message,
    doing: &'static str,
) -> Result<Option<PgRow>, ProvisionError> {
    let mut patience = Patience::new(limits);
    loop {
        let mut row = None;
        let message = message(Waits {
            lock_timeout: patience.rung().lock_timeout(limits.lock_timeout),
            statement_timeout: limits.statement_timeout,
        });
        let Outcome::Refused { error, .. } =
            session.ask(&message, limits.watch(), &mut row).await?
        else {
            return Ok(row);
        };
        // The connection is whole: what is lost with one is told by whoever sends.
        let waited = match patience.delay(Fault::of(&error)) {
            Some(delay) => {
                let sleep = tokio::time::sleep(delay);
                session.cut().run_until_cancelled(sleep).await
            }
            None => None,
        };
        if waited.is_none() {
            return Err(refused(schema, error, doing));
        }
    }
}

/// Raises the fence of a schema, so that nobody moves it any more who has planned for it as it was. Waits for whoever is
/// at work on it. Gives the head as it is then.
///
/// With `clear` it is no longer dirty either.
pub(super) async fn seize(
    session: &mut Session,
    limits: &Limits,
    head: &Head,
    schema: &Ident,
    clear: bool,
) -> Result<Head, ProvisionError> {
    let (oid, name) = (head.schema_oid, literal(schema));
    let message = |waits| {
        Message::vouched(format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             {waits}
             SELECT revision, fence FROM tenantry.seize({oid}, {name}, {clear});
             COMMIT;
             RESET ALL;"
        ))
    };
    let row = guarded(session, limits, schema, message, "raise a schema's fence").await?;
    let read = |row: PgRow| Some((row.try_get(0).ok()?, row.try_get(1).ok()?));
    let (revision, fence) = row
        .and_then(read)
        .ok_or_else(|| unreadable("the new fence"))?;
    Ok(Head {
        revision,
        fence,
        dirty: head.dirty.filter(|_| !clear),
        ..head.clone()
    })
}

/// A schema's name as a value. An [`Ident`] holds no NUL, which is all that a literal could refuse.
pub(super) fn literal(schema: &Ident) -> String {
    Literal::new(schema.as_str())
        .map(|name| name.to_string())
        .unwrap_or_default()
}

/// The answer is not the one that was asked for.
pub(super) fn unreadable(what: &str) -> ProvisionError {
    let error = ServerError::local(format!("the server did not say {what}"));
    failed("read what the server answered", error).into()
}

fn refused(schema: &Ident, error: ServerError, doing: &'static str) -> ProvisionError {
    let name = || schema.as_str().to_owned();
    match Fault::of(&error) {
        Fault::Busy | Fault::Stale => ProvisionError::Busy(name()),
        // Not one of us: whoever uses the tables holds locks on them.
        Fault::Retry => ProvisionError::InUse(name()),
        Fault::Gone => ProvisionError::MadeAnew { schema: name() },
        _ if error.code == NEEDED => {
            let by = error.detail.unwrap_or_default();
            ProvisionError::needed(&name(), by.lines().map(str::to_owned).collect())
        }
        _ => failed(doing, error).into(),
    }
}
