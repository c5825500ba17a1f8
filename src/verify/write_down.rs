//! A snapshot as a file of SQL that was seen to make the same structure: in which order its statements run is found out by
//! running them.
//!
//! Works in schemas of its own, on a scratch database only.

use super::{
    DumpError, Dumped, Subject, VerifyError,
    dump::{detail, has_extension},
};
use crate::{
    postgres::{Message, Outcome as Reply, ServerError, Session},
    sql::Ident,
    structure::{Change, Detail, Difference, Snapshot, Statement, detailed, diff, write},
};

/// Writes a structure down and makes it in the new schema `copy`: only what was seen to leave the same structure is returned.
///
/// # Errors
/// Also where anything of the structure could not be written.
pub async fn write_down(
    session: &mut Session,
    subject: &Subject,
    copy: &Ident,
) -> Result<Dumped, DumpError> {
    if !subject.unseen.objects.is_empty() {
        return Err(DumpError::Unseen(subject.unseen.objects.clone()));
    }
    let detail = detail(subject.privileges);
    let (statements, left) = make(session, copy, &subject.snapshot, detail).await?;
    let differences = diff(&subject.snapshot, &left);
    if !differences.is_empty() {
        let again = format!("{}_again", copy.as_str());
        let again = Ident::new(again).map_err(VerifyError::from)?;
        if has_extension(&left) {
            // It is there once in a database.
            run(session, &format!("DROP SCHEMA {copy} CASCADE")).await?;
        }
        let (_, again) = make(session, &again, &left, detail).await?;
        if !differences.iter().all(is_rewording) || left != again {
            return Err(DumpError::Differs(differences));
        }
    }
    let major = major(session).await?;
    let reworded: Vec<_> = differences.iter().map(|d| d.object.to_string()).collect();
    Ok(Dumped {
        text: text(subject, &statements, &reworded, major),
        statements: statements.len(),
        left_out: subject.unseen.circumstances.clone(),
        reworded,
    })
}

/// Writes a structure, makes it in a new schema, and looks at what that is like.
async fn make(
    session: &mut Session,
    schema: &Ident,
    original: &Snapshot,
    detail: Detail,
) -> Result<(Vec<String>, Snapshot), DumpError> {
    let statements = arrange(session, schema, write(original)?).await?;
    let left = detailed(session.connection(), schema, detail).await;
    Ok((statements, left.map_err(VerifyError::from)?))
}

/// Whether it is about nothing but the words of an expression. PostgreSQL writes some differently once it has read its own
/// words, such as a list of `varchar`; what it writes then, stays.
pub(crate) fn is_rewording(difference: &Difference) -> bool {
    const EXPRESSIONS: [&str; 5] = ["default", "definition", "generated", "using", "with check"];
    match &difference.change {
        Change::Property {
            property,
            before: Some(_),
            after: Some(_),
        } => EXPRESSIONS.contains(&property.as_str()) || property.starts_with("constraint "),
        _ => false,
    }
}

/// Runs the statements in a new schema, those that do not run yet once more after the others: their order in the end is one
/// in which all of them run.
async fn arrange(
    session: &mut Session,
    schema: &Ident,
    statements: Vec<Statement>,
) -> Result<Vec<String>, DumpError> {
    let mut done = Vec::with_capacity(statements.len());
    run(session, &format!("CREATE SCHEMA {schema}")).await?;
    let mut waiting: Vec<Statement> = Vec::new();
    for stage in statements.chunk_by(|a, b| a.stage == b.stage) {
        waiting.extend_from_slice(stage);
        // A partition that comes after the keys of its parent would be given keys of its own.
        try_all(session, schema, &mut waiting, &mut done).await?;
    }
    while let Some(error) = try_all(session, schema, &mut waiting, &mut done).await? {
        match open_circle(session, schema, &mut waiting).await? {
            Some(first) => done.push(first),
            None => {
                let first = waiting.into_iter().next().map(|first| first.sql);
                let statement = first.unwrap_or_default();
                return Err(DumpError::Stuck { statement, error });
            }
        }
    }
    Ok(done)
}

