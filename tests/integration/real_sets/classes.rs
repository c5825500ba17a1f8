//! Why `verify` and `pg_dump` may say different things of the same way back: by what the scripts and the findings are, never
//! by the name of a migration.

use tenantry::{
    sql,
    structure::{Change, Difference, Kind},
    verify::{Outcome, Proof},
};

use super::{
    corpus::Corpus,
    formats::Pair,
    verdicts::{self, Line, Way},
};

/// A reason for a disagreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// An extension, which a database has, not a schema.
    Extension,
    /// A table in a schema that is not the one that is migrated.
    OtherSchema,
}

/// All of them, in the order in which the page has them.
pub(crate) const CLASSES: [Class; 2] = [Class::Extension, Class::OtherSchema];

impl Class {
    /// The one that explains why `verify` says something else than the line.
    pub(crate) fn of(corpus: &Corpus, pair: &Pair, proof: &Proof, line: &Line) -> Option<Self> {
        let ours = verdicts::ways(proof)?;
        let (up, down) = (statements(&pair.up), statements(pair.down.as_deref()?));
        let begins = |texts: &[String], words: &str| texts.iter().any(|t| t.starts_with(words));
        let exact = [Way::Exact, Way::Exact];
        let left = line.down == "extension left" && ours == exact;
        let moved = ["exact", "extension left"].contains(&line.down)
            && ours == [Way::Exact, Way::Differs]
            && begins(&down, "drop extension")
            && differences(proof).all(is_of_moved_extension);
        if (left || moved) && line.ways()[1] == Way::Exact && begins(&up, "create extension") {
            return Some(Self::Extension);
        }
        let is_elsewhere = |text: &String| {
            let named = |schema| text.contains(&format!("{schema}."));
            corpus.writes.iter().any(named)
        };
        let elsewhere = ours == exact && up.iter().chain(&down).all(is_elsewhere);
        elsewhere.then_some(Self::OtherSchema)
    }

    /// What heads its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Extension => "an extension",
            Self::OtherSchema => "another schema",
        }
    }

    /// What it is, in a sentence or two.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Extension => {
                "`pg_dump` of the database sees that the down leaves the extension that the up made. For `verify` the \
                 extension was there before, as extensions are the database's and not a tenant's. Where a down drops \
                 one all the same, the up makes it anew in the schema that is migrated, and `verify` sees it there, and \
                 that what uses it names another schema."
            }
            Self::OtherSchema => {
                "All statements are about tables in a schema of their own, which is not the one that is migrated; \
                 `verify` looks at that one only."
            }
        }
    }
}

/// The statements of a script in lower case, with single spaces and without comments before them.
fn statements(text: &str) -> Vec<String> {
    let words = |text: &str| {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    let found = sql::split(text).unwrap();
    let texts = found.into_iter().map(|s| words(&text[s.span]));
    texts
        .filter(|text| text != "begin" && text != "commit")
        .collect()
}

fn differences(proof: &Proof) -> impl Iterator<Item = &Difference> {
    let outcomes = proof.findings.iter().map(|finding| &finding.outcome);
    outcomes.flat_map(|outcome| match outcome {
        Outcome::Differs { differences } => &differences[..],
        Outcome::Loses { .. } | Outcome::Fails { .. } | Outcome::Refused { .. } => &[],
    })
}

/// Whether it is an extension that was made, or what names it by another schema than `extensions`, where it was at first.
fn is_of_moved_extension(difference: &Difference) -> bool {
    match &difference.change {
        Change::Added => difference.object.kind == Kind::Extension,
        Change::Property {
            before: Some(before),
            after: Some(after),
            ..
        } => before.contains("extensions.") && before.replace("extensions.", "") == *after,
        _ => false,
    }
}
