//! Looking for what a scratch server left behind.

use std::{net::TcpStream, path::PathBuf};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tenantry::verify::scratch::Source;

/// What a scratch server has left on this machine.
#[derive(Debug)]
pub(crate) struct Traces {
    address: (String, u16),
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    #[cfg(feature = "container")]
    Container(String),
}

/// The sources this machine can start servers from, so that tests look at each of them.
///
/// Where one is forced, it is among them, usable or not; `local` is forced to be quick, so it is then alone.
pub(crate) async fn startable() -> Vec<Source> {
    let forced = Source::from_environment().unwrap();
    if forced == Some(Source::Local) {
        return vec![Source::Local];
    }
    let mut found = Vec::new();
    for source in [Source::Local, Source::Container] {
        if forced.as_ref() == Some(&source) || source.check().await.is_ok() {
            found.push(source);
        }
    }
    found
}

impl Traces {
    /// To be called while the server runs.
    pub(crate) async fn of(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        let data: String = sqlx::query_scalar("SHOW data_directory")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let place = match PathBuf::from(data).parent() {
            Some(directory) if directory.to_str().unwrap().contains("tenantry-scratch-") => {
                Place::Directory(directory.into())
            }
            _ => container(&mut connection).await,
        };
        connection.close().await.unwrap();
        Self {
            address: (options.get_host().into(), options.get_port()),
            place,
        }
    }

    /// Whether nothing of it is left: nobody listens, and there are no files.
    pub(crate) async fn gone(&self) -> bool {
        let (host, port) = &self.address;
        let listening = TcpStream::connect((host.as_str(), *port)).is_ok();
        !listening && self.place.gone().await
    }
}

impl Place {
    async fn gone(&self) -> bool {
        match self {
            Self::Directory(directory) => !directory.exists(),
            #[cfg(feature = "container")]
            Self::Container(id) => {
                use testcontainers::{
                    bollard::errors::Error, core::client::docker_client_instance,
                };
                let engine = docker_client_instance().await.unwrap();
                let answer = engine.inspect_container(id, None).await;
                matches!(
                    answer,
                    Err(Error::DockerResponseServerError {
                        status_code: 404,
                        ..
                    })
                )
            }
        }
    }
}

/// The engine names a container's host after the container.
#[cfg(feature = "container")]
async fn container(connection: &mut PgConnection) -> Place {
    let read = "SELECT trim(trailing E'\\n' FROM pg_read_file('/etc/hostname'))";
    Place::Container(
        sqlx::query_scalar(read)
            .fetch_one(connection)
            .await
            .unwrap(),
    )
}

#[cfg(not(feature = "container"))]
async fn container(_: &mut PgConnection) -> Place {
    panic!("a scratch server that is neither local nor a container")
}
