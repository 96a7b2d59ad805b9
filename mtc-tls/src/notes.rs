//! What rustls' callbacks note of one handshake for the one who measures it.
//!
//! ```text
//!  PeerVerifier   ──> verdict, length of the peer's Certificate, its signature ─┐
//!  ClientResolver ──> what is presented, length of CertificateRequest ──────────┼─> Notes ──> HandshakeCost
//!  NotedKey       ──> this side's signature: scheme, length, CPU time ──────────┘
//! ```
//!
//! Each is noted at most once in a handshake, and the first note stands.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::cpu;
use crate::kind::CertificateKind;
use crate::peer::Verdict;
use crate::record::certificate_length;

/// Notes of one handshake on one side.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Whether this handshake is broken down into steps, which costs readings of a clock.
    pub(crate) sampled: bool,
    /// What became of the peer's certificate.
    pub(crate) verdict: Verdict,
    /// The kind of certificate that this side presents.
    pub(crate) presented: OnceLock<CertificateKind>,
    /// Length of the CertificateRequest message.
    pub(crate) certificate_request: OnceLock<u64>,
    /// Length of this side's Certificate message.
    pub(crate) own_certificate: OnceLock<u64>,
    /// Length of the peer's Certificate message.
    pub(crate) peer_certificate: OnceLock<u64>,
    /// The key in the peer's certificate, once that was accepted.
    pub(crate) peer_key: OnceLock<SubjectPublicKeyInfoDer<'static>>,
    /// The signature in this side's CertificateVerify.
    pub(crate) own_signature: OnceLock<Signature>,
    /// The signature in the peer's.
    pub(crate) peer_signature: OnceLock<Signature>,
}

/// A signature as CertificateVerify carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) scheme: SignatureScheme,
    pub(crate) length: usize,
    /// CPU time of making it, if that was measured.
    pub(crate) cpu: Option<Duration>,
}

/// The same chain and key, whose signature is noted.
pub(crate) fn noted(certified: &CertifiedKey, notes: &Arc<Notes>) -> Arc<CertifiedKey> {
    let length = certificate_length(certified.cert.iter().map(AsRef::as_ref));
    let _ = notes.own_certificate.set(length);
    Arc::new(CertifiedKey {
        key: Arc::new(NotedKey {
            key: certified.key.clone(),
            notes: notes.clone(),
        }),
        ..certified.clone()
    })
}

#[derive(Debug)]
struct NotedKey {
    key: Arc<dyn SigningKey>,
    notes: Arc<Notes>,
}

impl SigningKey for NotedKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        let notes = self.notes.clone();
        Some(Box::new(NotedSigner { signer, notes }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

#[derive(Debug)]
struct NotedSigner {
    signer: Box<dyn Signer>,
    notes: Arc<Notes>,
}

impl Signer for NotedSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let started = self.notes.sampled.then(cpu::thread_time);
        let signature = self.signer.sign(message)?;
        let _ = self.notes.own_signature.set(Signature {
            scheme: self.scheme(),
            length: signature.len(),
            cpu: started.map(|started| cpu::thread_time().saturating_sub(started)),
        });
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}
