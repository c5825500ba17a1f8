//! One schema on a scratch database, moved by the same code as any other: planned, compiled, carried, recorded.

use super::{
    Outcome, VerifyError,
    ground::{Ground, SHARD},
    held::Held,
    numbers, rows,
    seed::{Catalog, Planted, Plot, Seeds},
};
use crate::{
    apply::{Audit, Carrier, Cut, Failure, compile},
    fleet::{Fleet, FleetError},
    history::{Applied, Digest},
    migration::{Direction, MigrationSet, Scope},
    plan::{Goal, Standing, Stored, plan},
    postgres::{Message, Outcome as Reply, Session, Shard},
    provision::{self, ProvisionError},
    sql::Ident,
    store::{heads, history, scripts, tenants::Labels},
    structure::{Detail, Snapshot, detailed, snapshot},
    tenant::{ShardName, Target, TenantName},
};

/// A schema of a scratch database, and what it is moved by.
pub(super) struct Trial<'a> {
    ground: &'a Ground<'a>,
    database: Ident,
    fleet: Fleet,
    scope: Scope,
    schema: Ident,
    session: Option<Session>,
}

impl<'a> Trial<'a> {
    /// A new database with our tables and the shared schema, empty but for what is prepared.
    pub(super) async fn shared(ground: &'a Ground<'a>) -> Result<Self, VerifyError> {
        let (database, fleet) = ground.database().await?;
        let schema = fleet.shared_schema.clone();
        let mut trial = Self {
            ground,
            database,
            fleet,
            scope: Scope::Shared,
            schema,
            session: None,
        };
        trial.prepare().await?;
        let target = Target {
            shard: ShardName::new(SHARD),
            schema: trial.schema.clone(),
        };
        Box::pin(provision::shared_schema(&trial.fleet, &target)).await?;
        Ok(trial)
    }

    /// The same database, seen from a new tenant that has nothing yet.
    pub(super) async fn into_tenant(mut self, name: &TenantName) -> Result<Self, VerifyError> {
        // Adding a tenant brings it up to date, so there must be nothing to bring it to.
        let set = std::mem::replace(&mut self.fleet.tenant, MigrationSet::empty(Scope::Tenant));
        Box::pin(provision::add(
            &self.fleet,
            name,
            &ShardName::new(SHARD),
            &Labels::new(),
        ))
        .await?;
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
        match Box::pin(provision::add(&self.fleet, name, &shard, &Labels::new())).await {
            Ok(_) => {}
            Err(ProvisionError::Refused(refusal)) => return Ok(Err(refusal.into())),
            Err(ProvisionError::Failed(failure)) => return Ok(Err((*failure).into())),
            Err(error) => return Err(error.into()),
        }
        let session = self.session().await?;
        Ok(Ok(snapshot(session.connection(), name.schema()).await?))
    }

    /// The same database once more, with all that is in it. Ends the session.
    pub(super) async fn copy(&mut self) -> Result<Self, VerifyError> {
        self.leave().await;
        self.like_this().await
    }

    /// Ends the session.
    pub(super) async fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// The same database once more; nobody may be connected to this one.
    pub(super) async fn like_this(&self) -> Result<Self, VerifyError> {
        let (database, bare) = self.ground.copy(&self.database).await?;
        let fleet = Fleet {
            shards: bare.shards,
            ..self.fleet.clone()
        };
        Ok(Self {
            ground: self.ground,
            database,
            fleet,
            scope: self.scope,
            schema: self.schema.clone(),
            session: None,
        })
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
        Box::pin(self.travel(goal, false)).await
    }

    /// Applies everything, the repeatables also where they have not changed; what was wrong, where something was.
    pub(super) async fn repeat(&mut self) -> Result<Option<Outcome>, VerifyError> {
        Box::pin(self.travel(Goal::Latest, true)).await
    }

