//! What the demo has done, for people and for programs.

use serde::{Serialize, Serializer};

use crate::cli::{human, paint::Paint};

/// The last line of the demo, whose keys are stable.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Summary {
    /// Where PostgreSQL came from.
    pub(super) postgres: &'static str,
    pub(super) tenants: usize,
    /// From the first sign-up to the last tenant that can be used.
    #[serde(serialize_with = "rounded")]
    pub(super) provision_seconds: f64,
    /// In the shared schema and all tenants, provisioning included.
    pub(super) migrations_applied: usize,
    /// The waves of the rollout, without what lies between them.
    #[serde(serialize_with = "rounded")]
    pub(super) rollout_seconds: f64,
    #[serde(serialize_with = "rounded")]
    pub(super) tenants_per_second: f64,
    pub(super) backfill_rows: u64,
    #[serde(serialize_with = "rounded")]
    pub(super) backfill_seconds: f64,
    /// Migrations that were taken up, down and up again.
    pub(super) roundtrip_migrations: usize,
    pub(super) roundtrip_ok: bool,
}

impl Summary {
    /// Whether everything that was shown has worked. A failed stage ends the demo before.
    pub(super) fn is_ok(&self) -> bool {
        self.roundtrip_ok
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let verdict = if self.roundtrip_ok {
            paint.good("every migration leads back to where it came from")
        } else {
            paint.bad("some migrations do not lead back: `tenantry verify` shows which")
        };
        format!(
            "\n{} at the same version, {} applied, {} rows backfilled; {verdict}.",
            human::count(self.tenants, "tenant", "tenants"),
            human::count(self.migrations_applied, "migration", "migrations"),
            human::number(usize::try_from(self.backfill_rows).unwrap_or(usize::MAX)),
        )
    }
}

/// To thousandths: more is noise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn rounded<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((number * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_rely_on_the_keys() {
        let summary = serde_json::to_value(Summary::default()).unwrap();
        let keys: Vec<_> = summary.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "backfill_rows",
                "backfill_seconds",
                "migrations_applied",
                "postgres",
                "provision_seconds",
                "rollout_seconds",
                "roundtrip_migrations",
                "roundtrip_ok",
                "tenants",
                "tenants_per_second",
            ]
        );
    }
}
