//! The file from which a new tenant can be built instead of by its first migrations, as `dump` writes it, and whether it
//! fits a set.
//!
//! Whoever builds from one that does not fit gives a tenant a history that is not true: so nothing is taken on trust but
//! what the head of the file says of the migrations, and that is compared with theirs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::{Goal, Plan, Refusal, Standing, Stored, plan};
use crate::{
    history::{Applied, Digest},
    migration::{Checksum, Migration, MigrationSet, Script, Version},
    sql::split,
};

/// What a structure begins with for `psql`. It is not sent to a new tenant, whose settings are made by the message.
pub const PREAMBLE: &str = "SET client_encoding = 'UTF8';\n\
    SET standard_conforming_strings = on;\n\
    SELECT pg_catalog.set_config('search_path',\n    \
    pg_catalog.quote_ident(pg_catalog.current_schema()) || ', pg_temp', false);\n\
    SET check_function_bodies = off;\n";

/// The line of the file that is for machines.
const MARK: &str = "-- tenantry: structure ";

/// What that line says where nobody can be built from the file.
pub const NOBODY: &str = "-- tenantry: structure builds-no-tenant\n";

/// A file from which new tenants can be built. It is looked at when the first one is.
#[derive(Debug)]
pub struct Blueprint {
    path: PathBuf,
    text: Result<Arc<str>, String>,
    read: OnceLock<Result<Drawing, Unfit>>,
}

/// What the file says of itself: which migrations it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The highest of them.
    pub version: Version,
    /// The major version of PostgreSQL that it was proven on.
    pub postgres: i32,
    /// The digest of them, as heads have it.
    pub digest: Digest,
    /// The digest of the repeatables that are in it.
    pub repeatables: Digest,
    /// What it knew of the shared set: a view can have its columns from there.
    pub shared: Checksum,
    /// The checksum of what follows.
    pub body: Checksum,
}

/// What stands in for the first migrations of a new tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What is run.
    pub script: Arc<Script>,
    /// What the history then says was applied, in order.
    pub migrations: Vec<Arc<Migration>>,
    /// The highest version of them.
    pub version: Version,
    /// The digest of them.
    pub digest: Digest,
}

/// Why new tenants are not built from the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", place(.path, *.line))]
pub struct Unfit {
    /// The file.
    pub path: PathBuf,
    /// Which line of it says so; none where it is about the file as a whole.
    pub line: Option<usize>,
    /// Why, and what to do about it.
    pub why: Why,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not there, or cannot be read.
    #[error("cannot be read: {0}; `tenantry dump` writes it")]
    Unreadable(String),
    /// Nothing says which migrations it stands for.
    #[error(
        "does not say which migrations it stands for: it was not written by `tenantry dump` from the tenants' migrations; \
         `tenantry dump` writes it"
    )]
    NoOrigin,
    /// That is said in a way that cannot be read.
    #[error("`{0}` cannot be read; `tenantry dump` writes the file anew")]
    Unknown(String),
    /// It says itself that it does not stand for them.
    #[error("says that no tenant can be built from it; the lines before it say why")]
    Nobody,
    /// It was changed since it was written.
    #[error(
        "what follows is not what was written: it was changed by hand; `tenantry dump` writes the file anew"
    )]
    Edited,
    /// The set has no such version.
    #[error(
        "stands at {0}, which is in no file of the tenants' migrations; `tenantry dump` writes the file anew"
    )]
    UnknownVersion(Version),
    /// The migrations are others now.
    #[error(
        "the migrations up to {0} are not those that it was made from: one was changed, added or taken away since; \
         `tenantry dump` writes the file anew"
    )]
    Changed(Version),
    /// The repeatables are others now.
    #[error(
        "the repeatables were changed since it was written; `tenantry dump` writes the file anew"
    )]
    Repeatables,
    /// The shared set is another one now.
    #[error(
        "the shared migrations were changed since it was written, and what tenants have can depend on them; `tenantry dump` \
         writes the file anew"
    )]
    Shared,
    /// The server is of another version.
    #[error(
        "was written on PostgreSQL {file}, and the server is PostgreSQL {server}; `tenantry dump` on a server of that \
         version writes the file anew"
    )]
    Postgres {
        /// What it was written on.
        file: i32,
        /// What the shard runs.
        server: i32,
    },
}

