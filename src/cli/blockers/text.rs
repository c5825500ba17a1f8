//! The waits for people: each chain from its front, those who wait set in below whom they wait for.

use std::time::Duration;

use comfy_table::Cell;

use super::Seen;
use crate::{
    cli::{
        human,
        output::Output,
        paint::Paint,
        table::{Table, bad, caution, faint},
    },
    postgres::{Activity, Chain, Wait, chains},
};

/// So much of a query is shown.
const QUERY: usize = 60;

/// A table for each shard on which somebody waits.
pub(super) fn all(seen: &[Seen], paint: Paint) -> String {
    let shards = seen.iter().filter_map(|seen| {
        let heading = paint.strong(format!("shard {}", seen.shard));
        Some(shard(&heading, seen.waits.as_ref().ok()?, paint))
    });
    shards.collect::<Vec<_>>().join("\n\n")
}

fn shard(heading: &str, waits: &[Wait], paint: Paint) -> String {
    if waits.is_empty() {
        return format!("{heading}: nobody waits");
    }
    let mut table = Table::new(
        paint,
        [
            "PID",
            "USER",
            "APPLICATION",
            "FROM",
            "STATE",
            "OPEN",
            "WAITS",
            "FOR",
            "QUERY",
        ],
    )
    .numbers(&[5, 6]);
    for chain in chains(waits) {
        rows(&chain, 0, &mut table);
    }
    let count = human::count(waits.len(), "session waits", "sessions wait");
    format!("{heading}: {count}\n\n{}", table.render())
}

fn rows(chain: &Chain<'_>, depth: usize, table: &mut Table) {
    let Activity {
        user,
        application,
        client,
        state,
        transaction_ms,
        ..
    } = chain.activity;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let name = format!("{}{}", "  ".repeat(depth), name(chain.activity));
    let front = chain.wait.is_none();
    table.row([
        if front { bad(name) } else { Cell::new(name) },
        Cell::new(text(user)),
        Cell::new(text(application)),
        Cell::new(text(client)),
        Cell::new(text(state)),
        time(*transaction_ms),
        chain
            .wait
            .map_or_else(|| faint("-"), |wait| time(wait.waited_ms)),
        chain
            .wait
            .map_or_else(|| faint("-"), |wait| caution(&wait.on)),
        Cell::new(query(chain.activity)),
    ]);
    for behind in &chain.behind {
        rows(behind, depth + 1, table);
    }
}

/// What it is called: its process, or the name under which it was prepared.
pub(super) fn name(activity: &Activity) -> String {
    match (&activity.prepared, activity.pid) {
        (Some(name), _) => format!("prepared '{name}'"),
        (None, Some(pid)) => pid.to_string(),
        (None, None) => "-".to_owned(),
    }
}

fn time(milliseconds: Option<i64>) -> Cell {
    milliseconds.map_or_else(
        || faint("-"),
        |time| {
            Cell::new(human::duration(Duration::from_millis(
                time.max(0).unsigned_abs(),
            )))
        },
    )
}

/// The beginning of its query, on one line.
fn query(activity: &Activity) -> String {
    let words = activity.query.as_deref().unwrap_or("-").split_whitespace();
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUERY) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What cannot be seen, and what can be done.
pub(super) fn advise(seen: &[Seen], output: &Output) {
    for Seen { shard, waits } in seen {
        if let Err(error) = waits {
            output.error(&format!("shard {shard} cannot be asked: {error}"));
        }
    }
    let all = || seen.iter().filter_map(|seen| seen.waits.as_ref().ok());
    let waits = || all().flatten();
    let parties = waits().flat_map(|wait| wait.blocked_by.iter().chain([&wait.session]));
    if parties.clone().any(|activity| activity.hidden) {
        output.note(
            "the server hides states and queries of other roles; a member of pg_read_all_stats sees them",
        );
    }
    if let Some(name) = parties
        .clone()
        .find_map(|activity| activity.prepared.as_ref())
    {
        output.note(&format!(
            "a prepared transaction is ended by `ROLLBACK PREPARED '{name}'`, or COMMIT PREPARED"
        ));
    }
    let fronts = seen.iter().filter_map(|seen| {
        let waits = seen.waits.as_ref().ok()?;
        let pid = chains(waits).iter().find_map(|chain| chain.activity.pid)?;
        Some((pid, &seen.shard))
    });
    if let Some((pid, shard)) = fronts.into_iter().next() {
        let shard = match seen.len() {
            1 => String::new(),
            _ => format!(" --shard {shard}"),
        };
        output.note(&format!(
            "to end a session and roll back what it did: `tenantry blockers --terminate {pid}{shard}`"
        ));
    }
}
