//! One set as it is carried: its files in a folder of their own, and the settings that go with them.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tenantry::{
    config::Settings,
    migration::{Scope, Version},
};

use super::formats::{Format, Pair};

/// One set: where it is from, and what it takes to carry it.
pub(crate) struct Corpus {
    /// The repository on GitHub.
    pub(crate) name: &'static str,
    pub(crate) commit: &'static str,
    pub(crate) format: Format,
    pub(crate) directories: &'static [&'static str],
    /// The tenants of one database whose schemas can hold it: one where its scripts ask for all schemas, none where they
    /// name theirs. It is then the shared set, in the schema `public`.
    pub(crate) tenants: &'static [&'static str],
    /// The schemas behind its own on the search path.
    pub(crate) path: &'static [&'static str],
    /// The other schemas in which its scripts change tables.
    pub(crate) writes: &'static [&'static str],
    /// What a database has before the first migration, beside the schema `extensions`.
    pub(crate) prepare: &'static str,
    /// A migration of ours before the first: up and down of tables that the set takes for granted in its schema.
    pub(crate) stubs: Option<[&'static str; 2]>,
    /// What is written otherwise: file in its directory, text, text in its place.
    pub(crate) edits: &'static [Edit],
}

/// A change of one file.
pub(crate) struct Edit {
    pub(crate) file: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// How often it stands there.
    pub(crate) times: usize,
}

/// Before everything else in a file.
pub(crate) const START: &str = "";

/// The folder with the sets; none, with a word about it, where there is none.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = env::var_os("TENANTRY_CORPORA");
    if folder.is_none() {
        skipped("TENANTRY_CORPORA is not set");
    }
    folder.map(PathBuf::from)
}

/// Where the files of a set are; none, with a word about it, where they are not there.
pub(crate) fn folder_of(corpora: &Path, set: &str) -> Option<PathBuf> {
    let name = set.replace('/', "__");
    // Some write the dot in a name as a dash.
    let names = [name.replace('.', "-"), name];
    let found = names
        .map(|name| corpora.join(name))
        .into_iter()
        .find(|folder| folder.is_dir());
    if found.is_none() {
        skipped(&format!("{set} is not in {}", corpora.display()));
    }
    found
}

/// Says why something was not tested, past the test runner, which would keep it to itself.
pub(crate) fn skipped(why: &str) {
    let line = format!("skipped: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

impl Corpus {
    /// Its files as they are carried, in a folder of their own; none, with a word about it, where they are not there.
    pub(crate) fn files(&self, folder: &Path) -> Option<Files> {
        let source = folder_of(folder, self.name)?;
        let copy = tempfile::tempdir().unwrap();
        let (mut directories, mut pairs, mut edited) = (Vec::new(), Vec::new(), 0);
        let mut edit = |file: &str, mut text: String| {
            for edit in self.edits.iter().filter(|edit| file == edit.file) {
                text = edit.apply(text);
                edited += 1;
            }
            text
        };
        for (number, directory) in self.directories.iter().enumerate() {
            let target = copy.path().join(number.to_string());
            fs::create_dir(&target).unwrap();
            let found = self.format.read(&source.join(directory), &mut edit);
            found.iter().for_each(|pair| pair.write(&target));
            pairs.extend(found);
            directories.push(target);
        }
        assert_eq!(
            edited,
            self.edits.len(),
            "{}: a file to edit is missing",
            self.name
        );
        if let Some([up, down]) = self.stubs {
            fs::write(directories[0].join("0-stubs.up.sql"), up).unwrap();
            fs::write(directories[0].join("0-stubs.down.sql"), down).unwrap();
        }
        fs::create_dir(copy.path().join("nothing")).unwrap();
        Some(Files {
            directories,
            pairs,
            copy,
        })
    }

    /// Whether it is the tenants' set, or else the shared one.
    pub(crate) fn scope(&self) -> Scope {
        match self.tenants {
            [] => Scope::Shared,
            _ => Scope::Tenant,
        }
    }

    /// The schemas of one database that hold it.
    pub(crate) fn schemas(&self) -> &[&'static str] {
        match self.tenants {
            [] => &["public"],
            tenants => tenants,
        }
    }

    /// Its files as the set of its scope, and nothing in the other one.
    pub(crate) fn settings(&self, files: &Files, home: Option<&str>) -> Settings {
        let directories = files.directories.iter().map(|d| d.display().to_string());
        let directories = directories.collect::<Vec<_>>().join(",");
        let nothing = files.copy.path().join("nothing").display().to_string();
        let (shared, tenant) = match self.scope() {
            Scope::Shared => (directories, nothing),
            Scope::Tenant => (nothing, directories),
        };
        let mut environment = vec![
            ("TENANTRY__MIGRATIONS__SHARED", shared),
            ("TENANTRY__MIGRATIONS__TENANT", tenant),
            (
                "TENANTRY__MIGRATIONS__EXTRA_SEARCH_PATH",
                self.path.join(","),
            ),
        ];
        if !self.writes.is_empty() {
            environment.push(("TENANTRY__MIGRATIONS__ALSO_WRITES", self.writes.join(",")));
        }
        if self.scope() == Scope::Shared {
            environment.push(("TENANTRY__MIGRATIONS__SHARED_SCHEMA", "public".to_owned()));
        }
        environment.extend(home.map(|home| ("TENANTRY__HOME__URL", home.to_owned())));
        Settings::load(None, environment).unwrap()
    }
}

impl Edit {
    fn apply(&self, text: String) -> String {
        if self.from == START {
            return format!("{}{text}", self.to);
        }
        let times = text.matches(self.from).count();
        assert_eq!(times, self.times, "{}: {:?}", self.file, self.from);
        text.replace(self.from, self.to)
    }
}

/// The files of a set as they are carried. Gone with this value.
pub(crate) struct Files {
    pub(crate) directories: Vec<PathBuf>,
    /// The migrations in them, but for the stubs.
    pub(crate) pairs: Vec<Pair>,
    copy: TempDir,
}

impl Files {
    /// The up scripts, in order of version.
    pub(crate) fn ups(&self) -> Vec<PathBuf> {
        let mut ups = Vec::new();
        for directory in &self.directories {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if name.ends_with(".up.sql") {
                    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap();
                    ups.push((name[..digits].parse::<u128>().unwrap(), path));
                }
            }
        }
        ups.sort();
        ups.into_iter().map(|(_, path)| path).collect()
    }

    /// The migration of a version; none where it is a stub.
    pub(crate) fn pair(&self, version: Version) -> Option<&Pair> {
        let mut pairs = self.pairs.iter();
        pairs.find(|pair| pair.version() == version)
    }
}
