//! Where the whole fleet stands: one query a database, whatever the number of tenants.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::future::join_all;

use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    migration::Scope,
    store::{
        heads::{self, Pinned},
        tenants::{self, Tenant},
    },
    tenant::{ShardName, Target, TenantState, selector::Candidate},
};

/// One target, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which schema.
    pub target: Target,
    /// The registry's row; none for the shared schema.
    pub tenant: Option<Tenant>,
    /// What the shard remembers; none where the schema was never pinned.
    pub pinned: Option<Pinned>,
    /// Why its shard could not be asked, where it could not.
    pub away: Option<Arc<str>>,
}

impl Standing {
    /// The scope it belongs to.
    pub fn scope(&self) -> Scope {
        if self.tenant.is_some() {
            Scope::Tenant
        } else {
            Scope::Shared
        }
    }

    /// What a selector looks at; none for a shared schema.
    pub fn candidate(&self) -> Option<Candidate<'_>> {
        let tenant = self.tenant.as_ref()?;
        let head = self.pinned.as_ref().map(|pinned| &pinned.head);
        let version = head.and_then(|head| head.version);
        Some(Candidate {
            name: tenant.name.as_str(),
            shard: tenant.shard.as_str(),
            labels: &tenant.labels,
            version: version.map(|version| version.number()),
        })
    }

    /// As a way up finds it: a shared schema that is not there yet is made, with nothing applied.
    #[must_use]
    pub fn once_made(&self) -> Self {
        let mut standing = self.clone();
        let absent = standing.pinned.is_none() && standing.away.is_none();
        if standing.scope() == Scope::Shared && absent {
            let schema = standing.target.schema.as_str().to_owned();
            standing.pinned = Some(Pinned {
                head: Head {
                    schema: schema.clone(),
                    ..Head::default()
                },
                present: Some(schema),
                halfway: None,
            });
        }
        standing
    }
}

/// Where the whole fleet stands.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The shared schema of each shard.
    pub shared: Vec<Standing>,
    /// Every registered tenant, by name.
    pub tenants: Vec<Standing>,
    /// Heads that no tenant of the registry has.
    pub strays: Vec<(ShardName, Pinned)>,
    /// Shards that could not be asked, and why: nobody on them is moved, and the others go on.
    pub away: BTreeMap<ShardName, Arc<str>>,
}

impl Survey {
    /// Looks at every database. A shard that cannot be asked is noted as being away.
    ///
    /// # Errors
    /// The home database, or all shards, cannot be asked; or a shard's tables are a newer tenantry's.
    pub async fn take(fleet: &Fleet) -> Result<Self, FleetError> {
        let heads = join_all(fleet.shards.iter().map(|shard| async {
            let heads = async {
                let mut session = fleet.shard(shard).await?;
                let heads = heads::list(session.connection()).await?;
                session.close().await;
                Ok::<_, FleetError>(heads)
            };
            (shard.name.clone(), heads.await)
        }));
        let heads = async { present(heads.await) };
        let registry = async {
            let mut session = fleet.home().await?;
            let tenants = tenants::list(session.connection()).await?;
            session.close().await;
            Ok::<_, FleetError>(tenants)
        };
        let ((heads, away), tenants) = futures::try_join!(heads, registry)?;
        fleet.check_shards(&tenants)?;
        let mut survey = Self::of(fleet, heads, tenants);
        for (shard, error) in away {
            survey.leave_out(&shard, error.to_string().into());
        }
        Ok(survey)
    }

    /// Notes that a shard cannot be worked on, and why.
    pub(super) fn leave_out(&mut self, shard: &ShardName, why: Arc<str>) {
        for standing in self.shared.iter_mut().chain(&mut self.tenants) {
            if standing.target.shard == *shard {
                standing.away = Some(why.clone());
            }
        }
        self.away.insert(shard.clone(), why);
    }

    /// The standings of a scope; tenants only as far as they are moved with the fleet.
    pub fn moving(&self, scope: Scope) -> impl Iterator<Item = &Standing> {
        let standings = match scope {
            Scope::Shared => &self.shared,
            Scope::Tenant => &self.tenants,
        };
        let moves = |standing: &&Standing| {
            standing
                .tenant
                .as_ref()
                .is_none_or(|t| t.state == TenantState::Active)
        };
        standings.iter().filter(moves)
    }

    fn of(fleet: &Fleet, heads: Vec<(ShardName, Vec<Pinned>)>, tenants: Vec<Tenant>) -> Self {
        let mut by_shard: HashMap<ShardName, HashMap<String, Pinned>> = heads
            .into_iter()
            .map(|(shard, heads)| {
                (
                    shard,
                    heads
                        .into_iter()
                        .map(|pinned| (pinned.head.schema.clone(), pinned))
                        .collect(),
                )
            })
            .collect();
        let mut take = |target: &Target| {
            by_shard
                .get_mut(&target.shard)?
                .remove(target.schema.as_str())
        };
        let standing = |target: Target, tenant, pinned| Standing {
            target,
            tenant,
            pinned,
            away: None,
        };
        let mut survey = Self::default();
        for shard in fleet.shards.iter() {
            let target = Target {
                shard: shard.name.clone(),
                schema: fleet.shared_schema.clone(),
            };
            let pinned = take(&target);
            survey.shared.push(standing(target, None, pinned));
        }
        for tenant in tenants {
            let target = Target {
                shard: tenant.shard.clone(),
                schema: tenant.name.schema().clone(),
            };
            let pinned = take(&target);
            survey.tenants.push(standing(target, Some(tenant), pinned));
        }
        for (shard, heads) in by_shard {
            survey
                .strays
                .extend(heads.into_values().map(|pinned| (shard.clone(), pinned)));
        }
        survey
            .strays
            .sort_by(|a, b| (&a.0, &a.1.head.schema).cmp(&(&b.0, &b.1.head.schema)));
        survey
    }
}

/// What each shard has said, and what those said that could not be asked.
type Answers = (Vec<(ShardName, Vec<Pinned>)>, Vec<(ShardName, FleetError)>);

/// Sorts shards that answered from those that are away; an error where nobody is left.
fn present(
    asked: Vec<(ShardName, Result<Vec<Pinned>, FleetError>)>,
) -> Result<Answers, FleetError> {
    let (mut heads, mut away) = (Vec::new(), Vec::new());
    for (shard, answer) in asked {
        match answer {
            Ok(found) => heads.push((shard, found)),
            Err(error) if error.is_of_one_shard() => away.push((shard, error)),
            Err(error) => return Err(error),
        }
    }
    if !heads.is_empty() || away.is_empty() {
        return Ok((heads, away));
    }
    if away.len() == 1 {
        return Err(away.remove(0).1);
    }
    let each = away
        .iter()
        .map(|(shard, error)| format!("{shard}: {error}"));
    Err(FleetError::NoShard(each.collect::<Vec<_>>().join("; ")))
}