/// Runs what waits as long as any of it runs; what the server said against the first that is left, if any is.
async fn try_all(
    session: &mut Session,
    schema: &Ident,
    waiting: &mut Vec<Statement>,
    done: &mut Vec<String>,
) -> Result<Option<ServerError>, DumpError> {
    loop {
        let (before, mut stuck, mut left) = (done.len(), None, Vec::new());
        for statement in waiting.drain(..) {
            match attempt(session, schema, &statement.sql).await? {
                None => done.push(statement.sql),
                Some(error) => {
                    stuck.get_or_insert(error);
                    left.push(statement);
                }
            }
        }
        *waiting = left;
        if stuck.is_none() || done.len() == before {
            return Ok(stuck);
        }
    }
}

/// Where none of the statements runs before the others: takes one of them apart, and runs its first part, which is returned.
/// The other parts wait.
async fn open_circle(
    session: &mut Session,
    schema: &Ident,
    waiting: &mut Vec<Statement>,
) -> Result<Option<String>, DumpError> {
    for number in 0..waiting.len() {
        let Some((first, others)) = waiting[number].apart.split_first() else {
            continue;
        };
        if attempt(session, schema, first).await?.is_none() {
            let (first, others) = (first.clone(), others.to_vec());
            let others = others.into_iter().map(|sql| Statement {
                sql,
                apart: Vec::new(),
                stage: 0,
            });
            waiting.splice(number..=number, others);
            return Ok(Some(first));
        }
    }
    Ok(None)
}

/// Runs one statement of a structure; what the server said against it, if it did.
async fn attempt(
    session: &mut Session,
    schema: &Ident,
    statement: &str,
) -> Result<Option<ServerError>, DumpError> {
    let message = format!(
        "BEGIN; SET LOCAL search_path = {schema}, pg_temp; SET LOCAL check_function_bodies = off; {statement}; COMMIT"
    );
    run(session, &message).await
}

/// What the server said against it, if it did.
async fn run(session: &mut Session, sql: &str) -> Result<Option<ServerError>, DumpError> {
    let message = Message::vouched(sql);
    match session.send(&message).await.map_err(VerifyError::from)? {
        Reply::Done => Ok(None),
        Reply::Refused { error, .. } => Ok(Some(error)),
    }
}

async fn major(session: &mut Session) -> Result<i32, DumpError> {
    sqlx::query_scalar("select current_setting('server_version_num')::int / 10000")
        .fetch_one(session.connection())
        .await
        .map_err(|error| VerifyError::Prepare(ServerError::of(&error)).into())
}

fn text(subject: &Subject, statements: &[String], reworded: &[String], major: i32) -> String {
    let mut text = format!(
        "-- The structure of {}, as PostgreSQL {major} writes it. Made by `tenantry dump`: do not edit.\n\
         -- To run it in an empty schema: PGOPTIONS='-c search_path=SCHEMA' psql -v ON_ERROR_STOP=1 -f FILE\n",
        subject.title
    );
    let left_out = &subject.unseen.circumstances;
    if !left_out.is_empty() {
        text += &format!("-- Not in here: {}.\n", left_out.join(", "));
    }
    if !reworded.is_empty() {
        text += &format!(
            "-- The same in other words, once PostgreSQL has read its own: {}.\n",
            reworded.join(", ")
        );
    }
    text += "\nSET client_encoding = 'UTF8';\n\
             SET standard_conforming_strings = on;\n\
             SELECT pg_catalog.set_config('search_path',\n    \
             pg_catalog.quote_ident(pg_catalog.current_schema()) || ', pg_temp', false);\n\
             SET check_function_bodies = off;\n";
    for statement in statements {
        text += &format!("\n{};\n", statement.trim_end());
    }
    text
}
