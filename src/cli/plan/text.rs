//! The plan for people.

use super::{Planned, PlannedScope};
use crate::{
    cli::{
        human,
        paint::Paint,
        report,
        table::Table,
        trip::{targets, things},
    },
    fleet::Fleet,
    migration::{Problem, Scope, Severity},
    plan::{Plan, Refusal},
};

/// A block for each cohort. As `sql`, all but the messages is in comments, to be read by other programs too.
pub(super) fn plan(scopes: &[PlannedScope], fleet: &Fleet, sql: bool, paint: Paint) -> String {
    let shown = |text: String| if sql { commented(&text) } else { text };
    let mut blocks = Vec::new();
    for scope in scopes {
        for planned in scope.cohorts.iter().filter(|p| !is_idle(scope, p, fleet)) {
            blocks.push(shown(cohort(scope, planned, sql, paint)));
            let messages = planned.messages.iter().flatten().enumerate();
            let example = planned.cohort.targets.first();
            let example = example.map(|(target, _)| report::name(target, fleet));
            let example = example.unwrap_or_default();
            blocks.extend(messages.map(|(index, message)| {
                let title = format!("-- {example}: message {}", index + 1);
                format!("{}\n{}", paint.faint(title), message.trim_end())
            }));
            let others = planned.cohort.targets.len().saturating_sub(1);
            if planned.messages.as_ref().is_some_and(|m| !m.is_empty()) && others > 0 {
                blocks.push(shown(format!(
                    "{} more: the same, unwatched; several in one transaction where the plan is light",
                    human::number(others)
                )));
            }
        }
        if scope.cohorts.is_empty() && scope.blocked.is_empty() {
            blocks.push(shown(format!("no {} to move", things(scope.scope))));
        }
        let blocked = report::blocked_lines(&scope.blocked, fleet);
        let blocked = blocked.iter().map(|line| paint.labelled("blocked:", line));
        let blocked: Vec<_> = blocked.collect();
        if !blocked.is_empty() {
            blocks.push(shown(blocked.join("\n")));
        }
    }
    let away = report::away_lines(scopes.iter().flat_map(|scope| &scope.blocked));
    let away: Vec<_> = away
        .iter()
        .map(|line| paint.labelled("error:", line))
        .collect();
    if !away.is_empty() {
        blocks.push(shown(away.join("\n")));
    }
    blocks.join("\n\n")
}

/// Whether there is no shared set to speak of.
fn is_idle(scope: &PlannedScope, planned: &Planned, fleet: &Fleet) -> bool {
    let nothing = planned.cohort.plan.as_ref().is_ok_and(Plan::is_empty);
    scope.scope == Scope::Shared
        && nothing
        && planned.cohort.applied.is_empty()
        && fleet.shared.is_empty()
}

fn cohort(scope: &PlannedScope, planned: &Planned, sql: bool, paint: Paint) -> String {
    let cohort = &planned.cohort;
    let stands = cohort.version().map_or_else(
        || "with nothing applied".to_owned(),
        |version| format!("at {version}"),
    );
    let whom = paint.strong(targets(scope.scope, cohort.targets.len()));
    let title = format!("{whom} {stands}:");
    match &cohort.plan {
        Err(refusal) => format!("{title}\n{}", refused(refusal, paint)),
        Ok(plan) if plan.is_empty() => format!("{title} nothing to do"),
        Ok(plan) if sql => format!("{title} {}", work(plan)),
        Ok(plan) => format!("{title} {}\n\n{}", work(plan), steps(plan, paint)),
    }
}

fn commented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("-- {line}")).collect();
    lines.join("\n")
}

/// `2 migrations, 2 repeatables`.
fn work(plan: &Plan) -> String {
    let counts = [
        (plan.steps.len(), "migration", "migrations"),
        (plan.repeatables.len(), "repeatable", "repeatables"),
    ];
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| human::count(count, one, many))
        .collect();
    counts.join(", ")
}

fn steps(plan: &Plan, paint: Paint) -> String {
    let mut table = Table::new(paint, ["", "VERSION", "NAME", "STATEMENTS"]).numbers(&[3]);
    for step in &plan.steps {
        table.row([
            step.direction.to_string(),
            step.migration.version.to_string(),
            step.migration.name.clone(),
            human::number(step.script.statements.len()),
        ]);
    }
    for repeatable in &plan.repeatables {
        table.row([
            "up".to_owned(),
            "repeatable".to_owned(),
            repeatable.name.clone(),
            human::number(repeatable.script.statements.len()),
        ]);
    }
    table.render()
}

fn refused(refusal: &Refusal, paint: Paint) -> String {
    let Refusal::Problems(problems) = refusal else {
        return paint.labelled("refused:", &refusal.to_string());
    };
    let render = |problem: &Problem| problem.render(Severity::Error, paint.enabled);
    let problems: Vec<_> = problems.iter().map(render).collect();
    let problems = problems.join("\n\n");
    let refused = paint.labelled("refused:", &refusal.to_string());
    format!("{refused}\n\n{problems}")
}
