//! Messages that change a schema as a whole: one transaction each, tried again while somebody else is in the way.

use sqlx::{Row as _, postgres::PgRow};

use super::{ProvisionError, schema::failed};
use crate::{
    apply::{Limits, Patience},
    history::Head,
    postgres::{Fault, Message, Outcome, ServerError, Session, Watch},
    sql::{Ident, Literal},
};

/// Something of another schema would go as well.
const NEEDED: &str = "TN008";

/// Sends a message as often as the limits allow it to meet a lock or somebody else at work. Gives its last row.
pub(super) async fn guarded(
    session: &mut Session,
    limits: &Limits,
    schema: &Ident,
    message: &Message,
    doing: &'static str,
) -> Result<Option<PgRow>, ProvisionError> {
    let mut patience = Patience::new(limits);
    loop {
        let mut row = None;
        let Outcome::Refused { error, .. } =
            session.ask(message, Watch::default(), &mut row).await?
        else {
            return Ok(row);
        };
        // The connection is whole: what is lost with one is told by whoever sends.
        match patience.delay(Fault::of(&error.code)) {
            Some(delay) => tokio::time::sleep(delay).await,
            None => return Err(refused(schema, error, doing)),
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
    let message = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         SET LOCAL lock_timeout = {lock_timeout};
         SELECT revision, fence FROM tenantry.seize({oid}, {name}, {clear});
         COMMIT;
         RESET ALL;",
        lock_timeout = limits.lock_timeout.as_millis().max(1),
        oid = head.schema_oid,
        name = literal(schema),
    );
    let message = Message::vouched(message);
    let row = guarded(session, limits, schema, &message, "raise a schema's fence").await?;
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
    match Fault::of(&error.code) {
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
