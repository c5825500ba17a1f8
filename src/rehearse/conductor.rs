//! One copy after the other: made, rehearsed on, and gone again whatever happened.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Copied, Ended, Rehearsal, RehearseError, Rehearsed, StandsFor, Transaction,
    candidate::Candidate,
    conduct::{Pending, Request},
    copy::{Copying, copy},
    place::{Spot, Stage},
    sample::Sampled,
    trace::{Rules, trace},
    words::counted,
};
use crate::{
    fleet::Fleet,
    history::Head,
    migration::{Checksum, Scope},
    plan::Plan,
    postgres::Shard,
    sql::Ident,
};

/// Rehearses on one copy after the other, and keeps the report.
pub(super) struct Conductor<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) request: &'a Request<'a>,
    pub(super) report: Rehearsal,
}

/// What is rehearsed on one copy.
struct Subject<'a> {
    scope: Scope,
    original: &'a Ident,
    /// Where it stands; its OID is the original's.
    head: &'a Head,
    plan: &'a Plan,
    /// Whether there is anything to copy.
    is_there: bool,
    bytes: u64,
    stands_for: Option<StandsFor>,
}

impl Conductor<'_> {
    /// Whom nothing can be planned for.
    pub(super) fn note(&mut self, pending: &Pending) {
        let mut blocked: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for one in &pending.0.blocked {
            let alike = blocked.entry(one.why.to_string()).or_default();
            alike.push(one.target.schema.as_str());
        }
        for (why, schemas) in blocked {
            let are = if schemas.len() == 1 { "is" } else { "are" };
            let note = format!("{} {are} left out: {why}", list(&schemas));
            self.report.notes.push(note);
        }
        for cohort in &pending.0.cohorts {
            let targets = cohort.targets.iter();
            let schemas: Vec<_> = targets.map(|(target, _)| target.schema.as_str()).collect();
            let names = list(&schemas);
            if let Err(refusal) = &cohort.plan {
                self.report.refusals.push((refusal.clone(), schemas.len()));
            } else if let Some(running) = &cohort.running {
                let version = running.version;
                let note = format!("left out, in the middle of {version}: {names}");
                self.report.notes.push(note);
            }
        }
    }

    /// For whose structure no copy stands.
    pub(super) fn tell_of_clusters(&mut self) {
        let without = self.report.clusters.iter().filter(|c| c.copies == 0);
        let (mut clusters, mut tenants) = (0, 0);
        for cluster in without {
            clusters += 1;
            tenants += cluster.tenants as u64;
        }
        if clusters > 0 {
            let note = format!(
                "no copy stands for the structure of {} ({}); more `--samples` do",
                counted(tenants, "tenant"),
                counted(clusters, "cluster")
            );
            self.report.notes.push(note);
        }
    }

    /// The number of the cluster that a tenant is in.
    fn cluster_of(&self, candidate: &Candidate) -> usize {
        let fingerprint = candidate.likeness.fingerprint.map(Checksum::from);
        let mut clusters = self.report.clusters.iter();
        let cluster = clusters.find(|cluster| cluster.fingerprint == fingerprint);
        cluster.map_or(0, |cluster| cluster.number)
    }

    /// Copies what the tenants of a shard refer to, and runs what is pending there. False where the tenants cannot follow.
    pub(super) async fn shared(
        &mut self,
        stage: &Stage,
        shard: &Shard,
        pending: Option<(&Plan, &Head, u64)>,
        is_there: bool,
    ) -> Result<bool, RehearseError> {
        if !stage.in_place {
            for schema in &self.fleet.limits.also_writes {
                let made = self.beside(stage, shard, schema).await;
                self.noted(schema, made)?;
            }
        }
        let schema = self.fleet.shared_schema.clone();
        let Some((plan, head, bytes)) = pending else {
            if !stage.in_place && is_there {
                let made = self.beside(stage, shard, &schema).await;
                self.noted(&schema, made)?;
            }
            return Ok(true);
        };
        let subject = Subject {
            scope: Scope::Shared,
            original: &schema,
            head,
            plan,
            is_there,
            bytes,
            stands_for: None,
        };
        let passed = self.one(stage, shard, &subject).await?;
        if !passed && !stage.in_place {
            let note = format!(
                "no tenant of shard {} was rehearsed, since its shared schema comes first",
                shard.name
            );
            self.report.notes.push(note);
        }
        Ok(passed || stage.in_place)
    }

    pub(super) async fn tenant(
        &mut self,
        stage: &Stage,
        shard: &Shard,
        plan: &Plan,
        sampled: &Sampled<'_>,
    ) -> Result<(), RehearseError> {
        let candidate = sampled.candidate;
        let subject = Subject {
            scope: Scope::Tenant,
            original: &candidate.target.schema,
            head: &candidate.head,
            plan,
            is_there: true,
            bytes: candidate.bytes,
            stands_for: Some(StandsFor {
                cluster: self.cluster_of(candidate),
                tenants: sampled.tenants,
            }),
        };
        self.one(stage, shard, &subject).await?;
        Ok(())
    }

    /// Copies a schema that others refer to.
    async fn beside(
        &self,
        stage: &Stage,
        shard: &Shard,
        schema: &Ident,
    ) -> Result<(), RehearseError> {
        let spot = stage.make(schema).await?;
        let copied = self
            .unless_stopped(self.copy(stage, shard, schema, &spot.schema))
            .await;
        spot.leave().await;
        copied.map(drop)
    }

    fn noted(
        &mut self,
        schema: &Ident,
        made: Result<(), RehearseError>,
    ) -> Result<(), RehearseError> {
        match made {
            Ok(()) => Ok(()),
            Err(RehearseError::Stopped) => Err(RehearseError::Stopped),
            Err(error) => {
                let note = format!(
                    "{} is not there on the copy: {}",
                    schema.as_str(),
                    error.told()
                );
                self.report.notes.push(note);
                Ok(())
            }
        }
    }

    /// Rehearses on one copy; whether the plan came to its end.
    async fn one(
        &mut self,
        stage: &Stage,
        shard: &Shard,
        subject: &Subject<'_>,
    ) -> Result<bool, RehearseError> {
        let mut rehearsed = Rehearsed {
            scope: subject.scope,
            shard: shard.name.clone(),
            schema: subject.original.as_str().to_owned(),
            bytes: subject.bytes,
            stands_for: subject.stands_for,
            copied: None,
            transactions: Vec::new(),
            ended: Ended::Passed,
            elapsed: Duration::ZERO,
            estimated: None,
        };
        match self.attempt(stage, shard, subject).await {
            Ok((copied, transactions, ended)) => {
                rehearsed.elapsed = transactions.iter().map(|t| t.elapsed).sum();
                rehearsed.transactions = transactions;
                rehearsed.copied = Some(copied);
                rehearsed.ended = ended;
                let longer = rehearsed
                    .statements()
                    .map(|t| Some(t.estimated?.saturating_sub(t.elapsed)));
                let longer: Option<Duration> = longer.sum();
                rehearsed.estimated = longer.map(|longer| rehearsed.elapsed + longer);
            }
            Err(RehearseError::Stopped) => return Err(RehearseError::Stopped),
            Err(error) => rehearsed.ended = Ended::NotRehearsed { why: error.told() },
        }
        (self.request.observe)(&rehearsed);
        let passed = rehearsed.ended == Ended::Passed;
        self.report.copies.push(rehearsed);
        Ok(passed)
    }

    /// Whatever happens, the copy goes again; that of a shared schema stays for its tenants on a scratch server.
    async fn attempt(
        &self,
        stage: &Stage,
        shard: &Shard,
        subject: &Subject<'_>,
    ) -> Result<(Copied, Vec<Transaction>, Ended), RehearseError> {
        let spot = stage.make(subject.original).await?;
        let work = self.work(stage, shard, subject, &spot);
        let worked = self.unless_stopped(work).await;
        if stage.in_place || subject.scope == Scope::Tenant {
            spot.clear().await?;
        } else {
            spot.leave().await;
        }
        worked
    }

    async fn work(
        &self,
        stage: &Stage,
        shard: &Shard,
        subject: &Subject<'_>,
        spot: &Spot,
    ) -> Result<(Copied, Vec<Transaction>, Ended), RehearseError> {
        let copied = if subject.is_there {
            self.copy(stage, shard, subject.original, &spot.schema)
                .await?
        } else {
            Copied::default()
        };
        let head = Head {
            schema_oid: spot.oid,
            schema: spot.schema.as_str().to_owned(),
            ..subject.head.clone()
        };
        let rules = Rules {
            limits: &self.fleet.limits,
            in_place: stage.in_place,
            copied: &copied,
            shows_values: self.request.shows_values,
        };
        let mut session = stage.session().await?;
        let (transactions, ended) = trace(&mut session, subject.plan, &head, &rules).await?;
        session.close().await;
        Ok((copied, transactions, ended))
    }

    async fn copy(
        &self,
        stage: &Stage,
        shard: &Shard,
        original: &Ident,
        schema: &Ident,
    ) -> Result<Copied, RehearseError> {
        let mut from = shard.connect_directly().await?;
        let mut to = stage.session().await?;
        let copying = Copying {
            original,
            copy: schema,
            allowed: &self.request.allowed,
            is_beside: stage.in_place,
        };
        let copied = copy(&mut from, &mut to, &copying).await?;
        from.close().await;
        to.close().await;
        Ok(copied)
    }

    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, RehearseError>>,
    ) -> Result<T, RehearseError> {
        let worked = self.request.stop.run_until_cancelled(work).await;
        worked.unwrap_or(Err(RehearseError::Stopped))
    }
}

/// So many of several are named.
const NAMED: usize = 5;

fn list(schemas: &[&str]) -> String {
    match schemas.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", schemas[..NAMED].join(", ")),
        _ => schemas.join(", "),
    }
}
