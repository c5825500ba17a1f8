//! What an application says to its fleet: bring it up to date, add a tenant. Everything behind it stands in the modules
//! above, and is what the command does too.

use tokio_util::sync::CancellationToken;

use crate::{
    fleet::{Fleet, FleetError},
    migration::Scope,
    plan::Goal,
    provision::{self, ProvisionError},
    rollout::{Report, Request, travel},
    store::tenants::{Labels, Tenant},
    tenant::{InvalidTenantName, TenantName},
};

impl Fleet {
    /// Applies everything that is pending, everywhere: the shared schemas first, then every tenant.
    ///
    /// Several processes may do so at once, as when all instances of an application start together: they share the work,
    /// and nothing is applied twice. A target that failed is a part of the report, not an error; where only a fleet that is
    /// up to date is good enough, ask for [`Report::complete`]. Dropping the future begins nothing more, and the servers
    /// roll back what was running.
    ///
    /// # Errors
    /// Where a database cannot be reached, or the files and the histories leave nothing to begin with.
    pub async fn up(&self) -> Result<Report, FleetError> {
        let request = Request {
            goal: Goal::Latest,
            scopes: &[Scope::Shared, Scope::Tenant],
            select: &|_| true,
            max_failures: self.max_failures,
        };
        travel(self, &request, &CancellationToken::new(), &()).await
    }

    /// Makes a tenant of this name, with every migration applied: it can be used when this returns.
    ///
    /// With several shards it is put on the one that is the least full, as `tenantry tenant add` does;
    /// [`provision::add`] takes the shard to put it on, and labels.
    ///
    /// # Errors
    /// Among others where the name is registered already ([`ProvisionError::Taken`]), and where the shared schema is not up
    /// to date ([`ProvisionError::SharedBehind`]): [`Fleet::up`] comes first.
    pub async fn add(&self, name: &str) -> Result<Tenant, AddError> {
        let name = TenantName::new(name)?;
        if self.limits.extra_search_path.contains(name.schema()) {
            return Err(InvalidTenantName::Reserved(name.to_string()).into());
        }
        let shard = provision::place(self, &name, None).await?.shard;
        Ok(provision::add(self, &name, &shard.name, &Labels::new())
            .await?
            .tenant)
    }
}

/// Why a tenant cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// No tenant can have that name.
    #[error(transparent)]
    Name(#[from] InvalidTenantName),
    /// It cannot be made.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
}

impl Report {
    /// The report of a fleet that is where it should be, every target of it.
    ///
    /// # Errors
    /// Where anything is left to do, with the report.
    pub fn complete(self) -> Result<Self, Incomplete> {
        if self.is_complete() {
            Ok(self)
        } else {
            Err(Incomplete(Box::new(self)))
        }
    }
}

/// Not everything came to its goal.
#[derive(Debug, thiserror::Error)]
#[error("{}", reason(.0))]
pub struct Incomplete(
    /// How each target ended.
    pub Box<Report>,
);

/// How many targets are not there, and why the first one is not.
fn reason(report: &Report) -> String {
    let scopes = || report.scopes.iter();
    if let Some((refusal, _)) = scopes().flat_map(|scope| &scope.refusals).next() {
        return format!("nothing was begun: {refusal}");
    }
    let failed: usize = scopes().map(|scope| scope.failures().count()).sum();
    let left_out: usize = scopes().map(|scope| scope.blocked.len()).sum();
    let not_begun: usize = scopes().map(|scope| scope.not_started()).sum();
    let mut reason = format!("{failed} failed, {left_out} left out, {not_begun} not begun");
    if let Some((target, failure)) = scopes().flat_map(|scope| scope.failures()).next() {
        reason += &format!("; {target}: {failure}");
    } else if let Some(blocked) = scopes().flat_map(|scope| &scope.blocked).next() {
        reason += &format!("; {}: {}", blocked.target, blocked.why);
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    /// Else an application could not say it in a task of its own: this compiles, or it is broken.
    #[test]
    fn everything_can_go_from_thread_to_thread() {
        fn goes(_: impl Future + Send) {}
        let settings = Settings::at("postgres://localhost/shop").unwrap();
        let fleet = Fleet::without_files(&settings).unwrap();
        goes(fleet.up());
        goes(fleet.add("acme"));
    }

    #[test]
    fn a_fleet_of_nobody_is_complete() {
        assert!(Report::default().complete().is_ok());
        let stopped = Report {
            stopped: true,
            ..Report::default()
        };
        let incomplete = stopped.complete().unwrap_err();
        assert_eq!(incomplete.to_string(), "0 failed, 0 left out, 0 not begun");
    }

    #[tokio::test]
    async fn schemas_of_the_configuration_are_no_tenants() {
        let text = "home.url = \"postgres://localhost/shop\"\nmigrations.extra_search_path = [\"extensions\"]";
        let fleet = Fleet::without_files(&Settings::parse(text).unwrap()).unwrap();
        for name in ["extensions", "pg_catalog"] {
            let refused = fleet.add(name).await;
            assert!(matches!(refused, Err(AddError::Name(_))), "{refused:?}");
        }
    }
}
