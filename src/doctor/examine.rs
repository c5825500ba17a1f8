//! Going through the databases, and through the checks in each.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CHECKS, Finding, Found, Patient, Severity};
use crate::{
    fleet::Fleet,
    postgres::{Connection, Fault, ServerError, Session, Shard},
    store::{
        Part, state,
        tenants::{self, Tenant},
    },
};

/// The name and the reason of what is found where a database cannot be reached.
pub const CONNECTION: (&str, &str) = (
    "connection",
    "nothing on it can be looked at or moved until it answers",
);

/// The name and the reason of what is found where two shards are one database.
pub const TWICE: (&str, &str) = (
    "same-database",
    "each shard counts connections and locks for itself, so that two on one database take twice as many",
);

/// The name and the reason of what is found where the servers' clocks differ.
pub const CLOCKS: (&str, &str) = (
    "clocks",
    "the times in the histories of different shards cannot be compared",
);

/// Servers' clocks may differ by so much.
const APART: SignedDuration = SignedDuration::from_secs(2);

/// What was found in the whole fleet.
#[derive(Debug, Clone, Serialize)]
pub struct Examination {
    /// The databases: the home database first, then the shards by name.
    pub databases: Vec<Examined>,
    /// In the order of the databases and of the checks.
    pub findings: Vec<Finding>,
}

/// One database that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Examined {
    /// The shard's name, or `home`.
    pub name: String,
    /// Whether it holds the registry.
    pub home: bool,
    /// Whether it holds tenants.
    pub shard: bool,
    /// The server's version; none where it cannot be reached.
    pub version: Option<String>,
}

impl Examination {
    /// How many findings are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(of).count()
    }

    /// Whether any database answered.
    pub fn reached_any(&self) -> bool {
        self.databases.iter().any(|one| one.version.is_some())
    }
}

/// Looks at every database of the fleet. Changes nothing, and makes nothing that is not there.
pub async fn examine(fleet: &Fleet) -> Examination {
    let mut rooms = Vec::new();
    rooms.push(Room::of(fleet.shards.home(), true, false).await);
    for shard in fleet.shards.iter() {
        rooms.push(Room::of(shard, false, true).await);
    }
    let mut findings = Vec::new();
    merge_home(&mut rooms).await;
    findings.extend(twice(&rooms));
    findings.extend(clocks(&rooms));
    let registry = registry(&mut rooms).await;
    let databases = rooms.iter().map(Room::examined).collect();
    let looked = rooms
        .into_iter()
        .map(|room| room.look(fleet, registry.as_deref()));
    let mut all: Vec<Finding> = join_all(looked).await.into_iter().flatten().collect();
    all.extend(findings);
    Examination {
        databases,
        findings: all,
    }
}

/// A database before it is looked at.
struct Room<'a> {
    shard: &'a Shard,
    is_home: bool,
    is_shard: bool,
    reached: Result<Reached, String>,
}

struct Reached {
    session: Session,
    version: String,
    /// The same for two connections exactly where they lead to the same database.
    identity: String,
    /// How much later it is there than here, as far as can be told from one question.
    ahead: SignedDuration,
}

