//! The program that is run before a tenant's schema is dropped: where it does not end well, nothing is dropped.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::{config::Provision, provision::ProvisionError, store::tenants::Tenant};

/// Runs the program that the settings name, if they name one, without a shell. What it writes goes to standard error.
///
/// # Errors
/// Where it cannot be begun, does not end with 0, or not in time; then it was killed.
pub(super) async fn run(settings: &Provision, tenant: &Tenant) -> Result<(), ProvisionError> {
    let Some((program, arguments)) = settings.before_retire.split_first() else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("TENANTRY_TENANT", tenant.name.as_str())
        .env("TENANTRY_SHARD", tenant.shard.as_str())
        .env("TENANTRY_SCHEMA", tenant.name.schema().as_str())
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .kill_on_drop(true);
    let limit = settings.before_retire_timeout;
    let ended = timeout(limit, async { command.status().await }).await;
    match why(ended.ok(), limit) {
        None => Ok(()),
        Some(why) => Err(ProvisionError::NotKept {
            name: tenant.name.to_string(),
            program: program.clone(),
            why,
        }),
    }
}

/// Why it was no good; none where it was.
fn why(ended: Option<io::Result<ExitStatus>>, limit: Duration) -> Option<String> {
    match ended {
        Some(Ok(status)) if status.success() => None,
        Some(Ok(status)) => Some(format!("ended with {status}")),
        Some(Err(error)) => Some(format!("could not be begun: {error}")),
        None => Some(format!(
            "did not end within {limit:?} (provision.before_retire_timeout), and was killed"
        )),
    }
}
