//! Sets that others wrote, taken up, down and up again: `verify` says of each way back what `psql` and `pg_dump` said.

use std::fmt::Write as _;

use futures::{StreamExt as _, stream};
use tenantry::verify::{Request, ScopeReport, verify};

use super::{
    corpus::{Corpus, Files, folder},
    sets::CORPORA,
    verdicts,
};
use crate::support::server;

/// How many sets are verified at once.
const AT_ONCE: usize = 3;

#[tokio::test]
async fn verdicts_are_those_of_psql_and_pg_dump() {
    let Some(folder) = folder() else { return };
    let sets = CORPORA.iter().filter_map(|corpus| {
        if let Ok(only) = std::env::var("ONLY") { if !only.split(',').any(|o| corpus.name.contains(o)) { return None } }
        let files = corpus.files(&folder)?;
        Some((corpus, files))
    });
    let verified: Vec<_> = stream::iter(sets)
        .map(async |(corpus, files)| {
            let before = std::time::Instant::now();
            let report = ways_back(corpus, &files).await;
            eprintln!("{}: {:?}", corpus.name, before.elapsed());
            (corpus, files, report)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut out = String::new();
    for (corpus, files, report) in &verified {
        let lines = verdicts::of_set(corpus.name);
        writeln!(
            out,
            "## {} {:?} {:?}",
            corpus.name,
            report.not_begun,
            report.whole.as_ref().map(|w| w.verdict)
        )
        .unwrap();
        for proof in &report.migrations {
            let Some(pair) = files.pair(proof.version.unwrap()) else {
                continue;
            };
            let Some(line) = lines.get(&*pair.label) else {
                writeln!(out, "no line {}", pair.label).unwrap();
                continue;
            };
            let ours = verdicts::ways(proof);
            if ours != Some(line.ways()) {
                writeln!(out, "- {}: ours {:?} theirs {:?}", pair.label, ours, line).unwrap();
                for f in &proof.findings {
                    writeln!(out, "{f}").unwrap();
                }
            }
        }
    }
    std::fs::write("/tmp/corpora-out.txt", out).unwrap();
}

async fn ways_back(corpus: &Corpus, files: &Files) -> ScopeReport {
    let t = std::time::Instant::now();
    let request = Request {
        settings: &corpus.settings(files, None),
        scopes: &[corpus.scope()],
        prepare: Some(corpus.prepare),
        observe: &|_, proof| if std::env::var("ONLY").is_ok() { eprintln!("{:?} {:?} {} {:?}", t.elapsed(), proof.version, proof.name, proof.verdict) },
    };
    let report = verify(server().await, &request).await.unwrap();
    report.scopes.into_iter().next().unwrap()
}
