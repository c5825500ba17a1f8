//! `dump`: the structure that a set makes, as one file of SQL, to be looked at in reviews and run where history does not
//! matter.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use similar::TextDiff;

use super::{
    context::Context, error::CliError, exit::ExitCode, human, scratch::ScratchOptions, trip::scope,
};
use crate::{
    config::Settings,
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    provision::ProvisionError,
    store::{heads, tenants},
    verify::{DumpRequest, Dumped, Subject, dump, title},
};

/// What `dump` takes.
#[derive(Debug, Args)]
pub(super) struct Dump {
    /// Which set
    #[arg(long, value_name = "SCOPE", value_parser = scope(), default_value = "tenant")]
    scope: Scope,
    /// The structure of this tenant as it is, instead of what the files make
    #[arg(long, value_name = "TENANT", conflicts_with = "scope")]
    from: Option<String>,
    /// Also who may do what: GRANT and REVOKE. The roles must be there, on the scratch server too (see --prepare)
    #[arg(long)]
    privileges: bool,
    /// This migration leaves nothing in a new tenant but structure, though its words do not show it, so that new tenants can
    /// be built from the file; can be given more than once
    #[arg(long, value_name = "VERSION")]
    trust: Vec<Version>,
    /// Where to write it; - is standard output [default: migrations.structure, else structure.tenant.sql; structure.shared.sql]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write nothing: say whether the file is current, and what differs; where migrations.structure is set, also whether new
    /// tenants can be built from it
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    scratch: ScratchOptions,
}

#[derive(Serialize)]
struct Shown<'a> {
    scope: Scope,
    from: Option<&'a str>,
    file: Option<String>,
    statements: usize,
    left_out: &'a [String],
    reworded: &'a [String],
    /// Whether new tenants can be built from it; null for what is not the tenants' set.
    builds_tenants: Option<bool>,
    /// Why not.
    builds_no_tenant: &'a [String],
    /// Whether the file said the same before.
    current: bool,
    /// What differs, where that was asked for.
    difference: Option<String>,
    /// The SQL, where it is not written to a file.
    sql: Option<&'a str>,
}

