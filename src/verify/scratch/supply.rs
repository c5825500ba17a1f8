//! From the name of a source to what it has here, and from that to a running server.

use std::path::PathBuf;

use super::{Options, ScratchError, Source, binaries, charge::Charge, guard::Guard, local};
#[cfg(feature = "container")]
use super::{container, image::Image};

/// What a source has to offer on this machine.
pub(super) enum Supply {
    /// An image for the Docker engine that answers here.
    #[cfg(feature = "container")]
    Image(Image),
    /// The directory with PostgreSQL's programs.
    Binaries(PathBuf),
    /// The URL of a server.
    Url(String),
}

impl Supply {
    /// What there is to start with, or the reason why there is nothing, for people.
    pub(super) async fn of(source: &Source) -> Result<Self, String> {
        match source {
            #[cfg(feature = "container")]
            Source::Container => container::find().await.map(Self::Image),
            Source::Local => binaries::find().map(Self::Binaries).ok_or_else(|| {
                "neither PATH, pg_config nor /usr/lib/postgresql lead to initdb and postgres".into()
            }),
            #[cfg(feature = "download")]
            Source::Download => super::download::fetch().await.map(Self::Binaries),
            Source::Url(url) => Ok(Self::Url(url.clone())),
            #[cfg(not(all(feature = "container", feature = "download")))]
            missing => Err(format!(
                "this program was built without the feature `{}`",
                missing.kind()
            )),
        }
    }

    /// The URL of the server, and who cleans up behind it.
    pub(super) async fn start(self, options: &Options) -> Result<(String, Guard), ScratchError> {
        match self {
            #[cfg(feature = "container")]
            Self::Image(image) => container::start(image, options).await,
            Self::Binaries(binaries) => local::start(&binaries, options).await,
            Self::Url(url) => {
                let guard = Guard::post(&options.guardian, &Charge::Databases).await?;
                guard.tell(&url)?;
                Ok((url, guard))
            }
        }
    }
}
