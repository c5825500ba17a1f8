//! The process that outlives us by a moment, to clean up behind a scratch server.
//!
//! It waits for the end of its standard input, whose other end only its parent holds: the kernel closes that end
//! even when the parent is killed with SIGKILL. It must never do anything before.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use super::{charge::Charge, database, local};
use crate::sql::Ident;

/// The hidden first argument that turns the program into a guardian.
pub const SUBCOMMAND: &str = "__guard";

/// What it says once it watches.
pub(super) const GREETING: &str = "watching\n";

/// What the line of a role begins with; no name does.
const ROLE: char = '\t';

/// The line that tells of a role, to be dropped after the databases.
pub(super) fn role(name: &Ident) -> String {
    format!("{ROLE}{}", name.as_str())
}

/// Does the guardian's work if the arguments of the program, its name included, ask for it.
///
/// `None` means that they ask for something else. To be called before anything else in `main`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().skip(1).collect();
    let (first, rest) = arguments.split_first()?;
    if first != SUBCOMMAND {
        return None;
    }
    let Some(charge) = Charge::from_arguments(rest) else {
        return Some(ExitCode::from(2));
    };
    Some(if watch(&charge).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn watch(charge: &Charge) -> anyhow::Result<()> {
    // A parent that was killed meanwhile does not read this; its end of the other pipe is closed, too.
    let greeted = io::stdout()
        .write_all(GREETING.as_bytes())
        .and_then(|()| io::stdout().flush());
    if let Err(error) = greeted {
        tracing::debug!(%error, "nobody listens");
    }
    let told = io::read_to_string(io::stdin())?;
    match charge {
        Charge::Cluster(cluster) => local::remove(cluster)?,
        #[cfg(feature = "container")]
        Charge::Container(name) => runtime()?.block_on(super::container::remove(name))?,
        Charge::Databases => drop_databases(&told)?,
    }
    Ok(())
}

/// `told` is a URL and then the name of a database or role a line.
fn drop_databases(told: &str) -> anyhow::Result<()> {
    let mut lines = told.lines();
    let Some(url) = lines.next() else {
        return Ok(());
    };
    let (mut databases, mut roles) = (Vec::new(), Vec::new());
    for line in lines {
        match line.strip_prefix(ROLE) {
            Some(role) => roles.push(Ident::new(role)?),
            None => databases.push(Ident::new(line)?),
        }
    }
    let runtime = runtime()?;
    runtime.block_on(database::drop_all(url, &databases))?;
    Ok(runtime.block_on(database::drop_roles(url, &roles))?)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
