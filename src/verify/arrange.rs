//! Running the statements of a structure in an order in which they run, which is found out by running them.
//!
//! Makes nothing but what they say, in one schema; whoever calls it has seen to it that this is one of its own.

use crate::{
    postgres::{Message, Outcome, ServerError, Session, SessionError},
    sql::Ident,
    structure::Statement,
};

/// What became of the statements of a structure.
#[derive(Debug, Default)]
pub(crate) struct Arranged {
    /// Those that ran, in an order in which they do.
    pub(crate) done: Vec<String>,
    /// Those that do not run, whatever runs before them.
    pub(crate) waiting: Vec<Waiting>,
}

/// A statement that does not run yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) statement: Statement,
    /// What the server said against it the last time.
    pub(crate) error: ServerError,
}

/// Runs statements in a schema, stage by stage, those that do not run yet once more after the others; what stands in a circle
/// is taken apart.
pub(crate) async fn arrange(
    session: &mut Session,
    schema: &Ident,
    statements: Vec<Statement>,
) -> Result<Arranged, SessionError> {
    let mut arranged = Arranged::default();
    for stage in statements.chunk_by(|a, b| a.stage == b.stage) {
        // A partition that comes after the keys of its parent would be given keys of its own.
        arranged.try_all(session, schema, stage.to_vec()).await?;
    }
    while arranged.open_circle(session, schema).await? {
        arranged.try_all(session, schema, Vec::new()).await?;
    }
    Ok(arranged)
}

impl Arranged {
    /// Runs what waits, and `more` behind it, as long as any of it runs.
    async fn try_all(
        &mut self,
        session: &mut Session,
        schema: &Ident,
        more: Vec<Statement>,
    ) -> Result<(), SessionError> {
        let mut left: Vec<_> = self.waiting.drain(..).map(|w| w.statement).collect();
        left.extend(more);
        loop {
            let before = left.len();
            for statement in left {
                match attempt(session, schema, &statement.sql).await? {
                    None => self.done.push(statement.sql),
                    Some(error) => self.waiting.push(Waiting { statement, error }),
                }
            }
            if self.waiting.is_empty() || self.waiting.len() == before {
                return Ok(());
            }
            left = self.waiting.drain(..).map(|w| w.statement).collect();
        }
    }

    /// Takes one of those that wait apart, and runs its first part; the other parts wait. False where that helps with none.
    async fn open_circle(
        &mut self,
        session: &mut Session,
        schema: &Ident,
    ) -> Result<bool, SessionError> {
        for number in 0..self.waiting.len() {
            let Waiting { statement, error } = &self.waiting[number];
            let Some((first, others)) = statement.apart.split_first() else {
                continue;
            };
            if attempt(session, schema, first).await?.is_none() {
                self.done.push(first.clone());
                let part = |sql: &String| Waiting {
                    statement: Statement {
                        sql: sql.clone(),
                        apart: Vec::new(),
                        stage: statement.stage,
                    },
                    error: error.clone(),
                };
                let others: Vec<_> = others.iter().map(part).collect();
                self.waiting.splice(number..=number, others);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Runs one statement; what the server said against it, if it did.
async fn attempt(
    session: &mut Session,
    schema: &Ident,
    statement: &str,
) -> Result<Option<ServerError>, SessionError> {
    let message = format!(
        "BEGIN; SET LOCAL search_path = {schema}, pg_temp; SET LOCAL check_function_bodies = off; {statement}\n; COMMIT"
    );
    Ok(match session.send(&Message::vouched(message)).await? {
        Outcome::Done => None,
        Outcome::Refused { error, .. } => Some(error),
    })
}
