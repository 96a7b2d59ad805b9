//! What a client makes of servers as there are: of files, over HTTP/1.1 and HTTP/2, with and without TLS.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mtc_web::{Client, HttpError, Prefix};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(10);

/// How a server serves.
#[derive(Default)]
struct Manner {
    tls: Option<TlsAcceptor>,
    /// Requests that a connection answers before it is closed without a word.
    per_connection: Option<usize>,
}

/// A server that knows `/mtc/file`, `/mtc/gzip`, `/mtc/zstd` and `/mtc/echo`; how many connections it had is counted.
async fn serve(manner: Manner) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let answered = AtomicUsize::new(0);
            let per_connection = manner.per_connection.unwrap_or(usize::MAX);
            let service = service_fn(move |request| {
                let is_last = answered.fetch_add(1, Ordering::Relaxed) + 1 == per_connection;
                answer(request, is_last)
            });
            let server = auto::Builder::new(TokioExecutor::new());
            match manner.tls.clone() {
                None => {
                    tokio::spawn(async move {
                        let _ = server.serve_connection(TokioIo::new(tcp), service).await;
                    });
                }
                Some(tls) => {
                    tokio::spawn(async move {
                        let Ok(tls) = tls.accept(tcp).await else {
                            return;
                        };
                        let _ = server.serve_connection(TokioIo::new(tls), service).await;
                    });
                }
            }
        }
    });
    (addr, connections)
}

async fn answer(
    request: Request<Incoming>,
    is_last: bool,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let version = request.version();
    let mut answer = Response::new(Full::default());
    match request.uri().path() {
        "/mtc/file" => *answer.body_mut() = Full::from(format!("{version:?}")),
        "/mtc/gzip" => {
            *answer.body_mut() = Full::from(gzip(&[9; 5000]));
            let gzip = HeaderValue::from_static("gzip");
            answer.headers_mut().insert(CONTENT_ENCODING, gzip);
        }
        "/mtc/zstd" => {
            let zstd = HeaderValue::from_static("zstd");
            answer.headers_mut().insert(CONTENT_ENCODING, zstd);
        }
        "/mtc/echo" => {
            let kind = request.headers()[CONTENT_TYPE].clone();
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            *answer.body_mut() = Full::new(request.into_body().collect().await?.to_bytes());
            *answer.status_mut() = StatusCode::CONFLICT;
        }
        _ => *answer.status_mut() = StatusCode::NOT_FOUND,
    }
    if is_last && version == Version::HTTP_11 {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    Ok(answer)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

fn below(url: String) -> Client {
    Client::new(url.parse().expect("a URL"), TIMEOUT).expect("no roots are read")
}

/// A server's side of TLS that offers `protocols`, and a client's that trusts it.
fn tls(protocols: &[&[u8]]) -> (TlsAcceptor, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("sound");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("sound");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("sound")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("sound");
    server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("sound");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("sound")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), client)
}

#[tokio::test]
async fn a_file_below_a_prefix_is_read_in_cleartext_over_one_connection() {
    let (addr, connections) = serve(Manner::default()).await;
    let client = below(format!("http://{addr}/mtc/"));
    for _ in 0..3 {
        assert_eq!(client.file("file", 100).await.unwrap(), "HTTP/1.1");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let missing = client.file("other", 100).await.unwrap_err();
    assert!(matches!(missing, HttpError::Status(StatusCode::NOT_FOUND)));
    // Without the prefix there is nothing.
    let wrong = below(addr.to_string()).file("file", 100).await.unwrap_err();
    assert!(matches!(wrong, HttpError::Status(StatusCode::NOT_FOUND)));
}

#[tokio::test]
async fn a_server_that_ends_connections_is_asked_over_new_ones() {
    let manner = Manner {
        per_connection: Some(2),
        ..Manner::default()
    };
    let (addr, connections) = serve(manner).await;
    let client = below(format!("http://{addr}/mtc"));
    for _ in 0..5 {
        client.file("file", 100).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn https_speaks_what_the_server_chooses_and_trusts_whom_it_is_told_to() {
    for (protocols, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"),
        (&[b"http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let (acceptor, trusting) = tls(protocols);
        let manner = Manner {
            tls: Some(acceptor),
            ..Manner::default()
        };
        let (addr, _) = serve(manner).await;
        let prefix: Prefix = format!("https://localhost:{}/mtc", addr.port())
            .parse()
            .unwrap();
        let client = Client::with_tls(prefix.clone(), TIMEOUT, trusting);
        assert_eq!(client.file("file", 100).await.unwrap(), version);
        let (_, of_another) = tls(protocols);
        let client = Client::with_tls(prefix, TIMEOUT, of_another);
        let refused = client.file("file", 100).await.unwrap_err();
        assert!(matches!(refused, HttpError::Connect { .. }), "{refused:?}");
        let text = format!("{refused:?}");
        assert!(text.contains("InvalidCertificate"), "{text}");
    }
}

#[tokio::test]
async fn a_port_that_speaks_tls_is_pointed_at_where_cleartext_was_meant() {
    let (acceptor, _) = tls(&[]);
    let manner = Manner {
        tls: Some(acceptor),
        ..Manner::default()
    };
    let (addr, _) = serve(manner).await;
    let failed = below(addr.to_string()).file("file", 100).await.unwrap_err();
    assert!(
        failed.to_string().contains("does this port speak https?"),
        "{failed}"
    );
}

#[tokio::test]
async fn whoever_answers_409_is_heard() {
    let (addr, _) = serve(Manner::default()).await;
    let client = below(format!("http://{addr}/mtc"));
    let kind = HeaderValue::from_static("text/x.tlog.size");
    let answer = client.post("echo", kind.clone(), "12\n", 10).await.unwrap();
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.headers[CONTENT_TYPE], kind);
    assert_eq!(answer.body, "12\n");
    let long = client.post("echo", kind, "12\n", 2).await.unwrap_err();
    assert!(matches!(long, HttpError::TooLong(2)), "{long:?}");
}

// It was read as damage, though c2sp.org/tlog-tiles allows it without negotiation.
#[tokio::test]
async fn a_bundle_with_gzip_is_read_and_another_encoding_is_named() {
    let (addr, _) = serve(Manner::default()).await;
    let client = below(format!("http://{addr}/mtc"));
    assert_eq!(client.file("gzip", 5000).await.unwrap(), &[9; 5000][..]);
    let long = client.file("gzip", 4999).await.unwrap_err();
    assert!(matches!(long, HttpError::TooLong(4999)), "{long:?}");
    let other = client.file("zstd", 5000).await.unwrap_err();
    assert!(other.to_string().contains("\"zstd\""), "{other}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let client = Client::new(addr.into(), Duration::from_millis(50)).unwrap();
    let silent = client.file("file", 100).await.unwrap_err();
    assert!(matches!(silent, HttpError::Timeout(_)), "{silent:?}");
}
