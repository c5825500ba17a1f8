//! `tenant show`: all that is known of one tenant.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{
        context::Context,
        error::CliError,
        exit::ExitCode,
        human,
        paint::Paint,
        report::for_shell,
        table::{Table, faint},
    },
    fleet::{Fleet, FleetError},
    history::{Applied, Running},
    migration::Version,
    plan::{Drift, drift},
    provision::ProvisionError,
    store::{
        drifted::{self, Drifted},
        heads::{self, Halfway},
        history::{self, Entry},
        notices, retiring,
        tenants::{self, Tenant},
    },
};

/// What `tenant show` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The tenant
    name: String,
    /// So many entries of its history, the newest first
    #[arg(long, value_name = "N", default_value_t = 10)]
    history: u32,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    tenant: Tenant,
    /// The name that it is about to have, where a renaming was cut off.
    new_name: Option<String>,
    /// When a daemon drops it, where it was retired with a time in which it can be had back.
    drop_after: Option<Timestamp>,
    version: Option<Version>,
    /// The version at which it stopped half-way.
    dirty: Option<Version>,
    /// What it is in the middle of, statement by statement, and how far it came.
    running: Option<Running>,
    halfway: Option<Halfway>,
    /// Whether the schema is the one that the history is of.
    intact: bool,
    /// Why its shard could not be asked; what would be known from there is absent.
    unreachable: Option<String>,
    pending: Vec<Pending>,
    drift: Vec<Drift>,
    /// How its schema looked otherwise than it should, when it was last looked at.
    drifted: Option<Drifted>,
    history: Vec<Entry>,
    /// Of how many entries those are the newest.
    history_total: usize,
    /// What the server said while its migrations ran, the newest first.
    notices: Vec<notices::Entry>,
}

#[derive(Serialize)]
struct Pending {
    version: Version,
    name: String,
}

impl Show {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let name = settings.tenant_name(&self.name)?;
        let fleet = context.fleet(&settings)?;
        let mut home = fleet.home().await?;
        let tenant = tenants::get(home.connection(), &name).await?;
        let new_name = tenants::new_name(home.connection(), &name).await?;
        let retiring = retiring::get(home.connection(), &name).await?;
        let noted = match &tenant {
            Some(tenant) => drifted::get(home.connection(), &tenant.shard, name.schema()).await?,
            None => None,
        };
        home.close().await;
        let tenant = tenant.ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
        let mut shown = match look(&fleet, &tenant, self.history).await {
            Ok(shown) => shown,
            Err(CliError::Fleet(error)) if error.is_of_one_shard() => {
                Shown::without_shard(tenant, &error)
            }
            Err(error) => return Err(error),
        };
        (shown.new_name, shown.drifted) = (new_name, noted);
        shown.drop_after = retiring.and_then(|retiring| retiring.drop_after);
        context.output.result(&shown, |paint| text(&shown, paint));
        Ok(match shown.unreachable {
            None => ExitCode::Done,
            Some(_) => ExitCode::Failed,
        })
    }
}

impl Shown {
    /// What the registry knows.
    fn without_shard(tenant: Tenant, error: &FleetError) -> Self {
        Self {
            tenant,
            new_name: None,
            drop_after: None,
            version: None,
            dirty: None,
            running: None,
            halfway: None,
            intact: false,
            unreachable: Some(error.to_string()),
            pending: Vec::new(),
            drift: Vec::new(),
            drifted: None,
            history: Vec::new(),
            history_total: 0,
            notices: Vec::new(),
        }
    }
}

async fn look(fleet: &Fleet, tenant: &Tenant, entries: u32) -> Result<Shown, CliError> {
    let mut session = fleet.shard(fleet.shard_of(tenant)?).await?;
    let pinned = heads::get(session.connection(), tenant.name.schema()).await?;
    let (mut applied, mut log, mut said) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(pinned) = &pinned {
        applied = history::applied(session.connection(), &pinned.head).await?;
        log = history::entries(session.connection(), &pinned.head, i64::MAX).await?;
        said = notices::entries(session.connection(), &pinned.head, entries.into()).await?;
    }
    session.close().await;
    let history_total = log.len();
    log.truncate(usize::try_from(entries).unwrap_or(usize::MAX));
    Ok(Shown {
        new_name: None,
        drop_after: None,
        version: applied.last().map(|entry| entry.version),
        dirty: pinned.as_ref().and_then(|pinned| pinned.head.dirty),
        running: pinned.as_ref().and_then(|pinned| pinned.head.running),
        halfway: pinned.as_ref().and_then(|pinned| pinned.halfway.clone()),
        intact: pinned.as_ref().is_some_and(heads::Pinned::is_intact),
        unreachable: None,
        pending: pending(fleet, &applied),
        drift: drift(&fleet.tenant, &applied),
        drifted: None,
        history: log,
        history_total,
        notices: said,
        tenant: tenant.clone(),
    })
}

