//! One scope on trial: how its schemas are made, what is known of each version, and how many databases are worked on at once.

use std::sync::Arc;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::{
    Outcome, Request, Since, VerifyError,
    ground::Ground,
    paths::{Stride, strides},
    seed::Seeds,
    trial::Trial,
    turns::Turns,
};
use crate::{
    migration::{Migration, MigrationSet, Scope, Version},
    plan::Goal,
};

/// One scope on trial.
pub(super) struct Course<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) request: &'a Request<'a>,
    pub(super) scope: Scope,
    /// One for each database that may be worked on.
    pub(super) permits: &'a Semaphore,
    pub(super) turns: &'a Turns<'a>,
    /// The first turn of this scope.
    pub(super) first_turn: usize,
    /// The first migration that is judged and all above it.
    pub(super) migrations: &'a [Arc<Migration>],
    /// The version below them.
    pub(super) base: Option<Version>,
    /// How many are below them.
    pub(super) below: usize,
    /// What all schemas of this scope begin as, in a database to which nobody is connected; made when it is first needed.
    origin: OnceCell<Result<Trial<'a>, Outcome>>,
    /// Whether no other database may be worked on meanwhile, nor much made anew: the migrations make roles.
    pub(super) is_alone: bool,
}

impl<'a> Course<'a> {
    /// What of a scope is to be judged.
    pub(super) fn new(
        ground: &'a Ground<'a>,
        request: &'a Request<'a>,
        scope: Scope,
        (permits, turns): (&'a Semaphore, &'a Turns<'a>),
    ) -> Self {
        let all = &ground.fleet.set(scope).migrations;
        let is_new = |migration: &Arc<Migration>| request.since.is_none_or(|s| s.is_new(migration));
        let below = all.iter().position(is_new).unwrap_or(match request.since {
            Some(_) => all.len(),
            None => 0,
        });
        let (old, migrations) = all.split_at(below);
        Self {
            ground,
            request,
            scope,
            permits,
            turns,
            first_turn: 0,
            origin: OnceCell::new(),
            migrations,
            base: old.last().map(|migration| migration.version),
            below,
            is_alone: false,
        }
    }

    /// Whether a migration is judged; those between two that are may be older.
    pub(super) fn judges(&self, migration: &Migration) -> bool {
        self.request.since.is_none_or(|s| s.is_new(migration))
    }

    /// Whether anything is judged.
    pub(super) fn is_needed(&self) -> bool {
        let repeatables = &self.ground.fleet.set(self.scope).repeatables;
        let is_new = |since: &Since| {
            !self.migrations.is_empty() || repeatables.iter().any(|r| since.is_new_repeatable(r))
        };
        self.request.since.is_none_or(is_new)
    }

    /// The set without what is judged, as it was before; none where there was nothing, or where nobody knows what was there: a
    /// migration is changed or gone, or the shared set has something new, on which tenants build.
    pub(super) fn older_set(&self) -> Option<MigrationSet> {
        let since = self.request.since?;
        let (fleet, mut set) = (
            &self.ground.fleet,
            self.ground.fleet.set(self.scope).clone(),
        );
        let is_known = since.leaves_as_they_were(&set.migrations)
            && (self.scope == Scope::Shared
                || !fleet.shared.migrations.iter().any(|m| since.is_new(m))
                    && !fleet
                        .shared
                        .repeatables
                        .iter()
                        .any(|r| since.is_new_repeatable(r)));
        set.migrations.retain(|migration| !since.is_new(migration));
        // What one needs may be in another one that is new.
        if set.repeatables.iter().any(|r| since.is_new_repeatable(r)) {
            set.repeatables.clear();
        }
        let is_something = !set.migrations.is_empty() || !set.repeatables.is_empty();
        (is_known && is_something).then_some(set)
    }

    /// Why no paths are tried, where there would be some.
    pub(super) fn paths_left_out(&self) -> Option<String> {
        let path = self.ground.roles.spoken_of.as_ref()?;
        let is_wanted = self.is_alone && self.is_needed() && self.migrations.len() > 1;
        is_wanted.then(|| {
            format!(
                "{} makes or changes roles, which belong to the whole server",
                path.display()
            )
        })
    }

    /// The paths that are tried.
    pub(super) fn strides(&self) -> Vec<Stride> {
        if self.is_alone {
            return Vec::new();
        }
        strides(self.migrations.len())
    }

    /// The first turn of the next scope: after the migrations, the paths, the whole set and the second tenant.
    pub(super) fn next_turn(&self) -> usize {
        self.whole_turn() + 2
    }

    /// The turn of the first path.
    pub(super) fn path_turn(&self) -> usize {
        self.first_turn + self.migrations.len()
    }

    /// The turn of the whole set.
    pub(super) fn whole_turn(&self) -> usize {
        let paths: usize = self.strides().iter().map(|stride| stride.paths).sum();
        self.path_turn() + paths
    }

    /// Waits until one more database may be worked on.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'a>> {
        // Nobody closes it.
        self.permits.acquire().await.ok()
    }

