//! One copy after the other: made, rehearsed on, and gone again whatever happened.

use std::{collections::BTreeSet, error::Error, time::Duration};

use super::{
    Copied, Ended, Rehearsal, RehearseError, Rehearsed, Transaction,
    conduct::{Pending, Request},
    copy::{Copying, copy},
    place::{Spot, Stage},
    sample::{Candidate, Likeness},
    size::{named, sizes},
    trace::{Rules, trace},
};
use crate::{
    fleet::Fleet, history::Head, migration::Scope, plan::Plan, postgres::Shard, sql::Ident,
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
}

impl Conductor<'_> {
    /// Whom nothing can be planned for.
    pub(super) fn note(&mut self, pending: &Pending) {
        for blocked in &pending.0.blocked {
            let (schema, why) = (blocked.target.schema.as_str(), &blocked.why);
            self.report
                .notes
                .push(format!("{schema} is left out: {why}"));
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

    /// All tenants that something is pending for, with their sizes.
    pub(super) async fn candidates(
        &self,
        shared: &Pending,
        tenants: &Pending,
    ) -> Result<Vec<Candidate>, RehearseError> {
        let mut candidates = Vec::new();
        for (cohort, (_, targets)) in tenants.plans().enumerate() {
            candidates.extend(targets.iter().map(|(target, head)| Candidate {
                target: target.clone(),
                head: head.clone(),
                likeness: Likeness {
                    cohort,
                    shard: target.shard.clone(),
                    fingerprint: None,
                },
                bytes: 0,
            }));
        }
        let without = &self.request.allowed.without;
        let mut unknown: BTreeSet<_> = without.iter().cloned().collect();
        let shared = shared.plans().flat_map(|(_, targets)| targets);
        let targets = shared.map(|(target, _)| target);
        let targets = targets.chain(candidates.iter().map(|c| &c.target));
        let shards: BTreeSet<_> = targets.map(|target| target.shard.clone()).collect();
        let is_any = !shards.is_empty();
        for name in shards {
            let Some(shard) = self.fleet.shards.get(&name) else {
                continue;
            };
            let mut here: Vec<_> = candidates
                .iter_mut()
                .filter(|c| c.target.shard == name)
                .collect();
            let shared = [&self.fleet.shared_schema];
            let all = here.iter().map(|c| &c.target.schema).chain(shared);
            let all = all.chain(&self.fleet.limits.also_writes);
            let schemas: Vec<_> = all.map(|schema| schema.as_str().to_owned()).collect();
            let mut session = self.fleet.shard(shard).await?;
            let sizes = sizes(&mut session, &schemas).await?;
            for known in named(&mut session, &schemas, without).await? {
                unknown.remove(&known);
            }
            session.close().await;
            for candidate in &mut here {
                let size = sizes.get(candidate.target.schema.as_str());
                candidate.bytes = size.copied().unwrap_or_default();
            }
        }
        match unknown.pop_first().filter(|_| is_any) {
            Some(name) => Err(RehearseError::NoTable(name)),
            None => Ok(candidates),
        }
    }

    /// Copies what the tenants of a shard refer to, and runs what is pending there. False where the tenants cannot follow.
    pub(super) async fn shared(
        &mut self,
        stage: &Stage,
        shard: &Shard,
        pending: Option<(&Plan, &Head)>,
        is_there: bool,
    ) -> Result<bool, RehearseError> {
        if !stage.in_place {
            for schema in &self.fleet.limits.also_writes {
                let made = self.beside(stage, shard, schema).await;
                self.noted(schema, made)?;
            }
        }
        let schema = self.fleet.shared_schema.clone();
        let Some((plan, head)) = pending else {
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
        };
        let mut session = self.fleet.shard(shard).await?;
        let sizes = sizes(&mut session, &[schema.as_str().to_owned()]).await?;
        session.close().await;
        let bytes = sizes.get(schema.as_str()).copied().unwrap_or_default();
        let passed = self.one(stage, shard, &subject, bytes).await?;
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
        candidate: &Candidate,
    ) -> Result<(), RehearseError> {
        let subject = Subject {
            scope: Scope::Tenant,
            original: &candidate.target.schema,
            head: &candidate.head,
            plan,
            is_there: true,
        };
        self.one(stage, shard, &subject, candidate.bytes).await?;
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
                    told(&error)
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
        bytes: u64,
    ) -> Result<bool, RehearseError> {
        let mut rehearsed = Rehearsed {
            scope: subject.scope,
            shard: shard.name.clone(),
            schema: subject.original.as_str().to_owned(),
            bytes,
            copied: None,
            transactions: Vec::new(),
            ended: Ended::Passed,
            elapsed: Duration::ZERO,
            estimated: Duration::ZERO,
        };
        match self.attempt(stage, shard, subject).await {
            Ok((copied, transactions, ended)) => {
                rehearsed.elapsed = transactions.iter().map(|t| t.elapsed).sum();
                rehearsed.transactions = transactions;
                rehearsed.copied = Some(copied);
                rehearsed.ended = ended;
                let longer = rehearsed.statements();
                let longer = longer.map(|t| t.estimated.saturating_sub(t.elapsed));
                rehearsed.estimated = rehearsed.elapsed + longer.sum::<Duration>();
            }
            Err(RehearseError::Stopped) => return Err(RehearseError::Stopped),
            Err(error) => rehearsed.ended = Ended::NotRehearsed { why: told(&error) },
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

/// An error with its causes.
fn told(error: &RehearseError) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}
