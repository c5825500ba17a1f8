//! `[hooks]`: the user's own commands and HTTP calls before and after a rollout and each of its waves.
//!
//! The daemon's own, and never written to the home database: whoever may write there is not to say what is run here, and
//! arguments and URLs may hold passwords.

use std::{fmt, time::Duration};

use config::{Value, ValueKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use super::{checks::Checks, duration};

/// The user's own commands and HTTP calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Before the first wave of a rollout.
    pub before_rollout: Vec<Hook>,
    /// After its last wave.
    pub after_rollout: Vec<Hook>,
    /// Before each wave.
    pub before_wave: Vec<Hook>,
    /// After each wave, before it is watched.
    pub after_wave: Vec<Hook>,
    /// How long each may take.
    #[serde(deserialize_with = "duration::friendly")]
    pub deadline: Duration,
}

/// One of them. `Debug` shows neither arguments nor URLs.
#[derive(Clone)]
pub enum Hook {
    /// A program and its arguments; no shell.
    Command(Vec<String>),
    /// A URL that is sent a POST.
    Http(SecretString),
}

impl Hooks {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(
            !self.deadline.is_zero(),
            "hooks.deadline",
            "must be more than \"0s\": every hook would fail",
        );
        for (key, hooks) in [
            ("hooks.before_rollout", &self.before_rollout),
            ("hooks.after_rollout", &self.after_rollout),
            ("hooks.before_wave", &self.before_wave),
            ("hooks.after_wave", &self.after_wave),
        ] {
            for hook in hooks {
                match hook {
                    Hook::Http(url) => checks.http(url.expose_secret(), key),
                    Hook::Command(argv) => checks.require(
                        argv.first().is_some_and(|program| !program.is_empty()),
                        key,
                        "an empty list is no command: write [\"program\", \"argument\"]",
                    ),
                }
            }
        }
    }
}

/// Whether a key is of `[gate]` or `[hooks]`.
pub(super) fn is_of(key: &str) -> bool {
    key.starts_with("gate.") || key.starts_with("hooks.")
}

/// What is wrong with a value of these, without the value, which some messages repeat.
pub(super) fn without_value(message: String) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => {
            format!("is not shown, it may hold a password; expected is {expected}")
        }
        None if message.contains(" stands where ") => {
            "is not shown, it may hold a password, and is of the wrong kind".to_owned()
        }
        None => message,
    }
}

/// A value of `[gate]` or `[hooks]` as it may be shown: programs without their arguments, URLs without password and path.
pub(super) fn described(value: &Value) -> String {
    match &value.kind {
        ValueKind::Array(hooks) => {
            let shown = hooks.iter().map(|hook| match &hook.kind {
                ValueKind::Array(argv) => argv.first().map_or_else(String::new, described),
                _ => described(hook),
            });
            shown.collect::<Vec<_>>().join(",")
        }
        other => shown(&other.to_string()),
    }
}

fn shown(first: &str) -> String {
    if !is_http(first) {
        return first.to_owned();
    }
    let host = reqwest::Url::parse(first).ok();
    let host = host.and_then(|url| Some(format!("{}://{}", url.scheme(), url.host_str()?)));
    format!("{} (redacted)", host.unwrap_or_default())
}

fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(argv) => f.write_str(argv.first().map_or("", String::as_str)),
            Self::Http(_) => f.write_str("HTTP"),
        }
    }
}

impl<'de> Deserialize<'de> for Hook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandOrUrl)
    }
}

struct CommandOrUrl;

impl<'de> Visitor<'de> for CommandOrUrl {
    type Value = Hook;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a command such as [\"program\", \"argument\"], or a URL such as \"https://host/path\"",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hook, E> {
        if is_http(text) {
            return Ok(Hook::Http(text.into()));
        }
        // There is no shell that would take it apart. The text is not repeated: it may hold a password.
        if text.contains(char::is_whitespace) || text.contains("://") {
            return Err(E::custom(
                "neither a program nor an http(s) URL: write a command as a list, [\"program\", \"argument\"]",
            ));
        }
        Ok(Hook::Command(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Hook, A::Error> {
        let mut argv = Vec::new();
        while let Some(item) = items.next_element()? {
            argv.push(item);
        }
        Ok(Hook::Command(argv))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    use super::*;

    #[test]
    fn commands_are_lists_and_calls_are_urls() {
        let text = "[hooks]\nbefore_wave = [['pg_dump', '-f', 'a file'], 'https://h/x', 'program']";
        let settings = Settings::parse(text).unwrap();
        let hooks = &settings.hooks.before_wave;
        let argv = ["pg_dump", "-f", "a file"];
        assert!(matches!(&hooks[0], Hook::Command(command) if command == &argv));
        assert!(matches!(&hooks[1], Hook::Http(url) if url.expose_secret() == "https://h/x"));
        assert!(matches!(&hooks[2], Hook::Command(command) if command == &["program"]));
        let variables = [("TENANTRY__HOOKS__AFTER_WAVE", "/opt/after,http://h")];
        let settings = Settings::load(None, variables).unwrap();
        assert_eq!(settings.hooks.after_wave.len(), 2);
    }

    #[test]
    fn what_is_neither_is_refused_by_key() {
        for (text, told) in [
            (
                "hooks.before_wave = ['pg_dump -f x']",
                "write a command as a list",
            ),
            ("hooks.before_wave = [[]]", "an empty list is no command"),
            ("hooks.before_wave = ['https://']", "is not an HTTP URL"),
            ("hooks.before_wave = [3]", "expected is a command"),
            ("hooks.deadline = '0s'", "every hook would fail"),
            ("gate.http = 'ftp://h'", "is not an HTTP URL"),
        ] {
            let error = Settings::parse(text).unwrap_err().to_string();
            let key = text.split(' ').next().unwrap();
            assert!(
                error.contains(told) && error.contains(key),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn neither_passwords_nor_arguments_are_shown() {
        for text in [
            "gate.http = 'https://me:s3cret@h/s3cret?s3cret'",
            "hooks.before_wave = ['https://me:s3cret@h/s3cret', ['curl', 's3cret'], 'true']",
            "hooks.before_wave = ['ftp://me:s3cret@h']",
            "hooks.before_wave = ['curl s3cret']",
            "hooks.before_wave = 'https://me:s3cret@h'",
            "hooks.before_wave = ['https://me:s3cret@h:port']",
            "gate.http = ['https://me:s3cret@h']",
            "gate.http = 'h:s3cret'",
        ] {
            let shown = match Settings::parse(text) {
                Ok(settings) => format!("{settings:?}{:?}", settings.describe()),
                Err(error) => error.to_string(),
            };
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        let settings = Settings::parse("gate.http = 'https://me:s3cret@h/x'").unwrap();
        let mut shown = settings.describe().iter();
        let shown = shown.find(|setting| setting.key == "gate.http").unwrap();
        assert_eq!(shown.value, "https://h (redacted)");
    }
}
