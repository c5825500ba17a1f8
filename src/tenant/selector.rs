//! Selectors: which tenants a command is about.
//!
//! Pure: files are read by whoever parses, and a selector knows nothing of databases.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use sha2::{Digest as _, Sha256};

mod parse;

/// Which tenants a command is about: the union of its terms, without what is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    include: Vec<Term>,
    exclude: Vec<Term>,
}

/// What a selector looks at.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The tenant's name.
    pub name: &'a str,
    /// The name of its shard.
    pub shard: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The number of the highest version applied; none is lower than all.
    pub version: Option<u128>,
}

/// Why a text selects nothing.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// The text is no selector.
    #[error("`{selector}` is no selector: {reason}, at character {position}")]
    Syntax {
        /// The whole text.
        selector: String,
        /// What is wrong, and what to write instead.
        reason: String,
        /// Where, counted from 1.
        position: usize,
    },
    /// A file of names cannot be read.
    #[error("cannot read the tenants in {file}")]
    File {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name that no tenant has.
    #[error("no tenant {name}{}", suggestion(.near))]
    Unknown {
        /// The name.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// A shard that there is not.
    #[error("no shard {name}; there are {shards}")]
    UnknownShard {
        /// The name.
        name: String,
        /// Those that there are.
        shards: String,
    },
}

/// One part of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Name(String),
    Glob(Vec<Mark>),
    Label(String, String),
    Shard(String),
    Version(Comparison, u128),
    /// The lines of a file.
    Names(BTreeSet<String>),
    /// In hundredths of a percent.
    Percent(u16),
}

/// One place of a glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Any,
    One,
    Char(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Selector {
    /// Reads a selector; `read` is asked for the text of each file that it names.
    ///
    /// # Errors
    /// The text is no selector, or a file cannot be read.
    pub fn parse(
        text: &str,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, SelectorError> {
        parse::selector(text, &read)
    }

    /// Whether a tenant is selected.
    pub fn matches(&self, tenant: &Candidate<'_>) -> bool {
        // What only excludes, excludes from all.
        (self.include.is_empty() || self.include.iter().any(|term| term.matches(tenant)))
            && !self.exclude.iter().any(|term| term.matches(tenant))
    }

    /// Refuses names that none of `tenants` has, and shards that are none of `shards`: a slip in what is excluded would move
    /// the very tenant that was meant.
    ///
    /// # Errors
    /// The first of such names.
    pub fn check_names(&self, tenants: &[&str], shards: &[&str]) -> Result<(), SelectorError> {
        let terms = || self.include.iter().chain(&self.exclude);
        let is_no_shard =
            |term: &&Term| matches!(term, Term::Shard(name) if !shards.contains(&name.as_str()));
        if let Some(Term::Shard(name)) = terms().find(is_no_shard) {
            return Err(SelectorError::UnknownShard {
                name: name.clone(),
                shards: shards.join(", "),
            });
        }
        let known: BTreeSet<&str> = tenants.iter().copied().collect();
        let is_unknown = |name: &&String| !known.contains(name.as_str());
        let unknown = |term: &'_ Term| match term {
            Term::Name(name) => Some(name).filter(is_unknown).cloned(),
            Term::Names(names) => names.iter().find(is_unknown).cloned(),
            _ => None,
        };
        match terms().find_map(unknown) {
            None => Ok(()),
            Some(name) => Err(SelectorError::Unknown {
                near: similar(&name, tenants),
                name,
            }),
        }
    }

    /// Labels that none of `tenants` has: mostly a slip, but a label may also be one that nobody has yet.
    pub fn labels_of_nobody(&self, tenants: &[Candidate<'_>]) -> Vec<String> {
        let terms = self.include.iter().chain(&self.exclude);
        let label = |term: &Term| match term {
            Term::Label(key, value) if !tenants.iter().any(|tenant| term.matches(tenant)) => {
                Some(format!("{key}={value}"))
            }
            _ => None,
        };
        terms.filter_map(label).collect()
    }
}

impl Term {
    fn matches(&self, tenant: &Candidate<'_>) -> bool {
        match self {
            Self::Name(name) => tenant.name == name,
            Self::Glob(marks) => glob(marks, tenant.name),
            Self::Label(key, value) => tenant.labels.get(key) == Some(value),
            Self::Shard(shard) => tenant.shard == shard,
            Self::Version(comparison, version) => comparison.holds(tenant.version, *version),
            Self::Names(names) => names.contains(tenant.name),
            Self::Percent(hundredths) => lot(tenant.name) < *hundredths,
        }
    }
}

impl Comparison {
    fn holds(self, version: Option<u128>, other: u128) -> bool {
        let version = version.cmp(&Some(other));
        match self {
            Self::Less => version.is_lt(),
            Self::LessOrEqual => version.is_le(),
            Self::Greater => version.is_gt(),
            Self::GreaterOrEqual => version.is_ge(),
            Self::Equal => version.is_eq(),
        }
    }
}

/// Takes time in proportion to both lengths, whatever the number of stars.
fn glob(marks: &[Mark], name: &str) -> bool {
    // At `i`: whether the marks so far match the first `i` characters.
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for mark in marks {
        match mark {
            Mark::Any => {
                let first = reached.iter().position(|reached| *reached);
                reached.fill(false);
                reached[first.unwrap_or(name.len() + 1).min(name.len() + 1)..].fill(true);
            }
            Mark::One | Mark::Char(_) => {
                let fits = |at: usize| *mark == Mark::One || *mark == Mark::Char(name[at]);
                for at in (0..name.len()).rev() {
                    reached[at + 1] = reached[at] && fits(at);
                }
                reached[0] = false;
            }
        }
    }
    reached[name.len()]
}

/// A number below 10,000 that a name always draws: a bigger share holds every tenant of a smaller one.
fn lot(name: &str) -> u16 {
    let hash = Sha256::digest(name);
    let first = hash.iter().take(8);
    let number = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u16::try_from(number % 10_000).unwrap_or(u16::MAX)
}

/// At most three names that are a slip away from `name`, or begin as it does.
fn similar(name: &str, tenants: &[&str]) -> Vec<String> {
    let slips = name.chars().count().div_ceil(3);
    let mut near: Vec<_> = tenants
        .iter()
        .map(|tenant| (distance(name, tenant), *tenant))
        .filter(|(distance, tenant)| *distance <= slips || tenant.starts_with(name))
        .collect();
    near.sort_unstable();
    near.into_iter()
        .take(3)
        .map(|(_, tenant)| tenant.to_owned())
        .collect()
}

/// How many characters have to be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

fn suggestion(names: &[String]) -> String {
    match names {
        [] => "; `tenantry tenant list` names them all".to_owned(),
        names => format!("; is it {}?", names.join(" or ")),
    }
}

#[cfg(test)]
mod tests;
