//! One handshake of the sample, as a side sees it.

use std::time::Duration;

use mtc_core::verify::Basis;
use mtc_tls::anchor_bytes::AnchorBytes;
use mtc_tls::handshake::{HandshakeCost, Negotiated, Sampled, SampledTcp};
use mtc_tls::kind::CertificateKind;
use mtc_tls::record::{DirectionBytes, MessageBytes, Side, WireBytes};
use mtc_tls::tcp_info::TcpInfo;
use mtc_tls::verification::{Verification, VerifySteps};

use super::OPERATIONS;

/// Bytes of either side's hello.
const HELLO: u64 = 1_446;

/// One of many; times have the long tail of a shared machine.
pub(super) fn handshake(
    kind: CertificateKind,
    (bytes, cpu, verify, median): (u64, u64, u64, u64),
    n: u64,
    side: Side,
) -> HandshakeCost {
    let spread = (n * 7919 % (OPERATIONS * 2)) as f64 / (OPERATIONS * 2) as f64;
    let elapsed = median as f64 * (0.8 + 0.35 * spread + 0.02 / (1.004 - spread));
    HandshakeCost {
        tcp_connect: Duration::from_micros(55 + n % 40),
        first_answer: matches!(side, Side::Client)
            .then(|| Duration::from_secs_f64((elapsed + 700.0) / 1e6)),
        elapsed: Duration::from_secs_f64(elapsed / 1e6),
        cpu: Duration::from_micros(cpu),
        verify: Duration::from_micros(verify),
        bytes_sent: bytes,
        bytes_received: bytes - 152,
        presented: Some(kind),
        downgrade: None,
        received: Some(kind),
        group: Some("X25519MLKEM768".to_owned()),
        wire: Some(wire(kind, bytes, side)),
        anchors: anchors(kind, side),
        negotiated: negotiated(),
        verification: Some(verification(kind)),
        sampled: n.is_multiple_of(16).then(|| sampled(kind, verify)),
    }
}

/// Both sides of the sample send as much.
fn wire(kind: CertificateKind, bytes: u64, side: Side) -> WireBytes {
    let certificate_verify = if bytes < 5_000 { 72 } else { 3_317 };
    let hello = |of| if side == of { HELLO } else { 0 };
    let mut messages = MessageBytes {
        client_hello: hello(Side::Client),
        server_hello: hello(Side::Server),
        certificate_verify,
        finished: 52,
        record_layer: if kind == CertificateKind::DirectlySigned {
            55
        } else {
            33
        },
        ..MessageBytes::default()
    };
    messages.certificate = bytes - messages.total();
    let sent = DirectionBytes {
        messages,
        flights: [HELLO, bytes - HELLO, 0],
        beyond: 0,
    };
    WireBytes {
        sent,
        received: sent,
    }
}

/// As with the ID `32473.1` and a landmark below 128.
fn anchors(kind: CertificateKind, side: Side) -> AnchorBytes {
    let (stand_in, trust_anchors, available) = match kind {
        CertificateKind::DirectlySigned => return AnchorBytes::default(),
        CertificateKind::Standalone => (30, 15, 19),
        CertificateKind::LandmarkRelative => (33, 18, 19),
    };
    AnchorBytes {
        stand_in,
        trust_anchors,
        available: if side == Side::Server { available } else { 0 },
    }
}

fn negotiated() -> Negotiated {
    Negotiated {
        version: Some("TLSv1_3"),
        cipher_suite: Some("TLS13_AES_256_GCM_SHA384"),
        own_signature: Some("ML_DSA_65"),
        peer_signature: Some("ML_DSA_65"),
        alpn: Some("h2".to_owned()),
        ..Negotiated::default()
    }
}

fn verification(kind: CertificateKind) -> Verification {
    let (basis, certificates, proof_hashes, cosignatures) = match kind {
        CertificateKind::DirectlySigned => (None, 2, 0, 0),
        CertificateKind::Standalone => (Some(Basis::Cosignatures), 1, 5, 2),
        CertificateKind::LandmarkRelative => (Some(Basis::TrustedSubtree), 1, 8, 0),
    };
    Verification {
        basis,
        certificates,
        proof_hashes,
        cosignatures_carried: cosignatures,
        cosignatures_unknown: 0,
        unknown_cosignature_bytes: 0,
        cosignatures_verified: cosignatures,
        steps: None,
    }
}

/// Verification in its kind's steps, and what the loopback tells of TCP.
fn sampled(kind: CertificateKind, verify_us: u64) -> Sampled {
    let tenth = verify_us * 100;
    let verify = match kind {
        CertificateKind::DirectlySigned => VerifySteps {
            chain_ns: tenth * 9,
            usage_ns: tenth,
            ..VerifySteps::default()
        },
        CertificateKind::Standalone => VerifySteps {
            parse_ns: tenth,
            inclusion_path_ns: tenth,
            cosignatures_ns: tenth * 8,
            ..VerifySteps::default()
        },
        CertificateKind::LandmarkRelative => VerifySteps {
            parse_ns: tenth * 4,
            entry_hash_ns: tenth * 3,
            inclusion_path_ns: tenth * 3,
            ..VerifySteps::default()
        },
    };
    let tcp = TcpInfo {
        rtt: Duration::from_micros(40),
        min_rtt: Duration::from_micros(15),
        mss: 32_768,
        congestion_window: 10,
        congestion_control: "cubic".to_owned(),
        ..TcpInfo::default()
    };
    Sampled {
        sign: Duration::from_micros(60),
        verify,
        tcp: Some(SampledTcp {
            established: tcp.clone(),
            complete: tcp,
        }),
    }
}
