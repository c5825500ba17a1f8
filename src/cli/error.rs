//! Why a command could not be carried out, and the exit code that follows from it.

use std::{error::Error, io};

use super::exit::ExitCode;
use crate::{
    backfill::BackfillError,
    config::SettingsError,
    daemon::DaemonError,
    fleet::FleetError,
    migration::create::CreateError,
    plan::Refusal,
    postgres::{Fault, ServerError, SessionError},
    provision::ProvisionError,
    rehearse::RehearseError,
    rollout::RolloutError,
    store::StoreError,
    tenant::{InvalidTenantName, selector::SelectorError},
    verify::{DumpError, SinceError, VerifyError},
};

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The fleet cannot be worked on.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A tenant cannot be made, taken over or taken away.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// A tenant was registered, and could not be built.
    #[error(
        "{}; tenant {name} stays in state provisioning: once that is mended, `tenantry tenant add {name} --shard {shard}` \
         goes on with it; `tenantry tenant retire {name}` takes it away",
        .why.message()
    )]
    Begun {
        /// Its name.
        name: String,
        /// Where it was begun.
        shard: String,
        /// Why it could not be built.
        why: Box<CliError>,
    },
    /// A backfill cannot be begun.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// Nothing can be done with a rollout, or not that.
    #[error(transparent)]
    Rollout(RolloutError),
    /// The daemon cannot run, or did not end in order.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The selector is none, or names nobody.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A name that no tenant can have.
    #[error(transparent)]
    Name(#[from] InvalidTenantName),
    /// A migration cannot be created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// Nothing can be proven.
    #[error(transparent)]
    Verify(VerifyError),
    /// A structure cannot be written down.
    #[error(transparent)]
    Dump(DumpError),
    /// Nothing can be rehearsed.
    #[error(transparent)]
    Rehearse(RehearseError),
    /// A stage of the demo failed.
    #[error("{0}")]
    Demo(String),
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A result could not be written.
    #[error("cannot write to standard output")]
    Write(#[source] io::Error),
    /// The process cannot even start.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl CliError {
    /// How the process should end.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Fleet(error) => of_fleet(error),
            Self::Provision(error) => of_provision(error),
            Self::Begun { why, .. } => why.exit_code(),
            Self::Backfill(error) => of_backfill(error),
            Self::Rollout(error) => of_rollout(error),
            Self::Daemon(error) => of_daemon(error),
            Self::Selector(_) | Self::Name(_) | Self::Usage(_) => ExitCode::Usage,
            Self::Rehearse(RehearseError::NoTable(_)) => ExitCode::Usage,
            Self::Verify(error) => of_verify(error),
            Self::Create(_)
            | Self::Dump(_)
            | Self::Rehearse(_)
            | Self::Demo(_)
            | Self::Write(_)
            | Self::Runtime(_) => ExitCode::Failed,
        }
    }

    /// The whole message with its causes, as a fragment in lower case.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        message
    }
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        Self::Fleet(error.into())
    }
}

impl From<RolloutError> for CliError {
    fn from(error: RolloutError) -> Self {
        match error {
            RolloutError::Fleet(error) => error.into(),
            RolloutError::Store(error) => error.into(),
            RolloutError::Selector(error) => error.into(),
            error => Self::Rollout(error),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Fleet(error.into())
    }
}

impl From<DumpError> for CliError {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Verify(error) => error.into(),
            error => Self::Dump(error),
        }
    }
}

impl From<SinceError> for CliError {
    fn from(error: SinceError) -> Self {
        Self::Verify(error.into())
    }
}

impl From<VerifyError> for CliError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Fleet(error) => Self::Fleet(error),
            VerifyError::Provision(error) => Self::Provision(error),
            VerifyError::Store(error) => error.into(),
            error => Self::Verify(error),
        }
    }
}

fn of_fleet(error: &FleetError) -> ExitCode {
    match error {
        FleetError::Settings(_)
        | FleetError::Files(_)
        | FleetError::Url(_)
        | FleetError::Session(SessionError::Pooled { .. })
        | FleetError::UnknownShard { .. } => ExitCode::Configuration,
        FleetError::Session(SessionError::Cancelled(_)) => ExitCode::Interrupted,
        FleetError::Session(_) | FleetError::NoShard(_) => ExitCode::Unreachable,
        FleetError::Store(error) => of_store(error),
        FleetError::UnknownVersion(_) => ExitCode::Usage,
        FleetError::Unsteady(_)
        | FleetError::TenantsStay { .. }
        | FleetError::SharedBehind { .. } => ExitCode::Failed,
    }
}

