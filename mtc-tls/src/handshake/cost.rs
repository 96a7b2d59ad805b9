//! What one handshake cost, and what was negotiated in it.

use std::time::Duration;

use rustls::{CommonState, HandshakeKind};

use crate::anchor_bytes::AnchorBytes;
use crate::downgrade::Downgrade;
use crate::kind::CertificateKind;
use crate::notes::{Notes, Signature};
use crate::record::{
    MAX_FLIGHTS, Protected, Side, WireBytes, certificate_length, certificate_verify_length,
    finished_length,
};
use crate::tcp_info::TcpInfo;
use crate::verification::{Verification, VerifySteps};

/// What one handshake cost this side of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCost {
    /// From the start of TCP connect to an established connection; zero on the accepting side.
    pub tcp_connect: Duration,
    /// From the established TCP connection to the completed handshake on this side.
    pub elapsed: Duration,
    /// From the established TCP connection to the head of the first answer on it. Whoever speaks on the connection notes
    /// it here; there is none on the accepting side.
    pub first_answer: Option<Duration>,
    /// Thread CPU time that this side spent in the handshake, socket calls included.
    pub cpu: Duration,
    /// Thread CPU time spent verifying the peer's certificate (its chain or proof, names, policy), included in `cpu`.
    pub verify: Duration,
    /// TLS record bytes this side wrote until its handshake completed.
    pub bytes_sent: u64,
    /// TLS record bytes this side read until its handshake completed.
    pub bytes_received: u64,
    /// Bytes by message and flight; none if the peer sent what no handshake of this project has.
    pub wire: Option<WireBytes>,
    /// What this side sent to say whom it trusts, and what `trust_anchors` would have taken.
    pub anchors: AnchorBytes,
    /// The kind of certificate this side presented, if any.
    pub presented: Option<CertificateKind>,
    /// Why that is worse than both ends could have had, if it is.
    pub downgrade: Option<Downgrade>,
    /// The kind of certificate the peer presented, if any.
    pub received: Option<CertificateKind>,
    /// The negotiated key exchange group, e.g. `X25519MLKEM768`.
    pub group: Option<String>,
    /// What else was negotiated.
    pub negotiated: Negotiated,
    /// What verifying the peer's certificate consisted of; none without a certificate.
    pub verification: Option<Verification>,
    /// Facts that one handshake in [`SAMPLED_ONE_IN`](crate::endpoint::SAMPLED_ONE_IN) is asked for.
    pub sampled: Option<Sampled>,
}

/// What the two sides agreed on, by the names of the IANA registries as rustls spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Protocol version.
    pub version: Option<&'static str>,
    /// Cipher suite.
    pub cipher_suite: Option<&'static str>,
    /// Scheme of this side's CertificateVerify; none if it sent none.
    pub own_signature: Option<&'static str>,
    /// Scheme of the peer's CertificateVerify; none if it sent none.
    pub peer_signature: Option<&'static str>,
    /// Application protocol.
    pub alpn: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether the server asked for another ClientHello.
    pub hello_retried: bool,
}

/// Facts that cost time to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Thread CPU time of this side's signature, included in [`HandshakeCost::cpu`]; zero if it made none.
    pub sign: Duration,
    /// Thread CPU time of the steps of verification.
    pub verify: VerifySteps,
    /// TCP facts; none if the kernel does not tell.
    pub tcp: Option<SampledTcp>,
}

/// What the kernel says about the connection of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampledTcp {
    /// When the TCP connection was established: its window is the initial one.
    pub established: TcpInfo,
    /// When the handshake was complete on this side.
    pub complete: TcpInfo,
}

impl SampledTcp {
    /// How many of these flights do not fit into the initial window, each by itself.
    pub fn flights_above_window(&self, flights: &[u64; MAX_FLIGHTS]) -> u64 {
        let window = self.established.window_bytes();
        flights.iter().filter(|flight| **flight > window).count() as u64
    }

    /// As [`slow_start_waits`], with the segments and the window of this connection.
    pub fn extra_round_trips(&self, flights: &[u64; MAX_FLIGHTS]) -> u64 {
        let mss = u64::from(self.established.mss);
        let window = u64::from(self.established.congestion_window);
        slow_start_waits(flights.iter().copied(), mss, window)
    }
}

/// Round trips that flights of so many bytes wait for acknowledgements, by slow start: the window (segments) is the initial one and grows
/// by each segment (of `mss` bytes) acknowledged, a flight's first window leaves at once, and all of a flight is acknowledged before the
/// next. Losses are not in it.
pub fn slow_start_waits(flights: impl IntoIterator<Item = u64>, mss: u64, window: u64) -> u64 {
    let mut window = window.max(1);
    let mut waits = 0;
    for flight in flights {
        let mut left = flight.div_ceil(mss.max(1));
        while left > window {
            left -= window;
            window = window.saturating_mul(2);
            waits += 1;
        }
        window = window.saturating_add(left);
    }
    waits
}

impl Negotiated {
    pub(super) fn of(connection: &CommonState, notes: &Notes) -> Self {
        let kind = connection.handshake_kind();
        let scheme = |signature: &Signature| signature.scheme.as_str();
        Self {
            version: connection
                .protocol_version()
                .and_then(|version| version.as_str()),
            cipher_suite: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str()),
            own_signature: notes.own_signature.get().and_then(scheme),
            peer_signature: notes.peer_signature.get().and_then(scheme),
            alpn: connection
                .alpn_protocol()
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: kind == Some(HandshakeKind::Resumed),
            hello_retried: kind == Some(HandshakeKind::FullWithHelloRetryRequest),
        }
    }
}

/// What this side sent to say whom it trusts.
pub(super) fn anchors(side: Side, resumed: bool, notes: &Notes) -> AnchorBytes {
    let named = notes.anchors.get().copied().unwrap_or_default();
    if resumed {
        // A server asks for nothing, and nobody shows a certificate.
        return match side {
            Side::Client => named,
            Side::Server => AnchorBytes::default(),
        };
    }
    let is_chosen = named.stand_in > 0 && notes.own_signature.get().is_some();
    if is_chosen { named.with_match() } else { named }
}

/// The lengths of the client's and of the server's protected messages.
pub(super) fn protected(
    side: Side,
    connection: &CommonState,
    notes: &Notes,
) -> Option<(Protected, Protected)> {
    let suite = connection.negotiated_cipher_suite()?.tls13()?;
    let finished = finished_length(suite.common.hash_provider.output_len());
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let asked = notes.certificate_request.get().filter(|_| !resumed);
    let of =
        |certificate: Option<u64>, status: Option<u64>, signature: Option<&Signature>| Protected {
            certificate_request: None,
            // Who signs nothing has presented nothing, whatever it has at hand.
            certificate: signature.and(certificate),
            certificate_status: signature.and(status),
            certificate_verify: signature.map(|made| certificate_verify_length(made.length)),
            finished,
        };
    let own = of(
        notes.own_certificate.get().copied(),
        notes.own_status.get().copied(),
        notes.own_signature.get(),
    );
    let accepted = notes.peer_certificate.get();
    let peer = of(
        accepted.map(|accepted| accepted.message),
        accepted.and_then(|accepted| accepted.status),
        notes.peer_signature.get(),
    );
    let (mut client, mut server) = match side {
        Side::Client => (own, peer),
        Side::Server => (peer, own),
    };
    server.certificate_request = asked.copied();
    if asked.is_some() && client.certificate.is_none() {
        client.certificate = Some(certificate_length([]));
    }
    Some((client, server))
}
