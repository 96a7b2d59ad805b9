//! Requests after which another protocol is spoken, to a program that does what it is asked.

use std::net::SocketAddr;

use test_support::command::within;
use test_support::test_lab::{TestFolder, TestLab, small};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::beside::{Ports, Sidecar};

/// A connection of HTTP/1.1 as it is on the wire.
struct Wire(BufReader<TcpStream>);

impl Wire {
    async fn open(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.expect("it listens");
        Self(BufReader::new(stream))
    }

    /// The next head, in lower case and without `\r`, or nothing.
    async fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await.expect("text") == 0 {
                break;
            }
        }
        head.to_lowercase().replace('\r', "")
    }

    async fn write(&mut self, octets: impl AsRef<[u8]>) {
        let written = self.0.get_mut().write_all(octets.as_ref()).await;
        written.expect("the connection goes on");
    }

    async fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        let read = self.0.read_exact(&mut octets).await;
        read.expect("the connection goes on");
        octets
    }

    /// Asks, and returns the head of the answer.
    async fn ask(&mut self, request: &str) -> String {
        self.write(format!("{request}\r\nHost: program.test\r\n\r\n"))
            .await;
        within(self.head()).await
    }
}

/// Answers requests: for `/open` with 101 and what is sent it from then on, else with 403, whose body is the request.
async fn program(at: SocketAddr) -> JoinHandle<()> {
    let listener = TcpListener::bind(at).await.expect("a port that nobody has");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(Wire(BufReader::new(stream))));
        }
    })
}

async fn answer(mut wire: Wire) {
    let head = wire.head().await;
    let protocol = head.lines().find_map(|line| line.strip_prefix("upgrade: "));
    let (true, Some(protocol)) = (head.contains(" /open "), protocol) else {
        let length = head.len();
        wire.write(format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\n\r\n{head}"
        ))
        .await;
        return;
    };
    let length = head.len();
    wire.write(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX-Length: {length}\r\n\r\n{head}"
    ))
    .await;
    let (mut from, mut to) = tokio::io::split(wire.0);
    // As much as it takes, until the other side has sent its last.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         Sec-WebSocket-Version: 13\r\nX-Forwarded-Client-Cert: forged";

/// The value of a field in a head.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name))
}

#[tokio::test]
async fn what_a_request_asks_for_is_spoken_from_then_on_both_ways() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let mut ports = Ports::new();
    let (at, outbound) = (ports.next(), ports.next());
    let _program = program(at).await;
    let names = [("program1", "UDR"), ("client1", "UDM")];
    let inbound =
        format!("forward = 'http1://{at}'\n[inbound.headers]\nforwarded_client_cert = true");
    let listen = format!("listen = '{outbound}'");
    let [server, client] = Sidecar::between(&lab, &mut ports, names, &inbound, &listen).await;

    // A method and headers arrive as they are sent, but for those that only sidecars say.
    for (method, protocols, spoken) in [
        ("GET", "h2c, websocket", "websocket"),
        ("POST", "SPDY/3.1", "spdy/3.1"),
    ] {
        let mut wire = Wire::open(outbound).await;
        let asked = WEBSOCKET.replace("websocket\r\n", &format!("{protocols}\r\n"));
        let answer = wire
            .ask(&format!("{method} /open HTTP/1.1\r\n{asked}"))
            .await;
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert_eq!(field(&answer, "upgrade: "), Some(spoken), "{answer}");
        let length = field(&answer, "x-length: ").and_then(|length| length.parse().ok());
        let head = wire.octets(length.expect("the program says it")).await;
        let head = String::from_utf8(head).expect("text");
        assert!(
            head.starts_with(&format!("{} /open ", method.to_lowercase())),
            "{head}"
        );
        assert_eq!(field(&head, "upgrade: "), Some(spoken), "{head}");
        let key = field(&head, "sec-websocket-key: ");
        assert_eq!(key, Some("dghlihnhbxbszsbub25jzq=="), "{head}");
        let whose = field(&head, "x-forwarded-client-cert: ");
        assert!(
            whose.is_some_and(|whose| whose.contains("client1")),
            "{head}"
        );

        let sent: Vec<u8> = (0..1 << 20).map(|n: u32| n as u8).collect();
        let (mut from, mut to) = tokio::io::split(wire.0);
        let sending = async {
            to.write_all(&sent).await.expect("the connection goes on");
            to.shutdown().await.expect("the connection goes on");
        };
        let mut came = Vec::new();
        let (_, read) = within(async { tokio::join!(sending, from.read_to_end(&mut came)) }).await;
        read.expect("an end");
        assert!(came == sent, "{} octets", came.len());
    }

    // What is refused, or does not pass, is a request like any other; and HTTP goes on.
    let mut wire = Wire::open(outbound).await;
    for (path, protocol, has_passed) in [
        ("/refused", "websocket", true),
        ("/open", "h2c", false),
        ("/open", "TLS/1.0, HTTP/2.0", false),
    ] {
        let asked = WEBSOCKET.replace("websocket\r\n", &format!("{protocol}\r\n"));
        let answer = wire.ask(&format!("GET {path} HTTP/1.1\r\n{asked}")).await;
        assert!(answer.starts_with("http/1.1 403 "), "{answer}");
        let length = field(&answer, "content-length: ").and_then(|length| length.parse().ok());
        let head = wire.octets(length.expect("the program says it")).await;
        let head = String::from_utf8(head).expect("text");
        let upgrade = field(&head, "upgrade: ");
        assert_eq!(upgrade, has_passed.then_some(protocol), "{head}");
    }

    let mut wire = Wire::open(outbound).await;
    let answer = wire.ask("CONNECT program.test:80 HTTP/1.1").await;
    assert!(answer.starts_with("http/1.1 501 "), "{answer}");

    // A stop ends it, some time after.
    let mut wire = Wire::open(outbound).await;
    let answer = wire
        .ask(&format!("GET /open HTTP/1.1\r\n{WEBSOCKET}"))
        .await;
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    for (sidecar, direction) in [(&server, "inbound"), (&client, "outbound")] {
        let tunnels = format!("sidecar_tunnels{{direction=\"{direction}\"}}");
        let metrics = sidecar.metrics().await;
        assert!(metrics.value(&tunnels) >= 1.0, "{direction}");
    }
    client.stop();
    let mut rest = Vec::new();
    // With FIN or RST, as the kernel likes.
    let _ = within(wire.0.read_to_end(&mut rest)).await;
    client.ends().await;
    server.stop();
    server.ends().await;
    lab.topology.stop().await;
}
