//! The files of one local server: made, started and stopped with PostgreSQL's own programs, never as root.

use std::{
    fs,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{OpenOptionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{AUTHENTICATION, Options, ScratchError, owner::Owner};

/// How often a start is tried when somebody took the port we had found free.
const TRIES: u32 = 3;

/// How many of the last lines of a log people are shown.
const LOG_LINES: usize = 20;

/// The one locale every system has whose letters are not only those of English.
const LOCALE: &str = if cfg!(target_os = "linux") {
    "--locale=C.UTF-8"
} else {
    "--locale=C"
};

/// The files of one local server, and the programs that work on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Where PostgreSQL's programs are.
    pub(super) binaries: PathBuf,
    /// Everything the server has.
    pub(super) directory: PathBuf,
    /// Whom the server runs as, where that is not us.
    pub(super) owner: Option<Owner>,
}

impl Cluster {
    /// Makes the server's files; `secret` is the password of its user `postgres`.
    pub(super) async fn initialize(&self, secret: &str) -> Result<(), ScratchError> {
        let password = self.directory.join("password");
        self.write(&password, secret)
            .map_err(ScratchError::system("write the password file"))?;
        let mut initdb = self.command("initdb");
        initdb.arg("--pwfile").arg(&password);
        initdb.args(["--username=postgres", "--auth", AUTHENTICATION]);
        initdb.args(["--encoding=UTF8", LOCALE, "--no-sync", "--no-instructions"]);
        self.run(initdb).await?;
        fs::remove_file(password).map_err(ScratchError::system("remove the password file"))
    }

    /// Starts the server and waits until it is ready; the port it listens on.
    pub(super) async fn start(&self, options: &Options) -> Result<u16, ScratchError> {
        let mut tries = 1;
        loop {
            let port = free_port().map_err(ScratchError::system("find a free port"))?;
            self.configure(&conf(port, options))
                .map_err(ScratchError::system("write the server's settings"))?;
            let mut pg_ctl = self.command("pg_ctl");
            pg_ctl
                .args(["start", "--wait", "--silent", "--log"])
                .arg(self.log());
            match self.run(pg_ctl).await {
                Err(ScratchError::Program { output, .. })
                    if tries < TRIES && output.contains("Address already in use") => {}
                result => return result.map(|()| port),
            }
            tries += 1;
        }
    }

    /// Stops the server without any care for its data, if it runs.
    pub(super) fn stop(&self) -> io::Result<()> {
        if self.data().join("postmaster.pid").exists() {
            self.command("pg_ctl")
                .args(["stop", "--mode=immediate", "--wait"])
                .status()?;
        }
        Ok(())
    }

    /// One of PostgreSQL's programs, as the right user and without anything of our environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C");
        command.env("PGDATA", self.data());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(Owner { uid, gid }) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    async fn run(&self, mut command: Command) -> Result<(), ScratchError> {
        let program = PathBuf::from(command.get_program());
        // Into a file, not a pipe: the server inherits it, and a pipe would stay open as long as it runs.
        let output = self.directory.join("output");
        let doing = format!("run {}", program.display());
        let file = fs::File::create(&output).map_err(ScratchError::system(&doing))?;
        let copy = file.try_clone().map_err(ScratchError::system(&doing))?;
        command.stdout(file).stderr(copy);
        let status = tokio::process::Command::from(command)
            .status()
            .await
            .map_err(ScratchError::system(&doing))?;
        if status.success() {
            return Ok(());
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let output = last_lines(&(read(&output) + &read(&self.log())));
        Err(ScratchError::Program {
            program,
            status,
            output,
        })
    }

    /// Puts settings behind those that are there, which they overrule.
    fn configure(&self, settings: &str) -> io::Result<()> {
        let mut file = fs::File::options()
            .append(true)
            .open(self.data().join("postgresql.conf"))?;
        file.write_all(settings.as_bytes())
    }

    /// A file only the server's user can read.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        self.owner.map_or(Ok(()), |owner| {
            chown(path, Some(owner.uid), Some(owner.gid))
        })
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

/// Settings in the form of `postgresql.conf`: only this machine's loopback, no sockets.
fn conf(port: u16, options: &Options) -> String {
    let own = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", String::new()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    own.into_iter()
        .chain(options.server_settings())
        .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
        .collect()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted() {
        let options = Options::new("tenantry").setting("application_name", "it's");
        let conf = conf(5433, &options);
        assert!(conf.contains("port = '5433'\n"), "{conf}");
        assert!(conf.ends_with("application_name = 'it''s'\n"), "{conf}");
    }

    #[test]
    fn the_end_of_a_log_is_what_counts() {
        let log: String = (0..100).map(|line| format!("{line}\n")).collect();
        let shown = last_lines(&log);
        assert!(
            shown.starts_with("80\n") && shown.ends_with("\n99"),
            "{shown}"
        );
        assert_eq!(last_lines("one"), "one");
    }
}
