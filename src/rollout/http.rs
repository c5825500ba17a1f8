//! HTTP calls of gates and hooks. No URL is ever told of but its host: it may hold a password.

use std::{error::Error, time::Duration};

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect};
use serde_json::Value;

/// Asks with GET; anything but a status of 200 to 299 is an error.
pub(super) async fn get(url: &str, limit: Duration) -> Result<(), String> {
    let (client, url) = prepare(url)?;
    send(client.request(Method::GET, url.clone()), &url, limit).await
}

/// Sends JSON with POST; anything but a status of 200 to 299 is an error.
pub(super) async fn post(
    url: &str,
    key: &str,
    body: &Value,
    limit: Duration,
) -> Result<(), String> {
    let (client, url) = prepare(url)?;
    let request = client
        .request(Method::POST, url.clone())
        .header("idempotency-key", key);
    let request = request.header("content-type", "application/json");
    send(request.body(body.to_string()), &url, limit).await
}

fn prepare(url: &str) -> Result<(Client, Url), String> {
    let url = Url::parse(url).map_err(|_| "the URL is none".to_owned())?;
    // One for the whole program; it is there already where the database driver or somebody else was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What is redirected has not answered, and a password does not travel on.
    let client = Client::builder().redirect(redirect::Policy::none());
    let client = client.user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")));
    let client = client.build().map_err(|error| told(error, &url))?;
    Ok((client, url))
}

async fn send(request: RequestBuilder, url: &Url, limit: Duration) -> Result<(), String> {
    let answer = request.timeout(limit).send().await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!(
            "{} answered {}",
            place(url),
            status(answer.status())
        )),
        Err(error) if error.is_timeout() => {
            Err(format!("{} did not answer within {limit:?}", place(url)))
        }
        Err(error) => Err(told(error, url)),
    }
}

fn status(status: StatusCode) -> String {
    status
        .to_string()
        .trim_end_matches(" <unknown status code>")
        .to_owned()
}

/// With its causes, without the URL.
fn told(error: reqwest::Error, url: &Url) -> String {
    let error = error.without_url();
    let mut text = format!("{} cannot be asked: {error}", place(url));
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn place(url: &Url) -> String {
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!(
        "{}://{}{port}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Answers one call, and gives what it was sent.
    async fn answer(listener: TcpListener, with: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = vec![0; 4096];
        let length = stream.read(&mut sent).await.unwrap();
        stream.write_all(with.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&sent[..length]).into_owned()
    }

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn only_what_answers_well_is_well_and_no_password_is_told() {
        for (with, told) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok(())),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                Err("answered 503 Service Unavailable"),
            ),
            (
                "HTTP/1.1 302 Found\r\nlocation: /there\r\n\r\n",
                Err("answered 302 Found"),
            ),
            ("nonsense", Err("cannot be asked")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://me:s3cret@{}/s3cret", listener.local_addr().unwrap());
            let (said, sent) = tokio::join!(get(&url, LIMIT), answer(listener, with));
            // As `me:s3cret` is sent.
            assert!(
                sent.contains("Basic bWU6czNjcmV0") || sent.contains("basic bWU6czNjcmV0"),
                "{sent}"
            );
            match told {
                Ok(()) => assert_eq!(said, Ok(())),
                Err(told) => {
                    let said = said.unwrap_err();
                    assert!(said.contains(told) && !said.contains("s3cret"), "{said}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_call_says_which_one_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let body = serde_json::json!({"rollout": 3});
        let call = post(&url, "rollout-3/before/1", &body, LIMIT);
        let (said, sent) = tokio::join!(call, answer(listener, "HTTP/1.1 200 OK\r\n\r\n"));
        assert_eq!(said, Ok(()));
        assert!(sent.starts_with("POST /hook "), "{sent}");
        assert!(
            sent.contains("idempotency-key: rollout-3/before/1\r\n"),
            "{sent}"
        );
        assert!(
            sent.contains("content-type: application/json\r\n"),
            "{sent}"
        );
    }

    #[tokio::test]
    async fn silence_and_a_server_without_tls_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = get(&format!("http://{address}/"), Duration::from_millis(50)).await;
        let expected = format!("http://{address} did not answer within 50ms");
        assert_eq!(silent, Err(expected));
        drop(listener);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let (said, sent) = tokio::join!(
            get(&url, LIMIT),
            answer(listener, "HTTP/1.1 200 OK\r\n\r\n")
        );
        // The first byte of a TLS handshake.
        assert!(sent.starts_with('\u{16}'), "{sent:?}");
        assert!(said.unwrap_err().contains("cannot be asked"));
    }
}
