//! What counting costs: a handshake and a request as the ledger and the metrics keep them, one look at `/metrics`, and a request
//! with and without spans.
//!
//! `cargo bench -p sbi --bench bookkeeping`

use std::future::pending;
use std::hint::black_box;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use hyper::{Method, StatusCode};
use mtc_tls::handshake::HandshakeCost;
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::ConnectionProfile;
use mtc_tls::record::Side;
use sbi::client::{Connection, Request};
use sbi::ledger::Ledger;
use sbi::metrics::{Exposition, Metrics};
use sbi::operation::ServiceOperation;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{self, Handler, Peer, serve_connection};
use sbi::uri::Scheme;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

const SESSION: &str = "/nsmf-pdusession/v1/sm-contexts";
const DEADLINE: Duration = Duration::from_secs(10);

fn main() {
    divan::main();
}

fn cost() -> HandshakeCost {
    HandshakeCost {
        elapsed: Duration::from_micros(900),
        cpu: Duration::from_micros(300),
        verify: Duration::from_micros(12),
        bytes_sent: 7400,
        bytes_received: 7200,
        received: Some(CertificateKind::LandmarkRelative),
        ..HandshakeCost::default()
    }
}

fn profile() -> ConnectionProfile {
    "mtc-landmark/ml-dsa-65/X25519MLKEM768"
        .parse()
        .expect("a connection profile")
}

/// Ledger and metrics together.
#[divan::bench]
fn handshake_in_ledger(bencher: Bencher<'_, '_>) {
    let (ledger, profile, cost) = (Ledger::default(), profile(), cost());
    bencher.bench(|| ledger.record_client(black_box(profile), black_box(&cost)));
}

/// Of that, the metrics.
#[divan::bench]
fn handshake_in_metrics(bencher: Bencher<'_, '_>) {
    let (metrics, profile, cost) = (Metrics::new(), Some(profile()), cost());
    bencher.bench(|| {
        metrics
            .handshakes
            .completed(Side::Client, black_box(profile), black_box(&cost))
    });
}

#[divan::bench]
fn request_in_metrics(bencher: Bencher<'_, '_>) {
    let metrics = Metrics::new();
    bencher.bench(|| {
        let operation = ServiceOperation::of(&Method::POST, black_box(SESSION));
        metrics.requests.record(
            Side::Server,
            operation,
            Some(StatusCode::CREATED),
            black_box(Duration::from_micros(200)),
        );
    });
}

/// With the series of one variant.
#[divan::bench]
fn look_at_metrics(bencher: Bencher<'_, '_>) {
    let metrics = Metrics::new();
    metrics
        .handshakes
        .completed(Side::Client, Some(profile()), &cost());
    bencher.bench(|| Exposition::Prometheus.encode(&metrics.registry.gather()));
}

struct Creating;

impl Handler for Creating {
    async fn handle(&self, _: server::Request) -> Result<Response, Problem> {
        Ok(Response::empty(StatusCode::CREATED))
    }
}

/// Over HTTP/2 in memory, counted on both sides; with spans there are two, each of which is a line that is formatted and thrown
/// away.
#[divan::bench(args = ["info", "info,sbi::trace=debug"])]
fn request_at_level(bencher: Bencher<'_, '_>, levels: &str) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(levels))
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(io::sink)
        .finish();
    // Of this thread: so is the runtime.
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let metrics = Metrics::new().requests;
    let connection = runtime.block_on(async {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let peer = Arc::new(Peer::cleartext((Ipv4Addr::LOCALHOST, 1).into()));
        let counted = metrics.clone();
        tokio::spawn(serve_connection(
            server,
            peer,
            Arc::new(Creating),
            counted,
            pending(),
        ));
        Connection::handshake(client, Scheme::Https)
            .await
            .expect("http/2")
    });
    let connection = connection.counted_in(metrics);
    bencher.bench_local(|| {
        let request = Request::new(Method::POST, "smf", SESSION);
        let answer = runtime.block_on(connection.send(request, DEADLINE));
        answer.expect("an answer").status
    });
}
