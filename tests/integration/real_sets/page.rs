//! The parts of `docs/real-sets.md` that are made from what was found: written on demand, else compared.

use std::{env, fs, path::Path, sync::Mutex};

use tenantry::verify::{Finding, Outcome, Proof, Verdict};

use super::{
    carried::Carried,
    classes::CLASSES,
    corpus::{Corpus, skipped},
    statements,
    verified::Verified,
};
use crate::support::database;

/// What begins the part about structures.
pub(crate) const CARRIED: &str = "<!-- Carried: made by a test from here on. -->\n";
/// What begins the part about ways back.
pub(crate) const VERIFIED: &str = "<!-- Verified: made by a test from here on. -->\n";
const END: &str = "<!-- Up to here. -->\n";

/// What the table says of each set, in order.
const HEAD: &str = "\
| set | commit | migrations | applied | schemas | structure as `psql` leaves it | scripts split as PostgreSQL does |
|---|---|--:|--:|--:|---|--:|
";

/// Whether the page is to be written.
pub(crate) fn is_written() -> bool {
    env::var_os("TENANTRY_WRITE_DOCS").is_some()
}

/// Writes the part that `begin` begins where `TENANTRY_WRITE_DOCS` is set; else the page must say the same.
pub(crate) async fn check(begin: &str, part: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // Two of them may write the same definition differently.
    let major = major().await;
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/real-sets.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made_with = format!("\nMade with PostgreSQL {major}.\n");
    let made = format!("{before}{begin}{made_with}\n{part}\n{END}{after}");
    if is_written() {
        fs::write(path, made).unwrap();
    } else if !rest.starts_with(&made_with) {
        skipped("docs/real-sets.md was made with another PostgreSQL");
    } else {
        assert_eq!(
            page, made,
            "docs/real-sets.md is stale: TENANTRY_WRITE_DOCS=1 writes it"
        );
    }
}

/// The major version of the server, as the server says it.
async fn major() -> String {
    let mut connection = database().await.connect().await;
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    version.split('.').next().unwrap().to_owned()
}

/// The part about structures.
pub(crate) fn carried(folder: &Path, rows: &[(&Corpus, Carried)]) -> String {
    let rows = rows
        .iter()
        .map(|(corpus, carried)| row(folder, corpus, carried));
    HEAD.to_owned() + &rows.collect::<String>()
}

fn row(folder: &Path, corpus: &Corpus, carried: &Carried) -> String {
    let split = statements::count(folder, corpus.name);
    let split = split.map_or("–".to_owned(), |counted| {
        let right = counted.scripts - counted.wrong.len();
        format!("{right} of {}", counted.scripts)
    });
    let structure = match &carried.differences[..] {
        [] => "yes".to_owned(),
        differences => differences.join("; "),
    };
    format!(
        "| {} | `{}` | {} | {} | {} | {structure} | {split} |\n",
        corpus.name, corpus.commit, carried.migrations, carried.migrations, carried.schemas,
    )
}

/// The part about ways back.
pub(crate) fn verified(sets: &[Verified]) -> String {
    let mut part = VERIFIED_HEAD[0].to_owned();
    part.extend(CLASSES.map(|class| format!(" {} |", class.title())));
    part += &format!("\n{}{}\n", VERIFIED_HEAD[1], "--:|".repeat(CLASSES.len()));
    part.extend(sets.iter().map(verified_row));
    part += "\nWhere the two disagree, it is about:\n\n";
    part.extend(CLASSES.map(|class| format!("* **{}**: {}\n", class.title(), class.meaning())));
    part += "\nNo disagreement is left unexplained.\n\nWhat was found on the way back, and in a second tenant's schema:\n";
    for set in sets {
        let proofs = set.report.proofs().filter(|proof| !proof.is_ok());
        let lines: String = proofs.map(|proof| line(set, proof)).collect();
        if !lines.is_empty() {
            part += &format!("\n**{}**\n\n{lines}", set.corpus.name);
        }
    }
    part
}

/// What the table says of each set, before the classes.
const VERIFIED_HEAD: [&str; 2] = [
    "| set | ways back that are exact | that differ | that fail | that are not there | judged by `pg_dump` too | agree |",
    "|---|--:|--:|--:|--:|--:|--:|",
];

fn verified_row(set: &Verified) -> String {
    let theirs = |proof: &&Proof| set.label(proof).is_some();
    let counts = [
        Verdict::Exact,
        Verdict::Differs,
        Verdict::Fails,
        Verdict::Irreversible,
    ]
    .map(|verdict| {
        let proofs = set.report.migrations.iter().filter(theirs);
        proofs.filter(|proof| proof.verdict == verdict).count()
    });
    let mut cells = vec![set.corpus.name.to_owned()];
    cells.extend(counts.map(|count| count.to_string()));
    let agree = set.judged - set.classes.len() - set.unexplained.len();
    cells.extend([set.judged, agree].map(|count| count.to_string()));
    cells.extend(CLASSES.map(|class| {
        let of_it = set.classes.iter().filter(|of| **of == class);
        of_it.count().to_string()
    }));
    format!("| {} |\n", cells.join(" | "))
}

/// One proof, and how much was wrong; of many differences the first.
fn line(set: &Verified, proof: &Proof) -> String {
    let name = match set.label(proof) {
        Some(label) => format!("`{label}`"),
        None => proof.name.clone(),
    };
    let findings: Vec<_> = proof.findings.iter().map(told).collect();
    format!("* {name}: {}\n", findings.join("; "))
}

fn told(finding: &Finding) -> String {
    let stage = finding.stage;
    match &finding.outcome {
        Outcome::Differs { differences } => {
            let first = &differences[0];
            let text = format!("`{}`", first.to_string().replace('`', "'"));
            let text = if text.len() > 160 {
                format!("`{}`, …", first.object)
            } else {
                text
            };
            match differences.len() - 1 {
                0 => format!("{stage} leaves {text}"),
                more => format!("{stage} leaves {text} and {more} more"),
            }
        }
        Outcome::Loses { losses } => format!("{stage}: {}", losses[0]),
        Outcome::Fails { failure } => format!("{stage} fails: {}", failure.error),
        Outcome::Refused { refusal } => format!("{stage} is refused: {refusal}"),
    }
}
