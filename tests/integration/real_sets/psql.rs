//! The other way to carry a set: `psql`, file by file; and what `pg_dump` then sees.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The client programs of PostgreSQL, where this machine has them.
pub(crate) struct Clients {
    psql: PathBuf,
    pg_dump: PathBuf,
}

impl Clients {
    /// Those in `PATH`, else of the newest server that Debian's packages installed.
    pub(crate) fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<_> = env::split_paths(&path).collect();
        let installed = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten();
        directories.extend(installed.map(|entry| entry.unwrap().path().join("bin")));
        let directory = directories
            .into_iter()
            .find(|d| d.join("psql").is_file() && d.join("pg_dump").is_file())?;
        Some(Self {
            psql: directory.join("psql"),
            pg_dump: directory.join("pg_dump"),
        })
    }

    /// Runs a file with this path; what `psql` wrote where it ended with an error.
    pub(crate) fn run(&self, url: &str, search_path: &str, file: &Path) -> Result<(), String> {
        let output = Command::new(&self.psql)
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"])
            .arg(file)
            .arg(url)
            .env(
                "PGOPTIONS",
                format!("-c search_path={search_path} -c client_min_messages=warning"),
            )
            .output()
            .unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(text(&output))
        }
    }

    /// The structure of some schemas; the error is why this `pg_dump` cannot tell, such as a newer server.
    pub(crate) fn dump(&self, url: &str, schemas: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.pg_dump);
        command.args(["--schema-only", "--no-owner", "--dbname", url]);
        let output = command
            .args(schemas.iter().map(|schema| format!("--schema={schema}")))
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(text(&output));
        }
        let dump = String::from_utf8(output.stdout).unwrap();
        // Newer ones put a random word around everything, against texts that are no dumps.
        let lines = dump
            .lines()
            .filter(|line| !line.starts_with(r"\restrict") && !line.starts_with(r"\unrestrict"));
        Ok(lines.flat_map(|line| [line, "\n"]).collect())
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
