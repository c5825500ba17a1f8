//! What a scratch server is to be like.

use std::path::PathBuf;

use super::Source;

/// What a scratch server is to be like, and where it may come from.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) guardian: PathBuf,
    pub(super) sources: Vec<Source>,
    pub(super) purpose: Purpose,
    pub(super) max_connections: u32,
    pub(super) settings: Vec<(String, String)>,
}

/// Whether what is written has to survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing is flushed to the disk: fast.
    ThrowAway,
    /// As a production server would be: for measuring.
    Durable,
}

impl Options {
    /// A throw-away server with 200 connections: a container if that is possible, else from local binaries.
    ///
    /// `guardian` is the `tenantry` program, which is run once more to watch over the server.
    pub fn new(guardian: impl Into<PathBuf>) -> Self {
        Self {
            guardian: guardian.into(),
            sources: vec![Source::Container, Source::Local],
            purpose: Purpose::ThrowAway,
            max_connections: 200,
            settings: Vec::new(),
        }
    }

    /// The sources to try, the preferred one first.
    #[must_use]
    pub fn sources(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Whether data must survive a crash.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// How many connections the server takes at once.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// One more setting of `postgresql.conf`, for example `shared_preload_libraries`.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Everything the server is started with; later ones win.
    pub(super) fn server_settings(&self) -> Vec<(String, String)> {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = vec![own("max_connections", &self.max_connections.to_string())];
        if self.purpose == Purpose::ThrowAway {
            let fast = ["fsync", "synchronous_commit", "full_page_writes"];
            all.extend(fast.map(|name| own(name, "off")));
        }
        all.extend(self.settings.iter().cloned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(options: &Options) -> Vec<String> {
        let settings = options.server_settings();
        settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn own_settings_come_last() {
        let options = Options::new("tenantry")
            .max_connections(20)
            .setting("fsync", "on");
        let lines = lines(&options);
        assert_eq!(lines.first().unwrap(), "max_connections=20");
        assert_eq!(lines.last().unwrap(), "fsync=on");
        assert!(lines.contains(&"fsync=off".to_owned()));
    }

    #[test]
    fn durable_leaves_the_disk_alone() {
        let options = Options::new("tenantry").purpose(Purpose::Durable);
        assert_eq!(lines(&options), ["max_connections=200"]);
    }
}
