//! How the process ends: numbers that scripts rely on.

/// How a command ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// All that was asked for is done.
    Done = 0,
    /// Something failed.
    Failed = 1,
    /// What was typed makes no sense.
    Usage = 2,
    /// Something is pending.
    Pending = 3,
    /// The rehearsal has warnings, or the lint has findings.
    Findings = 4,
    /// A schema stopped half-way.
    Dirty = 5,
    /// Files, histories or schemas disagree, or a committed file is stale.
    Drift = 6,
    /// A rollout was halted.
    Halted = 7,
    /// The settings or the files of the migrations cannot be used.
    Configuration = 64,
    /// A database cannot be reached.
    Unreachable = 69,
    /// Somebody else is at work: try again.
    Busy = 75,
    /// SIGINT or SIGTERM.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}
