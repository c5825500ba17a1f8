//! Servers in containers of this machine's Docker engine.

use std::{
    mem::ManuallyDrop,
    time::{Duration, Instant},
};

use testcontainers::{
    ContainerRequest, ImageExt,
    bollard::{
        Docker,
        errors::Error,
        query_parameters::{CreateImageOptionsBuilder, RemoveContainerOptionsBuilder},
    },
    core::client::docker_client_instance,
    runners::AsyncRunner,
};

use super::{
    AUTHENTICATION, NAME_PREFIX, Options, ScratchError, charge::Charge, guard::Guard, image::Image,
    secret::random_hex,
};

/// How long an engine may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(5);

/// How long fetching an image may take, where we have none.
const FETCH: Duration = Duration::from_secs(60);

/// How long the guardian looks for the container.
const REMOVAL: Duration = Duration::from_secs(5);

/// How long the server in the container may take to be ready.
const READY: Duration = Duration::from_secs(60);

/// The image that can be started here, or the reason why no container can.
pub(super) async fn find() -> Result<Image, String> {
    let engine = engine().await?;
    let wanted = Image::candidates();
    for image in &wanted {
        if engine.inspect_image(&image.reference()).await.is_ok() {
            return Ok(image.clone());
        }
    }
    let Some(first) = wanted.into_iter().next() else {
        return Err("no image is named".into());
    };
    match tokio::time::timeout(FETCH, fetch(&engine, &first)).await {
        Ok(Ok(())) => Ok(first),
        Ok(Err(error)) => Err(format!(
            "the image {} is not here: {error}",
            first.reference()
        )),
        Err(_) => Err(format!(
            "fetching the image {} takes too long",
            first.reference()
        )),
    }
}

/// Starts a container; the server's URL, and who cleans up behind it.
pub(super) async fn start(
    image: Image,
    options: &Options,
) -> Result<(String, Guard), ScratchError> {
    let secret = random_hex().map_err(ScratchError::system("read /dev/urandom"))?;
    let random = random_hex().map_err(ScratchError::system("read /dev/urandom"))?;
    let name = format!("{NAME_PREFIX}{random}");
    let guard = Guard::post(&options.guardian, &Charge::Container(name.clone())).await?;

    let request = ContainerRequest::from(image)
        .with_container_name(name)
        .with_env_var("POSTGRES_PASSWORD", &secret)
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", AUTHENTICATION)
        .with_cmd(arguments(options))
        .with_startup_timeout(READY);
    let container = request.start().await.map_err(failed("start a container"))?;
    // Its destructor would need the runtime it was started on. The guardian removes it instead.
    let container = ManuallyDrop::new(container);
    let host = container
        .get_host()
        .await
        .map_err(failed("tell its address"))?;
    let port = container
        .get_host_port_ipv4(5432)
        .await
        .map_err(failed("tell the port"))?;
    Ok((
        format!("postgres://postgres:{secret}@{host}:{port}/postgres"),
        guard,
    ))
}

/// Removes the container with its volumes, if there is one of this name or soon will be.
pub(super) async fn remove(name: &str) -> anyhow::Result<()> {
    let engine = engine().await.map_err(anyhow::Error::msg)?;
    let give_up = Instant::now() + REMOVAL;
    // Whoever asked the engine for the container may have been killed before it was made.
    loop {
        let everything = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let late = Instant::now() > give_up;
        match engine.remove_container(name, Some(everything)).await {
            Ok(()) => return Ok(()),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) if late => return Ok(()),
            Err(error) if late => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn engine() -> Result<Docker, String> {
    let engine = docker_client_instance()
        .await
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(ANSWER, engine.ping()).await {
        Ok(Ok(_)) => Ok(engine),
        Ok(Err(error)) => Err(format!("no Docker engine answers: {error}")),
        Err(_) => Err("the Docker engine does not answer".into()),
    }
}

async fn fetch(engine: &Docker, image: &Image) -> Result<(), Error> {
    use futures::TryStreamExt;
    let what = CreateImageOptionsBuilder::new()
        .from_image(&image.reference())
        .build();
    engine
        .create_image(Some(what), None, None)
        .try_for_each(|_| async { Ok(()) })
        .await
}

fn arguments(options: &Options) -> Vec<String> {
    options
        .server_settings()
        .into_iter()
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
        .collect()
}

fn failed(doing: &str) -> impl FnOnce(testcontainers::TestcontainersError) -> ScratchError {
    let doing = doing.to_owned();
    move |error| ScratchError::Engine {
        doing,
        source: error.into(),
    }
}