/// What the file holds.
#[derive(Debug, Clone)]
struct Drawing {
    origin: Origin,
    line: usize,
    script: Arc<Script>,
}

impl Blueprint {
    /// The file of this path, with what is in it, or why it cannot be read, which is told by [`fit`](Self::fit).
    pub fn new(path: impl Into<PathBuf>, text: Result<String, String>) -> Self {
        Self {
            path: path.into(),
            text: text.map(Into::into),
            read: OnceLock::new(),
        }
    }

    /// The plan that builds a new tenant from it, up to the latest migration of `set`.
    ///
    /// # Errors
    /// Where it does not fit the set, the `shared` one, or the server, whose major version is `postgres`. Within, as [`plan`] has it.
    pub fn fit(
        &self,
        set: &MigrationSet,
        shared: &MigrationSet,
        postgres: i32,
        out_of_order: bool,
    ) -> Result<Result<Plan, Refusal>, Unfit> {
        let built = self.built(set, shared, postgres)?;
        let applied: Vec<_> = built.migrations.iter().map(|m| Applied::of(m)).collect();
        let standing = Standing {
            applied: &applied,
            // They are in the file, and applied all the same: their digest is then what it is for everybody.
            repeatables: Digest::EMPTY,
            running: None,
        };
        let rest = plan(set, standing, Goal::Latest, &Stored::new(), out_of_order);
        Ok(rest.map(|rest| Plan {
            built: Some(built),
            ..rest
        }))
    }

    fn built(
        &self,
        set: &MigrationSet,
        shared: &MigrationSet,
        postgres: i32,
    ) -> Result<Built, Unfit> {
        let drawing = self.read.get_or_init(|| self.read()).as_ref();
        let Drawing {
            origin,
            line,
            script,
        } = drawing.map_err(Clone::clone)?;
        let unfit = |why| Err(self.unfit(Some(*line), why));
        let version = origin.version;
        if set.get(version).is_none() {
            return unfit(Why::UnknownVersion(version));
        }
        let first = set.migrations.iter().filter(|m| m.version <= version);
        let migrations: Vec<_> = first.cloned().collect();
        let applied: Vec<_> = migrations.iter().map(|m| Applied::of(m)).collect();
        if Digest::of(&applied) != origin.digest {
            return unfit(Why::Changed(version));
        }
        if repeatables(set) != origin.repeatables {
            return unfit(Why::Repeatables);
        }
        if both(shared) != origin.shared {
            return unfit(Why::Shared);
        }
        if origin.postgres != postgres {
            return unfit(Why::Postgres {
                file: origin.postgres,
                server: postgres,
            });
        }
        Ok(Built {
            script: script.clone(),
            migrations,
            version,
            digest: origin.digest,
        })
    }

    fn read(&self) -> Result<Drawing, Unfit> {
        let unreadable = |error: &String| self.unfit(None, Why::Unreadable(error.clone()));
        let text = self.text.as_ref().map_err(unreadable)?;
        let (mut end, mut found) = (0, None);
        let is_comment = |line: &&str| line.starts_with("--") || line.trim().is_empty();
        for (number, line) in (1..).zip(text.split_inclusive('\n').take_while(is_comment)) {
            end += line.len();
            if line.starts_with(MARK) {
                found = Some((number, line));
                break;
            }
        }
        let (line, mark) = found.ok_or_else(|| self.unfit(None, Why::NoOrigin))?;
        let unfit = |why| self.unfit(Some(line), why);
        if mark.trim_end() == NOBODY.trim_end() {
            return Err(unfit(Why::Nobody));
        }
        let origin = Origin::read(mark).map_err(|word| unfit(Why::Unknown(word)))?;
        if Checksum::of(&text[end..]) != origin.body {
            return Err(unfit(Why::Edited));
        }
        let mut script = Script::parse(&self.path, text.clone());
        let preamble = split(PREAMBLE).map_or(0, |statements| statements.len());
        if !is_preamble(&script, preamble) {
            let other = "what the structure begins with".to_owned();
            return Err(unfit(Why::Unknown(other)));
        }
        script.statements.drain(..preamble);
        Ok(Drawing {
            origin,
            line,
            script: Arc::new(script),
        })
    }

