//! Where the files of backfills are: `backfills/NAME.sql` in each directory of the tenants' set.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{BackfillError, Definition, Pace};

/// The directory beside the migrations.
const DIRECTORY: &str = "backfills";

/// The names of the backfills there are, in order.
pub fn names(directories: &[PathBuf]) -> Result<Vec<String>, BackfillError> {
    let mut names = Vec::new();
    for directory in directories
        .iter()
        .map(|directory| directory.join(DIRECTORY))
    {
        let unreadable = |source| BackfillError::Unreadable {
            path: directory.clone(),
            source,
        };
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if let Some(name) = name(&path) {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Reads the backfill of this name. What its header does not say is as in `defaults`.
pub fn find(
    directories: &[PathBuf],
    name: &str,
    defaults: Pace,
) -> Result<Definition, BackfillError> {
    let known = names(directories)?;
    // Only a name that was listed becomes part of a path.
    if !known.iter().any(|known| known == name) {
        return Err(BackfillError::Unknown {
            name: name.to_owned(),
            known,
        });
    }
    let paths = directories
        .iter()
        .map(|directory| directory.join(DIRECTORY).join(format!("{name}.sql")));
    let found: Vec<_> = paths.filter(|path| path.exists()).collect();
    let [path] = found.as_slice() else {
        return Err(BackfillError::Twice(found));
    };
    let text = fs::read_to_string(path).map_err(|source| BackfillError::Unreadable {
        path: path.clone(),
        source,
    })?;
    Ok(Definition::parse(name, path, text, defaults)?)
}

fn name(path: &Path) -> Option<&str> {
    let is_sql = path.extension().is_some_and(|extension| extension == "sql");
    path.file_stem()?
        .to_str()
        .filter(|name| is_sql && !name.starts_with('.'))
}
