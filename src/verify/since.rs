//! What is new: everything above a version, or the files that differ from a revision in git.
//!
//! Git is asked, never told to change anything.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::process::Command;

use crate::migration::{Migration, Repeatable, Script, Version};

/// What is to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// Everything above this version.
    After(Version),
    /// What has one of these files.
    Changed(Changed),
}

/// Files that differ from those of a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// New or changed, with their whole paths.
    pub files: BTreeSet<PathBuf>,
    /// Those of them that the revision has, too.
    pub edited: BTreeSet<PathBuf>,
    /// Gone.
    pub deleted: BTreeSet<PathBuf>,
}

/// Why nobody can say what is new.
#[derive(Debug, thiserror::Error)]
pub enum SinceError {
    /// There is no such program.
    #[error("cannot run git, which is asked what is new since {revision:?}: {error}")]
    NoGit {
        /// The revision that was named.
        revision: String,
        /// The system's answer.
        error: io::Error,
    },
    /// The files are in no repository.
    #[error(
        "{} is in no git repository, so nobody can say what is new in it since {revision:?}; name a version instead",
        .directory.display()
    )]
    NoRepository {
        /// The revision that was named.
        revision: String,
        /// Where the files are.
        directory: PathBuf,
    },
    /// Git does not know the revision.
    #[error(
        "git knows no revision {revision:?} in {}; a pipeline has to fetch it first (`git fetch origin`)",
        .directory.display()
    )]
    NoRevision {
        /// The revision that was named.
        revision: String,
        /// Where the files are.
        directory: PathBuf,
    },
    /// The histories have nothing in common, as far as they were fetched.
    #[error(
        "{revision:?} has no commit in common with what is checked out; where a pipeline fetches only the last commits, it \
         has to fetch all (`fetch-depth: 0`, `GIT_DEPTH: 0`)"
    )]
    NoCommonCommit {
        /// The revision that was named.
        revision: String,
    },
    /// Git says something else.
    #[error("git cannot tell what is new: {0}")]
    Git(String),
}

impl Since {
    /// Reads what was typed: digits are a version, all else is a revision of the repository that the directories are in.
    /// New is what was changed since the last commit that the revision and the checked-out state have in common, also
    /// where it is in no commit yet.
    ///
    /// # Errors
    /// There is no git, no repository, no such revision.
    pub async fn read(typed: &str, directories: &[PathBuf]) -> Result<Self, SinceError> {
        if let Ok(version) = typed.parse() {
            return Ok(Self::After(version));
        }
        let mut changed = Changed::default();
        for directory in directories.iter().filter(|directory| directory.is_dir()) {
            let git = Git {
                directory,
                revision: typed,
            };
            git.changed(&mut changed).await?;
        }
        Ok(Self::Changed(changed))
    }

    pub(super) fn is_new(&self, migration: &Migration) -> bool {
        match self {
            Self::After(version) => migration.version > *version,
            Self::Changed(changed) => {
                let scripts = [Some(&migration.up), migration.down.as_ref()];
                scripts.into_iter().flatten().any(|s| changed.has(s))
            }
        }
    }

    /// Whether the migrations that are not new are, with the same texts, what was there before.
    pub(super) fn leaves_as_they_were(&self, migrations: &[Arc<Migration>]) -> bool {
        let Self::Changed(changed) = self else {
            return true;
        };
        let mut files = migrations
            .iter()
            .flat_map(|m| [Some(&m.up), m.down.as_ref()])
            .flatten()
            .map(|script| whole(&script.path));
        changed.deleted.is_empty() && !files.any(|file| changed.edited.contains(&file))
    }

    /// Above a version nobody can say it: then it counts as new.
    pub(super) fn is_new_repeatable(&self, repeatable: &Repeatable) -> bool {
        match self {
            Self::After(_) => true,
            Self::Changed(changed) => changed.has(&repeatable.script),
        }
    }

    /// The files that are gone from these directories.
    pub(super) fn deleted_from(&self, directories: &[PathBuf]) -> Vec<String> {
        let Self::Changed(changed) = self else {
            return Vec::new();
        };
        let directories: Vec<_> = directories.iter().map(|path| whole(path)).collect();
        let is_in = |file: &&PathBuf| directories.iter().any(|d| file.starts_with(d));
        let deleted = changed.deleted.iter().filter(is_in);
        deleted.map(|file| file.display().to_string()).collect()
    }
}

impl Changed {
    fn has(&self, script: &Script) -> bool {
        self.files.contains(&whole(&script.path))
    }
}

fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The repository of one directory.
struct Git<'a> {
    directory: &'a Path,
    revision: &'a str,
}

impl Git<'_> {
    async fn changed(&self, changed: &mut Changed) -> Result<(), SinceError> {
        let (revision, directory) = (self.revision.to_owned(), self.directory.to_owned());
        let Ok(root) = self.ask(&["rev-parse", "--show-toplevel"]).await? else {
            return Err(SinceError::NoRepository {
                revision,
                directory,
            });
        };
        let root = whole(Path::new(root.trim_end_matches('\n')));
        let commit = format!("{revision}^{{commit}}");
        let verify = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ];
        let Ok(commit) = self.ask(&verify).await? else {
            return Err(SinceError::NoRevision {
                revision,
                directory,
            });
        };
        let Ok(base) = self.ask(&["merge-base", "HEAD", commit.trim()]).await? else {
            return Err(SinceError::NoCommonCommit { revision });
        };
        let diff = [
            "diff",
            "--name-status",
            "--no-renames",
            "-z",
            base.trim(),
            "--",
            ".",
        ];
        let diff = self.ask(&diff).await?.map_err(SinceError::Git)?;
        let mut parts = diff.split('\0');
        while let (Some(state), Some(file)) = (parts.next(), parts.next()) {
            let file = root.join(file);
            if state == "D" {
                changed.deleted.insert(file);
                continue;
            }
            if state != "A" {
                changed.edited.insert(file.clone());
            }
            changed.files.insert(file);
        }
        let others = [
            "ls-files",
            "--others",
            "--exclude-standard",
            "--full-name",
            "-z",
        ];
        let others = self.ask(&others).await?.map_err(SinceError::Git)?;
        let others = others.split('\0').filter(|file| !file.is_empty());
        changed.files.extend(others.map(|file| root.join(file)));
        Ok(())
    }

    /// What git writes, or what it says against it.
    async fn ask(&self, arguments: &[&str]) -> Result<Result<String, String>, SinceError> {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.directory).args(arguments);
        command.kill_on_drop(true);
        let output = command.output().await.map_err(|error| SinceError::NoGit {
            revision: self.revision.to_owned(),
            error,
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr).trim().to_owned())
        })
    }
}
