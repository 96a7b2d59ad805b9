//! Which credential to present to which peer: one rule set for both directions (Section 8).
//!
//! ```text
//! server: ClientHello names ──> TrustDomain ──> credential of that domain whose key the client can verify
//! client: its own domain    ──> credential ──> landmark-relative if CertificateRequest's names cover its landmark,
//!                                              with the CA's cosignature alone if they ask for no other
//! ```

use std::sync::Arc;

use mtc_core::id::TrustAnchorId;
use rustls::client::ResolvesClientCert;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, SignatureScheme};

use crate::credentials::{Credential, CredentialSet, MtcCredential};
use crate::hints::{MtcAnchor, mtc_anchor};
use crate::kind::CertificateKind;
use crate::notes::{Notes, noted};
use crate::profile::{ConnectionProfile, TrustDomain};
use crate::provider::signature_scheme;
use crate::record::certificate_request_length;

/// A credential and how it is authenticated.
pub(crate) struct Presented {
    pub(crate) kind: CertificateKind,
    pub(crate) certified: Arc<CertifiedKey>,
}

impl Presented {
    fn new(kind: CertificateKind, credential: &Credential) -> Self {
        Self {
            kind,
            certified: credential.certified().clone(),
        }
    }

    /// The landmark-relative certificate for a peer that covers its landmark, else the standalone one.
    fn mtc(credential: &MtcCredential, anchor: Option<MtcAnchor>) -> Self {
        match (&credential.landmark, anchor) {
            (_, Some(MtcAnchor::CaAlone)) => {
                Self::new(CertificateKind::Standalone, credential.ca_alone())
            }
            (Some(own), Some(anchor)) if anchor.covers(own.log_number, own.landmark) => {
                Self::new(CertificateKind::LandmarkRelative, &own.credential)
            }
            _ => Self::new(CertificateKind::Standalone, &credential.standalone),
        }
    }
}

/// What a server does for a ClientHello.
pub(crate) struct ServerChoice {
    pub(crate) domain: TrustDomain,
    /// None if the server has no credential that fits.
    pub(crate) presented: Option<Presented>,
}

/// Chooses domain and credential by what the client trusts and can verify.
///
/// A client that names nothing known is served as one that knows the MTCA without landmarks: the fallback.
pub(crate) fn choose_for_client(set: &CredentialSet, hello: &ClientHello<'_>) -> ServerChoice {
    let names = hello.certificate_authorities().unwrap_or_default();
    let schemes = hello.signature_schemes();
    let x509 = set.x509_trust.iter().find(|trust| {
        trust
            .hint
            .iter()
            .any(|root| names.iter().any(|name| name.as_ref() == root.as_ref()))
    });
    if let Some(trust) = x509 {
        let candidates = set
            .x509
            .iter()
            .filter(|candidate| candidate.profile == trust.profile);
        let chosen = preferred(schemes, candidates, |candidate| &candidate.credential);
        return ServerChoice {
            domain: TrustDomain::X509(trust.profile),
            presented: chosen
                .map(|chosen| Presented::new(CertificateKind::DirectlySigned, &chosen.credential)),
        };
    }
    let anchor = mtc_anchor(names.iter().map(AsRef::as_ref), set.mtc_trust.ca());
    let domain = anchor.map_or(TrustDomain::MtcStandalone, MtcAnchor::domain);
    let chosen = preferred(schemes, set.mtc.iter(), |candidate| &candidate.standalone);
    ServerChoice {
        domain,
        presented: chosen.map(|chosen| Presented::mtc(chosen, anchor)),
    }
}

/// The candidate whose key's scheme stands earliest in the client's list.
fn preferred<'a, T>(
    schemes: &[SignatureScheme],
    candidates: impl Iterator<Item = &'a T>,
    credential: impl Fn(&T) -> &Credential,
) -> Option<&'a T> {
    let rank = |candidate: &T| {
        let scheme = signature_scheme(credential(candidate).leaf_key);
        schemes.iter().position(|offered| *offered == scheme)
    };
    candidates
        .filter_map(|candidate| Some((rank(candidate)?, candidate)))
        .min_by_key(|(rank, _)| *rank)
        .map(|found| found.1)
}

/// Presents the client's credential of one connection profile, and notes which kind it was.
#[derive(Debug)]
pub(crate) struct ClientResolver {
    offer: Option<Offer>,
    notes: Arc<Notes>,
}

#[derive(Debug)]
enum Offer {
    X509 {
        credential: Credential,
        root: Arc<[DistinguishedName]>,
    },
    Mtc {
        credential: MtcCredential,
        ca: TrustAnchorId,
    },
}

impl ClientResolver {
    /// A resolver with the set's credential for `profile`, if it has one.
    pub(crate) fn new(set: &CredentialSet, profile: ConnectionProfile, notes: Arc<Notes>) -> Self {
        let mtc = || {
            let credential = set
                .mtc
                .iter()
                .find(|candidate| candidate.standalone.leaf_key == profile.leaf_key)?;
            Some((credential.clone(), *set.mtc_trust.ca()))
        };
        let offer = match profile.domain {
            TrustDomain::MtcLandmark | TrustDomain::MtcLandmarkStale => {
                mtc().map(|(credential, ca)| Offer::Mtc { credential, ca })
            }
            TrustDomain::MtcStandalone | TrustDomain::MtcStandaloneCa => {
                mtc().map(|(credential, ca)| Offer::Mtc {
                    // Whoever has no landmarks has no landmark-relative certificate either.
                    credential: credential.without_landmark(),
                    ca,
                })
            }
            TrustDomain::X509(wanted) => {
                let own = |candidate: &&crate::credentials::X509Credential| {
                    candidate.profile == wanted && candidate.credential.leaf_key == profile.leaf_key
                };
                let trust = set.x509_trust.iter().find(|trust| trust.profile == wanted);
                set.x509
                    .iter()
                    .find(own)
                    .zip(trust)
                    .map(|(own, trust)| Offer::X509 {
                        credential: own.credential.clone(),
                        root: trust.hint.clone(),
                    })
            }
        };
        Self { offer, notes }
    }

    fn choose(&self, names: &[&[u8]]) -> Option<Presented> {
        match self.offer.as_ref()? {
            Offer::X509 { credential, root } => {
                let asked =
                    names.is_empty() || root.iter().any(|root| names.contains(&root.as_ref()));
                asked.then(|| Presented::new(CertificateKind::DirectlySigned, credential))
            }
            Offer::Mtc { credential, ca } => {
                let anchor = mtc_anchor(names.iter().copied(), ca);
                let asked = names.is_empty() || anchor.is_some();
                asked.then(|| Presented::mtc(credential, anchor))
            }
        }
    }
}

impl ResolvesClientCert for ClientResolver {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let asked = certificate_request_length(sigschemes, root_hint_subjects.iter().copied());
        let _ = self.notes.certificate_request.set(asked);
        let Presented { kind, certified } = self.choose(root_hint_subjects)?;
        // One CertificateRequest a handshake: the first choice stands.
        let _ = self.notes.presented.set(kind);
        Some(noted(&certified, &self.notes))
    }

    fn has_certs(&self) -> bool {
        self.offer.is_some()
    }
}
