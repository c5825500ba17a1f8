//! What the server said while migrations ran: grouped and counted, as failures are.

use super::name;
use crate::{
    apply::Noticed,
    cli::{
        human,
        output::Output,
        table::{self, Table},
    },
    fleet::Fleet,
    telemetry::NoticeLevel,
    travel::{NoticeGroup, Report, ScopeReport},
};

/// So many of them are shown; `--output json` has them all.
const SHOWN: usize = 10;

/// Shows what the server said, warnings first.
pub(super) fn show(report: &Report, fleet: &Fleet, output: &Output) {
    let groups = report.scopes.iter().flat_map(ScopeReport::notice_groups);
    let is_said =
        |group: &NoticeGroup<'_>| !output.is_quiet() || group.example.level == NoticeLevel::Warning;
    let mut groups: Vec<_> = groups.filter(is_said).collect();
    // The order of the scopes stays within a level.
    groups.sort_by_key(|group| group.example.level);
    let Some(first) = groups.first() else {
        return;
    };
    let text = "PostgreSQL said while migrations ran that were committed:";
    match first.example.level {
        NoticeLevel::Warning => output.warning(text),
        NoticeLevel::Notice => output.note(text),
    }
    output.aside(&format!("\n{}\n", table(&groups, fleet, output)));
}

fn table(groups: &[NoticeGroup<'_>], fleet: &Fleet, output: &Output) -> String {
    let mut table = Table::new(
        output.error_paint,
        ["SCHEMAS", "EXAMPLE", "LEVEL", "MIGRATION", "MESSAGE"],
    )
    .numbers(&[0]);
    for group in groups.iter().take(SHOWN) {
        let example = group.targets.first().map(|target| name(target, fleet));
        table.row([
            human::number(group.targets.len()).into(),
            example.unwrap_or_default().into(),
            match group.example.level {
                NoticeLevel::Warning => table::caution(group.example.level),
                NoticeLevel::Notice => table::faint(group.example.level),
            },
            migration(group.example).into(),
            message(&group.example.message, group.times, group.targets.len()).into(),
        ]);
    }
    let mut text = table.render();
    if groups.len() > SHOWN {
        let more = human::number(groups.len() - SHOWN);
        text.push_str(&format!(
            "\n{more} more of these; --output json has them all"
        ));
    }
    text
}

/// `2 orders`, `2 orders (down)`, `total` of a repeatable.
fn migration(noticed: &Noticed) -> String {
    let version = noticed.version.map(|version| format!("{version} "));
    let back = match noticed.direction {
        crate::migration::Direction::Up => "",
        crate::migration::Direction::Down => " (down)",
    };
    format!("{}{}{back}", version.unwrap_or_default(), noticed.name)
}

fn message(message: &str, times: u64, targets: usize) -> String {
    // Once in each is what one expects.
    if usize::try_from(times).is_ok_and(|times| times == targets) {
        message.to_owned()
    } else {
        format!("{message} (×{times})")
    }
}
