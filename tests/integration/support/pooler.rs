//! pgbouncer between a test and the server.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions, raw_sql};
use tempfile::TempDir;

use super::until;

/// How many connections it has to the server.
const SERVERS: usize = 3;

/// A pgbouncer in transaction mode. It ends when it is dropped.
pub(crate) struct Pooler {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl Pooler {
    /// Stands in front of the server that the URL names, with three connections to it that take turns, so that nobody meets
    /// the same one twice. `settings` are further lines of its configuration.
    ///
    /// None, and a line that says so, where pgbouncer is not installed; in CI that is a failure.
    pub(crate) async fn start(url: &str, settings: &str) -> Option<Self> {
        let Some(program) = program() else {
            let required = std::env::var_os("CI").is_some()
                || std::env::var("TENANTRY_TEST_POSTGRES").as_deref() == Ok("container");
            assert!(!required, "pgbouncer is needed: install it");
            // Not `eprintln!`, which the test runner would keep to itself.
            let skipped = b"skipped: pgbouncer is not installed\n";
            std::io::stderr().write_all(skipped).unwrap();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, configuration(url, port, settings)).unwrap();
        let process = command(program)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut pooler = Self {
            process,
            port,
            directory,
        };
        until("pgbouncer listens", async || {
            let ended = pooler.process.try_wait().unwrap();
            assert!(ended.is_none(), "pgbouncer: {}", pooler.log());
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
        pooler.use_all(url).await;
        Some(pooler)
    }

    /// The URL with the pooler in the server's place.
    pub(crate) fn url_for(&self, url: &str) -> String {
        let options: PgConnectOptions = url.parse().unwrap();
        let options = options
            .host("127.0.0.1")
            .port(self.port)
            .ssl_mode(sqlx::postgres::PgSslMode::Disable);
        options.to_url_lossy().into()
    }

    /// Opens all connections to the server: from here on no transaction is where the one before it was.
    async fn use_all(&self, url: &str) {
        let options: PgConnectOptions = self.url_for(url).parse().unwrap();
        let options = options.extra_float_digits(None);
        let mut clients = Vec::new();
        for _ in 0..SERVERS {
            let mut client = PgConnection::connect_with(&options).await.unwrap();
            raw_sql("begin; select 1")
                .execute(&mut client)
                .await
                .unwrap();
            clients.push(client);
        }
        for mut client in clients {
            raw_sql("commit").execute(&mut client).await.unwrap();
            client.close().await.unwrap();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(url: &str, port: u16, settings: &str) -> String {
    let options: PgConnectOptions = url.parse().unwrap();
    let with_password = options.to_url_lossy();
    format!(
        "[databases]\n\
         {database} = host={host} port={server} user={user} password={password}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = {SERVERS}\n\
         server_round_robin = 1\n\
         {settings}\n",
        database = options.get_database().unwrap(),
        host = options.get_host(),
        server = options.get_port(),
        user = options.get_username(),
        password = with_password.password().unwrap_or_default(),
    )
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.is_file())
}

/// It refuses to run as root, and then becomes somebody else once it has read its configuration.
fn command(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    if fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0) {
        command.args(["-u", "nobody"]);
    }
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
