//! What can be typed: the options of every command, and one enum with one variant a command.

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};

use super::{
    backfill::BackfillCommand, baseline::Baseline, blockers::Blockers, completions::Completions,
    config::ConfigCommand, context::Context, demo::Demo, doctor::Doctor, down::Down, drift::Drift,
    dump::Dump, error::CliError, exit::ExitCode, force::Force, goto::Goto, man::Man, new::New,
    plan::Plan, redo::Redo, rehearse::Rehearse, release::ReleaseCommand, repair::Repair,
    rollout::RolloutCommand, serve::Serve, status::Status, tenant::TenantCommand, up::Up,
    verify::Verify, wait::Wait,
};

/// Moves the database schemas of multi-tenant applications: the shared schema first, then every tenant's.
#[derive(Debug, Parser)]
#[command(name = "tenantry", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub(super) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// The configuration file [default: ./tenantry.toml where there is one]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TENANTRY_CONFIG",
        hide_env_values = true,
        // An empty variable counts as not set, as it does for every setting; clap's own parser for paths would refuse it.
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub(super) config: Option<PathBuf>,
    /// How results are written to standard output
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(super) output: Format,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Say less: results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(super) color: ColorWhen,
}

/// How results are written. Without a text for each value, help shows them on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

/// What tenantry can do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows the main job on this machine, on a PostgreSQL of its own
    Demo(Demo),
    /// Shows where the fleet stands
    Status(Status),
    /// Shows what `up` would do, and changes nothing
    Plan(Plan),
    /// Applies what is pending: the shared schema first, then the tenants
    Up(Up),
    /// Waits until all that is pending is applied, by whomever: a gate for deploys
    Wait(Wait),
    /// Takes migrations back, by the texts that the history has stored
    Down(Down),
    /// Takes the last migration back and applies it again, as its file is now
    Redo(Redo),
    /// Goes to a version, whichever way it lies
    Goto(Goto),
    /// Says at which version schemas are, without running anything
    Force(Force),
    /// Takes schemas without a history as being at a version
    Baseline(Baseline),
    /// Looks at the record and says what is wrong with it; with an option, mends it
    Repair(Repair),
    /// Makes, lists, shows, labels, renames, suspends, takes over and takes away tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Takes the fleet to a goal wave by wave, by the daemons; shows, stops and takes back
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Says that the application before is gone, so that rollouts may take away what it needed; lists what waits for that
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Changes data in small batches, tenant by tenant
    #[command(subcommand)]
    Backfill(BackfillCommand),
    /// Shows who waits for a lock, behind whom and since when, on every shard; ends sessions
    Blockers(Blockers),
    /// Proves on a scratch server that every way back leads back: up, down, up, comparing the structure
    Verify(Verify),
    /// Runs what is pending on copies of sample tenants: times, locks, rewrites, and an estimate for the fleet
    Rehearse(Rehearse),
    /// Shows which schemas look otherwise than their histories should have made them, and in what
    Drift(Drift),
    /// Writes the structure that the migrations make as one file of SQL, and proves it
    Dump(Dump),
    /// Looks at every database for what is wrong or will be: settings, rights, limits, leftovers; says what mends it
    Doctor(Doctor),
    /// Creates the files of a new migration
    New(New),
    /// Runs the daemon: applies what is pending, then makes the schemas of new tenants
    Serve(Serve),
    /// Shows the settings in force and where each of them is from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Writes the script by which a shell completes commands and options
    Completions(Completions),
    /// Writes the pages of the manual, one a command
    Man(Man),
}

impl Command {
    /// Carries the command out.
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::Demo(command) => command.run(context).await,
            Self::Status(command) => command.run(context).await,
            Self::Plan(command) => command.run(context).await,
            Self::Up(command) => command.run(context).await,
            Self::Wait(command) => command.run(context).await,
            Self::Down(command) => command.run(context).await,
            Self::Redo(command) => command.run(context).await,
            Self::Goto(command) => command.run(context).await,
            Self::Force(command) => command.run(context).await,
            Self::Baseline(command) => command.run(context).await,
            Self::Repair(command) => command.run(context).await,
            Self::Tenant(command) => command.run(context).await,
            Self::Rollout(command) => command.run(context).await,
            Self::Release(command) => command.run(context).await,
            Self::Backfill(command) => command.run(context).await,
            Self::Blockers(command) => command.run(context).await,
            Self::Verify(command) => command.run(context).await,
            Self::Rehearse(command) => command.run(context).await,
            Self::Drift(command) => command.run(context).await,
            Self::Dump(command) => command.run(context).await,
            Self::Doctor(command) => command.run(context).await,
            Self::New(command) => command.run(context),
            Self::Serve(command) => command.run(context).await,
            Self::Config(command) => command.run(context),
            Self::Completions(command) => command.run(context),
            Self::Man(command) => command.run(context),
        }
    }
}
