//! Figures of the daemon's work, as Prometheus reads them. No tenant's name is ever a label: there are too many of them, and
//! they are nobody else's business.

use std::sync::OnceLock;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// How the runs of rollouts ended that this process carried.
pub const RUNS: &str = "tenantry_runs_total";
/// Runs that a dead daemon had, and this process has taken over.
pub const TAKEN_OVER: &str = "tenantry_runs_taken_over_total";
/// Passes of reconcilers that failed.
pub const FAILED_PASSES: &str = "tenantry_reconciler_errors_total";
/// How many daemons live.
pub const DAEMONS: &str = "tenantry_daemons";
/// Registered tenants, by state.
pub const TENANTS: &str = "tenantry_tenants";
/// Schemas of the rollout that is under way, by what became of their runs.
pub const ROLLOUT_RUNS: &str = "tenantry_rollout_runs";
/// 1 for the state that the last rollout is in.
pub const ROLLOUT: &str = "tenantry_rollout_state";

/// The figures of this process, which has one set of them.
pub fn figures() -> &'static PrometheusHandle {
    static FIGURES: OnceLock<PrometheusHandle> = OnceLock::new();
    FIGURES.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Where the program that embeds us has a recorder, our figures go there, and ours stay empty.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

fn describe() {
    describe_counter!(
        RUNS,
        Unit::Count,
        "Runs of rollouts that this daemon carried, by shard and how they ended."
    );
    describe_counter!(
        TAKEN_OVER,
        Unit::Count,
        "Runs that a dead daemon had, and this one has taken over."
    );
    describe_counter!(
        FAILED_PASSES,
        Unit::Count,
        "Passes that failed and are tried again, by reconciler."
    );
    describe_gauge!(DAEMONS, Unit::Count, "Daemons that live.");
    describe_gauge!(TENANTS, Unit::Count, "Registered tenants, by state.");
    describe_gauge!(
        ROLLOUT_RUNS,
        Unit::Count,
        "Schemas of the last rollout, by what became of them."
    );
    describe_gauge!(
        ROLLOUT,
        Unit::Count,
        "1 for the state that the last rollout is in, 0 for the others."
    );
}

/// A run of a rollout ended on a shard: `done`, `failed`, `again` or `untouched`.
pub(crate) fn run_ended(shard: &str, outcome: &'static str) {
    counter!(RUNS, "shard" => shard.to_owned(), "outcome" => outcome).increment(1);
}

/// Runs were taken over.
pub(crate) fn taken_over(shard: &str, runs: usize) {
    counter!(TAKEN_OVER, "shard" => shard.to_owned()).increment(runs as u64);
}

/// A pass failed.
pub(crate) fn pass_failed(reconciler: &'static str) {
    counter!(FAILED_PASSES, "reconciler" => reconciler).increment(1);
}

/// What the home database says now.
pub(crate) fn observe(name: &'static str, label: (&'static str, String), value: i64) {
    gauge!(name, label.0 => label.1).set(value as f64);
}

/// The same without a label.
pub(crate) fn observe_all(name: &'static str, value: i64) {
    gauge!(name).set(value as f64);
}
