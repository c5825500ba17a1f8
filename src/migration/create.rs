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
    format::{self, Format, Pairs, Stem},
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
        let latest = set.latest();
        let latest = latest.and_then(|latest| format::parse(&latest.up.path));
        match latest {
            Some((_, stem)) => Self {
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
        return Ok((next, latest.and_then(in_sequence)));
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

/// What there is to say of a number that follows a time.
fn in_sequence(latest: Version) -> Option<String> {
    // As long as a time to the second, and of a year that is one.
    let is_time = (19_700_101_000_000..=99_991_231_235_959).contains(&latest.number());
    is_time.then(|| {
        format!("{latest} is a time, so the version is one above that; without --seq it would be the present one")
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::{Scope, read};

    /// A directory of empty migrations, and the set that they make.
    fn directory(stems: &[&str]) -> (tempfile::TempDir, MigrationSet) {
        let directory = tempfile::tempdir().unwrap();
        for stem in stems {
            for direction in ["up", "down"] {
                fs::write(directory.path().join(format!("{stem}.{direction}.sql")), "").unwrap();
            }
        }
        let set = read(Scope::Tenant, &[directory.path().to_owned()]).unwrap();
        (directory, set)
    }

    fn new<'a>(directory: &'a Path, name: &'a str, sequence: bool) -> NewMigration<'a> {
        NewMigration {
            name,
            directory,
            sequence,
            no_transaction: false,
            now: "2026-03-01T12:34:56.9Z".parse().unwrap(),
        }
    }

    #[test]
    fn follows_the_spelling_of_the_set() {
        for (stems, name, sequence, file_name) in [
            (
                &[][..],
                "Add orders",
                false,
                "20260301123456-add-orders.up.sql",
            ),
            (&[], "Add orders", true, "000001-add-orders.up.sql"),
            (&["0007_a"], "Add  orders!", true, "0008_add_orders.up.sql"),
            (&["1-a", "99-b"], "größe", true, "100-größe.up.sql"),
            (
                &["20250101000000_a"],
                "x-y",
                false,
                "20260301123456_x_y.up.sql",
            ),
        ] {
            let (directory, set) = directory(stems);
            let created = create(&set, new(directory.path(), name, sequence)).unwrap();
            assert_eq!(created.up, directory.path().join(file_name));
            assert_eq!(
                created.down,
                directory.path().join(file_name.replace(".up.", ".down."))
            );
            assert_eq!(created.notice, None);
            let set = read(Scope::Tenant, &[directory.path().to_owned()]).unwrap();
            assert_eq!(set.latest().unwrap().version, created.version);
            assert_eq!(set.problems().count(), 0);
        }
    }

    #[test]
    fn a_clock_that_is_behind_is_told() {
        let (directory, set) = directory(&["20260301123456-a"]);
        let created = create(&set, new(directory.path(), "b", false)).unwrap();
        assert_eq!(created.version, Version::new(20_260_301_123_457));
        let notice = created.notice.unwrap();
        assert!(notice.contains("20260301123456"), "{notice}");
    }

    #[test]
    fn a_sequence_that_goes_on_from_a_time_is_told() {
        let (directory, set) = directory(&["20260301123456-a"]);
        let created = create(&set, new(directory.path(), "b", true)).unwrap();
        assert_eq!(created.version, Version::new(20_260_301_123_457));
        assert!(created.notice.unwrap().contains("20260301123456 is a time"));
    }

    #[test]
    fn marks_both_scripts_when_asked() {
        let (directory, set) = directory(&[]);
        let no_transaction = NewMigration {
            no_transaction: true,
            ..new(directory.path(), "index", false)
        };
        create(&set, no_transaction).unwrap();
        let set = read(Scope::Tenant, &[directory.path().to_owned()]).unwrap();
        let created = set.latest().unwrap();
        assert!(created.up.directives.no_transaction);
        assert!(created.down.as_ref().unwrap().directives.no_transaction);
    }

    #[test]
    fn never_overwrites_and_leaves_no_half_pair() {
        let (directory, set) = directory(&[]);
        let down = directory.path().join("000001-a.down.sql");
        fs::write(&down, "mine").unwrap();
        let error = create(&set, new(directory.path(), "a", true)).unwrap_err();
        assert!(matches!(error, CreateError::Exists(path) if path == down));
        assert_eq!(fs::read_to_string(&down).unwrap(), "mine");
        assert!(!directory.path().join("000001-a.up.sql").exists());
    }

    #[test]
    fn refuses_what_cannot_be_named() {
        let (directory, set) = directory(&[&format!("{}-a", "9".repeat(38))]);
        let error = create(&set, new(directory.path(), "?!", true)).unwrap_err();
        assert!(matches!(error, CreateError::Name(_)), "{error}");
        let error = create(&set, new(directory.path(), "b", false)).unwrap_err();
        assert!(matches!(error, CreateError::NoVersion(_)), "{error}");
    }
}
