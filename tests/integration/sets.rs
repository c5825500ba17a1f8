//! Sets that are fine, though odd, are read as the listings beside them say.

use std::fmt::{self, Write as _};

use tenantry::migration::{MigrationSet, Scope, Script, read};

use crate::fixtures::Case;

#[test]
fn odd_sets_are_read() {
    let mut different = Vec::new();
    for case in Case::all("sets") {
        let set = case
            .read()
            .unwrap_or_else(|problems| panic!("{}: {problems}", case.name));
        let problems: Vec<_> = set.problems().map(ToString::to_string).collect();
        assert!(
            problems.is_empty(),
            "{}: {}",
            case.name,
            problems.join("\n")
        );
        different.extend(case.compare(&listing(&set).unwrap()));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_sample_sets_have_nothing_wrong() {
    for (scope, directory) in [
        (Scope::Shared, "migrations"),
        (Scope::Tenant, "tenant_migrations"),
    ] {
        let set = read(scope, &[directory.into()]).unwrap_or_else(|problems| panic!("{problems}"));
        let problems: Vec<_> = set.problems().map(ToString::to_string).collect();
        assert!(!set.migrations.is_empty(), "{directory} is empty");
        assert!(problems.is_empty(), "{}", problems.join("\n\n"));
        assert_eq!(set.notices, [""; 0], "{directory}");
    }
}

fn listing(set: &MigrationSet) -> Result<String, fmt::Error> {
    let mut text = String::new();
    for migration in &set.migrations {
        writeln!(text, "{} {:?}", migration.version, migration.name)?;
        add_script(&mut text, "up", &migration.up)?;
        if let Some(down) = &migration.down {
            add_script(&mut text, "down", down)?;
        }
    }
    for repeatable in &set.repeatables {
        writeln!(text, "repeatable {:?}", repeatable.name)?;
        add_script(&mut text, "script", &repeatable.script)?;
    }
    for notice in &set.notices {
        writeln!(text, "notice: {notice}")?;
    }
    Ok(text)
}

fn add_script(text: &mut String, what: &str, script: &Script) -> fmt::Result {
    write!(text, "  {what} {}", script.path.display())?;
    let asked = &script.directives;
    for (word, is_so) in [
        ("wrapped", script.wrapped),
        ("no-transaction", asked.no_transaction),
        ("irreversible", asked.irreversible),
    ] {
        if is_so {
            write!(text, ", {word}")?;
        }
    }
    for (word, limit) in [
        ("lock-timeout", asked.lock_timeout),
        ("statement-timeout", asked.statement_timeout),
    ] {
        if let Some(limit) = limit {
            write!(text, ", {word} {limit:?}")?;
        }
    }
    writeln!(text)?;
    for statement in &script.statements {
        let position = script.position(statement.span.start);
        writeln!(text, "    {position} {:?}", script.statement(statement))?;
    }
    Ok(())
}
