//! New migrations: the next version, and its two files with a header.
//!
//! Never overwrites a file, and never makes a version that would sort before one of the set.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Direction, MigrationSet, Version,
    format::{FORMATS, Format, Pairs, Stem},
    version::MAX_DIGITS,
};

/// The digits of a sequence number in a set that has none yet.
const SEQUENCE_WIDTH: usize = 6;

/// What to create.
#[derive(Debug, Clone, Copy)]
pub struct NewMigration<'a> {
    /// What it is for, in words; they become the slug.
    pub name: &'a str,
    /// Where its files go.
    pub directory: &'a Path,
    /// Whether its version is the next sequence number; else it is the time.
    pub sequence: bool,
    /// Whether its scripts are marked `no-transaction`.
    pub no_transaction: bool,
    /// The present time.
    pub now: Timestamp,
}

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its version.
    pub version: Version,
    /// The up script.
    pub up: PathBuf,
    /// The down script.
    pub down: PathBuf,
    /// What the reader should know about the choice of the version.
    pub notice: Option<String>,
}

/// Why no migration could be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Nothing of the name can stand in a file's name.
    #[error("{0:?} names no migration: letters or digits are needed")]
    Name(String),
    /// No higher version can be written.
    #[error("no version is left: {0} is the last that has {MAX_DIGITS} digits")]
    NoVersion(Version),
    /// The file is there.
    #[error("{} exists already, and is left as it is", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Creates the up and down files of a migration that comes after all others of `set`, written as those are.
///
/// # Errors
/// The name has no letters or digits, no version is left, or a file exists or cannot be written. Nothing is left behind.
pub fn create(set: &MigrationSet, new: NewMigration<'_>) -> Result<Created, CreateError> {
    let latest = set.latest().map(|migration| migration.version);
    let spelling = Spelling::of(set);
    let name =
        slug(new.name, spelling.separator).ok_or_else(|| CreateError::Name(new.name.to_owned()))?;
    let (number, notice) = number(latest, new)?;
    let width = if new.sequence { spelling.width } else { 0 };
    let stem = Stem {
        digits: format!("{number:0width$}"),
        separator: spelling.separator,
        name,
        direction: Direction::Up,
    };
    let version = stem.digits.parse();
    let version = version.map_err(|_| CreateError::NoVersion(latest.unwrap_or(Version::new(0))))?;
    let up = write(new, &stem)?;
    let down = Stem {
        direction: Direction::Down,
        ..stem
    };
    let down = write(new, &down).inspect_err(|_| {
        // Half a pair would be refused by the next `read`; that it cannot be removed is no worse than that.
        let _ = fs::remove_file(&up);
    })?;
    Ok(Created {
        version,
        up,
        down,
        notice,
    })
}

/// How the set writes the names of its files.
struct Spelling {
    separator: char,
    /// The digits of its latest version.
    width: usize,
}

impl Spelling {
    fn of(set: &MigrationSet) -> Self {
        let latest = set.latest().and_then(|latest| {
            let file_name = latest.up.path.file_name()?.to_str()?;
            FORMATS
                .iter()
                .find_map(|format| format.parse(file_name).ok()?)
        });
        match latest {
            Some(stem) => Self {
                separator: stem.separator,
                width: stem.digits.len(),
            },
            None => Self {
                separator: '-',
                width: SEQUENCE_WIDTH,
            },
        }
    }
}

/// The number of the next version, and what there is to say about it.
fn number(
    latest: Option<Version>,
    new: NewMigration<'_>,
) -> Result<(u128, Option<String>), CreateError> {
    let next = latest.map_or(1, |latest| latest.number() + 1);
    if new.sequence {
        return Ok((next, None));
    }
    let time = new
        .now
        .to_zoned(TimeZone::UTC)
        .strftime("%Y%m%d%H%M%S")
        .to_string();
    let number = time.parse().unwrap_or(next);
    match latest {
        Some(latest) if number < next => {
            let notice = format!(
                "the clock's {number} would come before {latest}, so the version is one above that"
            );
            Ok((next, Some(notice)))
        }
        _ => Ok((number, None)),
    }
}

/// Letters and digits in lower case, one separator between words. None where nothing is left.
fn slug(name: &str, separator: char) -> Option<String> {
    let words: Vec<_> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    (!words.is_empty()).then(|| words.join(&separator.to_string()))
}

fn write(new: NewMigration<'_>, stem: &Stem) -> Result<PathBuf, CreateError> {
    let path = new.directory.join(Pairs.file_name(stem));
    let mut text = match stem.direction {
        Direction::Up => "-- What this changes, and why.\n".to_owned(),
        Direction::Down => "-- Takes back what the up script does, in reverse order.\n".to_owned(),
    };
    if new.no_transaction {
        text.push_str("-- tenantry: no-transaction\n");
    }
    let created = fs::File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    match created {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CreateError::Exists(path))
        }
        Err(source) => Err(CreateError::Write { path, source }),
    }
}
