//! `verify`: takes every migration up, down and up again on a scratch server, and tells what is not as it was.

mod junit;
mod text;

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use clap::{Args, builder::TypedValueParser};

use super::{
    context::Context, error::CliError, exit::ExitCode, output::Output, scratch::ScratchOptions,
    trip::scope,
};
use crate::{
    config::Settings,
    migration::Scope,
    verify::{Proof, ROWS, Report, Request, Since, default_jobs, verify},
};

/// What `verify` takes.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Only the shared set, or only the tenants'
    #[arg(long, value_name = "SCOPE", value_parser = scope())]
    scope: Option<Scope>,
    #[command(flatten)]
    scratch: ScratchOptions,
    /// Only what is new: the migrations above a version, or the files that differ from a revision in git (`origin/main`)
    #[arg(long, value_name = "REV|VERSION")]
    since: Option<String>,
    /// How many rows are put into each table before migrations are tried with rows
    #[arg(long, value_name = "N", default_value_t = ROWS, value_parser = rows())]
    rows: usize,
    /// Try no migration with rows in the tables
    #[arg(long, conflicts_with = "rows")]
    no_seed: bool,
    /// How many databases are worked on at once [default: one a core, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Write the results for a build server, too
    #[arg(long, value_name = "junit=FILE", value_parser = junit_file)]
    report: Option<PathBuf>,
}

impl Verify {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let prepare = self.scratch.prepare()?;
        // Before anything is started: a report that has no place is not worth the wait.
        let mut file = self.report.as_deref().map(ReportFile::create).transpose()?;
        let stop = context.stop_alone();
        let report = tokio::select! {
            report = self.prove(&settings, prepare.as_deref(), context.output) => report?,
            // The server goes with the future, whatever it was at.
            () = stop.cancelled() => return Ok(ExitCode::Interrupted),
        };
        context
            .output
            .result(&report, |paint| text::summary(&report, paint));
        if let Some(file) = &mut file {
            file.write(&report)?;
        }
        Ok(if report.is_ok() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
    }

    async fn prove(
        &self,
        settings: &Settings,
        prepare: Option<&str>,
        output: &Output,
    ) -> Result<Report, CliError> {
        let since = match &self.since {
            Some(typed) => Some(Since::read(typed, &directories(settings)).await?),
            None => None,
        };
        let server = self.scratch.start().await?;
        let heading = Mutex::new(None);
        let observe = |scope: Scope, proof: &Proof| {
            let mut heading = heading.lock().unwrap_or_else(PoisonError::into_inner);
            let begins = heading.replace(scope) != Some(scope);
            if begins || text::is_shown(proof) {
                output.line(|paint| text::proof(begins.then_some(scope), proof, paint));
            }
        };
        let both = [Scope::Shared, Scope::Tenant];
        let request = Request {
            scopes: self.scope.as_ref().map_or(&both, std::slice::from_ref),
            prepare,
            rows: if self.no_seed { 0 } else { self.rows },
            jobs: self.jobs.map_or_else(default_jobs, usize::from),
            since: since.as_ref(),
            observe: &observe,
            ..Request::new(settings)
        };
        let report = verify(&server, &request).await;
        let stopped = server.stop().await;
        // What went wrong first is told.
        let report = report?;
        stopped?;
        Ok(report)
    }
}

/// Where the files of both scopes are.
fn directories(settings: &Settings) -> Vec<PathBuf> {
    let migrations = &settings.migrations;
    let both = migrations.shared.iter().chain(&migrations.tenant);
    both.cloned().collect()
}

fn rows() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u16).range(0..=20).map(usize::from)
}

/// The file for a build server.
struct ReportFile<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> ReportFile<'a> {
    fn create(path: &'a Path) -> Result<Self, CliError> {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path, file })
    }

    fn write(&mut self, report: &Report) -> Result<(), CliError> {
        let written = self.file.write_all(junit::document(report).as_bytes());
        written.map_err(|error| cannot_write(self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    CliError::Usage(format!("cannot write {}: {error}", path.display()))
}

fn junit_file(text: &str) -> Result<PathBuf, String> {
    let file = text.strip_prefix("junit=").filter(|file| !file.is_empty());
    file.map(PathBuf::from)
        .ok_or_else(|| "a report is written as junit=FILE".to_owned())
}
