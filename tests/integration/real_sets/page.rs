//! The part of `docs/real-sets.md` that is made from what was found: written on demand, else compared.

use std::{env, fs, path::Path};

use tenantry::verify::{Finding, Outcome, Proof, Verdict};

use super::{
    carried::Carried,
    corpus::{Corpus, skipped},
    statements,
};

const BEGIN: &str = "<!-- Made by a test from here on. -->\n";
const END: &str = "<!-- Up to here. -->\n";

/// What the table says of each set, in order.
const HEAD: &str = "\
| set | commit | migrations | applied | schemas | structure as `psql` leaves it | scripts split as PostgreSQL does | ways back that are exact | that differ | that fail |
|---|---|--:|--:|--:|---|--:|--:|--:|--:|
";

/// The major version of the server, as the server says it. Two of them may write the same definition differently.
pub(crate) struct Major(pub(crate) String);

/// Writes the part where `TENANTRY_WRITE_DOCS` is set; else the page must say the same.
pub(crate) fn check(folder: &Path, major: &Major, rows: &[(&Corpus, Carried)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/real-sets.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made_with = format!("\nMade with PostgreSQL {}.\n", major.0);
    let part = part(folder, rows);
    let made = format!("{before}{BEGIN}{made_with}{part}{END}{after}");
    if env::var_os("TENANTRY_WRITE_DOCS").is_some() {
        let dumped = rows.iter().all(|(_, carried)| carried.dumped);
        assert!(
            dumped,
            "without pg_dump nobody can say that its dumps are equal"
        );
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

fn part(folder: &Path, rows: &[(&Corpus, Carried)]) -> String {
    let mut part = format!("\n{HEAD}");
    for (corpus, carried) in rows {
        part += &row(folder, corpus, carried);
    }
    part += "\nWhat was found on the way back, and in a second tenant's schema:\n";
    for (corpus, carried) in rows {
        let proofs = carried.ways_back.proofs().filter(|proof| !proof.is_ok());
        let lines: Vec<_> = proofs.map(line).collect();
        if !lines.is_empty() {
            part += &format!("\n**{}**\n\n{}", corpus.name, lines.concat());
        }
    }
    part + "\n"
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
    let theirs = |proof: &&Proof| !is_stub(proof);
    let count = |verdict: Verdict| {
        let proofs = carried.ways_back.migrations.iter().filter(theirs);
        proofs.filter(|proof| proof.verdict == verdict).count()
    };
    format!(
        "| {} | `{}` | {} | {} | {} | {structure} | {split} | {} | {} | {} |\n",
        corpus.name,
        corpus.commit,
        carried.migrations,
        carried.migrations,
        carried.schemas,
        count(Verdict::Exact),
        count(Verdict::Differs),
        count(Verdict::Fails),
    )
}

/// Whether it is our own migration, which stands before theirs.
fn is_stub(proof: &Proof) -> bool {
    proof.name == "stubs"
}

/// One proof, and how much was wrong; of many differences the first.
fn line(proof: &Proof) -> String {
    let name = match proof.version {
        Some(version) => format!("`{version}` {}", proof.name),
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
