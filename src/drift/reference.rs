//! What each group is compared with: what its history makes, tried out once on a scratch server and kept.

use std::sync::Arc;

use super::{DriftError, Group, Groups};
use crate::{
    config::Settings,
    fleet::{Fleet, FleetError},
    history::{Applied, Digest},
    migration::{Migration, MigrationSet, Scope, Script},
    store::{
        scripts,
        structures::{self, Key},
    },
    structure::{Structure, recipe},
    tenant::Target,
    verify::{Made, ReferenceRequest, VerifyError, reference, scratch::Server},
};

/// What a group is compared with.
#[derive(Debug, Clone)]
pub enum Basis {
    /// What its history makes is not known yet.
    Unknown,
    /// What its history makes.
    History(Arc<Structure>),
    /// What most of the group look like; and why, where that was not asked for.
    Majority(Option<String>),
}

/// What of earlier times is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier<'a> {
    /// Whatever was tried out last.
    Last,
    /// What was tried out in a database with just this, by SQL, before the first migration.
    Prepared(&'a str),
    /// Nothing: all of it is to be tried out anew.
    Nothing,
}

/// Finds what is kept of earlier times, where that is good enough. What is left without is [`Basis::Unknown`].
pub async fn find(
    fleet: &Fleet,
    groups: &mut Groups,
    earlier: Earlier<'_>,
) -> Result<(), DriftError> {
    let mut home = None;
    for group in &mut groups.groups {
        if group.is_empty() {
            group.basis = Basis::History(Arc::default());
            continue;
        }
        let prepare = match earlier {
            Earlier::Nothing => continue,
            Earlier::Last => None,
            Earlier::Prepared(prepare) => Some(Digest::of_text(prepare)),
        };
        let session = match &mut home {
            Some(session) => session,
            home => home.insert(fleet.home().await?),
        };
        let kept = structures::get(session.connection(), &key(group), prepare).await?;
        if let Some(structure) = kept {
            group.basis = Basis::History(Arc::new(structure));
        }
    }
    if let Some(home) = home {
        home.close().await;
    }
    Ok(())
}

/// Where histories are tried out.
#[derive(Clone, Copy)]
pub struct Scratch<'a> {
    /// Databases are made on it.
    pub server: &'a Server,
    /// How migrations are carried. None of the databases it names is touched.
    pub settings: &'a Settings,
    /// SQL for what a database has before the first migration, such as extensions.
    pub prepare: Option<&'a str>,
}

/// Tries out on a scratch server what the histories make of which nothing is known, and keeps it. A group whose history does not
/// come up there is compared with its majority.
pub async fn make(
    scratch: Scratch<'_>,
    fleet: &Fleet,
    groups: &mut Groups,
) -> Result<(), DriftError> {
    let Scratch {
        server,
        settings,
        prepare,
    } = scratch;
    for index in 0..groups.groups.len() {
        if !matches!(groups.groups[index].basis, Basis::Unknown) {
            continue;
        }
        let group = &groups.groups[index];
        let basis = match sets(fleet, groups, group).await? {
            Err(why) => Basis::Majority(Some(why)),
            Ok(Sets {
                shared,
                tenant,
                is_as_below,
            }) => {
                let request = ReferenceRequest {
                    settings,
                    prepare,
                    shared,
                    tenant,
                };
                let basis = basis(group, reference(server, request).await?);
                if let Basis::History(structure) = &basis
                    && is_as_below
                {
                    let mut home = fleet.home().await?;
                    let prepare = Digest::of_text(prepare.unwrap_or_default());
                    structures::put(home.connection(), &key(group), prepare, structure).await?;
                    home.close().await;
                }
                basis
            }
        };
        groups.groups[index].basis = basis;
    }
    Ok(())
}

fn basis(group: &Group, made: Made) -> Basis {
    let why = match made {
        Made::Stuck(scope, outcome) => {
            format!("what is applied of the {scope} set does not come up: {outcome}")
        }
        Made::Structure {
            structure: _,
            postgres,
        } if postgres != group.postgres => format!(
            "the scratch server is PostgreSQL {postgres}, and these schemas are on {}, which may write the same in other \
             words; --server takes another one",
            group.postgres
        ),
        Made::Structure { structure, .. } => return Basis::History(Arc::new(structure)),
    };
    Basis::Majority(Some(why))
}

