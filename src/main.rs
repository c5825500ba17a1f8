//! The `tenantry` command.

use std::process::ExitCode;

use tenantry::{cli, verify::scratch::guardian};

fn main() -> ExitCode {
    guardian::run(std::env::args_os()).unwrap_or_else(|| cli::run(std::env::args_os()).into())
}
