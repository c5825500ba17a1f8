//! The `tenantry` command.

use std::process::ExitCode;

use tenantry::verify::scratch::guardian;

fn main() -> ExitCode {
    guardian::run(std::env::args_os()).unwrap_or(ExitCode::SUCCESS)
}