fn key(group: &Group) -> Key {
    Key {
        scope: group.scope,
        digest: group.digest,
        repeatables: group.repeatables,
        postgres: group.postgres,
        recipe: recipe(),
        below: group.below,
    }
}

/// What is tried out.
struct Sets {
    shared: MigrationSet,
    tenant: Option<MigrationSet>,
    /// Whether the shared set is what is applied below the group, and not only the nearest thing to it.
    is_as_below: bool,
}

/// The shared set and the tenants' set that a group has; or what of them nobody knows any more.
async fn sets(
    fleet: &Fleet,
    groups: &Groups,
    group: &Group,
) -> Result<Result<Sets, String>, DriftError> {
    let set = match set(fleet, group).await? {
        Ok(set) => set,
        Err(why) => return Ok(Err(why)),
    };
    if group.scope == Scope::Shared {
        return Ok(Ok(Sets {
            shared: set,
            tenant: None,
            is_as_below: true,
        }));
    }
    let shard = group.targets.first().map(|(target, _)| &target.shard);
    let below = groups.shared.iter().find(|shared| {
        let mut targets = shared.targets.iter();
        targets.any(|(target, _)| Some(&target.shard) == shard)
    });
    let shared = match below {
        // A shared schema whose texts are lost is no reason not to look at tenants.
        Some(below) => self::set(fleet, below).await?.ok(),
        None => None,
    };
    Ok(Ok(match shared {
        Some(shared) => Sets {
            shared,
            tenant: Some(set),
            is_as_below: true,
        },
        None => Sets {
            shared: fleet.shared.clone(),
            tenant: Some(set),
            is_as_below: group.below == digest(&fleet.shared),
        },
    }))
}

/// What a schema has for which all of a set is applied.
fn digest(set: &MigrationSet) -> Digest {
    let applied: Vec<_> = set.migrations.iter().map(|one| Applied::of(one)).collect();
    let repeatables = Digest::of_repeatables(set.repeatables.iter().map(AsRef::as_ref));
    Digest::of(&applied).of_both(repeatables)
}

/// What is applied in a group, by the texts that its history has stored.
async fn set(fleet: &Fleet, group: &Group) -> Result<Result<MigrationSet, String>, DriftError> {
    let files = fleet.set(group.scope);
    let repeatables = match group.repeatables {
        Digest::EMPTY => Vec::new(),
        digest if digest == Digest::of_repeatables(files.repeatables.iter().map(AsRef::as_ref)) => {
            files.repeatables.clone()
        }
        // Histories keep no texts of them.
        _ => {
            return Ok(Err(
                "the repeatables in the files are not those that were applied".to_owned(),
            ));
        }
    };
    let checksums: Vec<_> = group.applied.iter().map(|applied| applied.up).collect();
    let stored = match group.targets.first() {
        Some((target, _)) => texts(fleet, target, &checksums).await?,
        None => Vec::new(),
    };
    let mut migrations = Vec::with_capacity(group.applied.len());
    for applied in &group.applied {
        let in_files = files.get(applied.version).map(|migration| &migration.up);
        let text = stored.iter().find(|(checksum, _)| *checksum == applied.up);
        let up = match (in_files, text) {
            (Some(file), _) if file.checksum == applied.up => file.clone(),
            (_, Some((_, text))) => {
                let name = format!("{}-{}.up.sql", applied.version, applied.name);
                Arc::new(Script::stored(&name, text.as_str()).0)
            }
            _ => {
                let lost = format!("the text of {}-{} is lost", applied.version, applied.name);
                return Ok(Err(lost));
            }
        };
        migrations.push(Arc::new(Migration {
            version: applied.version,
            name: applied.name.clone(),
            up,
            down: None,
            problems: Vec::new(),
        }));
    }
    Ok(Ok(MigrationSet {
        migrations,
        repeatables,
        ..MigrationSet::empty(group.scope)
    }))
}

async fn texts(
    fleet: &Fleet,
    target: &Target,
    checksums: &[crate::migration::Checksum],
) -> Result<Vec<(crate::migration::Checksum, String)>, DriftError> {
    let shard = fleet.shards.get(&target.shard);
    let unknown = || FleetError::UnknownShard {
        tenant: target.schema.as_str().to_owned(),
        shard: target.shard.clone(),
    };
    let mut session = fleet.shard(shard.ok_or_else(unknown)?).await?;
    let texts = scripts::get(session.connection(), checksums)
        .await
        .map_err(VerifyError::from)?;
    session.close().await;
    Ok(texts)
}
