//! Which shard a new tenant is put on where nobody says so: the one with the most free capacity.

use futures::future::join_all;

use super::{ProvisionError, choose_shard};
use crate::{
    fleet::{Fleet, FleetError},
    postgres::Shard,
    store::{
        heads::{self, Load},
        tenants,
    },
    tenant::{ShardName, TenantName, TenantState},
};

/// So many relations make a database slow to plan, to dump and to start: beyond, the fleet needs a further shard.
pub const FULL: u64 = 200_000;

/// Where a new tenant is put, and why there.
#[derive(Debug, Clone)]
pub struct Placement<'a> {
    /// Where.
    pub shard: &'a Shard,
    /// Why there.
    pub because: Because,
}

/// Why a tenant is put on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Because {
    /// Somebody said so.
    Named,
    /// There is no other.
    Only,
    /// It was begun there.
    Begun,
    /// It is the least full of those that answer.
    FreeCapacity {
        /// Schemas of tenants that it has.
        tenants: u64,
        /// So many are put on it at most; none for no limit.
        max_tenants: Option<u64>,
        /// Relations that it has.
        relations: u64,
    },
}

/// Chooses the shard of a new tenant: the one that was named, else where it was begun, else the least full.
///
/// # Errors
/// There is no shard of that name; or every shard is full, or away.
pub async fn place<'a>(
    fleet: &'a Fleet,
    name: &TenantName,
    named: Option<&ShardName>,
) -> Result<Placement<'a>, ProvisionError> {
    let of = |shard, because| Ok(Placement { shard, because });
    if named.is_some() {
        return of(choose_shard(fleet, named)?, Because::Named);
    }
    let mut shards = fleet.shards.iter();
    if let (Some(only), None) = (shards.next(), shards.next()) {
        return of(only, Because::Only);
    }
    let mut home = fleet.home().await?;
    let known = tenants::get(home.connection(), name).await?;
    home.close().await;
    match known {
        Some(tenant) if tenant.state == TenantState::Provisioning => {
            of(fleet.shard_of(&tenant)?, Because::Begun)
        }
        Some(_) => Err(ProvisionError::Taken(name.to_string())),
        None => least_full(fleet).await,
    }
}

async fn least_full(fleet: &Fleet) -> Result<Placement<'_>, ProvisionError> {
    let loads = fleet.shards.iter().map(|shard| async move {
        let load = async {
            let mut session = fleet.shard(shard).await?;
            let load = heads::load(session.connection(), &fleet.shared_schema).await?;
            session.close().await;
            Ok::<_, FleetError>(load)
        };
        (shard, load.await)
    });
    let (mut answered, mut away) = (Vec::new(), Vec::new());
    for (shard, load) in join_all(loads).await {
        match load {
            Ok(load) => answered.push((shard, load)),
            Err(error) if error.is_of_one_shard() => away.push(format!("{}: {error}", shard.name)),
            Err(error) => return Err(error.into()),
        }
    }
    if answered.is_empty() {
        return Err(FleetError::NoShard(away.join("; ")).into());
    }
    let Some((shard, load)) = choose(answered) else {
        return Err(ProvisionError::Full {
            away: away.iter().map(|away| format!("; {away}")).collect(),
        });
    };
    let because = Because::FreeCapacity {
        tenants: load.tenants,
        max_tenants: shard.max_tenants,
        relations: load.relations,
    };
    Ok(Placement { shard, because })
}

/// The least full of those that have room, the first of equals.
fn choose<'a>(loads: impl IntoIterator<Item = (&'a Shard, Load)>) -> Option<(&'a Shard, Load)> {
    loads
        .into_iter()
        .filter(|(shard, load)| shard.max_tenants.is_none_or(|max| load.tenants < max))
        .min_by(|(one, a), (other, b)| fullness(one, *a).total_cmp(&fullness(other, *b)))
}

/// How full a shard is: 1 and more is full.
fn fullness(shard: &Shard, load: Load) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "no database has more than 2^52 of anything"
    )]
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let tenants = shard
        .max_tenants
        .map_or(0.0, |max| share(load.tenants, max));
    tenants.max(share(load.relations, FULL))
}

impl Because {
    /// For people; none where there is nothing to tell.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Named | Self::Only => None,
            Self::Begun => Some("it was begun there".to_owned()),
            Self::FreeCapacity {
                tenants,
                max_tenants,
                relations,
            } => {
                let of = max_tenants.map_or_else(String::new, |max| format!(" of {max}"));
                Some(format!(
                    "the least full: {tenants}{of} tenants, {relations} relations"
                ))
            }
        }
    }

    /// Whether the shard has more relations than a database should.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::FreeCapacity { relations, .. } if *relations >= FULL)
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use sqlx::postgres::PgConnectOptions;

    use super::*;

    fn shard(name: &str, max_tenants: Option<u64>) -> Shard {
        let options = PgConnectOptions::from_str("postgres://localhost").unwrap();
        Shard::new(ShardName::new(name), options, 1).max_tenants(max_tenants)
    }

    fn chosen(shards: &[(&str, Option<u64>, u64, u64)]) -> Option<String> {
        let shards: Vec<_> = shards
            .iter()
            .map(|(name, max, tenants, relations)| {
                let load = Load {
                    tenants: *tenants,
                    relations: *relations,
                };
                (shard(name, *max), load)
            })
            .collect();
        let chosen = choose(shards.iter().map(|(shard, load)| (shard, *load)));
        chosen.map(|(shard, _)| shard.name.to_string())
    }

    #[test]
    fn the_least_full_is_chosen() {
        for (shards, name) in [
            (vec![("a", None, 9, 900), ("b", None, 5, 400)], Some("b")),
            // Few tenants, but large ones.
            (vec![("a", None, 9, 900), ("b", None, 1, 5000)], Some("a")),
            // Nearly all that it may hold.
            (
                vec![("a", Some(10), 9, 900), ("b", None, 99, 9000)],
                Some("b"),
            ),
            (
                vec![("a", Some(10), 10, 0), ("b", Some(2), 1, 0)],
                Some("b"),
            ),
            (vec![("b", None, 1, 7), ("a", None, 1, 7)], Some("b")),
            (vec![("a", Some(1), 1, 7), ("b", Some(0), 0, 7)], None),
        ] {
            assert_eq!(chosen(&shards).as_deref(), name, "{shards:?}");
        }
    }
}
