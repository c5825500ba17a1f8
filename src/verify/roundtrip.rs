//! Up, down and up again: each migration by itself, then the whole set, with the structure compared every time.
//!
//! Judges by what the schema looks like, never by what a script says it does.

use std::collections::BTreeMap;

use super::{
    Proof, Report, ScopeReport, Stage, Verdict, VerifyError, scratch::Server, trial::Trial,
};
use crate::{
    config::Settings,
    migration::{Migration, Repeatable, Scope, Version},
    plan::Goal,
    structure::{Change, Detail, Snapshot, diff},
    tenant::TenantName,
};

/// What is to be proven.
pub struct Request<'a> {
    /// Where the sets are, and how they are carried. None of the databases it names is touched.
    pub settings: &'a Settings,
    /// In this order.
    pub scopes: &'a [Scope],
    /// SQL for what a database of the application has before its first migration, such as extensions and roles.
    pub prepare: Option<&'a str>,
    /// Is told of each proof as soon as it is there.
    pub observe: &'a (dyn Fn(Scope, &Proof) + Sync),
}

/// Takes the sets up, down and up again on databases that are made for it on `server`.
///
/// # Errors
/// Only where nothing could be judged. What is wrong with the migrations stands in the report.
pub async fn verify(server: &Server, request: &Request<'_>) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    for scope in request.scopes {
        let mut roundtrip = Roundtrip {
            server,
            request,
            report: ScopeReport::new(*scope),
            stands: BTreeMap::new(),
            repeatables: Vec::new(),
        };
        if let Some(trial) = roundtrip.begin().await? {
            roundtrip.run(trial).await?;
        }
        report.scopes.push(roundtrip.report);
    }
    Ok(report)
}

/// The roundtrip of one scope.
struct Roundtrip<'a> {
    server: &'a Server,
    request: &'a Request<'a>,
    report: ScopeReport,
    /// What the schema looked like after each first up, and before all of them.
    stands: BTreeMap<Option<Version>, Snapshot>,
    /// Kept apart: they would be applied with the last migration.
    repeatables: Vec<std::sync::Arc<Repeatable>>,
}

