//! Counting what a client and PostgreSQL say to each other.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    task::JoinHandle,
};

/// A proxy on loopback that counts what clients and server say to each other. It ends when it is dropped.
///
/// It reads the messages, so the client must not ask for TLS: use [`Proxy::options`].
pub(crate) struct Proxy {
    address: SocketAddr,
    traffic: Arc<Mutex<Traffic>>,
    silent: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// What has passed since the last [`Proxy::reset`], over all connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// How often a client spoke after the server had spoken: what is paid for in latency.
    pub(crate) round_trips: u64,
    /// The messages of clients, by their type byte: `Q` simple query, `P` parse, `B` bind, `E` execute, `S` sync.
    /// The first message of a connection, which has none, is not among them.
    pub(crate) messages: Vec<u8>,
}

/// Who spoke last on one connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Client,
    Server,
}

impl Proxy {
    /// Stands in front of the server the URL names.
    pub(crate) async fn start(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let seen = Arc::clone(&traffic);
        let silent = Arc::new(AtomicBool::new(false));
        let hole = Arc::clone(&silent);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect((server.0.as_str(), server.1))
                    .await
                    .unwrap();
                connect(client, upstream, &seen, &hole);
            }
        });
        Self {
            address,
            traffic,
            silent,
            task,
        }
    }

    /// The URL with the proxy in the server's place.
    pub(crate) fn url_for(&self, url: &str) -> String {
        let options: PgConnectOptions = url.parse().unwrap();
        let host = self.address.ip().to_string();
        let ssl = sqlx::postgres::PgSslMode::Disable;
        options
            .host(&host)
            .port(self.address.port())
            .ssl_mode(ssl)
            .to_url_lossy()
            .into()
    }

    /// What has passed since the last reset.
    pub(crate) fn traffic(&self) -> Traffic {
        lock(&self.traffic).clone()
    }

    /// From here on nothing comes through any more, in either direction, and no connection is closed: as when a cable is cut.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Starts counting anew, as after the handshake of a connection.
    pub(crate) fn reset(&self) {
        *lock(&self.traffic) = Traffic::default();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn connect(
    client: TcpStream,
    server: TcpStream,
    traffic: &Arc<Mutex<Traffic>>,
    silent: &Arc<AtomicBool>,
) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let last = Arc::new(Mutex::new(Speaker::Server));
    tokio::spawn(forward_replies(
        from_server,
        to_client,
        Arc::clone(&last),
        Arc::clone(silent),
    ));
    tokio::spawn(forward_requests(
        from_client,
        to_server,
        last,
        Arc::clone(traffic),
        Arc::clone(silent),
    ));
}

async fn forward_replies(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    last: Arc<Mutex<Speaker>>,
    silent: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut bytes).await {
        if silent.load(Ordering::Relaxed) {
            continue;
        }
        *lock(&last) = Speaker::Server;
        if client.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn forward_requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    last: Arc<Mutex<Speaker>>,
    traffic: Arc<Mutex<Traffic>>,
    silent: Arc<AtomicBool>,
) {
    let mut messages = Messages::default();
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut bytes).await {
        if silent.load(Ordering::Relaxed) {
            continue;
        }
        let found = messages.feed(&bytes[..count]);
        {
            let mut traffic = lock(&traffic);
            traffic.messages.extend(found);
            let speaker = std::mem::replace(&mut *lock(&last), Speaker::Client);
            traffic.round_trips += u64::from(speaker == Speaker::Server);
        }
        if server.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds where the messages of a client begin, however the bytes are cut.
#[derive(Default)]
struct Messages {
    greeted: bool,
    header: Vec<u8>,
    /// Bytes of the current message still to come.
    body: usize,
}

impl Messages {
    /// The types of the messages whose headers end in these bytes.
    fn feed(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let skipped = self.body.min(bytes.len());
            self.body -= skipped;
            bytes = &bytes[skipped..];
            let Some((&next, rest)) = bytes.split_first() else {
                break;
            };
            self.header.push(next);
            bytes = rest;
            // A type and a length that counts itself; the very first message has no type.
            let (typed, size) = if self.greeted { (1, 5) } else { (0, 4) };
            if self.header.len() == size {
                let length: [u8; 4] = self.header[typed..].try_into().unwrap();
                self.body = u32::from_be_bytes(length) as usize - 4;
                found.extend(&self.header[..typed]);
                self.greeted = true;
                self.header.clear();
            }
        }
        found
    }
}

#[test]
fn messages_are_found_however_the_bytes_are_cut() {
    let mut all = b"\0\0\0\x08\0\x03\0\0".to_vec();
    all.extend(b"Q\0\0\0\x06a\0");
    all.extend(b"S\0\0\0\x04X\0\0\0\x04");
    for size in 1..=all.len() {
        let mut messages = Messages::default();
        let found: Vec<u8> = all
            .chunks(size)
            .flat_map(|chunk| messages.feed(chunk))
            .collect();
        assert_eq!(found, b"QSX", "{size} bytes at a time");
    }
}
