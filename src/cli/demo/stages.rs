//! The stages of the demo, in the order in which a fleet lives through them.

use std::{collections::HashSet, time::Instant};

use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::summary::Summary;
use crate::{
    backfill,
    cli::{error::CliError, human, output::Output},
    config::{MaxFailures, Settings},
    fleet::Fleet,
    history::{Applied, Digest},
    migration::{MigrationSet, Scope, Version},
    plan::Goal,
    provision,
    rollout::{self, Report, ScopeReport, Standing, Survey, travel},
    sql::Ident,
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
    verify::{self, Verdict, scratch::Server, verify},
};

/// Tenants sign up at this version of the sample set: names are still in one column.
const SIGN_UP: Version = Version::new(20_260_211_090_000);

/// The release that is rolled out gives names two columns.
const EXPAND: Version = Version::new(20_260_218_090_000);

/// What fills the two columns.
const BACKFILL: &str = "split-user-names";

/// So many tenants sign up at once.
const SIGN_UPS: usize = 4;

/// What all stages need.
pub(super) struct Stages<'a> {
    pub(super) output: &'a Output,
    pub(super) fleet: Fleet,
    pub(super) settings: &'a Settings,
    pub(super) server: &'a Server,
    pub(super) stop: &'a CancellationToken,
}

