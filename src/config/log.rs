//! `[log]`: what tenantry writes about its work.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::checks::Checks;

/// What is written to standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least important level written, by module too.
    pub level: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is no format: write \"text\" or \"json\"")),
        }
    }
}

impl Log {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(
            is_level(&self.level),
            "log.level",
            format!(
                "{:?} is no level: write \"info\", or by module \"info,tenantry::apply=debug\"",
                self.level
            ),
        );
    }
}

/// The filter would take a misspelt level as the name of a module, and then write nothing at all.
fn is_level(text: &str) -> bool {
    let known = |level: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|known| level.eq_ignore_ascii_case(known))
    };
    EnvFilter::try_new(text).is_ok()
        && text
            .split(',')
            .all(|part| known(part.rsplit('=').next().unwrap_or_default().trim()))
}
