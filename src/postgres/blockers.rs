//! Who waits for a lock, and who is in the way.
//!
//! Asked while somebody waits, and of `pg_blocking_pids`: that is exact. Asked afterwards, every session with any lock on
//! a table of the schema would be under suspicion, and waits for rows and advisory locks could not be explained at all.

use std::{fmt, time::Duration};

use serde::Serialize;
use sqlx::{Row, postgres::PgRow};

use super::{Answered, Connection, ServerError};

/// What the server tells of a session, or of a prepared transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// The process; none for a prepared transaction.
    pub pid: Option<i32>,
    /// The name under which the transaction was prepared.
    pub prepared: Option<String>,
    /// When it began, in seconds since 1970, where that was asked and may be seen.
    #[serde(skip)]
    pub started: Option<String>,
    /// The role.
    pub user: Option<String>,
    /// What it calls itself.
    pub application: Option<String>,
    /// The address it is connected from; `local` for a socket; for a process of the server, what it is.
    pub client: Option<String>,
    /// `active`, `idle in transaction` and so on.
    pub state: Option<String>,
    /// How long its transaction has been open, in milliseconds.
    pub transaction_ms: Option<i64>,
    /// The beginning of its query: of the one that runs, or of the last one.
    pub query: Option<String>,
    /// The server keeps the rest from us: only members of `pg_read_all_stats` see it.
    pub hidden: bool,
}

/// Who is in the way of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// Who.
    #[serde(flatten)]
    pub activity: Activity,
    /// Of what: a table, a row of one, an advisory lock.
    pub on: String,
}

/// One session that waits, and all who are in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Who waits.
    pub session: Activity,
    /// How strong a lock it wants, as PostgreSQL names them.
    pub mode: String,
    /// On what.
    pub on: String,
    /// The schema of the table that it wants, where it is one.
    pub schema: Option<String>,
    /// For how long, in milliseconds.
    pub waited_ms: Option<i64>,
    /// Those who hold it, and those who came first.
    pub blocked_by: Vec<Activity>,
}

/// All who wait in the database of `connection`, or the backend `pid` alone; who waits longest comes first.
///
/// # Errors
/// What the server or the driver said.
pub async fn waits(
    connection: &mut Connection,
    pid: Option<i32>,
) -> Result<Vec<Wait>, ServerError> {
    let rows = sqlx::query(include_str!("waits.sql"))
        .bind(pid)
        .fetch_all(connection)
        .answered(|error| ServerError::of(&error))
        .await?;
    let mut waits: Vec<Wait> = Vec::new();
    for row in rows {
        let (waiter, holder) = pair(&row).map_err(|error| ServerError::of(&error))?;
        let same = |wait: &&mut Wait| wait.session.pid == waiter.session.pid;
        match waits.last_mut().filter(same) {
            Some(wait) => wait.blocked_by.extend(holder),
            None => waits.push(Wait {
                blocked_by: holder.into_iter().collect(),
                ..waiter
            }),
        }
    }
    Ok(waits)
}

/// The sessions with these processes in the database of `connection`; those that are no more are left out.
///
/// # Errors
/// What the server or the driver said.
pub async fn sessions(
    connection: &mut Connection,
    pids: &[i32],
) -> Result<Vec<Activity>, ServerError> {
    let rows = sqlx::query(include_str!("sessions.sql"))
        .bind(pids)
        .fetch_all(connection)
        .answered(|error| ServerError::of(&error))
        .await?;
    let session = |row: &PgRow| {
        Ok(Activity {
            pid: row.try_get("pid")?,
            started: row.try_get("started")?,
            ..activity(row, "")?
        })
    };
    let sessions: Result<_, sqlx::Error> = rows.iter().map(session).collect();
    sessions.map_err(|error| ServerError::of(&error))
}

impl Blocker {
    /// Who it is and what it is in the way of, for the log: what it runs may hold a tenant's data.
    pub fn without_query(&self) -> String {
        format!("{}, in the way of {}", self.activity, self.on)
    }
}

impl Wait {
    /// Those in its way, each with what it is in the way of.
    pub fn blockers(self) -> impl Iterator<Item = Blocker> {
        let on = self.on;
        self.blocked_by.into_iter().map(move |activity| Blocker {
            activity,
            on: on.clone(),
        })
    }
}