fn of_store(error: &StoreError) -> ExitCode {
    match error {
        StoreError::Query { error, .. } if is_unreachable(error) => ExitCode::Unreachable,
        StoreError::InstallBusy(_) => ExitCode::Busy,
        StoreError::Query { .. } | StoreError::Newer { .. } | StoreError::Unreadable { .. } => {
            ExitCode::Failed
        }
    }
}

/// What one tenant that could not be worked on makes of the process.
pub(crate) fn of_provision(error: &ProvisionError) -> ExitCode {
    match error {
        ProvisionError::Fleet(error) => of_fleet(error),
        ProvisionError::Busy(_) | ProvisionError::InUse(_) => ExitCode::Busy,
        ProvisionError::Shard(_) | ProvisionError::Unknown(_) => ExitCode::Usage,
        ProvisionError::Refused(refusal) => of_refusal(refusal),
        ProvisionError::Failed(failure) => of_fault(failure.fault),
        _ => ExitCode::Failed,
    }
}

fn of_backfill(error: &BackfillError) -> ExitCode {
    match error {
        BackfillError::Fleet(error) => of_fleet(error),
        BackfillError::Unknown { .. } => ExitCode::Usage,
        BackfillError::Changed { .. } => ExitCode::Drift,
        _ => ExitCode::Configuration,
    }
}

fn of_rollout(error: &RolloutError) -> ExitCode {
    match error {
        RolloutError::Unknown(_)
        | RolloutError::NotWithin { .. }
        | RolloutError::NoneActive
        | RolloutError::NoContract(_)
        | RolloutError::NoFile(_) => ExitCode::Usage,
        RolloutError::Active { .. } => ExitCode::Busy,
        _ => ExitCode::Failed,
    }
}

fn of_daemon(error: &DaemonError) -> ExitCode {
    match error {
        DaemonError::Fleet(error) => of_fleet(error),
        DaemonError::Open(_) | DaemonError::Listen { .. } => ExitCode::Configuration,
        DaemonError::Serve(_) | DaemonError::Grace(_) => ExitCode::Failed,
        DaemonError::Cut => ExitCode::Interrupted,
    }
}

fn of_verify(error: &VerifyError) -> ExitCode {
    match error {
        VerifyError::Scratch(_) | VerifyError::Session(_) => ExitCode::Unreachable,
        VerifyError::Since(_) => ExitCode::Usage,
        VerifyError::Tenant(_) | VerifyError::Name(_) => ExitCode::Configuration,
        _ => ExitCode::Failed,
    }
}

/// What a refusal makes of the process.
pub(crate) fn of_refusal(refusal: &Refusal) -> ExitCode {
    match refusal {
        Refusal::Changed { .. } => ExitCode::Drift,
        Refusal::Problems(_) => ExitCode::Configuration,
        Refusal::UnknownVersion(_) => ExitCode::Usage,
        _ => ExitCode::Failed,
    }
}

/// What one fault makes of the process, when nothing else is wrong.
pub(crate) fn of_fault(fault: Fault) -> ExitCode {
    match fault {
        Fault::Busy | Fault::Stale => ExitCode::Busy,
        Fault::Dirty | Fault::Escaped => ExitCode::Dirty,
        Fault::Connection => ExitCode::Unreachable,
        Fault::Cancelled => ExitCode::Interrupted,
        _ => ExitCode::Failed,
    }
}

/// An error without a code is the driver's: the connection broke.
fn is_unreachable(error: &ServerError) -> bool {
    error.code.is_empty() || Fault::of(error) == Fault::Connection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Version;

    #[test]
    fn what_scripts_rely_on() {
        let lost = SessionError::Lost(ServerError::local("gone".to_owned()));
        let busy = StoreError::InstallBusy(30);
        for (error, code) in [
            (SettingsError::NoHome.into(), 64),
            (CliError::Fleet(lost.into()), 69),
            (busy.into(), 75),
            (
                CliError::Fleet(FleetError::UnknownVersion(Version::new(7))),
                2,
            ),
            (CliError::Usage("no".to_owned()), 2),
        ] {
            assert_eq!(error.exit_code().number(), code, "{error}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        let source = io::Error::other("no room");
        assert_eq!(CliError::Runtime(source).message(), "cannot start: no room");
    }
}
