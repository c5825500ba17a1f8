//! A snapshot as a file of SQL that was seen to make the same structure.
//!
//! Works in schemas of its own, on a scratch database only.

use super::{
    Arranged, DumpError, Dumped, Subject, VerifyError, Waiting, arrange, dump::has_extension,
};
use crate::{
    plan::PREAMBLE,
    postgres::{Message, Outcome as Reply, ServerError, Session},
    sql::Ident,
    structure::{Change, Detail, Difference, Snapshot, detailed, diff, write},
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
    // Whether a view can be filled depends on the views that it reads.
    let detail = Detail {
        privileges: subject.privileges,
        ..Detail::STRUCTURE
    };
    let (statements, left) = make(session, copy, &subject.snapshot, detail).await?;
    let differences = diff(&subject.snapshot.clone().reduced(detail), &left);
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
    let head = head(subject, &reworded, major);
    Ok(Dumped {
        text: head.clone() + &body(&statements),
        body: head.len(),
        postgres: major,
        builds: None,
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
    let statements = write(original)?;
    run(session, &format!("CREATE SCHEMA {schema}")).await?;
    let arranged = arrange(session, schema, statements).await;
    let Arranged { done, waiting } = arranged.map_err(VerifyError::from)?;
    if let Some(Waiting { statement, error }) = waiting.into_iter().next() {
        let statement = statement.sql;
        return Err(DumpError::Stuck { statement, error });
    }
    let left = detailed(session.connection(), schema, detail).await;
    Ok((done, left.map_err(VerifyError::from)?))
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

fn head(subject: &Subject, reworded: &[String], major: i32) -> String {
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
    text
}

fn body(statements: &[String]) -> String {
    let mut text = format!("\n{PREAMBLE}");
    for statement in statements {
        text += &format!("\n{};\n", statement.trim_end());
    }
    text
}