impl<'a> Room<'a> {
    async fn of(shard: &'a Shard, is_home: bool, is_shard: bool) -> Self {
        let reached = match shard.connect().await {
            Ok(mut session) => match identify(session.connection()).await {
                Ok((version, identity, ahead)) => Ok(Reached {
                    session,
                    version,
                    identity,
                    ahead,
                }),
                Err(error) => Err(ServerError::of(&error).to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        Self {
            shard,
            is_home,
            is_shard,
            reached,
        }
    }

    fn name(&self) -> String {
        if self.is_shard {
            self.shard.name.to_string()
        } else {
            "home".to_owned()
        }
    }

    fn examined(&self) -> Examined {
        Examined {
            name: self.name(),
            home: self.is_home,
            shard: self.is_shard,
            version: self.reached.as_ref().ok().map(|r| r.version.clone()),
        }
    }

    async fn look(self, fleet: &Fleet, tenants: Option<&[Tenant]>) -> Vec<Finding> {
        let database = self.name();
        let finding = |check: &'static str, why: &'static str, found: Found| Finding {
            check,
            database: database.clone(),
            severity: found.severity,
            value: found.value,
            why,
            remedy: found.remedy,
        };
        let (check, why) = CONNECTION;
        let unreachable = |reason: String| {
            let remedy = "start the server, or correct what the message names; `tenantry config show` has every setting";
            vec![finding(check, why, Found::error(reason, remedy))]
        };
        let mut reached = match self.reached {
            Ok(reached) => reached,
            Err(reason) => return unreachable(reason),
        };
        let part = if self.is_shard {
            Part::Shard
        } else {
            Part::Home
        };
        let has_tables = state(reached.session.connection(), part)
            .await
            .is_ok_and(|installed| installed.present > 0);
        let pool = self.shard.pool(1);
        let plain = match pool.acquire().await {
            Ok(plain) => plain,
            Err(error) => return unreachable(ServerError::of(&error).to_string()),
        };
        let mut patient = Patient {
            fleet,
            shard: self.shard,
            is_shard: self.is_shard,
            is_home: self.is_home,
            has_tables,
            tenants,
            session: reached.session,
            plain,
        };
        let mut findings = Vec::new();
        for check in CHECKS {
            match check.look(&mut patient).await {
                Ok(found) => {
                    let found = found.into_iter();
                    findings.extend(found.map(|f| finding(check.name(), check.why(), f)));
                }
                Err(error) if Fault::of_error(&error) == Fault::Connection => {
                    findings.extend(unreachable(ServerError::of(&error).to_string()));
                    return findings;
                }
                Err(error) => {
                    let found = not_seen(&ServerError::of(&error));
                    findings.push(finding(check.name(), check.why(), found));
                }
            }
        }
        patient.session.close().await;
        findings
    }
}

/// What is said of a check whose question was refused.
fn not_seen(error: &ServerError) -> Found {
    let remedy = match error.code.as_str() {
        // insufficient_privilege
        "42501" => "give the role the right that the message names",
        _ => "look at the server's log",
    };
    Found::warning(format!("could not be looked at: {error}"), remedy)
}

async fn identify(
    connection: &mut Connection,
) -> Result<(String, String, SignedDuration), sqlx::Error> {
    let asked = Timestamp::now();
    let (version, identity, there): (String, String, jiff_sqlx::Timestamp) = sqlx::query_as(
        "select split_part(current_setting('server_version'), ' ', 1),
                pg_postmaster_start_time()::text || ' ' || (select oid from pg_database where datname = current_database())::text,
                clock_timestamp()",
    )
    .fetch_one(connection)
    .await?;
    let took = Timestamp::now().duration_since(asked);
    let here = asked + took / 2;
    Ok((version, identity, there.to_jiff().duration_since(here)))
}

/// Where the home database is a shard too, it is looked at once.
async fn merge_home(rooms: &mut Vec<Room<'_>>) {
    let [home, shards @ ..] = &mut rooms[..] else {
        return;
    };
    let identity = |room: &Room<'_>| room.reached.as_ref().ok().map(|r| r.identity.clone());
    let of_home = identity(home);
    // What cannot be reached in the same way for the same reason is the same.
    let reason = home.reached.as_ref().err().cloned();
    let same = shards.iter_mut().find(|room| match &of_home {
        Some(_) => identity(room) == of_home,
        None => {
            let reason = reason.as_deref().and_then(|r| r.split_once(" at "));
            let other = room
                .reached
                .as_ref()
                .err()
                .and_then(|r| r.split_once(" at "));
            reason.map(|(_, at)| at) == other.map(|(_, at)| at)
        }
    });
    if let Some(room) = same {
        room.is_home = true;
        if let Ok(reached) = rooms.remove(0).reached {
            reached.session.close().await;
        }
    }
}

async fn registry(rooms: &mut [Room<'_>]) -> Option<Vec<Tenant>> {
    let home = rooms.iter_mut().find(|room| room.is_home)?;
    let reached = home.reached.as_mut().ok()?;
    tenants::list(reached.session.connection()).await.ok()
}

/// Shards that are the same database as one before them.
fn twice(rooms: &[Room<'_>]) -> Vec<Finding> {
    let shards: Vec<_> = rooms.iter().filter(|room| room.is_shard).collect();
    let mut found = Vec::new();
    for (index, room) in shards.iter().enumerate() {
        let Ok(reached) = &room.reached else { continue };
        let same = shards[..index].iter().find(|other| {
            let other = other.reached.as_ref();
            other.is_ok_and(|other| other.identity == reached.identity)
        });
        if let Some(same) = same {
            found.push(Finding {
                check: TWICE.0,
                database: room.name(),
                severity: Severity::Error,
                value: format!(
                    "the shards {} and {} are one database",
                    same.name(),
                    room.name()
                ),
                why: TWICE.1,
                remedy: Some(format!(
                    "correct `shards.{}.url`, or leave that shard out",
                    room.name()
                )),
            });
        }
    }
    found
}

/// Servers whose clocks differ from the first one's.
fn clocks(rooms: &[Room<'_>]) -> Vec<Finding> {
    let mut ahead = rooms.iter().filter_map(|room| {
        let reached = room.reached.as_ref().ok()?;
        Some((room.name(), reached.ahead))
    });
    let Some((first, reference)) = ahead.next() else {
        return Vec::new();
    };
    ahead
        .filter(|(_, ahead)| (*ahead - reference).abs() > APART)
        .map(|(name, ahead)| Finding {
            check: CLOCKS.0,
            severity: Severity::Warning,
            value: format!(
                "the clocks of {first} and {name} are {:#} apart",
                (ahead - reference)
                    .abs()
                    .round(jiff::Unit::Millisecond)
                    .unwrap_or_default()
            ),
            database: name,
            why: CLOCKS.1,
            remedy: Some("let both machines follow the same time server (NTP)".to_owned()),
        })
        .collect()
}
