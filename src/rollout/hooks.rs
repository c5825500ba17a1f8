//! Hooks: the user's own commands and HTTP calls before and after a rollout and each of its waves.
//!
//! Each is run at least once: it is written that it came through, and a daemon that falls silent before that leaves it to the
//! next one. The way back runs none.

use std::{collections::BTreeSet, fmt, time::Duration};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Member, Rollout, command, decide::View, errands::prefix, http};
use crate::{
    config::{Hook, Hooks},
    fleet::Fleet,
    store::{hooks, waves::Wave},
};

/// How long to wait before it is tried again to write that a hook came through.
const PAUSE: Duration = Duration::from_secs(1);

/// When hooks are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before the first wave.
    BeforeRollout,
    /// After the last one.
    AfterRollout,
    /// Before this one.
    BeforeWave(i32),
    /// After this one.
    AfterWave(i32),
}

/// One hook of a rollout: when, and its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) when: When,
    pub(super) place: usize,
}

/// The first hook of those times that has not come through yet.
pub(super) fn next(view: &View<'_>, whens: &[When]) -> Option<Which> {
    if view.back {
        return None;
    }
    let all = whens.iter().flat_map(|when| {
        let places = 1..=when.of(view.hooks).len();
        places.map(|place| Which { when: *when, place })
    });
    let mut all = all.filter(|which| !view.hooked.contains(&which.to_string()));
    all.next()
}

impl When {
    fn of(self, hooks: &Hooks) -> &[Hook] {
        match self {
            Self::BeforeRollout => &hooks.before_rollout,
            Self::AfterRollout => &hooks.after_rollout,
            Self::BeforeWave(_) => &hooks.before_wave,
            Self::AfterWave(_) => &hooks.after_wave,
        }
    }

    /// As the setting is called.
    fn word(self) -> &'static str {
        match self {
            Self::BeforeRollout => "before_rollout",
            Self::AfterRollout => "after_rollout",
            Self::BeforeWave(_) => "before_wave",
            Self::AfterWave(_) => "after_wave",
        }
    }

    fn wave(self) -> Option<i32> {
        match self {
            Self::BeforeRollout | Self::AfterRollout => None,
            Self::BeforeWave(wave) | Self::AfterWave(wave) => Some(wave),
        }
    }
}

/// As it is written down: `wave-1/before/2` is the second of the list.
impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place;
        match self.when {
            When::BeforeRollout => write!(f, "before/{place}"),
            When::AfterRollout => write!(f, "after/{place}"),
            When::BeforeWave(wave) => write!(f, "wave-{wave}/before/{place}"),
            When::AfterWave(wave) => write!(f, "wave-{wave}/after/{place}"),
        }
    }
}

impl Which {
    /// For people: where it stands in the settings, and what for.
    pub(super) fn told(self) -> String {
        let (place, key) = (self.place, self.when.word());
        match self.when.wave() {
            None => format!("hook {place} of hooks.{key}"),
            Some(wave) => format!("hook {place} of hooks.{key} (wave {wave})"),
        }
    }
}

/// A hook, and all that it is told.
pub(super) struct Call {
    /// Its name among all of all rollouts.
    pub(super) key: String,
    pub(super) which: Which,
    hook: Hook,
    deadline: Duration,
    rollout: i64,
    goal: Option<String>,
    kind: Option<String>,
    counts: [(&'static str, &'static str, i64); 4],
}

impl Call {
    /// None where the settings have no such hook.
    pub(super) fn of(
        rollout: &Rollout,
        waves: &[Wave],
        which: Which,
        hooks: &Hooks,
    ) -> Option<Self> {
        let hook = which.when.of(hooks).get(which.place.checked_sub(1)?)?;
        let wave = which.when.wave();
        let about = |of: fn(&Wave) -> i64| -> i64 {
            let waves = waves
                .iter()
                .filter(|w| wave.is_none_or(|wave| wave == w.number));
            waves.map(of).sum()
        };
        let kind = waves.iter().find(|w| Some(w.number) == wave);
        Some(Self {
            key: format!("{}{which}", prefix(rollout.row.id)),
            which,
            hook: hook.clone(),
            deadline: hooks.deadline,
            rollout: rollout.row.id,
            goal: rollout.row.goal.clone(),
            kind: kind.map(|wave| wave.kind.clone()),
            counts: [
                (
                    "schemas",
                    "TENANTRY_SCHEMAS",
                    about(|wave| wave.targets.into()),
                ),
                ("done", "TENANTRY_DONE", about(|wave| wave.done)),
                ("failed", "TENANTRY_FAILED", about(|wave| wave.failed)),
                ("skipped", "TENANTRY_SKIPPED", about(|wave| wave.skipped)),
            ],
        })
    }

    /// Runs it, and writes that it came through.
    pub(super) async fn run(self, fleet: Fleet, me: Member) -> Result<(), String> {
        tracing::info!(hook = self.key, "runs");
        let ran = match &self.hook {
            Hook::Command(argv) => command::run(argv, &self.environment(), self.deadline).await,
            Hook::Http(url) => {
                http::post(url.expose_secret(), &self.key, &self.body(), self.deadline).await
            }
        };
        ran.map_err(|why| format!("{} failed: {why}", self.which.told()))?;
        while let Err(error) = self.record(&fleet, &me).await {
            tracing::warn!(
                hook = self.key,
                "cannot write that it came through: {error}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn record(&self, fleet: &Fleet, me: &Member) -> Result<(), crate::fleet::FleetError> {
        let mut home = fleet.home().await?;
        let (name, wave) = (self.which.to_string(), self.which.when.wave());
        hooks::record(home.connection(), self.rollout, &name, wave, &me.name).await?;
        home.close().await;
        Ok(())
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("TENANTRY_KEY", self.key.clone()),
            ("TENANTRY_HOOK", self.which.when.word().to_owned()),
            ("TENANTRY_ROLLOUT", self.rollout.to_string()),
            ("TENANTRY_GOAL", self.goal.clone().unwrap_or_default()),
        ];
        if let (Some(wave), Some(kind)) = (self.which.when.wave(), &self.kind) {
            environment.push(("TENANTRY_WAVE", wave.to_string()));
            environment.push(("TENANTRY_KIND", kind.clone()));
        }
        let counts = self.counts.iter();
        environment.extend(counts.map(|(_, name, count)| (*name, count.to_string())));
        environment
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "key": self.key,
            "hook": self.which.when.word(),
            "rollout": self.rollout,
            "goal": self.goal,
            "wave": self.which.when.wave(),
            "kind": self.kind,
        });
        for (name, _, count) in self.counts {
            body[name] = count.into();
        }
        body
    }
}

/// Those that came through, by their names.
pub(super) type Hooked = BTreeSet<String>;