    fn unfit(&self, line: Option<usize>, why: Why) -> Unfit {
        Unfit {
            path: self.path.clone(),
            line,
            why,
        }
    }
}

/// Whether so many statements of a script are those that are for `psql`.
fn is_preamble(script: &Script, statements: usize) -> bool {
    let plain = |text: &str| text.split_ascii_whitespace().collect::<String>();
    let first: Vec<_> = script.statement_texts().take(statements).collect();
    plain(&first.join(";")) == plain(PREAMBLE).trim_end_matches(';')
}

impl Origin {
    /// What is to be said of a `body` that the whole of `set` made, beside the `shared` one, on a server of the major version
    /// `postgres`. None where the set has no migrations.
    pub fn of(
        set: &MigrationSet,
        shared: &MigrationSet,
        postgres: i32,
        body: &str,
    ) -> Option<Self> {
        let applied: Vec<_> = set.migrations.iter().map(|m| Applied::of(m)).collect();
        Some(Self {
            version: set.latest()?.version,
            postgres,
            digest: Digest::of(&applied),
            repeatables: repeatables(set),
            shared: both(shared),
            body: Checksum::of(body),
        })
    }

    /// What stands behind the mark; an error is the word that cannot be read.
    fn read(line: &str) -> Result<Self, String> {
        let (mut version, mut postgres, mut digest) = (None, None, None);
        let (mut repeatables, mut shared, mut body) = (None, None, None);
        let words = line.strip_prefix(MARK).unwrap_or_default();
        for word in words.split_ascii_whitespace() {
            let wrong = || word.to_owned();
            let (name, value) = word.split_once('=').ok_or_else(wrong)?;
            let hash = || value.parse::<Checksum>().map_err(|_| wrong());
            match name {
                "version" => version = Some(value.parse().map_err(|_| wrong())?),
                "postgres" => postgres = Some(value.parse().map_err(|_| wrong())?),
                "digest" => digest = Some(Digest(*hash()?.as_bytes())),
                "repeatables" => repeatables = Some(Digest(*hash()?.as_bytes())),
                "shared" => shared = Some(hash()?),
                "body" => body = Some(hash()?),
                _ => return Err(wrong()),
            }
        }
        let missing = || line.trim_end().to_owned();
        Ok(Self {
            version: version.ok_or_else(missing)?,
            postgres: postgres.ok_or_else(missing)?,
            digest: digest.ok_or_else(missing)?,
            repeatables: repeatables.ok_or_else(missing)?,
            shared: shared.ok_or_else(missing)?,
            body: body.ok_or_else(missing)?,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            postgres,
            digest,
            repeatables,
            shared,
            body,
        } = self;
        let hash = |digest: &Digest| Checksum::from(digest.0);
        writeln!(
            f,
            "{MARK}version={version} postgres={postgres} digest={} repeatables={} shared={shared} body={body}",
            hash(digest),
            hash(repeatables)
        )
    }
}

fn repeatables(set: &MigrationSet) -> Digest {
    Digest::of_repeatables(set.repeatables.iter().map(Arc::as_ref))
}

/// Of the migrations and of the repeatables of a set together.
fn both(set: &MigrationSet) -> Checksum {
    let applied: Vec<_> = set.migrations.iter().map(|m| Applied::of(m)).collect();
    let both = [Digest::of(&applied), repeatables(set)].map(|digest| Checksum::from(digest.0));
    Checksum::of(&format!("{} {}", both[0], both[1]))
}

fn place(path: &Path, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}
