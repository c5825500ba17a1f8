//! Pages that show what the code says or prints. With `TENANTRY_WRITE_DOCS` set they are written, else compared.

use std::{env, fmt::Write as _, fs, io::Write as _, path::Path, process::Command};

use tenantry::migration::CODES;

use crate::support::{database, write_or_compare};

/// Everything that a test here looks at.
const PAGES: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "docs/how-it-works.md",
    "docs/migrations.md",
    "docs/on-call.md",
    "docs/compare.md",
    "docs/library.md",
    "docs/doctor.md",
    "docs/ci.md",
    "docs/verify.md",
    "docs/rehearse.md",
    "docs/rollouts.md",
    "docs/states.md",
];

/// The block of a page that shows what a terminal shows, and how such a block ends.
const CONSOLE: (&str, &str) = ("```console\n", "```\n");

#[test]
fn the_table_of_refusals_is_current() {
    const BEGIN: &str = "<!-- Made by a test from here on. -->\n";
    const END: &str = "<!-- Up to here. -->\n";
    let page = read("docs/migrations.md");
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n{}\n{END}{after}", refusals());
    write_or_compare("docs/migrations.md", &page, &made, page == made);
}

fn refusals() -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', "<br>");
    let mut table =
        "| code | what is wrong | why it matters | what to do |\n|---|---|---|---|\n".to_owned();
    for code in CODES {
        writeln!(
            table,
            "| `{}` {} | {} | {} | {} |",
            code.id,
            code.slug,
            cell(code.title),
            cell(code.why),
            cell(code.help)
        )
        .unwrap();
    }
    table
}

#[tokio::test]
async fn the_pages_show_what_the_tour_prints() {
    if Command::new("psql").arg("--version").output().is_err() {
        assert!(
            env::var_os("CI").is_none(),
            "the tour needs psql: install it"
        );
        let why = "skipped: the tour needs psql\n";
        std::io::stderr().write_all(why.as_bytes()).unwrap();
        return;
    }
    let database = database().await;
    let program = Path::new(env!("CARGO_BIN_EXE_tenantry")).parent().unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [program.to_owned()]
        .into_iter()
        .chain(env::split_paths(&path));
    let output = Command::new("docs/tour.sh")
        .env("PATH", env::join_paths(path).unwrap())
        .env("TENANTRY__HOME__URL", &database.url)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    let printed = commands(&printed);
    for file in PAGES {
        let page = read(file);
        let made = with_consoles(&page, &printed);
        write_or_compare(file, &page, &made, steady(&page) == steady(&made));
    }
}

/// The page with every command of its consoles shown as it was printed.
fn with_consoles(page: &str, printed: &[String]) -> String {
    let mut left = printed.to_vec();
    let mut made = String::new();
    let mut rest = page;
    while let Some((before, block)) = rest.split_once(CONSOLE.0) {
        let (shown, after) = block.split_once(CONSOLE.1).unwrap();
        let shown = commands(shown).into_iter().map(|shown| {
            let typed = shown.lines().next();
            let found = left
                .iter()
                .position(|printed| printed.lines().next() == typed);
            let found =
                found.unwrap_or_else(|| panic!("the tour does not type `{typed:?}` so often"));
            left.remove(found)
        });
        let shown = shown.collect::<Vec<_>>().join("\n\n");
        made += &format!("{before}{}{shown}\n{}", CONSOLE.0, CONSOLE.1);
        rest = after;
    }
    made + rest
}

/// Each command with what it printed. Who runs the test, and where, is nobody's business.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in text.lines() {
        match commands.last_mut() {
            Some(command) if !line.starts_with("$ ") => *command += &format!("\n{line}"),
            _ => commands.push(line.to_owned()),
        }
    }
    let whose = |line: &str| match line.split_once("@") {
        Some((before, after)) if before.starts_with("CALL tenantry.leave(") => {
            let (before, _) = before.rsplit_once('\'').unwrap();
            let (_, after) = after.split_once('\'').unwrap();
            format!("{before}'you@host'{after}")
        }
        _ => line.to_owned(),
    };
    let commands = commands.iter().map(|command| {
        let lines: Vec<_> = command.trim_end().lines().map(whose).collect();
        lines.join("\n")
    });
    commands.collect()
}

