use crate::doctor::{Check, Found, Looking, Patient};
use std::collections::{BTreeMap, BTreeSet};

use super::first;
use crate::{store::heads, tenant::TenantState};

/// The record against the schemas.
#[derive(Debug, Clone, Copy)]
pub struct Record;

impl Check for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn looks_at(&self) -> &'static str {
        "schemas with a history that are no tenant's, and tenants whose schema is gone"
    }

    fn why(&self) -> &'static str {
        "nobody moves them, and nobody notices"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (true, true, Some(tenants)) =
                (patient.is_shard, patient.has_tables, patient.tenants)
            else {
                return Ok(Vec::new());
            };
            let heads = match heads::list(patient.connection()).await {
                Ok(heads) => heads,
                // Rights that are missing have a check of their own.
                Err(_) => return Ok(Vec::new()),
            };
            let shared = patient.fleet.shared_schema.as_str();
            let here = tenants
                .iter()
                .filter(|tenant| tenant.shard == patient.shard.name);
            let here: BTreeMap<&str, TenantState> =
                here.map(|t| (t.name.as_str(), t.state)).collect();
            let mut of = Kinds::default();
            for pinned in &heads {
                let name = pinned.head.schema.as_str();
                let is_known = name == shared || here.contains_key(name);
                match (is_known, &pinned.present) {
                    (_, Some(now)) if now != name => of.renamed.push(format!("{name} (now {now})")),
                    (true, None) if name != shared => of.gone.push(name.to_owned()),
                    (false, Some(_)) => of.stray.push(name.to_owned()),
                    _ => {}
                }
            }
            let known: BTreeSet<&str> = heads
                .iter()
                .map(|pinned| pinned.head.schema.as_str())
                .collect();
            let unmade = here.iter().filter(|(name, state)| {
                !known.contains(*name)
                    && !matches!(state, TenantState::Provisioning | TenantState::Retiring)
            });
            of.gone.extend(unmade.map(|(name, _)| (*name).to_owned()));
            Ok(of.found(heads.len()))
        })
    }
}

#[derive(Default)]
struct Kinds {
    gone: Vec<String>,
    renamed: Vec<String>,
    stray: Vec<String>,
}

impl Kinds {
    fn found(self, heads: usize) -> Vec<Found> {
        let list = |names: &[String]| first(names, i64::try_from(names.len()).unwrap_or(i64::MAX));
        let mut found = Vec::new();
        if !self.gone.is_empty() {
            found.push(Found::error(
                format!("tenants whose schema is gone: {}", list(&self.gone)),
                "restore the schema, then `tenantry tenant import TENANT`; or `tenantry tenant retire TENANT`",
            ));
        }
        if !self.renamed.is_empty() {
            found.push(Found::error(
                format!("schemas that were renamed: {}", list(&self.renamed)),
                "ALTER SCHEMA … RENAME TO …; back to the first of the two names",
            ));
        }
        if !self.stray.is_empty() {
            found.push(Found::warning(
                format!("schemas with a history that are no tenant's: {}", list(&self.stray)),
                "`tenantry tenant import SCHEMA` takes one over; DROP SCHEMA … CASCADE takes it away",
            ));
        }
        if found.is_empty() {
            found.push(Found::ok(format!(
                "{heads} schemas, each of them somebody's"
            )));
        }
        found
    }
}
