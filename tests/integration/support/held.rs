//! A process of its own with a server, to be ended in unkind ways.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use tenantry::verify::scratch::{Server, Source};

use super::options;

/// The variable that tells the child which source to start from.
const SOURCE: &str = "TENANTRY_TEST_HOLD";

/// How the line with the URL begins.
const SERVING: &str = "serving ";

/// Another process, a run of this same test binary, that holds a scratch server until it is killed.
pub(crate) struct Held {
    child: Child,
    pub(crate) url: String,
}

impl Held {
    /// Starts the process, as the leader of a group of its own, and waits for its server.
    pub(crate) fn start(source: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "support::held::hold", "--ignored", "--nocapture"])
            .env(SOURCE, source)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let url = lines
            .find_map(|line| {
                said.push_str(&line);
                line.strip_prefix(SERVING).map(str::to_owned)
            })
            .unwrap_or_else(|| panic!("the child has no server: {said}"));
        Self { child, url }
    }

    /// SIGKILL, which leaves it no time for anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What Ctrl-C on a terminal does: SIGINT to everybody in the group.
    pub(crate) fn interrupt(mut self) {
        let command = format!("kill -INT -{}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &command])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap();
    }
}

/// The child's side.
#[tokio::test]
#[ignore = "started by other tests, as a process of its own"]
async fn hold() {
    let Ok(source) = std::env::var(SOURCE) else {
        return;
    };
    let source: Source = source.parse().unwrap();
    let server = Server::start(&options().sources([source])).await.unwrap();
    std::io::stderr()
        .write_all(format!("{SERVING}{}\n", server.url()).as_bytes())
        .unwrap();
    // Until the other end of the pipe is closed, should the parent die first.
    std::io::read_to_string(std::io::stdin()).unwrap();
}
