//! A way to a name that has no address: a proxy, which the clients of others know how to use.
//!
//! ```text
//!  client, HTTPS_PROXY ── CONNECT name:port ──> Detour ──> where that is
//! ```
//!
//! It sees nothing of TLS, so what the client verifies is the certificate of that name.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The proxy; it ends when this is dropped.
pub struct Detour {
    /// Its URL, for `HTTPS_PROXY`.
    pub url: String,
    _serving: JoinSet<()>,
}

impl Detour {
    /// Leads whoever asks for `authority`, a name and a port, to `target`.
    ///
    /// # Panics
    /// There is no port. Whoever asks for anything else is hung up on.
    pub async fn start(authority: String, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                connections.spawn(lead(client, format!("CONNECT {authority} "), target));
            }
        });
        Self {
            url,
            _serving: serving,
        }
    }
}

/// Leads one client. What it sees of a failure is that the connection ends.
async fn lead(client: TcpStream, wanted: String, target: SocketAddr) {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    if client.read_line(&mut line).await.is_err() || !line.starts_with(&wanted) {
        return;
    }
    while line != "\r\n" {
        line.clear();
        match client.read_line(&mut line).await {
            Ok(octets) if octets > 0 => {}
            _ => return,
        }
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
