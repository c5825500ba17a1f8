//! Settings: `config/default.toml`, then one file, then the environment; checked as a whole before anything starts.
//!
//! One file per section. Nothing here opens a connection, and nothing here ever shows a URL or a password.

mod apply;
mod backfill;
mod checks;
mod daemon;
mod drift;
pub(crate) mod duration;
mod error;
mod gate;
mod home;
mod hooks;
mod keys;
mod layers;
mod load;
mod log;
mod migrations;
mod origin;
mod portion;
mod provision;
mod rollout;
mod settings;
mod shards;
mod window;

pub use apply::Apply;
pub use backfill::Backfill;
pub use daemon::Daemon;
pub use drift::Drift;
pub use error::{Problem, SettingsError};
pub use gate::Gate;
pub use home::Home;
pub use hooks::{Hook, Hooks};
pub use load::Load;
pub use log::{Log, LogFormat};
pub use migrations::Migrations;
pub use origin::Origin;
pub use portion::{InvalidPortion, Portion};
pub use provision::Provision;
pub use rollout::{Approval, Strategy, WhenSpent};
pub use settings::{Setting, Settings};
pub use shards::Shard;
pub use window::{InvalidWindow, Window, Zone};
