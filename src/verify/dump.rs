//! A set's structure as one file of SQL, proven on a scratch server: run in an empty schema, it leaves the same structure.

use sqlx::PgConnection;

use super::{
    Outcome, VerifyError,
    builds::{doubts, granted, leftovers},
    ground::Ground,
    scratch::Server,
    trial::Trial,
    write_down,
};
use crate::{
    config::Settings,
    migration::{Scope, Version},
    plan::Goal,
    postgres::ServerError,
    sql::Ident,
    structure::{Detail, Difference, Kind, Snapshot, Unseen, WriteError, detailed, unseen},
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
    /// Whether it also says who may do what. The roles must be there.
    pub privileges: bool,
    /// Migrations that leave nothing in a new tenant but structure, though their words do not show it.
    pub trusted: &'a [Version],
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
    /// Whether the snapshot tells who may do what.
    pub privileges: bool,
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
    /// What PostgreSQL says in other words once it has read its own, so that only the second copy is equal to the first.
    pub reworded: Vec<String>,
    /// Why no new tenant can be built from it: empty where each can. None where that was not asked, as it is not what the
    /// tenants' migrations make.
    pub builds: Option<Vec<String>>,
    /// Where its statements begin in the text.
    pub(super) body: usize,
    /// The major version of PostgreSQL that it was proven on.
    pub(super) postgres: i32,
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
    let mut why_not = None;
    let subject = match &request.from {
        Some(subject) => subject.clone(),
        None => {
            if request.scope == Scope::Tenant {
                let name = request.settings.tenant_name("dump_one");
                let name = name.map_err(VerifyError::from)?;
                trial = trial.into_tenant(&name).await?;
                up(&mut trial, Scope::Tenant).await?;
                let schema = trial.schema().clone();
                let left = leftovers(trial.session().await?.connection(), &schema).await?;
                let granted = granted(trial.session().await?.connection(), &schema).await?;
                let doubts = doubts(&ground.fleet, request.trusted);
                why_not = Some([left, granted, doubts].concat());
            }
            subject(&mut trial, request).await?
        }
    };
    if has_extension(&subject.snapshot) {
        // It is there once in a database.
        trial.close().await?;
        trial = Trial::shared(&ground).await?;
        if request.scope == Scope::Tenant {
            up(&mut trial, Scope::Shared).await?;
        }
    }
    let copy = Ident::new("dump_copy").map_err(VerifyError::from)?;
    let dumped = write_down(trial.session().await?, &subject, &copy).await;
    let closed = trial.close().await;
    let mut dumped = dumped?;
    closed?;
    if let Some(why_not) = why_not {
        dumped.stands_for(&ground.fleet, why_not);
    }
    Ok(dumped)
}

pub(super) fn has_extension(snapshot: &Snapshot) -> bool {
    let mut objects = snapshot.objects();
    objects.any(|(object, _)| object.kind == Kind::Extension)
}

async fn up(trial: &mut Trial<'_>, scope: Scope) -> Result<(), DumpError> {
    match trial.go(Goal::Latest).await? {
        None => Ok(()),
        Some(outcome) => Err(DumpError::Up(scope, outcome)),
    }
}

async fn subject(trial: &mut Trial<'_>, request: &DumpRequest<'_>) -> Result<Subject, DumpError> {
    let latest = trial.set().latest().map(|migration| migration.version);
    let set = match request.scope {
        Scope::Shared => "the shared set",
        Scope::Tenant => "the tenants' set",
    };
    let schema = trial.schema().clone();
    let session = trial.session().await?;
    let title = title(set, latest);
    Ok(Subject::look(session.connection(), &schema, title, request.privileges).await?)
}

impl Subject {
    /// Looks at a schema that is there.
    ///
    /// # Errors
    /// Where it is not, or cannot be read.
    pub async fn look(
        conn: &mut PgConnection,
        schema: &Ident,
        title: String,
        privileges: bool,
    ) -> Result<Self, VerifyError> {
        let snapshot = detailed(conn, schema, detail(privileges)).await?;
        let mut unseen = unseen(conn, schema).await?;
        if privileges {
            let left = |what: &String| !what.contains("privileges");
            unseen.circumstances.retain(left);
        }
        Ok(Self {
            snapshot,
            unseen,
            title,
            privileges,
        })
    }
}

/// What is written: of views that were never filled, too.
fn detail(privileges: bool) -> Detail {
    Detail {
        privileges,
        unpopulated: true,
        ..Detail::STRUCTURE
    }
}

/// `the tenants' set at 7`
pub fn title(what: &str, version: Option<Version>) -> String {
    match version {
        Some(version) => format!("{what} at {version}"),
        None => format!("{what} with nothing applied"),
    }
}
