//! A set's structure as one file of SQL, proven on a scratch server: run in an empty schema, it leaves the same structure.

use super::{Outcome, VerifyError, ground::Ground, scratch::Server, trial::Trial};
use crate::{
    config::Settings,
    migration::{Scope, Version},
    plan::Goal,
    postgres::{Message, Outcome as Reply, ServerError, Session},
    sql::Ident,
    structure::{Change, Difference, Snapshot, Unseen, WriteError, diff, snapshot, unseen, write},
};

/// What is to be written down.
pub struct DumpRequest<'a> {
    /// Where the sets are, and how they are carried. None of the databases it names is touched.
    pub settings: &'a Settings,
    /// Which set.
    pub scope: Scope,
    /// SQL for what a database of the application has before its first migration, such as extensions.
    pub prepare: Option<&'a str>,
    /// The structure of a schema that is there, instead of that which the files make.
    pub from: Option<Subject>,
}

/// A structure, with what is known of it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it looks like.
    pub snapshot: Snapshot,
    /// What that leaves out.
    pub unseen: Unseen,
    /// For people: `the tenants' set at 7`.
    pub title: String,
}

/// A structure as SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dumped {
    /// The whole file.
    pub text: String,
    /// How many statements it has.
    pub statements: usize,
    /// What is not in it, because it belongs to a server rather than to a structure.
    pub left_out: Vec<String>,
}

/// Why a structure cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The scratch server, the settings or the files.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// There are no words for something.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The set does not come up.
    #[error("the {0} set does not come up: {1}; `tenantry verify` tells more")]
    Up(Scope, Outcome),
    /// The schema has what is not seen, and would be lost.
    #[error("the schema holds what cannot be written yet: {}", .0.join(", "))]
    Unseen(Vec<String>),
    /// A statement that does not run, whatever runs before it.
    #[error("what was written does not run: {error}, in: {statement}")]
    Stuck {
        /// Its text.
        statement: String,
        /// What the server said.
        error: ServerError,
    },
    /// What was written leaves another structure.
    #[error("what was written leaves another structure: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Differs(Vec<Difference>),
}

/// Writes a structure down, and proves it: only what was seen to leave the same structure is returned.
///
/// # Errors
/// Also where anything of the structure could not be written.
pub async fn dump(server: &Server, request: &DumpRequest<'_>) -> Result<Dumped, DumpError> {
    let ground = Ground::new(server, request.settings, request.prepare)?;
    let mut trial = Trial::shared(&ground).await?;
    up(&mut trial, Scope::Shared).await?;
    let subject = match &request.from {
        Some(subject) => subject.clone(),
        None => {
            if request.scope == Scope::Tenant {
                let name = request.settings.tenant_name("dump_one");
                let name = name.map_err(VerifyError::from)?;
                trial = trial.into_tenant(&name).await?;
                up(&mut trial, Scope::Tenant).await?;
            }
            subject(&mut trial, request.scope).await?
        }
    };
    if !subject.unseen.objects.is_empty() {
        return Err(DumpError::Unseen(subject.unseen.objects));
    }
    let session = trial.session().await?;
    let (statements, left) = copy(session, "dump_copy", &subject.snapshot).await?;
    let differences = diff(&subject.snapshot, &left);
    if !differences.is_empty() {
        let (_, again) = copy(session, "dump_copy_again", &left).await?;
        if !differences.iter().all(is_rewording) || left != again {
            return Err(DumpError::Differs(differences));
        }
    }
    let major = major(session).await?;
    trial.close().await?;
    Ok(Dumped {
        text: text(&subject, &statements, major),
        statements: statements.len(),
        left_out: subject.unseen.circumstances,
    })
}

/// Writes a structure, makes it in a new schema, and looks at what that is like.
async fn copy(
    session: &mut Session,
    name: &str,
    original: &Snapshot,
) -> Result<(Vec<String>, Snapshot), DumpError> {
    let schema = Ident::new(name).map_err(VerifyError::from)?;
    let statements = arrange(session, &schema, write(original)?).await?;
    let left = snapshot(session.connection(), &schema).await;
    Ok((statements, left.map_err(VerifyError::from)?))
}

