//! A structure in two parts: what rows are put into, and all that is told of them once they are there.
//!
//! Constraints, indexes and triggers come after the rows: then nothing fires, and the order of the tables does not matter.

use super::{RehearseError, source::Key};
use crate::{
    postgres::{Message, Outcome, ServerError, Session},
    sql::Ident,
    structure::{Kind, Snapshot, Statement, write},
};

/// The statements that make a structure.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Before the rows.
    pub(super) early: Vec<Statement>,
    /// After them.
    pub(super) late: Vec<Statement>,
}

/// What a table is by its family or by who may see its rows is said once it has them.
const LATE: [&str; 5] = [
    "parents",
    "partition bound",
    "of type",
    "row security",
    "forced row security",
];

/// The statements for a structure.
pub(super) fn parts(snapshot: &Snapshot) -> Result<Parts, RehearseError> {
    let early: Snapshot = snapshot
        .objects()
        .filter(|(key, _)| comes_early(key.kind))
        .map(|(key, properties)| {
            let mut properties = properties.clone();
            properties.retain(|name, _| !LATE.contains(&name.as_str()));
            (key.clone(), properties)
        })
        .collect();
    let early = write(&early)?;
    let mut late = write(snapshot)?;
    for statement in &early {
        if let Some(at) = late.iter().position(|other| other == statement) {
            late.remove(at);
        }
    }
    Ok(Parts { early, late })
}

/// The same without some foreign keys, and without extensions, of which a database has but one each.
pub(super) fn without(snapshot: &Snapshot, keys: &[&Key]) -> Snapshot {
    let is_left_out = |kind: Kind, table: Option<&str>, name: &str| {
        let is = |key: &&Key| key.name == name && table == Some(key.child.as_str());
        kind == Kind::Extension || kind == Kind::Constraint && keys.iter().any(is)
    };
    snapshot
        .objects()
        .filter(|(key, _)| !is_left_out(key.kind, key.table.as_deref(), &key.name))
        .map(|(key, properties)| (key.clone(), properties.clone()))
        .collect()
}

fn comes_early(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::View
            | Kind::MaterializedView
            | Kind::Constraint
            | Kind::Index
            | Kind::Statistics
            | Kind::Trigger
            | Kind::Rule
            | Kind::Policy
    )
}

/// A statement that does not run yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) statement: Statement,
    pub(super) error: ServerError,
}

/// Runs statements in a schema, stage by stage, again and again as long as more of them run; what stands in a circle is taken
/// apart. What still does not run is returned.
pub(super) async fn build(
    session: &mut Session,
    schema: &Ident,
    statements: Vec<Statement>,
) -> Result<Vec<Waiting>, RehearseError> {
    let mut left: Vec<Statement> = Vec::new();
    let mut waiting = Vec::new();
    for stage in statements.chunk_by(|a, b| a.stage == b.stage) {
        left.extend_from_slice(stage);
        waiting = try_all(session, schema, left).await?;
        left = waiting.iter().map(|w| w.statement.clone()).collect();
    }
    while open_circle(session, schema, &mut waiting).await? {
        let left = waiting.into_iter().map(|w| w.statement).collect();
        waiting = try_all(session, schema, left).await?;
    }
    Ok(waiting)
}

/// Runs statements as long as any of them runs; those that do not.
async fn try_all(
    session: &mut Session,
    schema: &Ident,
    statements: Vec<Statement>,
) -> Result<Vec<Waiting>, RehearseError> {
    let mut left = statements;
    loop {
        let (before, mut waiting) = (left.len(), Vec::new());
        for statement in left {
            if let Some(error) = attempt(session, schema, &statement.sql).await? {
                waiting.push(Waiting { statement, error });
            }
        }
        if waiting.is_empty() || waiting.len() == before {
            return Ok(waiting);
        }
        left = waiting.into_iter().map(|w| w.statement).collect();
    }
}

/// Takes one of the statements apart and runs its first part; the other parts wait. False where that helps with none.
async fn open_circle(
    session: &mut Session,
    schema: &Ident,
    waiting: &mut Vec<Waiting>,
) -> Result<bool, RehearseError> {
    for number in 0..waiting.len() {
        let Waiting { statement, error } = &waiting[number];
        let Some((first, others)) = statement.apart.split_first() else {
            continue;
        };
        if attempt(session, schema, first).await?.is_none() {
            let part = |sql: &String| Waiting {
                statement: Statement {
                    sql: sql.clone(),
                    apart: Vec::new(),
                    stage: statement.stage,
                },
                error: error.clone(),
            };
            let others: Vec<_> = others.iter().map(part).collect();
            waiting.splice(number..=number, others);
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs one statement; what the server said against it, if it did.
async fn attempt(
    session: &mut Session,
    schema: &Ident,
    statement: &str,
) -> Result<Option<ServerError>, RehearseError> {
    let message = format!(
        "BEGIN; SET LOCAL search_path = {schema}, pg_temp; SET LOCAL check_function_bodies = off; {statement}\n; COMMIT"
    );
    Ok(match session.send(&Message::vouched(message)).await? {
        Outcome::Refused { error, .. } => Some(error),
        Outcome::Done => None,
    })
}
