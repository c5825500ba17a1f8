//! tenantry moves the database schemas of multi-tenant applications: the shared schema first, then every tenant's.
//!
//! Most people use the command, `tenantry`. An application can carry its fleet itself, too:
//!
//! ```no_run
//! use tenantry::{
//!     Fleet, Settings,
//!     migration::{MigrationSet, Scope, read_embedded},
//! };
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let users = [
//!     ("1-users.up.sql", "CREATE TABLE users (email text NOT NULL);"),
//!     ("1-users.down.sql", "DROP TABLE users;"),
//! ];
//! let fleet = Fleet::with_sets(
//!     &Settings::at("postgres://localhost/shop")?,
//!     MigrationSet::empty(Scope::Shared),
//!     read_embedded(Scope::Tenant, users)?,
//! )?;
//! fleet.up().await?.complete()?; // at start-up: everything that is pending, everywhere
//! let acme = fleet.add("acme").await?; // at sign-up: a schema that is up to date
//! # Ok(())
//! # }
//! ```
//!
//! Below that stands all that the command can do:
//!
//! * [`config::Settings`] says where the databases and the files are, and what the limits are.
//! * [`fleet::Fleet`] is made from them: shards, both sets of migrations, limits. It connects when it is used.
//! * [`travel::Survey`] tells where everything stands; [`travel::travel`] takes it to a [`plan::Goal`] and says, in a
//!   [`travel::Report`], how each target ended. A target that failed is a part of the report, not an error.
//! * [`provision`] makes, takes over and takes away tenants; [`backfill`] changes data in batches; [`verify`] proves the sets;
//!   [`rehearse`] runs what is pending on copies.
//!
//! ```no_run
//! use tenantry::{
//!     Fleet, Settings,
//!     migration::Scope,
//!     plan::Goal,
//!     travel::{Request, travel},
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn up() -> Result<(), Box<dyn std::error::Error>> {
//! // ./tenantry.toml where there is one, then the environment: TENANTRY__HOME__URL and so on.
//! let settings = Settings::load(None, std::env::vars_os())?;
//! let fleet = Fleet::open(&settings)?;
//! let request = Request {
//!     goal: Goal::Latest,
//!     scopes: &[Scope::Shared, Scope::Tenant],
//!     select: &|tenant| tenant.target.schema.as_str().starts_with("beta_"),
//!     max_failures: fleet.max_failures,
//! };
//! // Cancel the token to stop: what is running is finished, nothing more is begun.
//! let stop = CancellationToken::new();
//! let report = travel(&fleet, &request, &stop, &()).await?;
//! for scope in &report.scopes {
//!     println!("{}: {} moved, {} failed", scope.scope, scope.done(), scope.failures().count());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What PostgreSQL says beside its answers (NOTICE, WARNING) reaches the report and the shard when the program's `tracing`
//! subscriber has the layer of [`telemetry::notices`]; without it, everything else is the same.
//!
//! The modules stand in the order in which they may use each other: a module uses only those above it.
//! `tests/architecture.rs` fails the build when one does not.

// What a migration is: text in, values out.
/// Reading SQL text: names, literals, tokens, statements.
pub mod sql;

/// Tenants, shards and the targets they make.
pub mod tenant;

/// Migrations and the files they are read from.
pub mod migration;

/// What a schema remembers of the migrations applied to it.
pub mod history;

// What should happen: pure functions.
/// From a set, a history and a goal to a plan.
pub mod plan;

// What we talk to.
/// Settings: defaults, one file, the environment.
pub mod config;

/// The log.
pub mod telemetry;

/// Loops that take no input.
pub mod reconcile;

/// Shards, sessions, and what PostgreSQL's errors ask us to do.
pub mod postgres;

/// What servers say of their load.
pub mod signals;

/// Our own tables and all SQL over them.
pub mod store;

/// What a schema looks like: snapshots, fingerprints, differences.
pub mod structure;

// What we do to one schema.
/// A plan becomes messages, a message becomes one transaction.
pub mod apply;

/// The databases, the sets and the limits: what work on tenants is made from.
pub mod fleet;

/// Making, taking over and taking away the schemas of tenants.
pub mod provision;

/// Proving migrations before they meet a tenant: throw-away servers to try them on.
pub mod verify;

// What we do to the fleet.
/// Taking the fleet to a goal.
pub mod travel;

/// Which schemas look otherwise than their histories should have made them.
pub mod drift;

/// Running what is pending on copies, to learn what it takes.
pub mod rehearse;

/// The fleet taken to a goal wave by wave, by daemons.
pub mod rollout;

/// Large changes of data, in small batches.
pub mod backfill;

/// What is wrong with the databases themselves.
pub mod doctor;

/// What an application says to its fleet.
mod library;

pub use self::{
    config::Settings,
    fleet::Fleet,
    library::{AddError, Incomplete},
};

// How it is run.
/// What the daemon answers over HTTP.
pub mod api;

/// Reconcilers and an HTTP server under one roof.
pub mod daemon;

// What people see.
/// The command line.
pub mod cli;
