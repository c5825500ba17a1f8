//! `verify`: takes every migration up, down and up again on a scratch server, and tells what is not as it was.

mod junit;
mod text;

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use clap::Args;

use super::{
    context::Context, error::CliError, exit::ExitCode, output::Output, scratch::ScratchOptions,
    trip::scope,
};
use crate::{
    config::Settings,
    migration::Scope,
    verify::{Proof, Report, Request, verify},
};

/// What `verify` takes.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Only the shared set, or only the tenants'
    #[arg(long, value_name = "SCOPE", value_parser = scope())]
    scope: Option<Scope>,
    #[command(flatten)]
    scratch: ScratchOptions,
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
        let server = self.scratch.start().await?;
        let heading = Mutex::new(None);
        let observe = |scope: Scope, proof: &Proof| {
            let mut heading = heading.lock().unwrap_or_else(PoisonError::into_inner);
            let begins = heading.replace(scope) != Some(scope);
            output.line(|paint| text::proof(begins.then_some(scope), proof, paint));
        };
        let both = [Scope::Shared, Scope::Tenant];
        let request = Request {
            settings,
            scopes: self.scope.as_ref().map_or(&both, std::slice::from_ref),
            prepare,
            observe: &observe,
        };
        let report = verify(&server, &request).await;
        let stopped = server.stop().await;
        // What went wrong first is told.
        let report = report?;
        stopped?;
        Ok(report)
    }
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
