//! `demo`: the main job on this machine with nothing set up, on a PostgreSQL that is started for it and goes with it.
//!
//! Calls what the other commands call; nothing here knows a shorter way.

mod sets;
mod stages;
mod summary;

use std::{net::Ipv4Addr, time::Instant};

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::{sets::SampleSets, stages::Stages};
use super::{context::Context, error::CliError, exit::ExitCode, human};
use crate::{
    config::Settings,
    daemon,
    fleet::Fleet,
    verify::scratch::{Options, Purpose, Server, Source},
};

/// What `demo` takes.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many tenants sign up
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    tenants: u32,
    /// The port of the daemon that runs afterwards; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// End when all is shown, instead of running the daemon until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Where the PostgreSQL is from: container, local or the postgres:// URL of a server for tests
    /// [default: local, else container]
    #[arg(long, value_name = "SERVER")]
    server: Option<Source>,
}

impl Demo {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let stop = context.stop_alone();
        let server = tokio::select! {
            server = self.start() => server?,
            () = stop.cancelled() => return Ok(ExitCode::Interrupted),
        };
        let shown = self.show(context, &server, &stop).await;
        // Whatever happened, nothing is left behind; a guardian sees to it when we cannot.
        server.stop().await?;
        shown
    }

    async fn show(
        &self,
        context: &Context<'_>,
        server: &Server,
        stop: &CancellationToken,
    ) -> Result<ExitCode, CliError> {
        let sets = SampleSets::unpack()?;
        let settings = self.settings(server, &sets)?;
        let start = Instant::now();
        let stages = Stages {
            output: context.output,
            fleet: Fleet::open(&settings)?,
            settings: &settings,
            server,
            stop,
        };
        stages.say(&format!("PostgreSQL is up ({})", server.kind()), "");
        let Some(summary) = stages.run(self.tenants as usize).await? else {
            return Ok(ExitCode::Interrupted);
        };
        stages.say("all of it took", &human::duration(start.elapsed()));
        context
            .output
            .last_line(&summary, |paint| summary.text(paint));
        if !summary.is_ok() {
            return Ok(ExitCode::Failed);
        }
        if !self.once {
            self.serve(context, settings, server, stop).await?;
        }
        Ok(ExitCode::Done)
    }

    async fn start(&self) -> Result<Server, CliError> {
        // The program itself watches over the server.
        let program = std::env::current_exe().map_err(CliError::Runtime)?;
        let sources = match &self.server {
            Some(source) => vec![source.clone()],
            None => vec![Source::Local, Source::Container],
        };
        // As a production server would write, so that the figures mean something.
        let options = Options::new(program)
            .sources(sources)
            .purpose(Purpose::Durable);
        Ok(Server::start(&options).await?)
    }

    /// Only what the demo needs: the environment's and the directory's settings are for another fleet.
    fn settings(&self, server: &Server, sets: &SampleSets) -> Result<Settings, CliError> {
        let environment = [
            ("TENANTRY__HOME__URL", server.url().to_owned()),
            (
                "TENANTRY__MIGRATIONS__SHARED",
                sets.shared().display().to_string(),
            ),
            (
                "TENANTRY__MIGRATIONS__TENANT",
                sets.tenant().display().to_string(),
            ),
            (
                "TENANTRY__DAEMON__LISTEN",
                format!("{}:{}", Ipv4Addr::LOCALHOST, self.port),
            ),
        ];
        Ok(Settings::load(Some(&sets.no_settings()), environment)?)
    }

    async fn serve(
        &self,
        context: &Context<'_>,
        settings: Settings,
        server: &Server,
        stop: &CancellationToken,
    ) -> Result<(), CliError> {
        let daemon = daemon::build(settings).await?;
        let address = daemon.address().map_err(CliError::Runtime)?;
        context.output.line(|paint| {
            format!(
                "\nThe daemon answers on {}, the fleet is at\n  {}\nCtrl-C ends both.",
                paint.strong(format!("http://{address}/readyz")),
                server.url(),
            )
        });
        daemon.run(stop.clone().cancelled_owned()).await?;
        Ok(())
    }
}
