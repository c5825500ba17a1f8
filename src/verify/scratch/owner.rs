//! Who PostgreSQL runs as when we are root.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// The user and group that PostgreSQL's programs run as. They refuse to run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    /// For root: the user `postgres`, else `nobody`. For everybody else nothing, as they stay who they are.
    ///
    /// `ours` is a file this process has just created.
    pub(super) fn instead_of_root(ours: &Path) -> io::Result<Option<Self>> {
        if fs::metadata(ours)?.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let found = find(&users, "postgres").or_else(|| find(&users, "nobody"));
        found.map(Some).ok_or_else(|| {
            io::Error::other(
                "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`",
            )
        })
    }
}

fn find(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        match fields[..] {
            [user, _, uid, gid, ..] if user == name => Some(Owner {
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
            }),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_users_of_the_machine() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:104:,,,:/:\n";
        assert_eq!(find(users, "postgres"), Some(Owner { uid: 101, gid: 104 }));
        assert_eq!(find(users, "nobody"), None);
    }
}
