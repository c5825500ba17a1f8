//! Fixtures as directories: each case holds the directories of a set and `expected.txt`, what is to be said of them.

use std::{fs, path::PathBuf};

use tenantry::migration::{MigrationSet, Problems, Scope, read};

/// One case.
pub(crate) struct Case {
    /// Its directory's name.
    pub(crate) name: String,
    directory: PathBuf,
}

impl Case {
    /// All cases below `tests/fixtures/<shelf>`, by name.
    pub(crate) fn all(shelf: &str) -> Vec<Self> {
        let mut cases: Vec<_> = fs::read_dir(PathBuf::from("tests/fixtures").join(shelf))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|directory| Self {
                name: directory.file_name().unwrap().to_str().unwrap().to_owned(),
                directory,
            })
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(!cases.is_empty(), "no cases in {shelf}");
        cases
    }

    /// Reads the set that the case's directories make; of a case without any, a directory that is not there.
    pub(crate) fn read(&self) -> Result<MigrationSet, Problems> {
        let mut directories: Vec<_> = fs::read_dir(&self.directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("expected.txt"))
            .collect();
        directories.sort();
        if directories.is_empty() {
            directories.push(self.directory.join("migrations"));
        }
        read(Scope::Tenant, &directories)
    }

    /// Compares the whole of what was said with `expected.txt`, paths being relative to the case. With `BLESS=1` in
    /// the environment the file is written instead: look at it before you commit it.
    ///
    /// Returns what differs.
    pub(crate) fn compare(&self, said: &str) -> Option<String> {
        let prefix = format!("{}/", self.directory.display());
        let said = format!("{}\n", said.replace(&prefix, "").trim_end());
        let expected = self.directory.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        let expected = fs::read_to_string(expected).unwrap_or_default();
        (said != expected)
            .then(|| format!("## {}\n# expected\n{expected}\n# said\n{said}", self.name))
    }
}