    async fn travel(&mut self, goal: Goal, repeats: bool) -> Result<Option<Outcome>, VerifyError> {
        let mut session = self.take_session().await?;
        let pinned = heads::get(session.connection(), &self.schema).await?;
        let head = pinned.map(|pinned| pinned.head).unwrap_or_default();
        let applied = history::applied(session.connection(), &head).await?;
        let back = on_the_way_back(&applied, goal);
        let stored: Stored = scripts::downs(session.connection(), back).await?;
        let standing = Standing {
            applied: &applied,
            repeatables: if repeats {
                Digest::EMPTY
            } else {
                head.repeatables
            },
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
        let carried = Box::pin(carrier.carry(&plan, &compiled, &head)).await;
        self.session = carrier.into_session();
        let failure = carried.failure.map(|failure| at_hand(failure, set));
        Ok(failure.map(Outcome::from))
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
        Ok(Box::pin(detailed(session.connection(), &schema, detail)).await?)
    }

    /// Puts rows into the tables that have none.
    pub(super) async fn plant(&mut self, seeds: &mut Seeds) -> Result<Planted, VerifyError> {
        let schema = self.schema.clone();
        self.plant_in(&schema, seeds, None).await
    }

    /// Puts rows into the tables that were not there for `earlier`.
    pub(super) async fn plant_new(
        &mut self,
        seeds: &mut Seeds,
        earlier: &Planted,
    ) -> Result<(), VerifyError> {
        let schema = self.schema.clone();
        self.plant_in(&schema, seeds, Some(earlier)).await?;
        Ok(())
    }

    /// Puts rows into the tables of the schema that all tenants share.
    pub(super) async fn plant_shared(&mut self, seeds: &mut Seeds) -> Result<(), VerifyError> {
        let schema = self.fleet.shared_schema.clone();
        self.plant_in(&schema, seeds, None).await?;
        Ok(())
    }

    async fn plant_in(
        &mut self,
        schema: &Ident,
        seeds: &mut Seeds,
        earlier: Option<&Planted>,
    ) -> Result<Planted, VerifyError> {
        let others = self.fleet.limits.extra_search_path.clone();
        let plot = Plot {
            schema,
            others: &others,
        };
        let session = self.session().await?;
        Box::pin(seeds.plant(session.connection(), plot, earlier)).await
    }

    /// Takes the rows out again; whether that was possible.
    pub(super) async fn uproot(&mut self, planted: &Planted) -> Result<bool, VerifyError> {
        let (schema, others) = (self.schema.clone(), []);
        let plot = Plot {
            schema: &schema,
            others: &others,
        };
        let session = self.session().await?;
        planted.uproot(session.connection(), plot).await
    }

    /// The tables of the schema.
    pub(super) async fn catalog(&mut self) -> Result<Catalog, VerifyError> {
        let schema = self.schema.clone();
        Catalog::read(self.session().await?.connection(), &schema).await
    }

    /// The rows of these tables, and where the sequences stand.
    pub(super) async fn held(&mut self, catalog: &Catalog) -> Result<Held, VerifyError> {
        let schema = self.schema.clone();
        let connection = self.session().await?.connection();
        Ok(Held {
            rows: rows::read(connection, &schema, catalog).await?,
            numbers: numbers::read(connection, &schema).await?,
        })
    }

    /// Ends the session and drops the database: many may come after it.
    pub(super) async fn close(mut self) -> Result<(), VerifyError> {
        self.leave().await;
        self.drop_left().await
    }

    /// Drops the database, to which nobody is connected.
    pub(super) async fn drop_left(&self) -> Result<(), VerifyError> {
        self.ground.drop(&self.database).await
    }

    /// Makes what the database of an application has before its first migration.
    async fn prepare(&mut self) -> Result<(), VerifyError> {
        let schemas = self.fleet.limits.extra_search_path.iter();
        let mut statements: Vec<String> = schemas
            .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
            .collect();
        statements.extend(self.ground.prepare.map(str::to_owned));
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
            None => Ok(Box::pin(self.fleet.shard(self.shard()?)).await?),
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

/// Names the file of a stored text: here, where nothing has changed since it was stored, it is at hand.
fn at_hand(mut failure: Failure, set: &MigrationSet) -> Failure {
    if let Some(place) = &mut failure.place
        && place.direction == Direction::Down
        && let Some(migration) = set
            .migrations
            .iter()
            .find(|m| Some(m.version) == place.version)
        && let Some(down) = &migration.down
    {
        place.path.clone_from(&down.path);
    }
    failure
}

/// Those whose stored texts a way needs: none upwards.
fn on_the_way_back(applied: &[Applied], goal: Goal) -> &[Applied] {
    let start = match goal {
        Goal::Latest | Goal::UpTo(_) | Goal::Up(_) => applied.len(),
        Goal::Down(steps) => applied.len().saturating_sub(steps),
        Goal::DownTo(version) => applied.partition_point(|a| a.version <= version),
        Goal::Empty | Goal::Goto(_) | Goal::Redo => 0,
    };
    &applied[start..]
}
