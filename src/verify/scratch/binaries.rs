//! Finding the PostgreSQL that is installed on this machine. Nothing is run but `pg_config`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The directory with the server's programs. `PATH` alone is not enough: Debian puts only the client's there.
pub(super) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(pg_config())
        .chain(newest_first(Path::new("/usr/lib/postgresql")))
        .find(|directory| is_complete(directory))
}

/// `initdb` alone is not enough: some packages link it into `/usr/bin` without the server.
fn is_complete(directory: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

/// What the installed development files say.
fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(text.trim_end()))
}

/// `root/17/bin`, `root/15/bin`, …
fn newest_first(root: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<u32> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors
        .iter()
        .map(|major| root.join(major.to_string()).join("bin"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_numbers_not_texts() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "17-old"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = newest_first(root.path());
        assert_eq!(
            found,
            ["17", "15", "9"].map(|major| root.path().join(major).join("bin"))
        );
    }

    #[test]
    fn client_programs_are_not_a_server() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("pg_ctl"), "").unwrap();
        fs::write(directory.path().join("initdb"), "").unwrap();
        assert!(!is_complete(directory.path()));
        fs::write(directory.path().join("postgres"), "").unwrap();
        assert!(is_complete(directory.path()));
    }
}
