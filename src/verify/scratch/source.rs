//! Where scratch servers come from, as people name it.

use std::{fmt, str::FromStr};

use super::{ScratchError, supply::Supply};

/// Where a scratch server can come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A container on this machine's Docker engine.
    Container,
    /// The PostgreSQL installed on this machine.
    Local,
    /// A PostgreSQL downloaded for the purpose.
    Download,
    /// A server that runs already, by its URL. Only databases made by us are touched on it.
    Url(String),
}

impl Source {
    /// The source that `TENANTRY_TEST_POSTGRES` forces, if it is set: `container`, `local`, `download` or a URL.
    pub fn from_environment() -> Result<Option<Self>, ScratchError> {
        match std::env::var("TENANTRY_TEST_POSTGRES") {
            Ok(text) if !text.is_empty() => text.parse().map(Some),
            _ => Ok(None),
        }
    }

    /// The reason, for people, why no server can be started from here, if there is one.
    ///
    /// For a container this fetches the image, if that is needed; a URL is not tried.
    pub async fn check(&self) -> Result<(), String> {
        Supply::of(self).await.map(|_| ())
    }

    /// One word for people: `container`, `local`, `download` or `url`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Local => "local",
            Self::Download => "download",
            Self::Url(_) => "url",
        }
    }
}

impl FromStr for Source {
    type Err = ScratchError;

    fn from_str(text: &str) -> Result<Self, ScratchError> {
        match text {
            "container" => Ok(Self::Container),
            "local" => Ok(Self::Local),
            "download" => Ok(Self::Download),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Self::Url(url.to_owned()))
            }
            other => Err(ScratchError::UnknownSource(other.to_owned())),
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_urls() {
        assert_eq!("container".parse::<Source>().unwrap(), Source::Container);
        assert_eq!("local".parse::<Source>().unwrap(), Source::Local);
        let url: Source = "postgresql://me:secret@host/db".parse().unwrap();
        assert_eq!(url, Source::Url("postgresql://me:secret@host/db".into()));
        assert_eq!(format!("{url:?}"), "url");
        assert!("mysql://host".parse::<Source>().is_err());
    }
}
