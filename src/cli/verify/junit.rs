//! What was proven, as the XML that build servers read.

use crate::verify::{Outcome, Proof, Report, ScopeReport, Verdict};

/// The whole document: a suite a scope, a case a proof.
pub(super) fn document(report: &Report) -> String {
    let suites: String = report.scopes.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tenantry verify\">\n{suites}</testsuites>\n"
    )
}

fn suite(scope: &ScopeReport) -> String {
    let count = |wanted: fn(&Proof) -> bool| scope.proofs().filter(|p| wanted(p)).count();
    let not_begun = scope.not_begun.as_ref();
    let failures = count(is_failure) + usize::from(not_begun.is_some());
    let tests = scope.proofs().count() + usize::from(not_begun.is_some());
    let skipped = count(is_skipped);
    let cases: String = scope.proofs().map(|p| case(scope, p)).collect();
    let begin: String = not_begun
        .map(|outcome| begin(scope, outcome))
        .unwrap_or_default();
    let remarks = remarks(scope);
    format!(
        "  <testsuite name=\"{0}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n{begin}{cases}{remarks}  </testsuite>\n",
        scope.scope
    )
}

/// What belongs to no case, for the reader.
fn remarks(scope: &ScopeReport) -> String {
    let not_seeded = scope.rows.iter().flat_map(|rows| &rows.not_seeded);
    let not_seeded = not_seeded.map(|table| format!("not seeded: {table}"));
    let deleted = scope.deleted.iter().map(|file| format!("deleted: {file}"));
    let older = scope.older_faults.iter();
    let older = older.map(|version| format!("not judged, and its way back is faulty: {version}"));
    let reason = scope.paths_left_out.iter();
    let no_paths = reason.map(|reason| format!("paths of several at once not tried: {reason}"));
    let remarks: Vec<_> = not_seeded
        .chain(older)
        .chain(no_paths)
        .chain(deleted)
        .collect();
    match &remarks[..] {
        [] => String::new(),
        remarks => format!("    {}\n", said(&remarks.join("\n"))),
    }
}

fn said(text: &str) -> String {
    format!("<system-out>{}</system-out>", escaped(text))
}

fn case(scope: &ScopeReport, proof: &Proof) -> String {
    let name = match proof.version {
        Some(version) => format!("{version} {}", proof.name),
        None => proof.name.clone(),
    };
    let found: Vec<_> = proof.findings.iter().map(ToString::to_string).collect();
    let inside = match proof.verdict {
        _ if is_skipped(proof) => format!("<skipped message=\"{}\"/>", proof.verdict),
        Verdict::Exact => String::new(),
        verdict => failure(&verdict.to_string(), &found.join("\n")),
    };
    let notes: Vec<_> = proof.notes().collect();
    match &notes[..] {
        [] => element(scope, &name, &inside),
        notes => element(scope, &name, &(inside + &said(&notes.join("\n")))),
    }
}

/// The case of a shared set that does not come up.
fn begin(scope: &ScopeReport, outcome: &Outcome) -> String {
    element(
        scope,
        "the shared set comes up",
        &failure("not tried", &outcome.to_string()),
    )
}

fn element(scope: &ScopeReport, name: &str, inside: &str) -> String {
    format!(
        "    <testcase classname=\"{}\" name=\"{}\">{inside}</testcase>\n",
        scope.scope,
        escaped(name)
    )
}

fn failure(message: &str, text: &str) -> String {
    format!(
        "<failure message=\"{}\">{}</failure>",
        escaped(message),
        escaped(text)
    )
}

fn is_failure(proof: &Proof) -> bool {
    !proof.is_ok() && !is_skipped(proof)
}

fn is_skipped(proof: &Proof) -> bool {
    matches!(
        proof.verdict,
        Verdict::Irreversible | Verdict::NotJudged | Verdict::NotTried
    )
}

/// XML has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_the_document() {
        assert_eq!(escaped("a<\"&\u{1}>\n"), "a&lt;&quot;&amp;\u{fffd}&gt;\n");
    }
}
