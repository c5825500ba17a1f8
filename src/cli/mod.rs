//! The command line: one file a command, which asks the modules above and shows what they say.
//!
//! Never decides anything about the fleet itself: what is refused here is refused by `plan`, `rollout` or `provision`.

mod arguments;
mod ask;
mod backfill;
mod baseline;
mod config;
mod confirm;
mod context;
mod correction;
mod demo;
mod down;
mod error;
mod exit;
mod force;
mod goto;
mod human;
mod new;
mod output;
mod paint;
mod plan;
mod progress;
mod redo;
mod repair;
mod report;
mod selection;
mod serve;
mod signals;
mod status;
mod table;
mod tenant;
mod trip;
mod up;
mod verify;

use std::ffi::OsString;

use clap::Parser as _;

pub use self::exit::ExitCode;
use self::{arguments::Arguments, context::Context, error::CliError, output::Output};

/// Carries out one command line, and says how the process should end. Writes to standard output and standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is nobody's error; help and versions come this way too.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Done
            };
        }
    };
    let output = Output::new(&arguments.global);
    let code = carry_out(arguments, &output).unwrap_or_else(|error| failed(&error, &output));
    match output.delivered() {
        Ok(()) => code,
        Err(error) => failed(&error, &output).max(code),
    }
}

fn failed(error: &CliError, output: &Output) -> ExitCode {
    output.failed(error);
    error.exit_code()
}

fn carry_out(arguments: Arguments, output: &Output) -> Result<ExitCode, CliError> {
    // The work is waiting for databases: one thread is enough, and starts at once.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let context = Context::new(arguments.global, output);
    runtime.block_on(arguments.command.run(&context))
}