fn pending(fleet: &Fleet, applied: &[Applied]) -> Vec<Pending> {
    let migrations = fleet.tenant.migrations.iter();
    migrations
        .filter(|m| applied.iter().all(|a| a.version != m.version))
        .map(|m| Pending {
            version: m.version,
            name: m.name.clone(),
        })
        .collect()
}

fn text(shown: &Shown, paint: Paint) -> String {
    let tenant = &shown.tenant;
    let version =
        |v: Option<Version>| v.map_or_else(|| "nothing applied".to_owned(), |v| v.to_string());
    let labels: Vec<_> = tenant
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let mut lines = vec![format!(
        "{} ({}) on shard {}, since {:.0}",
        paint.strong(tenant.name.as_str()),
        tenant.state,
        tenant.shard,
        tenant.created_at
    )];
    if !labels.is_empty() {
        lines.push(format!("labels: {}", labels.join(" ")));
    }
    lines.extend(dropped(shown, paint));
    if let Some(why) = &shown.unreachable {
        let why = format!("where it stands cannot be told: {why}");
        lines.push(paint.labelled("error:", &why));
        return lines.join("\n");
    }
    lines.insert(
        1,
        format!(
            "at {}, {} pending",
            version(shown.version),
            shown.pending.len()
        ),
    );
    lines.extend(halfway(shown, paint));
    if let Some(new) = &shown.new_name {
        let (old, new) = (for_shell(tenant.name.as_str()), for_shell(new));
        lines.push(paint.caution(format!(
            "being renamed: `tenantry tenant rename {old} {new}` finishes that"
        )));
    } else if !shown.intact {
        lines.push(
            paint.bad(
                "its schema is not the one that its history is of; `tenantry repair` tells more",
            ),
        );
    }
    lines.extend(
        shown
            .drift
            .iter()
            .map(|drift| paint.caution(format!("drift: {drift}"))),
    );
    if let Some(noted) = &shown.drifted {
        let title = format!("its structure drifted, seen {:.0}:", noted.last_seen);
        lines.push(paint.bad(title));
        lines.extend(noted.summary.iter().map(|words| format!("  {words}")));
    }
    lines.extend(
        shown
            .pending
            .iter()
            .map(|p| format!("pending: {} {}", p.version, p.name)),
    );
    lines.extend(history_text(shown, paint));
    lines.extend(shown.notices.iter().map(|said| notice(said, paint)));
    lines.join("\n")
}

/// Until when it can be had back, where it was retired.
fn dropped(shown: &Shown, paint: Paint) -> Option<String> {
    let after = shown.drop_after?;
    let name = for_shell(shown.tenant.name.as_str());
    Some(paint.caution(format!(
        "dropped after {after:.0}; until then `tenantry tenant resume {name}` has it back"
    )))
}

/// One message of the server.
fn notice(said: &notices::Entry, paint: Paint) -> String {
    let times = match said.times {
        1 => String::new(),
        times => format!(" (×{times})"),
    };
    let from = format!("{} {} {}", said.direction, said.version, said.name);
    let text = format!("{} from {from}: {}{times}", said.level, said.message);
    match said.level.as_str() {
        "warning" => paint.caution(text),
        _ => paint.faint(text),
    }
}

/// What it stopped at, or is in the middle of.
fn halfway(shown: &Shown, paint: Paint) -> Option<String> {
    let at = shown.halfway.as_ref();
    let at = at.map_or_else(String::new, |at| format!(", {at}"));
    match (shown.dirty, shown.running) {
        (Some(dirty), _) => Some(paint.bad(format!(
            "dirty: it stopped half-way at {dirty}{at}; look at it, then `tenantry repair` or `tenantry force`"
        ))),
        (None, Some(running)) => Some(paint.caution(format!(
            "in the middle of {} on the way {}{at}",
            running.version, running.direction
        ))),
        (None, None) => None,
    }
}

/// The newest entries, and how many older ones there are.
fn history_text(shown: &Shown, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if !shown.history.is_empty() {
        let mut table = Table::new(paint, ["WHEN", "VERSION", "NAME", "STATE", "HOW", "WHO"]);
        for entry in &shown.history {
            let when = entry.finished_at.unwrap_or(entry.started_at);
            table.row([
                faint(format!("{when:.0}")),
                faint(entry.version),
                faint(&entry.name),
                faint(&entry.state),
                faint(&entry.how),
                faint(&entry.who),
            ]);
        }
        lines.push(format!("\n{}", table.render()));
    }
    let older = shown.history_total - shown.history.len();
    if older > 0 {
        let ones = human::count(older, "older one", "older ones");
        let all = shown.history_total;
        lines.push(paint.faint(format!("{ones}: --history {all}")));
    }
    lines
}
