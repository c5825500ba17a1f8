//! Sets that others wrote, taken up, down and up again: `verify` says of each way back what `psql` and `pg_dump` said.

use std::{cmp::Reverse, fmt::Write as _};

use futures::{StreamExt as _, stream};
use tenantry::verify::{Proof, Request, ScopeReport, verify};

use super::{
    classes::Class,
    corpus::{Corpus, Files, folder},
    formats::Pair,
    page,
    sets::CORPORA,
    verdicts::{self, Line},
};
use crate::support::server;

/// How many sets are verified at once.
const AT_ONCE: usize = 4;

/// What `verify` says of one set, beside what was said before.
pub(crate) struct Verified {
    pub(crate) corpus: &'static Corpus,
    pub(crate) files: Files,
    pub(crate) report: ScopeReport,
    /// How many migrations were judged by both.
    pub(crate) judged: usize,
    /// Where they disagree for a reason that is known.
    pub(crate) classes: Vec<Class>,
    /// Where nobody knows why they disagree.
    pub(crate) unexplained: Vec<String>,
}

#[tokio::test]
async fn verdicts_are_those_of_psql_and_pg_dump() {
    let Some(folder) = folder() else { return };
    let mut sets: Vec<_> = CORPORA
        .iter()
        .filter_map(|corpus| Some((corpus, corpus.files(&folder)?)))
        .collect();
    assert!(!sets.is_empty(), "no set is in {folder:?}");
    // What takes longest begins first.
    sets.sort_by_key(|(_, files)| Reverse(files.pairs.len()));
    let mut verified: Vec<_> = stream::iter(sets)
        .map(async |(corpus, files)| {
            let report = ways_back(corpus, &files).await;
            Verified::new(corpus, files, report)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut unexplained = String::new();
    for verified in &verified {
        for disagreement in &verified.unexplained {
            writeln!(unexplained, "{}: {disagreement}", verified.corpus.name).unwrap();
        }
    }
    assert!(unexplained.is_empty(), "{unexplained}");
    if verified.len() == CORPORA.len() {
        let place = |of: &Corpus| CORPORA.iter().position(|corpus| corpus.name == of.name);
        verified.sort_by_key(|verified| place(verified.corpus));
        page::check(page::VERIFIED, &page::verified(&verified)).await;
    }
}

/// Takes each migration up, down and up again, by our own verdict.
async fn ways_back(corpus: &Corpus, files: &Files) -> ScopeReport {
    let settings = corpus.settings(files, None);
    let request = Request {
        scopes: &[corpus.scope()],
        prepare: Some(corpus.prepare),
        // Nor do `psql` and `pg_dump` put rows into tables.
        rows: 0,
        ..Request::new(&settings)
    };
    let report = verify(server().await, &request).await.unwrap();
    report.scopes.into_iter().next().unwrap()
}

impl Verified {
    fn new(corpus: &'static Corpus, files: Files, report: ScopeReport) -> Self {
        let mut lines = verdicts::of_set(corpus.name);
        let mut verified = Self {
            corpus,
            judged: lines.len(),
            classes: Vec::new(),
            unexplained: Vec::new(),
            files,
            report,
        };
        for proof in &verified.report.migrations {
            let pair = verified.files.pair(proof.version.unwrap());
            let Some((pair, line)) =
                pair.and_then(|pair| Some((pair, lines.remove(&*pair.label)?)))
            else {
                continue;
            };
            match judge(corpus, pair, proof, &line) {
                Ok(class) => verified.classes.extend(class),
                Err(disagreement) => verified.unexplained.push(disagreement),
            }
        }
        let missing = lines
            .into_keys()
            .map(|label| format!("{label} is not there"));
        verified.unexplained.extend(missing);
        verified
    }

    /// What a migration is called by its own files; none where it is ours.
    pub(crate) fn label(&self, proof: &Proof) -> Option<&str> {
        let pair = self.files.pair(proof.version?)?;
        Some(&pair.label)
    }
}

/// The class of a disagreement, where there is one; the error is one that no class explains.
fn judge(
    corpus: &Corpus,
    pair: &Pair,
    proof: &Proof,
    line: &Line,
) -> Result<Option<Class>, String> {
    let theirs = line.ways();
    let Some(ours) = verdicts::ways(proof) else {
        let findings: Vec<_> = proof.findings.iter().map(ToString::to_string).collect();
        return Err(format!("{}: {}", pair.label, findings.join("; ")));
    };
    if ours == theirs {
        return Ok(None);
    }
    let class = Class::of(corpus, pair, proof, line);
    class.map(Some).ok_or_else(|| {
        let findings: Vec<_> = proof.findings.iter().map(ToString::to_string).collect();
        format!(
            "{}: {line}, but here {} and {}\n{}",
            pair.label,
            ours[0],
            ours[1],
            findings.join("\n")
        )
    })
}
