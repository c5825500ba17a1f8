//! Reading the files of one scope into a set.
//!
//! What makes a set unclear (a version twice, a hole) fails at once, all of it together; what is wrong with the
//! content of a file stays with its migration, since it matters only where that is pending.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Direction, Migration, MigrationSet, Problem, Problems, Repeatable, Scope, Script, Version,
    code, format,
    listing::{Found, Listing, unreadable},
    text,
};

/// Reads the set of a scope from its directories, whose files make one set together.
///
/// # Errors
/// Everything that keeps the files from being a set: versions or names used twice, downs without ups, malformed
/// names, missing directories, unreadable files.
pub fn read(scope: Scope, directories: &[PathBuf]) -> Result<MigrationSet, Problems> {
    read_listed(scope, Listing::of(scope, directories), &|path| {
        fs::read(path)
    })
}

/// Reads the set of a scope from files in memory, as a program carries them that was built with them inside.
///
/// Each is a path and its bytes. The paths are as the files have them below one directory of migrations: `1-users.up.sql`,
/// `functions/total.sql`. They are what messages name.
///
/// # Errors
/// As [`read()`].
pub fn read_embedded(
    scope: Scope,
    files: impl IntoIterator<Item = (impl AsRef<Path>, impl AsRef<[u8]>)>,
) -> Result<MigrationSet, Problems> {
    let files = files.into_iter();
    let files: BTreeMap<PathBuf, Vec<u8>> = files
        .map(|(path, text)| (path.as_ref().to_owned(), text.as_ref().to_owned()))
        .collect();
    let listing = Listing::of_paths(files.keys().map(PathBuf::as_path));
    read_listed(scope, listing, &|path| {
        let text = files.get(path).cloned();
        text.ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

/// How the bytes of a file are had.
type Bytes<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

fn read_listed(scope: Scope, listing: Listing, bytes: Bytes<'_>) -> Result<MigrationSet, Problems> {
    let mut set = MigrationSet::empty(scope);
    let mut problems = listing.problems;
    for (version, pair) in pairs(listing.scripts) {
        match pair.into_migration(version, bytes) {
            Ok(migration) => set.migrations.push(Arc::new(migration)),
            Err(found) => problems.extend(found),
        }
    }
    let (repeatables, found) = repeatables(listing.repeatables, bytes);
    set.repeatables = repeatables;
    problems.extend(found);
    set.notices = notices(&set, &listing.others);
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Problems::none_of(problems).map(|()| set)
}

/// The files of one version.
#[derive(Default)]
struct Pair {
    ups: Vec<Found>,
    downs: Vec<Found>,
}

fn pairs(scripts: Vec<Found>) -> BTreeMap<Version, Pair> {
    let mut pairs: BTreeMap<Version, Pair> = BTreeMap::new();
    for found in scripts {
        let pair = pairs.entry(found.version).or_default();
        match found.direction {
            Direction::Up => pair.ups.push(found),
            Direction::Down => pair.downs.push(found),
        }
    }
    pairs
}

impl Pair {
    fn into_migration(self, version: Version, bytes: Bytes<'_>) -> Result<Migration, Vec<Problem>> {
        if let Some(problem) = twice(version, &self.ups).or_else(|| twice(version, &self.downs)) {
            return Err(vec![problem]);
        }
        let (up, down) = (self.ups.into_iter().next(), self.downs.into_iter().next());
        let Some(up) = up else {
            return Err(down.iter().map(|down| without_up(down, None)).collect());
        };
        if let Some(down) = down.as_ref().filter(|down| down.name != up.name) {
            return Err(vec![without_up(down, Some(&up))]);
        }
        let up_script = script(&up.path, bytes);
        let down_script = down.as_ref().map(|down| script(&down.path, bytes));
        let ((up_script, mut problems), down) = match (up_script, down_script.transpose()) {
            (Ok(up), Ok(down)) => (up, down),
            (up_script, down_script) => {
                let up_error = up_script.err().map(|error| unreadable(&up.path, &error));
                let down_error = down.zip(down_script.err());
                let down_error = down_error.map(|(down, error)| unreadable(&down.path, &error));
                return Err(up_error.into_iter().chain(down_error).collect());
            }
        };
        let down = down.map(|(down, found)| {
            problems.extend(found);
            Arc::new(down)
        });
        problems.extend(way_back(version, &up_script, down.as_deref()));
        Ok(Migration {
            version,
            name: up.name,
            up: Arc::new(up_script),
            down,
            problems,
        })
    }
}

/// The problem of several files of one version and direction.
fn twice(version: Version, files: &[Found]) -> Option<Problem> {
    let [first, others @ ..] = files else {
        return None;
    };
    let direction = first.direction;
    let what = format!("version {version} has {} {direction} scripts", files.len());
    let problem = Problem::new(&code::VERSION_TWICE, &first.path, what);
    (!others.is_empty()).then(|| others.iter().fold(problem, |p, other| p.with(&other.path)))
}

fn without_up(down: &Found, other: Option<&Found>) -> Problem {
    let Found {
        version,
        name,
        path,
        ..
    } = down;
    match other {
        None => {
            let what = format!("version {version} has a down script and no up script");
            Problem::new(&code::DOWN_WITHOUT_UP, path, what)
        }
        Some(up) => {
            let what = format!(
                "the down script of version {version} is named `{name}`, its up script `{}`",
                up.name
            );
            Problem::new(&code::DOWN_WITHOUT_UP, path, what).with(&up.path)
        }
    }
}

/// What is wrong with having, or not having, a down script.
fn way_back(version: Version, up: &Script, down: Option<&Script>) -> Option<Problem> {
    let Some(down) = down else {
        let file_name = format::down_of(&up.path).unwrap_or_default();
        let what = format!("version {version} has no down script: there is no `{file_name}`");
        let missing = || Problem::new(&code::MISSING_DOWN, &up.path, what);
        return (!up.directives.irreversible).then(missing);
    };
    let marked = [up, down]
        .into_iter()
        .find(|script| script.directives.irreversible)?;
    let place = marked.directive_place("irreversible")?;
    let what = format!("version {version} is marked irreversible and has a down script");
    let problem = Problem::new(&code::IRREVERSIBLE_WITH_DOWN, &marked.path, what);
    let problem = problem.at(&marked.text, place, "");
    Some(if marked.path == up.path {
        problem.with(&down.path)
    } else {
        problem
    })
}

fn repeatables(
    mut files: Vec<(String, PathBuf)>,
    bytes: Bytes<'_>,
) -> (Vec<Arc<Repeatable>>, Vec<Problem>) {
    files.sort();
    let mut repeatables = Vec::new();
    let mut refused = Vec::new();
    for same in files.chunk_by(|a, b| a.0 == b.0) {
        let [(name, path), others @ ..] = same else {
            continue;
        };
        if !others.is_empty() {
            let what = format!("the repeatable `{name}` has {} files", same.len());
            let problem = Problem::new(&code::REPEATABLE_TWICE, path, what);
            refused.push(others.iter().fold(problem, |p, (_, other)| p.with(other)));
            continue;
        }
        match script(path, bytes) {
            Ok((script, mut problems)) => {
                problems.extend(foreign_directives(&script));
                repeatables.push(Arc::new(Repeatable {
                    name: name.clone(),
                    script: Arc::new(script),
                    problems,
                }));
            }
            Err(error) => refused.push(unreadable(path, &error)),
        }
    }
    (repeatables, refused)
}

/// The directives of a repeatable that only migrations can have.
fn foreign_directives(script: &Script) -> impl Iterator<Item = Problem> {
    ["no-transaction", "irreversible"]
        .into_iter()
        .filter_map(|word| {
            let place = script.directive_place(word)?;
            let what = format!("`{word}` is no directive of a repeatable");
            let problem = Problem::new(&code::DIRECTIVE_UNKNOWN, &script.path, what);
            Some(problem.at(&script.text, place, "for migrations only"))
        })
}

/// Reads one file. What is wrong with its content comes with it; the error is that it cannot be read.
fn script(path: &Path, bytes: Bytes<'_>) -> io::Result<(Script, Vec<Problem>)> {
    let (text, invalid) = text::decode(path, bytes(path)?);
    let (script, mut problems) = Script::read(path, text);
    if let Some(invalid) = invalid {
        // The rest of what is wrong may be wrong only because of that.
        problems = vec![invalid];
    }
    Ok((script, problems))
}

fn notices(set: &MigrationSet, others: &[PathBuf]) -> Vec<String> {
    let mut notices = Vec::new();
    if !others.is_empty() {
        let others: Vec<_> = others
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let others = others.join(", ");
        notices.push(format!("not named as migrations, so left alone: {others}"));
    }
    for migration in &set.migrations {
        if migration.up.statements.is_empty() && migration.problems.is_empty() {
            notices.push(format!("{} has no statements", migration.up.path.display()));
        }
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn all_that_keeps_a_set_from_being_one_is_told_at_once() {
        let files = directory(&[
            ("1-a.up.sql", ""),
            ("1-a.down.sql", ""),
            ("01-b.up.sql", ""),
            ("2-c.down.sql", ""),
            ("3-d.sql", "discard all"),
        ]);
        let missing = files.path().join("missing");
        let problems = read(Scope::Shared, &[files.path().to_owned(), missing]).unwrap_err();
        let ids: Vec<_> = problems.as_slice().iter().map(|p| p.code.id).collect();
        assert_eq!(ids, ["F101", "F102", "F103", "F105"]);
        assert!(
            problems.to_string().contains("`migrations.shared`"),
            "{problems}"
        );
    }

    #[test]
    fn content_stays_with_its_migration() {
        let files = directory(&[
            ("1-a.up.sql", "-- tenantry: irreversible"),
            ("2-b.up.sql", "discard all"),
            ("functions/f.sql", "set role a"),
        ]);
        let set = read(Scope::Tenant, &[files.path().to_owned()]).unwrap();
        let ids = |problems: &[Problem]| -> Vec<_> { problems.iter().map(|p| p.code.id).collect() };
        assert_eq!(ids(&set.migrations[0].problems), [""; 0]);
        assert_eq!(ids(&set.migrations[1].problems), ["F405", "F107"]);
        assert_eq!(ids(&set.repeatable("f").unwrap().problems), ["F406"]);
        assert_eq!(set.problems().count(), 3);
    }

    #[test]
    fn a_directory_given_twice_is_read_once() {
        let files = directory(&[("1-a.up.sql", ""), ("1-a.down.sql", "")]);
        let path = files.path().to_owned();
        let set = read(Scope::Tenant, &[path.clone(), path]).unwrap();
        assert_eq!(set.migrations.len(), 1);
    }

    #[test]
    fn files_in_memory_make_the_set_that_they_would_make_on_disk() {
        let texts = [
            ("1-a.up.sql", "create table a ()"),
            ("1-a.down.sql", "drop table a"),
            ("2-b.up.sql", "discard all"),
            ("functions/f.sql", "select 1"),
            ("functions/README.md", "no SQL"),
            ("backfills/c.sql", "no migration"),
            ("README.md", "no SQL"),
            ("notes/x.sql", "no migration"),
        ];
        let files = directory(&texts);
        let on_disk = read(Scope::Tenant, &[files.path().to_owned()]).unwrap();
        let in_memory = read_embedded(Scope::Tenant, texts).unwrap();
        let told = |set: &MigrationSet| {
            let migrations = set.migrations.iter();
            let migrations: Vec<_> = migrations
                .map(|m| (m.to_string(), m.up.checksum, m.problems.len()))
                .collect();
            let repeatables = set.repeatables.iter();
            let repeatables: Vec<_> = repeatables
                .map(|r| (r.name.clone(), r.script.checksum))
                .collect();
            (migrations, repeatables, set.notices.len())
        };
        assert_eq!(told(&on_disk), told(&in_memory));
        assert_eq!(in_memory.migrations.len(), 2);

        let twice = [("1-a.up.sql", ""), ("01-a.up.sql", "")];
        let problems = read_embedded(Scope::Tenant, twice).unwrap_err();
        assert_eq!(problems.as_slice()[0].code, &code::VERSION_TWICE);
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_not_guessed() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let files = directory(&[]);
        fs::write(
            files.path().join(OsStr::from_bytes(b"1-caf\xe9.up.sql")),
            "",
        )
        .unwrap();
        let problems = read(Scope::Tenant, &[files.path().to_owned()]).unwrap_err();
        assert_eq!(problems.as_slice()[0].code, &code::FILE_NAME);
    }
}
