//! Servers from the programs installed on this machine, from the first file to the last.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    NAME_PREFIX, Options, ScratchError, charge::Charge, cluster::Cluster, guard::Guard,
    owner::Owner, secret::random_hex,
};

/// How long the guardian goes on removing files that a dying server still writes.
const REMOVAL: Duration = Duration::from_secs(10);

/// Starts a server from the programs in `binaries`; its URL, and who cleans up behind it.
pub(super) async fn start(
    binaries: &Path,
    options: &Options,
) -> Result<(String, Guard), ScratchError> {
    let secret = random_hex().map_err(ScratchError::system("read /dev/urandom"))?;
    let (directory, owner) =
        new_directory().map_err(ScratchError::system("make a directory for the server"))?;
    let cluster = Cluster {
        binaries: binaries.into(),
        directory,
        owner,
    };
    let guard = match Guard::post(&options.guardian, &Charge::Cluster(cluster.clone())).await {
        Ok(guard) => guard,
        Err(error) => {
            fs::remove_dir(&cluster.directory)
                .map_err(ScratchError::system("remove an empty directory"))?;
            return Err(error);
        }
    };
    cluster.initialize(&secret).await?;
    let port = cluster.start(options).await?;
    Ok((
        format!("postgres://postgres:{secret}@127.0.0.1:{port}/postgres"),
        guard,
    ))
}

/// Stops the server, if it runs, and removes everything it has.
pub(super) fn remove(cluster: &Cluster) -> io::Result<()> {
    let directory = &cluster.directory;
    let name = directory
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    if !name.starts_with(NAME_PREFIX) {
        return Err(io::Error::other(format!(
            "{} is not ours to remove",
            directory.display()
        )));
    }
    let give_up = Instant::now() + REMOVAL;
    // `initdb` or the server may just be starting when its parent is killed, and then makes files behind our back.
    loop {
        cluster.stop()?;
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > give_up => return Err(error),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A new directory that nobody but the server's user can look into.
pub(super) fn new_directory() -> io::Result<(PathBuf, Option<Owner>)> {
    let directory = std::env::temp_dir().join(format!("{NAME_PREFIX}{}", random_hex()?));
    DirBuilder::new().mode(0o700).create(&directory)?;
    let owner = Owner::instead_of_root(&directory)?;
    if let Some(Owner { uid, gid }) = owner {
        chown(&directory, Some(uid), Some(gid))?;
    }
    Ok((directory, owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_only_what_it_made() {
        let foreign = tempfile::tempdir().unwrap();
        let cluster = Cluster {
            binaries: "/nowhere".into(),
            directory: foreign.path().into(),
            owner: None,
        };
        assert!(remove(&cluster).is_err());
        assert!(foreign.path().exists());
    }
}
