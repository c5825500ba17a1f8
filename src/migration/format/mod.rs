//! The shelf of file formats: how a migration's version, name and direction stand in the name of its file.
//!
//! A format knows names only; reading files and making a set of them is the same for all.

mod pairs;

pub use pairs::Pairs;

use std::path::Path;

use super::Direction;

/// Every format, the one that new files get first.
pub static FORMATS: &[&dyn Format] = &[&Pairs];

/// One way to name the files of migrations.
pub trait Format: Sync {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// What the name of a file in a directory of migrations says; `None` where it is not meant as a migration.
    ///
    /// # Errors
    /// The name is meant as a migration's but malformed: a fragment that says how.
    fn parse(&self, file_name: &str) -> Result<Option<Stem>, String>;

    /// The name of a file: what `parse` takes apart.
    fn file_name(&self, stem: &Stem) -> String;
}

/// What the name of a migration's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stem {
    /// The version as written, with leading zeros.
    pub digits: String,
    /// What stands between version and name.
    pub separator: char,
    /// The slug.
    pub name: String,
    /// Which of the two scripts it is.
    pub direction: Direction,
}

/// What the name of a migration's file says, and the format that says it.
pub(super) fn parse(path: &Path) -> Option<(&'static dyn Format, Stem)> {
    let file_name = path.file_name()?.to_str()?;
    FORMATS
        .iter()
        .find_map(|format| Some((*format, format.parse(file_name).ok()??)))
}

/// The name of the file that takes the up script at `path` back.
pub(super) fn down_of(path: &Path) -> Option<String> {
    let (format, up) = parse(path)?;
    let direction = Direction::Down;
    Some(format.file_name(&Stem { direction, ..up }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_writes_what_it_reads() {
        for format in FORMATS {
            let stem = Stem {
                digits: "000001".to_owned(),
                separator: '-',
                name: "init".to_owned(),
                direction: Direction::Down,
            };
            let file_name = format.file_name(&stem);
            assert_eq!(
                format.parse(&file_name),
                Ok(Some(stem)),
                "{}",
                format.name()
            );
        }
    }
}
