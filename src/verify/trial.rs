//! One schema on a scratch database, moved by the same code as any other: planned, compiled, carried, recorded.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::postgres::PgConnectOptions;

use super::{Outcome, VerifyError, scratch::Server};
use crate::{
    apply::{Audit, Carrier, Cut, compile},
    config::Settings,
    fleet::{Fleet, FleetError},
    migration::{MigrationSet, Scope},
    plan::{Goal, Standing, Stored, plan},
    postgres::{Message, Outcome as Reply, Session, Shard, Shards},
    provision::{self, ProvisionError},
    sql::{Ident, InvalidIdent},
    store::{heads, history, scripts, tenants::Labels},
    structure::{Detail, Snapshot, detailed, snapshot},
    tenant::{ShardName, Target, TenantName},
};

/// The only shard of a scratch database.
const SHARD: &str = "scratch";

/// A schema of a scratch database, and what it is moved by.
pub(super) struct Trial {
    fleet: Fleet,
    scope: Scope,
    schema: Ident,
    session: Option<Session>,
}

impl Trial {
    /// A new database with our tables and the shared schema, empty but for what `prepare` makes.
    pub(super) async fn shared(
        server: &Server,
        settings: &Settings,
        prepare: Option<&str>,
    ) -> Result<Self, VerifyError> {
        let url = server.create_database(&database_name()?).await?;
        let fleet = Fleet::on(shards(&url)?, settings)?;
        let schema = fleet.shared_schema.clone();
        let mut trial = Self {
            fleet,
            scope: Scope::Shared,
            schema,
            session: None,
        };
        trial.prepare(prepare).await?;
        let target = Target {
            shard: ShardName::new(SHARD),
            schema: trial.schema.clone(),
        };
        provision::shared_schema(&trial.fleet, &target).await?;
        Ok(trial)
    }

    /// The same database, seen from a new tenant that has nothing yet.
    pub(super) async fn into_tenant(mut self, name: &TenantName) -> Result<Self, VerifyError> {
        // Adding a tenant brings it up to date, so there must be nothing to bring it to.
        let set = std::mem::replace(&mut self.fleet.tenant, MigrationSet::empty(Scope::Tenant));
        provision::add(&self.fleet, name, &ShardName::new(SHARD), &Labels::new()).await?;
        self.fleet.tenant = set;
        self.scope = Scope::Tenant;
        self.schema = name.schema().clone();
        Ok(self)
    }

    /// Adds a tenant to the database, with everything applied; its structure alone, or what was wrong.
    pub(super) async fn another(
        &mut self,
        name: &TenantName,
    ) -> Result<Result<Snapshot, Outcome>, VerifyError> {
        let shard = ShardName::new(SHARD);
        match provision::add(&self.fleet, name, &shard, &Labels::new()).await {
            Ok(_) => {}
            Err(ProvisionError::Refused(refusal)) => return Ok(Err(refusal.into())),
            Err(ProvisionError::Failed(failure)) => return Ok(Err((*failure).into())),
            Err(error) => return Err(error.into()),
        }
        let session = self.session().await?;
        Ok(Ok(snapshot(session.connection(), name.schema()).await?))
    }

    /// The set that this schema is moved by.
    pub(super) fn set(&mut self) -> &mut MigrationSet {
        match self.scope {
            Scope::Shared => &mut self.fleet.shared,
            Scope::Tenant => &mut self.fleet.tenant,
        }
    }

    /// Moves the schema; what was wrong, where something was.
    pub(super) async fn go(&mut self, goal: Goal) -> Result<Option<Outcome>, VerifyError> {
        let mut session = self.take_session().await?;
        let pinned = heads::get(session.connection(), &self.schema).await?;
        let head = pinned.map(|pinned| pinned.head).unwrap_or_default();
        let applied = history::applied(session.connection(), &head).await?;
        let stored: Stored = scripts::downs(session.connection(), &applied).await?;
        let standing = Standing {
            applied: &applied,
            repeatables: head.repeatables,
            running: head.running,
        };
        let set = self.fleet.set(self.scope);
        let plan = match plan(set, standing, goal, &stored, self.fleet.out_of_order) {
            Ok(plan) => plan,
            Err(refusal) => {
                self.session = Some(session);
                return Ok(Some(refusal.into()));
            }
        };
        let texts = plan
            .steps
            .iter()
            .flat_map(|step| [Some(&step.script), step.down.as_ref()])
            .flatten();
        scripts::put(session.connection(), texts.map(AsRef::as_ref)).await?;
        let limits = &self.fleet.limits;
        let mut carrier = Carrier::with_session(self.shard()?, limits, session);
        let compiled = compile(&plan, limits, Cut::Coarse, Audit::first(self.scope));
        let carried = carrier.carry(&plan, &compiled, &head).await;
        self.session = carrier.into_session();
        Ok(carried.failure.map(Outcome::from))
    }

    /// The schema.
    pub(super) fn schema(&self) -> &Ident {
        &self.schema
    }

    /// What the schema looks like now, with all that can be known of it.
    pub(super) async fn snapshot(&mut self) -> Result<Snapshot, VerifyError> {
        let schema = self.schema.clone();
        let detail = Detail {
            // Those of the database are the shared set's to make and to drop: to a tenant they are of use to others too.
            extensions: self.scope == Scope::Shared,
            ..Detail::EVERYTHING
        };
        let session = self.session().await?;
        Ok(detailed(session.connection(), &schema, detail).await?)
    }

    /// Ends the session, so that nothing keeps the database busy.
    pub(super) async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }

    /// Makes what the database of an application has before its first migration.
    async fn prepare(&mut self, prepare: Option<&str>) -> Result<(), VerifyError> {
        let schemas = self.fleet.limits.extra_search_path.iter();
        let mut statements: Vec<String> = schemas
            .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
            .collect();
        statements.extend(prepare.map(str::to_owned));
        let session = self.session().await?;
        for statement in statements {
            if let Reply::Refused { error, .. } = session.send(&Message::vouched(statement)).await?
            {
                return Err(VerifyError::Prepare(error));
            }
        }
        Ok(())
    }

    /// The session on the database.
    pub(super) async fn session(&mut self) -> Result<&mut Session, VerifyError> {
        let session = self.take_session().await?;
        Ok(self.session.insert(session))
    }

    async fn take_session(&mut self) -> Result<Session, VerifyError> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => Ok(self.fleet.shard(self.shard()?).await?),
        }
    }

    fn shard(&self) -> Result<&Shard, FleetError> {
        let name = ShardName::new(SHARD);
        let shard = self.fleet.shards.get(&name);
        shard.ok_or_else(|| FleetError::UnknownShard {
            tenant: self.schema.as_str().to_owned(),
            shard: name,
        })
    }
}

/// A name that no other database of the server has: several processes may share one that is reached by URL.
fn database_name() -> Result<Ident, InvalidIdent> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Ident::new(format!("tenantry_verify_{}_{number}", std::process::id()))
}

fn shards(url: &str) -> Result<Shards, FleetError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| FleetError::Url("of the scratch server".to_owned()))?;
    let shard = Shard::new(ShardName::new(SHARD), options, 1);
    Ok(Shards::new(shard.clone(), [shard]))
}
