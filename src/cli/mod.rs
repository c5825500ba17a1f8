//! The command line: one file a command, which asks the modules above and shows what they say.
//!
//! Never decides anything about the fleet itself: what is refused here is refused by `plan`, `rollout` or `provision`.

mod absent;
mod arguments;
mod ask;
mod backfill;
mod baseline;
mod blockers;
mod completions;
mod config;
mod confirm;
mod context;
mod correction;
mod demo;
mod doctor;
mod down;
mod drift;
mod dump;
mod error;
mod events;
mod exit;
mod force;
mod goto;
mod harmless;
mod human;
mod man;
mod new;
mod output;
mod paint;
mod plan;
mod progress;
mod redo;
mod rehearse;
mod release;
mod repair;
mod report;
mod rollout;
mod scratch;
mod selection;
mod serve;
mod signals;
mod status;
mod table;
mod tenant;
mod trip;
mod up;
mod verify;
mod wait;

use std::{
    ffi::OsString,
    io::{self, Write as _},
};

use clap::Parser as _;

pub use self::exit::ExitCode;
use self::{
    arguments::Arguments,
    context::Context,
    error::CliError,
    output::{Output, written},
};

/// Carries out one command line, and says how the process should end. Writes to standard output and standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let typed: Vec<_> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&typed) {
        Ok(arguments) => arguments,
        Err(error) => return unparsed(&error, &typed),
    };
    let output = Output::new(&arguments.global);
    let code = carry_out(arguments, &output).unwrap_or_else(|error| failed(&error, &output));
    match output.delivered() {
        Ok(()) => code,
        Err(error) => failed(&error, &output).max(code),
    }
}

/// What cannot be parsed; help and versions come this way too.
fn unparsed(error: &clap::Error, typed: &[OsString]) -> ExitCode {
    if error.use_stderr() && wants_json(typed) {
        let message = error.render().to_string();
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        let message = message.split("\n\nUsage:").next().unwrap_or_default();
        let code = ExitCode::Usage;
        let json = serde_json::json!({ "error": {
            "exit_code": code.number(),
            "message": message.trim_end(),
        }});
        // Without standard error there is nobody to tell.
        let _ = writeln!(io::stderr(), "{json}");
        return code;
    }
    match written(error.print()) {
        _ if error.use_stderr() => ExitCode::Usage,
        Ok(()) => ExitCode::Done,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write: {error}");
            ExitCode::Failed
        }
    }
}

/// Whether JSON is asked for, as far as can be told of what cannot be parsed.
fn wants_json(typed: &[OsString]) -> bool {
    let words = typed.iter().take_while(|word| *word != "--");
    let words: Vec<_> = words.collect();
    words.iter().any(|word| *word == "--output=json")
        || words
            .windows(2)
            .any(|pair| pair[0] == "--output" && pair[1] == "json")
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
