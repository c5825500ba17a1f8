//! The three places a setting can be in, laid over each other, and who said what.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use config::{Config, ConfigError, Environment, File, FileFormat, Map, Source, Value};
use serde::de::DeserializeOwned;

use super::{
    Origin, Problem, SettingsError, hooks,
    keys::{self, Key},
};

/// The reference: every key with its default value.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All layers as one.
pub(super) struct Layers {
    /// What is in force.
    config: Config,
    /// Every key that was given: where it is from and its value.
    pub(super) given: BTreeMap<Key, (Origin, Value)>,
}

impl Layers {
    /// Lays `environment` over the text of `file` over the defaults. A key that the defaults do not have is refused.
    pub(super) fn lay(
        file: Option<(PathBuf, String)>,
        environment: Environment,
    ) -> Result<Self, SettingsError> {
        let defaults = File::from_str(DEFAULTS, FileFormat::Toml);
        let mut given = BTreeMap::new();
        put(
            &mut given,
            read(&defaults, Path::new("default.toml"))?,
            |_| Origin::Default,
        );
        let known: BTreeSet<Key> = given.keys().cloned().collect();

        let mut layers = Config::builder().add_source(defaults);
        if let Some((path, text)) = file {
            let file = File::from_str(&text, FileFormat::Toml);
            put(&mut given, read(&file, &path)?, |_| {
                Origin::File(path.clone())
            });
            layers = layers.add_source(file);
        }
        let variables = read(&environment, Path::new("the environment"))?;
        put(&mut given, variables, Origin::variable);

        let unknown: Vec<_> = given
            .iter()
            .filter_map(|(key, (origin, _))| {
                keys::unknown(key, &known).map(|message| Problem {
                    key: key.join("."),
                    origin: origin.clone(),
                    message,
                })
            })
            .collect();
        if !unknown.is_empty() {
            return Err(SettingsError::Invalid(unknown));
        }
        let config = layers
            .add_source(environment)
            .build()
            .map_err(|error| invalid(&given, error))?;
        Ok(Self { config, given })
    }

    /// All settings, typed.
    pub(super) fn settings<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        let config = self.config.clone();
        config
            .try_deserialize()
            .map_err(|error| invalid(&self.given, error))
    }

    /// Whether somebody has set this key.
    pub(super) fn is_set(&self, key: &str) -> bool {
        let key: Key = key.split('.').map(str::to_owned).collect();
        let given = self.given.get(&key);
        given.is_some_and(|(origin, _)| *origin != Origin::Default)
    }

    /// What is wrong with `key`, and where it was said.
    pub(super) fn problem(&self, key: String, message: String) -> Problem {
        problem(&self.given, key, message)
    }
}

/// The keys of one layer.
fn read(layer: &impl Source, path: &Path) -> Result<Vec<(Key, Value)>, SettingsError> {
    let table: Map<String, Value> = layer.collect().map_err(|error| SettingsError::Syntax {
        path: path.to_owned(),
        reason: without_excerpt(&error.to_string()),
    })?;
    Ok(keys::leaves(table))
}

fn put(
    given: &mut BTreeMap<Key, (Origin, Value)>,
    layer: Vec<(Key, Value)>,
    origin: impl Fn(&[String]) -> Origin,
) {
    for (key, value) in layer {
        let origin = origin(&key);
        given.insert(key, (origin, value));
    }
}

fn invalid(given: &BTreeMap<Key, (Origin, Value)>, error: ConfigError) -> SettingsError {
    let (key, message) = explain(error);
    let message = match hooks::is_of(&key) {
        true => hooks::without_value(message),
        false => message,
    };
    SettingsError::Invalid(vec![problem(given, key, message)])
}

fn problem(given: &BTreeMap<Key, (Origin, Value)>, key: String, message: String) -> Problem {
    // `key` can also be a table, or one item of a list as in `shared[0]`.
    let plain = key.split('[').next().unwrap_or_default();
    let below = format!("{plain}.");
    let origin = given
        .iter()
        .map(|(path, (origin, _))| (path.join("."), origin))
        .find(|(path, _)| path == plain || path.starts_with(&below))
        .map_or(Origin::Default, |(_, origin)| origin.clone());
    Problem {
        key,
        origin,
        message,
    }
}

/// Key and message of an error of the library, whose own messages name their place differently each time.
fn explain(error: ConfigError) -> (String, String) {
    match error {
        ConfigError::Type {
            key,
            unexpected,
            expected,
            ..
        } => {
            let message = format!("{unexpected} stands where {expected} is expected");
            (key.unwrap_or_default(), message)
        }
        ConfigError::At { error, key, .. } => (key.unwrap_or_default(), error.to_string()),
        ConfigError::NotFound(key) => (key, "is missing: set it".to_owned()),
        other => (String::new(), other.to_string()),
    }
}

/// The parser draws the line at fault under its message. A password in that line would end up in a log.
fn without_excerpt(message: &str) -> String {
    let drawn = |line: &&str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .starts_with('|')
    };
    let kept: Vec<_> = message.lines().filter(|line| !drawn(line)).collect();
    kept.join(": ").replacen("TOML parse error ", "", 1)
}