/// Whether it is about nothing but the words of an expression. PostgreSQL writes some differently once it has read its own
/// words, such as a list of `varchar`; what it writes then, stays.
fn is_rewording(difference: &Difference) -> bool {
    const EXPRESSIONS: [&str; 6] = [
        "constraints",
        "default",
        "definition",
        "generated",
        "using",
        "with check",
    ];
    match &difference.change {
        Change::Property {
            property,
            before: Some(_),
            after: Some(_),
        } => EXPRESSIONS.contains(&property.as_str()),
        _ => false,
    }
}

async fn up(trial: &mut Trial<'_>, scope: Scope) -> Result<(), DumpError> {
    match trial.go(Goal::Latest).await? {
        None => Ok(()),
        Some(outcome) => Err(DumpError::Up(scope, outcome)),
    }
}

async fn subject(trial: &mut Trial<'_>, scope: Scope) -> Result<Subject, DumpError> {
    let latest = trial.set().latest().map(|migration| migration.version);
    let set = match scope {
        Scope::Shared => "the shared set",
        Scope::Tenant => "the tenants' set",
    };
    let schema = trial.schema().clone();
    let session = trial.session().await?;
    let snapshot = snapshot(session.connection(), &schema).await;
    let unseen = unseen(session.connection(), &schema).await;
    Ok(Subject {
        snapshot: snapshot.map_err(VerifyError::from)?,
        unseen: unseen.map_err(VerifyError::from)?,
        title: title(set, latest),
    })
}

/// `the tenants' set at 7`
pub fn title(what: &str, version: Option<Version>) -> String {
    match version {
        Some(version) => format!("{what} at {version}"),
        None => format!("{what} with nothing applied"),
    }
}

/// Runs the statements in a new schema, those that do not run yet once more after the others: their order in the end is one
/// in which all of them run.
async fn arrange(
    session: &mut Session,
    schema: &Ident,
    statements: Vec<String>,
) -> Result<Vec<String>, DumpError> {
    let (mut done, mut waiting) = (Vec::with_capacity(statements.len()), statements);
    run(session, &format!("CREATE SCHEMA {schema}")).await?;
    while !waiting.is_empty() {
        let (before, mut stuck, mut left) = (done.len(), None, Vec::new());
        for statement in waiting {
            let message = format!(
                "BEGIN; SET LOCAL search_path = {schema}, pg_catalog; SET LOCAL check_function_bodies = off; {statement}; COMMIT"
            );
            match run(session, &message).await? {
                None => done.push(statement),
                Some(error) => {
                    stuck.get_or_insert(error);
                    left.push(statement);
                }
            }
        }
        if let (Some(error), true) = (stuck, done.len() == before) {
            let statement = left.into_iter().next().unwrap_or_default();
            return Err(DumpError::Stuck { statement, error });
        }
        waiting = left;
    }
    Ok(done)
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

fn text(subject: &Subject, statements: &[String], major: i32) -> String {
    let mut text = format!(
        "-- The structure of {}, as PostgreSQL {major} writes it. Made by `tenantry dump`: do not edit.\n\
         -- To run it in an empty schema: PGOPTIONS='-c search_path=SCHEMA' psql -v ON_ERROR_STOP=1 -f FILE\n",
        subject.title
    );
    let left_out = &subject.unseen.circumstances;
    if !left_out.is_empty() {
        text += &format!("-- Not in here: {}.\n", left_out.join(", "));
    }
    text += "\nSELECT pg_catalog.set_config('search_path',\n    \
             pg_catalog.quote_ident(pg_catalog.current_schema()) || ', pg_catalog', false);\n\
             SET check_function_bodies = off;\n";
    for statement in statements {
        text += &format!("\n{};\n", statement.trim_end());
    }
    text
}
