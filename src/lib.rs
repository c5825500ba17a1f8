//! tenantry moves the database schemas of multi-tenant applications: the shared schema first, then every tenant's.
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
pub mod rollout;

/// Large changes of data, in small batches.
pub mod backfill;

// How it is run.
/// What the daemon answers over HTTP.
pub mod api;

/// Reconcilers and an HTTP server under one roof.
pub mod daemon;

// What people see.
/// The command line.
pub mod cli;
