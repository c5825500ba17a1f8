//! Up, down and up again: each migration by itself, several at once, then the whole set, with the structure compared every
//! time.
//!
//! Judges by what the schema looks like and by what its tables hold, never by what a script says it does.

use std::thread::available_parallelism;

use futures::future::try_join_all;
use tokio::sync::Semaphore;

use super::{
    Proof, Report, Since, VerifyError, course::Course, ground::Ground, scope::scope,
    scratch::Server, turns::Turns,
};
use crate::{config::Settings, migration::Scope};

/// What is to be proven. [`Request::new`] proves everything.
pub struct Request<'a> {
    /// Where the sets are, and how they are carried. None of the databases it names is touched.
    pub settings: &'a Settings,
    /// In this order.
    pub scopes: &'a [Scope],
    /// SQL for what a database of the application has before its first migration, such as extensions and roles.
    pub prepare: Option<&'a str>,
    /// How many rows are put into each table; 0 for none.
    pub rows: usize,
    /// How many databases are worked on at once, at least one. What is found does not depend on it.
    pub jobs: usize,
    /// What is judged; everything where it is none.
    pub since: Option<&'a Since>,
    /// Is told of each proof as soon as it and all before it are there.
    pub observe: &'a (dyn Fn(Scope, &Proof) + Sync),
}

/// So many rows are put into each table where nobody says how many.
pub const ROWS: usize = 3;

/// More databases at once are not worked on where nobody says how many.
const MOST_JOBS: usize = 8;

impl<'a> Request<'a> {
    /// Everything, as the command does it where nothing else is typed.
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            scopes: &[Scope::Shared, Scope::Tenant],
            prepare: None,
            rows: ROWS,
            jobs: default_jobs(),
            since: None,
            observe: &|_, _| {},
        }
    }
}

/// As many databases as there are cores are worked on at once, and no more than eight.
pub fn default_jobs() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().min(MOST_JOBS))
}

/// Takes the sets up, down and up again on databases that are made for it on `server`.
///
/// # Errors
/// Only where nothing could be judged. What is wrong with the migrations stands in the report.
pub async fn verify(server: &Server, request: &Request<'_>) -> Result<Report, VerifyError> {
    let ground = Ground::new(server, request.settings, request.prepare)?;
    // Roles are the whole server's: databases that are worked on at once would be in each other's way.
    let is_alone = ground.roles.spoken_of.is_some();
    let jobs = if is_alone { 1 } else { request.jobs.max(1) };
    let (permits, turns) = (Semaphore::new(jobs), Turns::new(request.observe));
    let mut courses = Vec::new();
    for wanted in request.scopes {
        let mut course = Course::new(&ground, request, *wanted, (&permits, &turns));
        course.first_turn = courses.last().map_or(0, Course::next_turn);
        course.is_alone = is_alone;
        courses.push(course);
    }
    let mut report = Report::default();
    if is_alone {
        for course in &courses {
            report.scopes.push(Box::pin(scope(course)).await?);
        }
    } else {
        report.scopes = try_join_all(courses.iter().map(|course| Box::pin(scope(course)))).await?;
    }
    Ok(report)
}
