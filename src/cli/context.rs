//! What every command has at hand: the settings, the fleet, the way out and the wish to stop.

use tokio_util::sync::CancellationToken;

use super::{arguments::Global, error::CliError, output::Output, report::for_shell, signals};
use crate::{config::Settings, fleet::Fleet, telemetry};

/// What every command has at hand.
pub(crate) struct Context<'a> {
    global: Global,
    /// Where results and messages go.
    pub(crate) output: &'a Output,
}

impl<'a> Context<'a> {
    pub(super) fn new(global: Global, output: &'a Output) -> Self {
        Self { global, output }
    }

    /// The settings; sets up the log on the way.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        // A command's result is its news; the log only warns unless more is asked for.
        self.settings_and_log(self.verbosity() - 1)
    }

    /// The same for what has nothing but its log to tell of its work.
    pub(crate) fn logged_settings(&self) -> Result<Settings, CliError> {
        self.settings_and_log(self.verbosity())
    }

    fn settings_and_log(&self, verbosity: i8) -> Result<Settings, CliError> {
        let file = self.global.config.as_deref();
        let file = file.filter(|file| !file.as_os_str().is_empty());
        let settings = Settings::load(file, std::env::vars_os())?;
        // A second set-up changes nothing.
        let _ = telemetry::init(&settings.log, verbosity);
        Ok(settings)
    }

    /// The sets, the databases and the limits, and what there is to say about the files.
    pub(crate) fn fleet(&self, settings: &Settings) -> Result<Fleet, CliError> {
        let fleet = Fleet::open(settings)?;
        for set in [&fleet.shared, &fleet.tenant] {
            for notice in &set.notices {
                self.output.note(notice);
            }
        }
        Ok(fleet)
    }

    /// Cancelled by the first SIGINT or SIGTERM; the second cancels what is running on the databases of `fleet`.
    pub(crate) fn stop(&self, fleet: &Fleet) -> CancellationToken {
        let output = self.output.clone();
        let told = move || {
            output.note("stopping: what is running is finished first; once more cancels it");
        };
        signals::watch(told, Some(fleet.shards.cut().clone()))
    }

    /// The same for what ends without finishing anything: the second signal ends the process at once.
    pub(crate) fn stop_alone(&self) -> CancellationToken {
        signals::watch(|| {}, None)
    }

    /// The same for what tells of its end in another way; the second signal cancels `cut`.
    pub(crate) fn stop_unsaid(&self, cut: CancellationToken) -> CancellationToken {
        signals::watch(|| {}, Some(cut))
    }

    /// The options of every command again that say which fleet it is, as they would be typed.
    pub(crate) fn typed(&self) -> String {
        let file = self.global.config.as_deref();
        // The variable is set the next time, too.
        let by_variable = std::env::var_os("TENANTRY_CONFIG");
        let file = file.filter(|file| by_variable.as_deref() != Some(file.as_os_str()));
        file.map_or_else(String::new, |file| {
            let file = for_shell(&file.display().to_string());
            format!(" --config {file}")
        })
    }

    /// Whether more is to be said.
    pub(crate) fn is_verbose(&self) -> bool {
        self.global.verbose > 0
    }

    fn verbosity(&self) -> i8 {
        if self.global.quiet {
            -1
        } else {
            i8::try_from(self.global.verbose).unwrap_or(2)
        }
    }
}
