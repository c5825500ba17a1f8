//! Our side of the guardian: posting it, telling it something, dismissing it.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use super::{ScratchError, charge::Charge, guardian};

/// Our end of the pipe a guardian watches. It cleans up as soon as this end is closed, in whatever way.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    pipe: Mutex<ChildStdin>,
}

impl Guard {
    /// Starts a guardian and waits until it watches. To be called before there is anything to clean up.
    pub(super) async fn post(program: &Path, charge: &Charge) -> Result<Self, ScratchError> {
        let (program, arguments) = (program.to_owned(), charge.to_arguments());
        blocking(move || {
            let mut command = Command::new(&program);
            command
                .arg(guardian::SUBCOMMAND)
                .args(arguments)
                .current_dir("/");
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            // A group of its own, or Ctrl-C on the terminal would end it before its work is done.
            let mut child = command
                .process_group(0)
                .spawn()
                .map_err(ScratchError::system(format!("start {}", program.display())))?;
            let mut greeting = String::new();
            if let Some(output) = child.stdout.take() {
                BufReader::new(output)
                    .read_line(&mut greeting)
                    .map_err(ScratchError::system("hear from the guardian"))?;
            }
            match child.stdin.take() {
                Some(pipe) if greeting == guardian::GREETING => Ok(Self {
                    child,
                    pipe: Mutex::new(pipe),
                }),
                _ => Err(ScratchError::Guardian(program)),
            }
        })
        .await
    }

    /// Tells the guardian one line more.
    pub(super) fn tell(&self, line: &str) -> Result<(), ScratchError> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipe, "{line}").map_err(ScratchError::system("tell the guardian"))
    }

    /// Has everything cleaned up, and waits for it.
    pub(super) async fn dismiss(self) -> Result<(), ScratchError> {
        let Self { mut child, pipe } = self;
        drop(pipe);
        blocking(move || {
            let status = child
                .wait()
                .map_err(ScratchError::system("wait for the guardian"))?;
            if status.success() {
                Ok(())
            } else {
                Err(ScratchError::NotRemoved(status))
            }
        })
        .await
    }
}

/// Runs what blocks where it harms nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ScratchError> + Send + 'static,
) -> Result<T, ScratchError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)
        .map_err(ScratchError::system("finish a blocking call"))?
}