/// A text without what differs from run to run: times, and the OIDs of schemas.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some((at, mark)) = [" in ", "enter(", "watch(", "audit(", "leave("]
        .into_iter()
        .filter_map(|mark| rest.find(mark).map(|at| (at, mark)))
        .min()
    {
        let (before, after) = rest.split_at(at + mark.len());
        steady += before;
        rest = after;
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            rest = rest.trim_start_matches(|c| !matches!(c, ',' | ';' | '\n'));
        }
    }
    steady + rest
}

#[test]
fn the_tests_that_the_pages_name_exist() {
    let mut named = 0;
    for page in PAGES {
        for words in read(page).split('`').skip(1).step_by(2) {
            let mut path = words.split("::");
            let is_name = |name: &str| !name.is_empty() && name.chars().all(is_of_a_name);
            if !words.contains("::") || !path.clone().all(is_name) {
                continue;
            }
            if is_test(words) {
                named += 1;
                continue;
            }
            // Pages for programmers name the library's own things as well.
            let first = path.next().unwrap();
            let is_ours = *page != "README.md"
                && (first.starts_with(char::is_uppercase)
                    || [format!("src/{first}"), format!("src/{first}.rs")]
                        .iter()
                        .any(|path| Path::new(path).exists()));
            assert!(is_ours, "{page} names `{words}`, which is no test");
        }
    }
    assert!(named > 80, "{named} tests are named");
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    for (words, is_one) in [
        ("docs::what_is_no_test_is_not_taken_for_one", true),
        (
            "chaos::kills::whoever_is_killed_leaves_nothing_twice_nothing_missing_and_nothing_half",
            true,
        ),
        ("docs::is_test", false),
        ("dogs::what_is_no_test_is_not_taken_for_one", false),
        ("docs::what_is_no_test", false),
        ("chaos::kills", false),
        ("chaos::kills::nobody_is_killed", false),
    ] {
        assert_eq!(is_test(words), is_one, "{words}");
    }
}

fn is_of_a_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// Whether `topic::test` is a test in topic.rs, or `topic::part::test` in topic/part.rs.
fn is_test(words: &str) -> bool {
    let (module, test) = words.rsplit_once("::").unwrap();
    let module = format!("tests/integration/{}", module.replace("::", "/"));
    let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
    let Some(source) = files.iter().find_map(|file| fs::read_to_string(file).ok()) else {
        return false;
    };
    let lines: Vec<_> = source.lines().collect();
    let name = format!("fn {test}(");
    let at = lines.iter().position(|line| {
        line.strip_prefix("async ")
            .unwrap_or(line)
            .starts_with(&name)
    });
    let above = at.map(|at| {
        lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
    });
    above.is_some_and(|mut above| {
        above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

/// The values of an enum in a source file, as they stand there.
fn values(file: &str, of: &str) -> Vec<String> {
    let source = read(file);
    let (_, rest) = source.split_once(&format!("pub enum {of} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let lines = body.lines().map(str::trim);
    let values = lines.filter_map(|line| line.strip_suffix(','));
    values.map(str::to_owned).collect()
}

#[test]
fn every_exit_code_and_every_fault_is_told() {
    let (ci, how) = (read("docs/ci.md"), read("docs/how-it-works.md"));
    for value in values("src/cli/exit.rs", "ExitCode") {
        let number = value.rsplit(' ').next().unwrap();
        let is_told = ci.contains(&format!("\n| {number} |"));
        assert!(is_told, "docs/ci.md says nothing of {value}");
    }
    for value in values("src/postgres/fault.rs", "Fault") {
        let row = format!("\n| {} |", value.to_lowercase());
        assert!(
            how.contains(&row),
            "docs/how-it-works.md says nothing of {value}"
        );
    }
}

fn read(page: &str) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{page}: {error}"))
}
