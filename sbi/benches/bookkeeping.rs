//! What counting costs: a handshake and a request as the ledger and the metrics keep them, and one look at `/metrics`.
//!
//! `cargo bench -p sbi --bench bookkeeping`

use std::hint::black_box;
use std::time::Duration;

use divan::Bencher;
use hyper::{Method, StatusCode};
use mtc_tls::handshake::{CertificateKind, HandshakeCost};
use mtc_tls::hints::ConnectionProfile;
use sbi::ledger::Ledger;
use sbi::metrics::{Exposition, Metrics, Side};
use sbi::operation::ServiceOperation;

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
        let operation =
            ServiceOperation::of(&Method::POST, black_box("/nsmf-pdusession/v1/sm-contexts"));
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
