//! What a guardian is told to watch over, on its command line. No secret may stand there: everybody can read it.

use std::ffi::OsString;

use super::{cluster::Cluster, owner::Owner};

/// What a guardian watches over, as it is told on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Charge {
    /// A local server and its files.
    Cluster(Cluster),
    /// A container, by its name.
    #[cfg(feature = "container")]
    Container(String),
    /// Databases and roles on a server that is not ours: its URL comes first over the pipe, then a name a line.
    Databases,
}

impl Charge {
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        match self {
            Self::Cluster(Cluster {
                binaries,
                directory,
                owner,
            }) => {
                let mut all = vec!["cluster".into(), binaries.into(), directory.into()];
                if let Some(Owner { uid, gid }) = owner {
                    all.extend([uid.to_string().into(), gid.to_string().into()]);
                }
                all
            }
            #[cfg(feature = "container")]
            Self::Container(name) => vec!["container".into(), name.into()],
            Self::Databases => vec!["databases".into()],
        }
    }

    pub(super) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let (kind, rest) = arguments.split_first()?;
        match (kind.to_str()?, rest) {
            ("cluster", [binaries, directory, owner @ ..]) => Some(Self::Cluster(Cluster {
                binaries: binaries.into(),
                directory: directory.into(),
                owner: owner_from(owner)?,
            })),
            #[cfg(feature = "container")]
            ("container", [name]) => Some(Self::Container(name.to_str()?.to_owned())),
            ("databases", []) => Some(Self::Databases),
            _ => None,
        }
    }
}

/// `None` is a mistake, `Some(None)` nobody.
fn owner_from(arguments: &[OsString]) -> Option<Option<Owner>> {
    let number = |text: &OsString| text.to_str()?.parse().ok();
    match arguments {
        [] => Some(None),
        [uid, gid] => Some(Some(Owner {
            uid: number(uid)?,
            gid: number(gid)?,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_as_they_were() {
        let cluster = |owner| {
            Charge::Cluster(Cluster {
                binaries: "/usr/lib/postgresql/17/bin".into(),
                directory: "/tmp/with space".into(),
                owner,
            })
        };
        for charge in [
            cluster(None),
            cluster(Some(Owner { uid: 101, gid: 104 })),
            #[cfg(feature = "container")]
            Charge::Container("tenantry-scratch-1".into()),
            Charge::Databases,
        ] {
            assert_eq!(Charge::from_arguments(&charge.to_arguments()), Some(charge));
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for words in [
            &["cluster", "/bin"][..],
            &["cluster", "/bin", "/d", "7"],
            &["tree", "x"],
            &[],
        ] {
            let arguments: Vec<_> = words.iter().map(OsString::from).collect();
            assert_eq!(Charge::from_arguments(&arguments), None, "{words:?}");
        }
    }
}