impl Roundtrip<'_> {
    async fn run(&mut self, mut trial: Trial) -> Result<(), VerifyError> {
        let before = trial.snapshot().await?;
        self.stands.insert(None, before);
        let migrations = trial.set().migrations.clone();
        let mut last = None;
        for (index, migration) in migrations.iter().enumerate() {
            let (proof, left) = self.one(&mut trial, migration, &self.stands[&last]).await?;
            let sound = proof.findings.is_empty();
            self.report.migrations.push(self.told(proof));
            let Some(left) = left else {
                self.not_tried(&migrations[index + 1..]);
                trial.close().await;
                return Ok(());
            };
            last = Some(migration.version);
            self.stands.insert(last, left);
            // What a faulty way back leaves behind must not be laid at the next one's door.
            if !sound {
                trial.close().await;
                let Some(again) = self.rebuild(migration.version).await? else {
                    self.not_tried(&migrations[index + 1..]);
                    return Ok(());
                };
                trial = again;
            }
        }
        let tops = self.whole(&mut trial, &migrations).await?;
        if let (Scope::Tenant, Some(top)) = (self.report.scope, tops) {
            self.second_tenant(&mut trial, &top).await?;
        }
        trial.close().await;
        Ok(())
    }

    /// A schema of this scope with nothing applied; none where the shared set, on which tenants build, does not come up.
    async fn begin(&mut self) -> Result<Option<Trial>, VerifyError> {
        let Request {
            settings, prepare, ..
        } = *self.request;
        let mut trial = Trial::shared(self.server, settings, prepare).await?;
        if self.report.scope == Scope::Tenant {
            if let Some(outcome) = trial.go(Goal::Latest).await? {
                self.report.not_begun = Some(outcome);
                trial.close().await;
                return Ok(None);
            }
            trial = trial.into_tenant(&self.tenant("verify_one")?).await?;
        }
        self.repeatables = std::mem::take(&mut trial.set().repeatables);
        Ok(Some(trial))
    }

    /// A new schema that the ups alone brought to `version`; none where they do not come up on a server that they have been
    /// on before, as with roles, which databases share.
    async fn rebuild(&mut self, version: Version) -> Result<Option<Trial>, VerifyError> {
        let Some(mut trial) = self.begin().await? else {
            return Ok(None);
        };
        match trial.go(Goal::UpTo(version)).await? {
            None => Ok(Some(trial)),
            Some(_) => {
                trial.close().await;
                Ok(None)
            }
        }
    }

    /// One migration by itself; what its up left, where it came up.
    async fn one(
        &self,
        trial: &mut Trial,
        migration: &Migration,
        before: &Snapshot,
    ) -> Result<(Proof, Option<Snapshot>), VerifyError> {
        let mut proof = Proof::of(migration);
        let up = Goal::UpTo(migration.version);
        if let Some(outcome) = trial.go(up).await? {
            proof.found(Stage::Up, outcome);
            return Ok((proof, None));
        }
        let left = trial.snapshot().await?;
        if migration.down.is_none() {
            proof.verdict = Verdict::Irreversible;
            return Ok((proof, Some(left)));
        }
        if let Some(outcome) = trial.go(Goal::Down(1)).await? {
            proof.found(Stage::Down, outcome);
            return Ok((proof, Some(left)));
        }
        proof.compare(Stage::Down, before, &trial.snapshot().await?);
        match trial.go(up).await? {
            Some(outcome) => proof.found(Stage::UpAgain, outcome),
            None => proof.compare(Stage::UpAgain, &left, &trial.snapshot().await?),
        }
        Ok((proof, Some(left)))
    }

    /// The whole set, from the top to as far back as it goes and up again; the top, where there is one.
    async fn whole(
        &mut self,
        trial: &mut Trial,
        migrations: &[std::sync::Arc<Migration>],
    ) -> Result<Option<Snapshot>, VerifyError> {
        let mut proof = Proof::named("the whole set");
        let bare = trial.snapshot().await?;
        self.report.left_in_place = self.repeatables.len();
        trial.set().repeatables = std::mem::take(&mut self.repeatables);
        if let Some(outcome) = trial.go(Goal::Latest).await? {
            proof.found(Stage::Repeatables, outcome);
            self.report.whole = Some(self.told(proof));
            return Ok(None);
        }
        let top = trial.snapshot().await?;
        let kept = migrations.iter().rev().find(|m| m.down.is_none());
        let kept = kept.map(|migration| migration.version);
        self.report.back_to = kept;
        if let Some(outcome) = trial.go(kept.map_or(Goal::Empty, Goal::DownTo)).await? {
            proof.found(Stage::Down, outcome);
        } else {
            let mut differences = diff(&self.stands[&kept], &trial.snapshot().await?);
            // The way back leaves the repeatables where they are.
            differences.retain(|d| {
                let of_repeatable = top.get(&d.object).is_some() && bare.get(&d.object).is_none();
                d.change != Change::Added || !of_repeatable
            });
            proof.differ(Stage::Down, differences);
            match trial.go(Goal::Latest).await? {
                Some(outcome) => proof.found(Stage::UpAgain, outcome),
                None => proof.compare(Stage::UpAgain, &top, &trial.snapshot().await?),
            }
        }
        self.report.whole = Some(self.told(proof));
        Ok(Some(top))
    }

    /// Another tenant beside the first: a script that asks the catalog without naming its schema sees the other's tables.
    async fn second_tenant(
        &mut self,
        trial: &mut Trial,
        first: &Snapshot,
    ) -> Result<(), VerifyError> {
        let mut proof = Proof::named("a second tenant");
        match trial.another(&self.tenant("verify_two")?).await? {
            Ok(second) => {
                // Each may have roles of its own.
                let first = first.clone().reduced(Detail::STRUCTURE);
                proof.compare(Stage::SecondTenant, &first, &second);
            }
            Err(outcome) => proof.found(Stage::SecondTenant, outcome),
        }
        self.report.second_tenant = Some(self.told(proof));
        Ok(())
    }

    fn not_tried(&mut self, migrations: &[std::sync::Arc<Migration>]) {
        for migration in migrations {
            let proof = Proof {
                verdict: Verdict::NotTried,
                ..Proof::of(migration)
            };
            self.report.migrations.push(self.told(proof));
        }
    }

    fn told(&self, proof: Proof) -> Proof {
        (self.request.observe)(self.report.scope, &proof);
        proof
    }

    fn tenant(&self, name: &str) -> Result<TenantName, VerifyError> {
        Ok(self.request.settings.tenant_name(name)?)
    }
}