impl Stages<'_> {
    /// All stages; none where somebody asked to stop.
    pub(super) async fn run(&self, tenants: usize) -> Result<Option<Summary>, CliError> {
        let mut summary = Summary {
            postgres: self.server.kind(),
            tenants,
            ..Summary::default()
        };
        self.shared(&mut summary).await?;
        let stages = async {
            self.provision(&mut summary).await?;
            self.rollout(&mut summary).await?;
            self.backfill(&mut summary).await?;
            self.contract(&mut summary).await?;
            let at_the_head = self.standing_at(&self.fleet.tenant).await?;
            if at_the_head < tenants {
                let late = format!("only {at_the_head} of {tenants} tenants are at the head");
                return Err(CliError::Demo(late));
            }
            self.roundtrip(&mut summary).await
        };
        tokio::select! {
            biased;
            done = stages => done?,
            // A message that is cut off is rolled back with the server.
            () = self.stop.cancelled() => return Ok(None),
        }
        Ok(Some(summary))
    }

    pub(super) fn say(&self, what: &str, how: &str) {
        self.output.line(|paint| match how.is_empty() {
            true => what.to_owned(),
            false => format!("{what:<58}{}", paint.faint(how)),
        });
    }

    async fn shared(&self, summary: &mut Summary) -> Result<(), CliError> {
        let report = self
            .travel(Goal::Latest, &[Scope::Shared], &|_| true)
            .await?;
        summary.migrations_applied += migrations(&report);
        let migrations = human::count(migrations(&report), "migration", "migrations");
        self.say(
            &format!("shared schema: {migrations}"),
            &human::duration(elapsed(&report)),
        );
        Ok(())
    }

    async fn provision(&self, summary: &mut Summary) -> Result<(), CliError> {
        let mut before = self.fleet.clone();
        before
            .tenant
            .migrations
            .retain(|migration| migration.version <= SIGN_UP);
        let shard = ShardName::new("main");
        let start = Instant::now();
        stream::iter(1..=summary.tenants)
            .map(|number| self.sign_up(&before, &shard, number))
            .buffer_unordered(SIGN_UPS)
            .try_collect::<Vec<()>>()
            .await?;
        let took = start.elapsed();
        summary.provision_seconds = took.as_secs_f64();
        let signed_up = self.standing_at(&before.tenant).await?;
        summary.migrations_applied += signed_up * before.tenant.migrations.len();
        self.say(
            &format!(
                "{} signed up",
                human::count(summary.tenants, "tenant", "tenants")
            ),
            &format!(
                "{} ({})",
                human::duration(took),
                human::rate(summary.tenants, took)
            ),
        );
        Ok(())
    }

    /// One tenant, usable, and with a few customers and orders.
    async fn sign_up(
        &self,
        fleet: &Fleet,
        shard: &ShardName,
        number: usize,
    ) -> Result<(), CliError> {
        let name = TenantName::new(format!("shop_{number:04}"))?;
        let tier = if number.is_multiple_of(5) {
            "pro"
        } else {
            "free"
        };
        let labels = Labels::from([("tier".to_owned(), tier.to_owned())]);
        let tenant = provision::add(fleet, &name, shard, &labels).await?.tenant;
        let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
        let sold = seed(session.connection(), name.schema()).await;
        session.close().await;
        sold.map_err(|error| CliError::Demo(format!("cannot fill {name}: {error}")))
    }

    /// The release in waves: a canary, a tenth, the rest.
    async fn rollout(&self, summary: &mut Summary) -> Result<(), CliError> {
        let names: Vec<String> = (1..=summary.tenants)
            .map(|number| format!("shop_{number:04}"))
            .collect();
        let canaries = names.len().div_ceil(100);
        let tenth = names.len().div_ceil(10).max(canaries);
        let waves = [
            ("canaries", 0..canaries),
            ("a tenth", canaries..tenth),
            ("the rest", tenth..names.len()),
        ];
        for (wave, range) in waves {
            if range.is_empty() {
                continue;
            }
            let chosen: HashSet<&str> = names[range].iter().map(String::as_str).collect();
            let select = |standing: &Standing| chosen.contains(standing.target.schema.as_str());
            let report = self
                .travel(Goal::UpTo(EXPAND), &[Scope::Tenant], &select)
                .await?;
            let took = elapsed(&report);
            summary.rollout_seconds += took.as_secs_f64();
            summary.migrations_applied += migrations(&report);
            self.say(
                &format!(
                    "rolled out to {wave}: {}",
                    human::count(chosen.len(), "tenant", "tenants")
                ),
                &format!(
                    "{} ({})",
                    human::duration(took),
                    human::rate(chosen.len(), took)
                ),
            );
        }
        summary.tenants_per_second =
            summary.tenants as f64 / summary.rollout_seconds.max(f64::MIN_POSITIVE);
        Ok(())
    }

    async fn backfill(&self, summary: &mut Summary) -> Result<(), CliError> {
        let defaults = backfill::Pace {
            batch: self.settings.backfill.batch,
            rate: self.settings.backfill.rate,
        };
        let definition = backfill::find(&self.settings.migrations.tenant, BACKFILL, defaults)?;
        let request = backfill::Request {
            definition: &definition,
            select: &|_| true,
            restart: false,
            max_failures: MaxFailures::Count(0),
        };
        let report = backfill::run(&self.fleet, &request, self.stop, &()).await?;
        if let Some((target, failure)) = report.failures().next() {
            return Err(CliError::Demo(format!(
                "the backfill failed in {target}: {failure}"
            )));
        }
        summary.backfill_rows = report.rows();
        summary.backfill_seconds = report.elapsed.as_secs_f64();
        self.say(
            &format!(
                "backfill {BACKFILL}: {} rows",
                human::number(usize::try_from(report.rows()).unwrap_or(usize::MAX))
            ),
            &format!(
                "{} (no more than {}/s)",
                human::duration(report.elapsed),
                definition.pace.rate
            ),
        );
        Ok(())
    }

    /// What the release needs no more is taken away, now that the backfill is complete.
    async fn contract(&self, summary: &mut Summary) -> Result<(), CliError> {
        let report = self
            .travel(Goal::Latest, &[Scope::Shared, Scope::Tenant], &|_| true)
            .await?;
        summary.migrations_applied += migrations(&report);
        self.say(
            &format!(
                "contracted: {}",
                human::count(migrations(&report), "migration", "migrations")
            ),
            &human::duration(elapsed(&report)),
        );
        Ok(())
    }

    async fn roundtrip(&self, summary: &mut Summary) -> Result<(), CliError> {
        let start = Instant::now();
        let request = verify::Request::new(self.settings);
        let report = verify(self.server, &request).await?;
        summary.roundtrip_ok = report.is_ok();
        summary.roundtrip_migrations = report
            .scopes
            .iter()
            .map(|scope| scope.count(Verdict::Exact))
            .sum();
        let proven = human::count(summary.roundtrip_migrations, "migration", "migrations");
        self.say(
            &format!("up, down, up again: {proven} exact"),
            &human::duration(start.elapsed()),
        );
        Ok(())
    }

    /// How many tenants have applied exactly this set, as their shards tell.
    async fn standing_at(&self, set: &MigrationSet) -> Result<usize, CliError> {
        let applied: Vec<_> = set.migrations.iter().map(|m| Applied::of(m)).collect();
        let digest = Digest::of(&applied);
        let survey = Survey::take(&self.fleet).await?;
        let heads = survey.tenants.iter().filter_map(|t| t.pinned.as_ref());
        Ok(heads.filter(|pinned| pinned.head.digest == digest).count())
    }

    /// A demo that meets a failure is over: nothing in the sample sets may fail.
    async fn travel(
        &self,
        goal: Goal,
        scopes: &[Scope],
        select: &(dyn Fn(&Standing) -> bool + Sync),
    ) -> Result<Report, CliError> {
        let request = rollout::Request {
            goal,
            scopes,
            select,
            max_failures: MaxFailures::Count(0),
        };
        let report = travel(&self.fleet, &request, self.stop, &()).await?;
        let failures = report.scopes.iter().flat_map(ScopeReport::failures);
        if let Some((target, failure)) = failures.into_iter().next() {
            return Err(CliError::Demo(format!(
                "a migration failed in {target}: {failure}"
            )));
        }
        if let Some((refusal, _)) = report
            .scopes
            .iter()
            .flat_map(|scope| &scope.refusals)
            .next()
        {
            return Err(CliError::Demo(refusal.to_string()));
        }
        Ok(report)
    }
}

async fn seed(connection: &mut sqlx::PgConnection, schema: &Ident) -> sqlx::Result<()> {
    sqlx::query("select set_config('search_path', quote_ident($1), false)")
        .bind(schema.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql(include_str!("seed.sql"))
        .execute(connection)
        .await?;
    Ok(())
}

fn migrations(report: &Report) -> usize {
    report.scopes.iter().map(ScopeReport::migrations).sum()
}

fn elapsed(report: &Report) -> std::time::Duration {
    report.scopes.iter().map(|scope| scope.elapsed).sum()
}
