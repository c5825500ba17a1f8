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
    migration::{Problem, Severity},
    plan::{Plan, Refusal},
};

/// A block for each cohort.
pub(super) fn plan(scopes: &[PlannedScope], fleet: &Fleet, paint: Paint) -> String {
    let mut blocks = Vec::new();
    for scope in scopes {
        for planned in &scope.cohorts {
            blocks.push(cohort(scope, planned, fleet, paint));
        }
        if scope.cohorts.is_empty() && scope.blocked.is_empty() {
            blocks.push(format!("no {} to move", things(scope.scope)));
        }
        if !scope.blocked.is_empty() {
            let lines = report::blocked_lines(&scope.blocked, fleet);
            let lines = lines.iter().map(|line| paint.labelled("blocked:", line));
            blocks.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    blocks.join("\n\n")
}

fn cohort(scope: &PlannedScope, planned: &Planned, fleet: &Fleet, paint: Paint) -> String {
    let cohort = &planned.cohort;
    let stands = cohort.version().map_or_else(
        || "with nothing applied".to_owned(),
        |version| format!("at {version}"),
    );
    let whom = paint.strong(targets(scope.scope, cohort.targets.len()));
    let (what, steps) = match &cohort.plan {
        Err(refusal) => (refused(refusal, paint), None),
        Ok(plan) if plan.is_empty() => ("nothing to do".to_owned(), None),
        Ok(plan) => (work(plan), Some(steps(plan, paint))),
    };
    let separator = if cohort.plan.is_ok() { " " } else { "\n" };
    let title = format!("{whom} {stands}:{separator}{what}");
    match (&planned.messages, steps) {
        (None, None) => title,
        (None, Some(steps)) => format!("{title}\n\n{steps}"),
        // Then all of it is SQL, to be read by other programs too.
        (Some(messages), _) => {
            let example = cohort.targets.first();
            let example = example.map(|(target, _)| report::name(target, fleet));
            let sql = sql(messages, &example.unwrap_or_default(), paint);
            format!("{}{sql}", commented(&title))
        }
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

fn sql(messages: &[String], example: &str, paint: Paint) -> String {
    let mut text = String::new();
    for (index, message) in messages.iter().enumerate() {
        let title = format!("-- {example}: message {} of {}", index + 1, messages.len());
        text.push_str(&format!(
            "\n\n{}\n{}",
            paint.faint(title),
            message.trim_end()
        ));
    }
    text
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