fn pair(row: &PgRow) -> Result<(Wait, Option<Activity>), sqlx::Error> {
    let wait = Wait {
        session: Activity {
            pid: row.try_get("waiter")?,
            ..activity(row, "")?
        },
        mode: row.try_get("mode")?,
        on: row.try_get("what")?,
        schema: row.try_get("schema")?,
        waited_ms: row.try_get("waited_ms")?,
        blocked_by: Vec::new(),
    };
    let holder = Activity {
        pid: row.try_get("holder")?,
        prepared: row.try_get("holder_prepared")?,
        ..activity(row, "holder_")?
    };
    // It may have ended between two looks of the server.
    let is_there = holder.pid.is_some() || holder.prepared.is_some();
    Ok((wait, is_there.then_some(holder)))
}

fn activity(row: &PgRow, side: &str) -> Result<Activity, sqlx::Error> {
    let column = |name: &str| format!("{side}{name}");
    let query: Option<String> = row.try_get(&*column("query"))?;
    let hidden = query.as_deref() == Some("<insufficient privilege>");
    Ok(Activity {
        pid: None,
        prepared: None,
        started: None,
        user: row.try_get(&*column("role"))?,
        application: row.try_get(&*column("application"))?,
        client: row.try_get(&*column("client"))?,
        state: row.try_get(&*column("state"))?,
        transaction_ms: row.try_get(&*column("transaction_ms"))?,
        query: query.filter(|query| !hidden && !query.is_empty()),
        hidden,
    })
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.prepared, self.pid) {
            (Some(name), _) => write!(f, "the prepared transaction '{name}'")?,
            (None, Some(pid)) => write!(f, "pid {pid}")?,
            (None, None) => write!(f, "somebody")?,
        }
        let who = [
            self.user.as_ref().map(|user| format!("user {user}")),
            self.application.clone(),
            self.client.clone(),
        ];
        let who: Vec<_> = who.into_iter().flatten().collect();
        if !who.is_empty() {
            write!(f, " ({})", who.join(", "))?;
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        if let Some(open) = self.transaction_ms {
            write!(f, ", its transaction open for {}", age(open))?;
        }
        Ok(())
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, in the way of {}", self.activity, self.on)?;
        match &self.activity.query {
            Some(query) => write!(f, ": {}", on_one_line(query)),
            None if self.activity.hidden => {
                write!(f, " (a member of pg_read_all_stats sees its query)")
            }
            None => Ok(()),
        }
    }
}

/// A text without line breaks and runs of blanks.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How long ago something was, roughly.
fn age(milliseconds: i64) -> String {
    let age = Duration::from_millis(milliseconds.max(0).unsigned_abs());
    match age.as_secs() {
        0 => format!("{} ms", age.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_all_that_is_known_on_one_line() {
        let blocker = Blocker {
            activity: Activity {
                pid: Some(4711),
                user: Some("app".to_owned()),
                application: Some("shop".to_owned()),
                client: Some("10.0.0.5".to_owned()),
                state: Some("idle in transaction".to_owned()),
                transaction_ms: Some(750_000),
                query: Some("SELECT *\n   FROM users".to_owned()),
                ..Activity::default()
            },
            on: "acme.users".to_owned(),
        };
        assert!(!blocker.without_query().contains("SELECT"));
        assert_eq!(
            blocker.to_string(),
            "pid 4711 (user app, shop, 10.0.0.5), idle in transaction, its transaction open for 12 min, \
             in the way of acme.users: SELECT * FROM users"
        );
        let hidden = Blocker {
            activity: Activity {
                pid: Some(4711),
                hidden: true,
                ..Activity::default()
            },
            ..blocker
        };
        let said = hidden.to_string();
        assert!(
            said.ends_with("(a member of pg_read_all_stats sees its query)"),
            "{said}"
        );
    }

    #[test]
    fn a_prepared_transaction_has_no_process() {
        let prepared = Activity {
            prepared: Some("order 7".to_owned()),
            user: Some("app".to_owned()),
            transaction_ms: Some(3_000),
            ..Activity::default()
        };
        assert_eq!(
            prepared.to_string(),
            "the prepared transaction 'order 7' (user app), its transaction open for 3 s"
        );
    }
}
