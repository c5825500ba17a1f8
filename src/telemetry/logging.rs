//! The log.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::notices;
use crate::config::{Log, LogFormat};

/// A process has one log, and it was set up before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log is set up already")]
pub struct AlreadyInitialized;

/// Sets up the process's log. `verbosity` is how often `-v` was given less how often `-q` was.
///
/// # Errors
/// When the process has a log already.
pub fn init(log: &Log, verbosity: i8) -> Result<(), AlreadyInitialized> {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A filter of this layer alone: others may want to see what is not written.
    notices::above(Registry::default().with(lines.with_filter(filter(&log.level, verbosity))))
        .try_init()
        .map_err(|_| AlreadyInitialized)
}

/// What is never written: the driver logs whole statements, which may hold a tenant's data, and whatever it cannot read of
/// URLs and password files, which may be a password. What the server says beside its answers is told with the migration
/// that it belongs to. Each by its whole name, since a level for a longer one would win.
const NEVER: [&str; 5] = [
    "sqlx::query",
    "sqlx_postgres::options",
    "sqlx_postgres::options::parse",
    "sqlx_postgres::options::pgpass",
    notices::TARGET,
];

/// What is written.
fn filter(level: &str, verbosity: i8) -> EnvFilter {
    let level = match verbosity {
        ..=-2 => "error".to_owned(),
        -1 => "warn".to_owned(),
        0 => level.to_owned(),
        1 => format!("{level},tenantry=debug"),
        2.. => format!("{level},tenantry=trace"),
    };
    let never = NEVER.map(|target| format!(",{target}=off")).concat();
    EnvFilter::new(format!("{level}{never}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(level: &str, verbosity: i8) -> String {
        let written = Written::default();
        let sink = written.clone();
        let lines = fmt::layer()
            .with_writer(move || sink.clone())
            .with_filter(filter(level, verbosity));
        tracing::subscriber::with_default(Registry::default().with(lines), || {
            tracing::error!(target: "sqlx::query", "insert into secrets");
            tracing::warn!(target: "sqlx_postgres::options::parse", value = "secrets");
            tracing::warn!(target: "sqlx_postgres::options::pgpass", "secrets");
            tracing::warn!("a warning");
            tracing::info!("a piece of news");
            tracing::debug!("a detail");
            tracing::debug!(target: "hyper", "a library's detail");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn statements_are_never_written() {
        for (level, verbosity) in [
            ("info", 0),
            ("trace", 2),
            ("sqlx::query=trace", 0),
            ("sqlx_postgres::options::pgpass=warn", 0),
        ] {
            assert!(!written(level, verbosity).contains("secrets"));
        }
    }

    #[test]
    fn verbosity_moves_what_tenantry_says() {
        assert!(!written("info", 0).contains("a detail"));
        assert!(written("info", 1).contains("a detail"));
        assert!(!written("info", 1).contains("a library's detail"));
        assert!(!written("info", -1).contains("a piece of news"));
        assert!(written("info", -1).contains("a warning"));
        assert!(!written("info", -2).contains("a warning"));
    }
}
