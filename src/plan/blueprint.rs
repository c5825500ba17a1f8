//! The file from which a new tenant can be built instead of by its first migrations, as `dump` writes it, and whether it
//! fits a set.
//!
//! Whoever builds from one that does not fit gives a tenant a history that is not true: so nothing is taken on trust but
//! what the head of the file says of the migrations, and that is compared with theirs.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use super::{Goal, Plan, Refusal, Standing, Stored, Unfit, Why, plan};
use crate::{
    history::{Applied, Digest},
    migration::{Checksum, Migration, MigrationSet, Script, Version},
    sql::{Ident, split},
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
    /// What it knew of the settings that say what names mean, and what a script may do.
    pub settings: Checksum,
    /// The checksum of what follows, byte by byte: a string can have line ends in it.
    pub body: Checksum,
}

/// What counts beside the set itself for what its migrations make.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The shared set.
    pub shared: &'a MigrationSet,
    /// Where it is.
    pub shared_schema: &'a Ident,
    /// Further schemas on the search path.
    pub extra_search_path: &'a [Ident],
    /// Further schemas in which a script may change something.
    pub also_writes: &'a [Ident],
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
    /// Where it does not fit the set, what is `beside` it, or the server, whose major version is `postgres`. Within, as [`plan`] has it.
    pub fn fit(
        &self,
        set: &MigrationSet,
        beside: Beside<'_>,
        postgres: i32,
        out_of_order: bool,
    ) -> Result<Result<Plan, Refusal>, Unfit> {
        let built = self.built(set, beside, postgres)?;
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

    /// The version that it stands at; none where it cannot be read, or is no such file.
    pub fn version(&self) -> Option<Version> {
        let drawing = self.read.get_or_init(|| self.read()).as_ref();
        drawing.ok().map(|drawing| drawing.origin.version)
    }

    fn built(&self, set: &MigrationSet, beside: Beside<'_>, postgres: i32) -> Result<Built, Unfit> {
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
        if both(beside.shared) != origin.shared {
            return unfit(Why::Shared);
        }
        if settings(beside) != origin.settings {
            return unfit(Why::Settings);
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
        if mark.ends_with("\r\n") {
            return Err(unfit(Why::LineEnds));
        }
        if Checksum::of_bytes(&text[end..]) != origin.body {
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
    /// What is to be said of a `body` that the whole of `set` made, with what is `beside` it, on a server of the major version
    /// `postgres`. None where the set has no migrations.
    pub fn of(set: &MigrationSet, beside: Beside<'_>, postgres: i32, body: &str) -> Option<Self> {
        let applied: Vec<_> = set.migrations.iter().map(|m| Applied::of(m)).collect();
        Some(Self {
            version: set.latest()?.version,
            postgres,
            digest: Digest::of(&applied),
            repeatables: repeatables(set),
            shared: both(beside.shared),
            settings: settings(beside),
            body: Checksum::of_bytes(body),
        })
    }

    /// What stands behind the mark; an error is the word that cannot be read.
    fn read(line: &str) -> Result<Self, String> {
        let (mut version, mut postgres, mut digest) = (None, None, None);
        let (mut repeatables, mut shared) = (None, None);
        let (mut settings, mut body) = (None, None);
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
                "settings" => settings = Some(hash()?),
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
            settings: settings.ok_or_else(missing)?,
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
            settings,
            body,
        } = self;
        let hash = |digest: &Digest| Checksum::from(digest.0);
        writeln!(
            f,
            "{MARK}version={version} postgres={postgres} digest={} repeatables={} shared={shared} settings={settings} body={body}",
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

/// Of the settings that count.
fn settings(beside: Beside<'_>) -> Checksum {
    let names = |schemas: &[Ident]| schemas.iter().map(|s| format!("{s} ")).collect::<String>();
    let (path, writes) = (names(beside.extra_search_path), names(beside.also_writes));
    Checksum::of(&format!("{}\n{path}\n{writes}", beside.shared_schema))
}
