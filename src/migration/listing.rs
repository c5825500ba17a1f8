//! The files of some directories, sorted by what their names say. Never opens a file.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Direction, Problem, Scope, Version, code,
    format::{FORMATS, Stem},
};

/// The directory of repeatables beside the migrations.
const REPEATABLES: &str = "functions";
/// The directory of backfills beside them, which is not for this module.
const BACKFILLS: &str = "backfills";

/// What stands in the directories of one scope.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The scripts of versions.
    pub(super) scripts: Vec<Found>,
    /// Repeatables: name and file.
    pub(super) repeatables: Vec<(String, PathBuf)>,
    /// What is left alone.
    pub(super) others: Vec<PathBuf>,
    /// What is wrong with names and directories.
    pub(super) problems: Vec<Problem>,
}

/// A file that is the script of a version.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) version: Version,
    pub(super) name: String,
    pub(super) direction: Direction,
    pub(super) path: PathBuf,
}

impl Listing {
    /// Lists the directories, as if their files were in one.
    pub(super) fn of(scope: Scope, directories: &[PathBuf]) -> Self {
        let mut listing = Self::default();
        for (index, directory) in directories.iter().enumerate() {
            if directories[..index].contains(directory) {
                continue;
            }
            match entries(directory) {
                Ok(entries) => entries.into_iter().for_each(|path| listing.add(path)),
                Err(error) => listing.problems.push(unlisted(scope, directory, &error)),
            }
        }
        listing
    }

    /// Sorts files that are nowhere but in memory, by paths as they would have them below one directory.
    pub(super) fn of_paths<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let mut listing = Self::default();
        for path in paths {
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            match directory.and_then(Path::to_str) {
                None => listing.add_file(path.to_owned()),
                Some(REPEATABLES) => listing.add_repeatable(path.to_owned()),
                Some(BACKFILLS) => {}
                Some(_) => listing.others.push(path.to_owned()),
            }
        }
        listing
    }

    fn add(&mut self, path: PathBuf) {
        if !path.is_dir() {
            return self.add_file(path);
        }
        match path.file_name().and_then(OsStr::to_str) {
            Some(REPEATABLES) => self.add_repeatables(&path),
            Some(BACKFILLS) => {}
            // With a slash at its end, so that people see what it is.
            _ => self.others.push(path.join("")),
        }
    }

    fn add_file(&mut self, path: PathBuf) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.file_name().and_then(OsStr::to_str).is_none()
            && name.starts_with(|c: char| c.is_ascii_digit())
        {
            let what = format!("`{name}` is not named as a migration: the name is not UTF-8");
            return self
                .problems
                .push(Problem::new(&code::FILE_NAME, &path, what));
        }
        for format in FORMATS {
            match format.parse(&name) {
                Ok(None) => {}
                Ok(Some(stem)) => return self.add_script(path, stem),
                Err(how) => {
                    let what = format!("`{name}` is not named as a migration: {how}");
                    return self
                        .problems
                        .push(Problem::new(&code::FILE_NAME, &path, what));
                }
            }
        }
        if !name.starts_with("README") {
            self.others.push(path);
        }
    }

    fn add_script(&mut self, path: PathBuf, stem: Stem) {
        match stem.digits.parse() {
            Ok(version) => self.scripts.push(Found {
                version,
                name: stem.name,
                direction: stem.direction,
                path,
            }),
            Err(invalid) => {
                let problem = Problem::new(&code::FILE_NAME, &path, invalid.to_string());
                self.problems.push(problem);
            }
        }
    }

    fn add_repeatables(&mut self, directory: &Path) {
        let entries = match entries(directory) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(unreadable(directory, &error)),
        };
        for path in entries {
            if path.is_dir() {
                self.others.push(path);
            } else {
                self.add_repeatable(path);
            }
        }
    }

    fn add_repeatable(&mut self, path: PathBuf) {
        let is_sql = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("sql"));
        match path.file_stem().and_then(OsStr::to_str) {
            Some(name) if is_sql => self.repeatables.push((name.to_owned(), path)),
            _ => self.others.push(path),
        }
    }
}

/// The problem of a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(&code::UNREADABLE, path, format!("cannot be read: {error}"))
}

fn unlisted(scope: Scope, directory: &Path, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let what =
                format!("the directory does not exist; the setting `migrations.{scope}` names it");
            Problem::new(&code::DIRECTORY_MISSING, directory, what)
        }
        _ => unreadable(directory, error),
    }
}

/// What stands in a directory, by name, without hidden files.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
