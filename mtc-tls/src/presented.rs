//! What this side shows: a chain and its key, of which the signature is noted.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::cpu;
use crate::credentials::Credential;
use crate::kind::CertificateKind;
use crate::notes::{Notes, Signature};
use crate::record::{certificate_length, staple_length};
use crate::seat::Seat;

/// A credential as the configuration of some connections presents it, and how it is authenticated.
#[derive(Debug)]
pub(crate) struct Presented {
    kind: CertificateKind,
    credential: Credential,
    seat: Arc<Seat>,
    /// From when it is presented: a copy of the chain.
    shown: OnceLock<Shown>,
}

#[derive(Debug)]
struct Shown {
    certified: Arc<CertifiedKey>,
    /// Of the Certificate message.
    length: u64,
    /// Of what is stapled for those who ask.
    status: Option<u64>,
}

impl Presented {
    /// What is noted goes to the handshake on `seat`.
    pub(crate) fn new(kind: CertificateKind, credential: &Credential, seat: &Arc<Seat>) -> Self {
        Self {
            kind,
            credential: credential.clone(),
            seat: seat.clone(),
            shown: OnceLock::new(),
        }
    }

    /// Presents it; the first choice of a handshake stands.
    pub(crate) fn present(&self, notes: &Notes) -> Arc<CertifiedKey> {
        let shown = self.shown.get_or_init(|| self.show());
        let _ = notes.presented.set(self.kind);
        let _ = notes.own_certificate.set(shown.length);
        if let (Some(status), Some(())) = (shown.status, notes.status_asked.get()) {
            let _ = notes.own_status.set(status);
        }
        shown.certified.clone()
    }

    fn show(&self) -> Shown {
        let certified = self.credential.certified();
        let key = Arc::new(NotedKey {
            key: certified.key.clone(),
            seat: self.seat.clone(),
        });
        Shown {
            length: certificate_length(certified.cert.iter().map(AsRef::as_ref)),
            status: certified.ocsp.as_deref().and_then(staple_length),
            certified: Arc::new(CertifiedKey {
                key,
                ..(**certified).clone()
            }),
        }
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.present(&self.seat.occupant().ok()?.notes))
    }
}

#[derive(Debug)]
struct NotedKey {
    key: Arc<dyn SigningKey>,
    seat: Arc<Seat>,
}

impl SigningKey for NotedKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        let notes = self.seat.occupant().ok()?.notes;
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
