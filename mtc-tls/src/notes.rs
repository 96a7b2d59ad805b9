//! What rustls' callbacks note of one handshake for the one who measures it.
//!
//! ```text
//!  PeerVerifier   ──> verdict, length of the peer's Certificate, its signature ─┐
//!  Endpoint       ──> what naming trust anchors takes ─────────────────────────┤
//!  ClientResolver ──> what is presented, length of CertificateRequest ──────────┼─> Notes ──> HandshakeCost
//!  presented      ──> this side's signature: scheme, length, CPU time ──────────┘
//! ```
//!
//! Each is noted at most once in a handshake, and the first note stands.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use rustls::SignatureScheme;

use crate::anchor_bytes::AnchorBytes;
use crate::downgrade::Downgrade;
use crate::kind::CertificateKind;
use crate::peer::Verdict;

/// Notes of one handshake on one side.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Whether this handshake is broken down into steps, which costs readings of a clock.
    pub(crate) sampled: bool,
    /// What became of the peer's certificate.
    pub(crate) verdict: Verdict,
    /// The kind of certificate that this side presents.
    pub(crate) presented: OnceLock<CertificateKind>,
    /// Why that is worse than it could be, if it is.
    pub(crate) downgrade: OnceLock<Option<Downgrade>>,
    /// Length of the CertificateRequest message.
    pub(crate) certificate_request: OnceLock<u64>,
    /// What this side sends to say whom it trusts.
    pub(crate) anchors: OnceLock<AnchorBytes>,
    /// Length of this side's Certificate message.
    pub(crate) own_certificate: OnceLock<u64>,
    /// Whether the client of this server asked for the status of its certificate.
    pub(crate) status_asked: OnceLock<()>,
    /// What is stapled to this side's certificate.
    pub(crate) own_status: OnceLock<u64>,
    /// The peer's certificate, once that was accepted.
    pub(crate) peer_certificate: OnceLock<PeerCertificate>,
    /// The signature in this side's CertificateVerify.
    pub(crate) own_signature: OnceLock<Signature>,
    /// The signature in the peer's.
    pub(crate) peer_signature: OnceLock<Signature>,
}

/// A peer's certificate that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct PeerCertificate {
    /// Length of the Certificate message.
    pub(crate) message: u64,
    /// What was stapled to it.
    pub(crate) status: Option<u64>,
    /// Where the SubjectPublicKeyInfo that was judged stands in the end entity's certificate, which rustls shows again with the
    /// signature: its key need be neither copied nor read a second time.
    pub(crate) spki: Range<usize>,
}

/// A signature as CertificateVerify carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) scheme: SignatureScheme,
    pub(crate) length: usize,
    /// CPU time of making it, if that was measured.
    pub(crate) cpu: Option<Duration>,
}