    /// A schema of this scope with nothing applied and without repeatables, which would be applied with the last migration;
    /// what was wrong, where the shared set, on which tenants build, does not come up.
    ///
    /// A copy of one that was made before, which is cheaper than making it, where there are to be several.
    pub(super) async fn begin(&self) -> Result<Result<Trial<'a>, Outcome>, VerifyError> {
        if !self.copies() {
            return self.anew().await;
        }
        let origin = self.origin.get_or_try_init(async || {
            let mut made = self.anew().await?;
            if let Ok(trial) = &mut made {
                trial.leave().await;
            }
            Ok::<_, VerifyError>(made)
        });
        Ok(match Box::pin(origin).await? {
            Ok(trial) => Ok(trial.like_this().await?),
            Err(outcome) => Err(outcome.clone()),
        })
    }

    /// Drops what the others were copied from.
    pub(super) async fn end(&self) -> Result<(), VerifyError> {
        match self.origin.get() {
            Some(Ok(trial)) => trial.drop_left().await,
            _ => Ok(()),
        }
    }

    /// Whether schemas are copied. What is said of a database as a whole is not copied with it.
    fn copies(&self) -> bool {
        let of_shared = match self.scope {
            Scope::Shared => [].iter(),
            Scope::Tenant => self.ground.fleet.shared.migrations.iter(),
        };
        let repeated = self.ground.fleet.shared.repeatables.iter();
        let scripts = of_shared.map(|migration| &migration.up);
        let scripts = scripts.chain(repeated.map(|repeatable| &repeatable.script));
        let mut texts = scripts
            .map(|script| &*script.text)
            .chain(self.ground.prepare);
        !self.strides().is_empty()
            && !texts.any(|text| text.to_ascii_lowercase().contains("database"))
    }

    async fn anew(&self) -> Result<Result<Trial<'a>, Outcome>, VerifyError> {
        let mut trial = Box::pin(Trial::shared(self.ground)).await?;
        if self.scope == Scope::Tenant {
            if let Some(outcome) = trial.go(Goal::Latest).await? {
                trial.close().await?;
                return Ok(Err(outcome));
            }
            if let Some(mut seeds) = self.seeds() {
                trial.plant_shared(&mut seeds).await?;
            }
            let name = self.request.settings.tenant_name("verify_one")?;
            trial = Box::pin(trial.into_tenant(&name)).await?;
        }
        trial.set().repeatables.clear();
        Ok(Ok(trial))
    }

    /// A new schema that the ups alone brought to `version`; none where they do not come up on a server that they have been
    /// on before, as with roles, which databases share.
    pub(super) async fn rebuild(
        &self,
        version: Option<Version>,
    ) -> Result<Option<Trial<'a>>, VerifyError> {
        let Ok(mut trial) = Box::pin(self.begin()).await? else {
            return Ok(None);
        };
        let Some(version) = version else {
            return Ok(Some(trial));
        };
        if trial.go(Goal::UpTo(version)).await?.is_none() {
            return Ok(Some(trial));
        }
        trial.close().await?;
        Box::pin(self.one_by_one(version)).await
    }

    /// The same for what does not come up at once.
    async fn one_by_one(&self, version: Version) -> Result<Option<Trial<'a>>, VerifyError> {
        let Ok(mut trial) = Box::pin(self.begin()).await? else {
            return Ok(None);
        };
        let versions: Vec<_> = trial.set().migrations.iter().map(|m| m.version).collect();
        for step in versions.into_iter().take_while(|step| *step <= version) {
            if trial.go(Goal::UpTo(step)).await?.is_some() {
                trial.close().await?;
                return Ok(None);
            }
        }
        Ok(Some(trial))
    }

    /// What puts rows into tables, where that is wanted.
    pub(super) fn seeds(&self) -> Option<Seeds> {
        (self.request.rows > 0).then(|| Seeds::new(self.request.rows))
    }
}