impl Dump {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let file = self.file(&settings);
        if self.check && file.is_none() {
            let message = "--check compares with a file, and - is none";
            return Err(CliError::Usage(message.to_owned()));
        }
        let stop = context.stop_alone();
        let dumped = tokio::select! {
            dumped = self.make(&settings) => dumped?,
            // The server goes with the future, whatever it was at.
            () = stop.cancelled() => return Ok(ExitCode::Interrupted),
        };
        if !dumped.left_out.is_empty() {
            let left_out = dumped.left_out.join(", ");
            context.output.warning(&format!("not in it: {left_out}"));
        }
        if !dumped.reworded.is_empty() {
            let reworded = dumped.reworded.join(", ");
            let what = "the same in other words, so that the fingerprints differ";
            context.output.warning(&format!("{what}: {reworded}"));
        }
        match file {
            None => self.print(context, &dumped),
            Some(file) => {
                let is_used = settings.migrations.structure.is_some();
                let delivered = self.deliver(context, &dumped, &file, is_used)?;
                let useless = dumped.builds.as_deref().unwrap_or_default();
                if delivered != ExitCode::Done || !is_used || useless.is_empty() {
                    return Ok(delivered);
                }
                Ok(self.tell_useless(context, useless))
            }
        }
    }

    /// That tenants cannot be built from it, though they should be.
    fn tell_useless(&self, context: &Context<'_>, why_not: &[String]) -> ExitCode {
        let message = format!(
            "no new tenant can be built from it, as migrations.structure asks for; the migrations build them all:\n  {}",
            why_not.join("\n  ")
        );
        if self.check {
            context.output.error(&message);
            ExitCode::Configuration
        } else {
            context.output.warning(&message);
            ExitCode::Done
        }
    }

    fn file(&self, settings: &Settings) -> Option<PathBuf> {
        let is_of_tenants = self.scope == Scope::Tenant && self.from.is_none();
        match &self.file {
            Some(file) if file.as_os_str() == "-" => None,
            Some(file) => Some(file.clone()),
            None => match &settings.migrations.structure {
                Some(file) if is_of_tenants => Some(file.clone()),
                _ => Some(format!("structure.{}.sql", self.scope).into()),
            },
        }
    }

    async fn make(&self, settings: &Settings) -> Result<Dumped, CliError> {
        let prepare = self.scratch.prepare()?;
        let from = match &self.from {
            Some(name) => Some(subject(settings, name, self.privileges).await?),
            None => None,
        };
        let server = self.scratch.start().await?;
        let request = DumpRequest {
            settings,
            scope: self.scope,
            prepare: prepare.as_deref(),
            from,
            privileges: self.privileges,
            trusted: &self.trust,
        };
        let dumped = dump(&server, &request).await;
        let stopped = server.stop().await;
        // What went wrong first is told.
        let dumped = dumped?;
        stopped?;
        Ok(dumped)
    }

    fn print(&self, context: &Context<'_>, dumped: &Dumped) -> Result<ExitCode, CliError> {
        let shown = Shown {
            sql: Some(&dumped.text),
            ..self.shown(dumped, None, false)
        };
        context.output.verbatim(&shown, |_| dumped.text.clone());
        Ok(ExitCode::Done)
    }

    fn deliver(
        &self,
        context: &Context<'_>,
        dumped: &Dumped,
        file: &Path,
        is_used: bool,
    ) -> Result<ExitCode, CliError> {
        let cannot = |what: &str, error: io::Error| {
            CliError::Usage(format!("cannot {what} {}: {error}", file.display()))
        };
        let before = match fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(cannot("read", error)),
        };
        let current = before.as_deref() == Some(dumped.text.as_str());
        let shown = self.shown(dumped, Some(file), current);
        let name = file.display();
        let mut statements = human::count(dumped.statements, "statement", "statements");
        if is_used && dumped.builds.as_ref().is_some_and(Vec::is_empty) {
            statements += "; new tenants can be built from it";
        }
        if current {
            let text = format!("{name} is current: {statements}");
            context.output.result(&shown, |_| text);
            return Ok(ExitCode::Done);
        }
        if !self.check {
            fs::write(file, &dumped.text).map_err(|error| cannot("write", error))?;
            let text = format!("{name}: {statements}");
            context.output.result(&shown, |_| text);
            return Ok(ExitCode::Done);
        }
        let difference = difference(before.as_deref().unwrap_or_default(), &dumped.text);
        let shown = Shown {
            difference: Some(difference.clone()),
            ..shown
        };
        context.output.result(&shown, |_| difference);
        let what = if before.is_some() {
            "is stale"
        } else {
            "is not there"
        };
        let again = "the same command without --check writes it";
        context.output.error(&format!("{name} {what}; {again}"));
        Ok(ExitCode::Drift)
    }

    fn shown<'a>(&'a self, dumped: &'a Dumped, file: Option<&Path>, current: bool) -> Shown<'a> {
        Shown {
            scope: self.scope,
            from: self.from.as_deref(),
            file: file.map(|file| file.display().to_string()),
            statements: dumped.statements,
            left_out: &dumped.left_out,
            reworded: &dumped.reworded,
            builds_tenants: dumped.builds.as_ref().map(Vec::is_empty),
            builds_no_tenant: dumped.builds.as_deref().unwrap_or_default(),
            current,
            difference: None,
            sql: None,
        }
    }
}

/// What a tenant looks like now.
async fn subject(settings: &Settings, name: &str, privileges: bool) -> Result<Subject, CliError> {
    let fleet = Fleet::without_files(settings)?;
    let name = settings.tenant_name(name)?;
    let mut home = fleet.home().await?;
    let tenant = tenants::get(home.connection(), &name).await?;
    home.close().await;
    let tenant = tenant.ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
    let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
    let connection = session.connection();
    let schema = name.schema();
    let pinned = heads::get(connection, schema)
        .await
        .map_err(FleetError::from)?;
    let version = pinned.and_then(|pinned| pinned.head.version);
    let title = title(&format!("the tenant {name}"), version);
    let subject = Subject::look(connection, schema, title, privileges).await?;
    session.close().await;
    Ok(subject)
}

fn difference(before: &str, now: &str) -> String {
    TextDiff::from_lines(before, now)
        .unified_diff()
        .context_radius(2)
        .header("the file", "the migrations")
        .to_string()
}
