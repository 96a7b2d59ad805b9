//! Which credential to present to which peer: one rule set for both directions (Section 8).
//!
//! ```text
//! server: ClientHello names ──> TrustDomain ──> credential of that domain whose key the client can verify
//! client: its own domain    ──> credential ──> landmark-relative if CertificateRequest's names cover its landmark,
//!                                              with the CA's cosignature alone if they ask for no other
//! ```

use std::sync::Arc;

use mtc_core::id::{LandmarkNumber, LogNumber, TrustAnchorId};
use rustls::client::ResolvesClientCert;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, SignatureScheme};

use crate::credentials::{Credential, CredentialSet, MtcCredential};
use crate::hints::{MtcAnchor, mtc_anchor};
use crate::kind::CertificateKind;
use crate::presented::Presented;
use crate::profile::{ConnectionProfile, TrustDomain};
use crate::provider::signature_scheme;
use crate::record::certificate_request_length;
use crate::seat::Seat;

/// Which of an NF's Merkle Tree Certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Landmark,
    Standalone,
    CaAlone,
}

impl Choice {
    /// The landmark-relative certificate for a peer that covers its landmark, else the standalone one.
    fn of(anchor: Option<MtcAnchor>, landmark: Option<(LogNumber, LandmarkNumber)>) -> Self {
        match (anchor, landmark) {
            (Some(MtcAnchor::CaAlone), _) => Self::CaAlone,
            (Some(anchor), Some((log, landmark))) if anchor.covers(log, landmark) => Self::Landmark,
            _ => Self::Standalone,
        }
    }
}

impl MtcCredential {
    fn landmark_number(&self) -> Option<(LogNumber, LandmarkNumber)> {
        let landmark = self.landmark.as_ref()?;
        Some((landmark.log_number, landmark.landmark))
    }

    fn choose(&self, anchor: Option<MtcAnchor>) -> (CertificateKind, &Credential) {
        match (Choice::of(anchor, self.landmark_number()), &self.landmark) {
            (Choice::CaAlone, _) => (CertificateKind::Standalone, self.ca_alone()),
            (Choice::Landmark, Some(own)) => (CertificateKind::LandmarkRelative, &own.credential),
            _ => (CertificateKind::Standalone, &self.standalone),
        }
    }
}

/// What a server does for a ClientHello.
pub(crate) struct ServerChoice<'a> {
    pub(crate) domain: TrustDomain,
    /// None if the server has no credential that fits.
    pub(crate) presented: Option<(CertificateKind, &'a Credential)>,
}

/// Chooses domain and credential by what the client trusts and can verify.
///
/// A client that names nothing known is served as one that knows the MTCA without landmarks: the fallback.
pub(crate) fn choose_for_client<'a>(
    set: &'a CredentialSet,
    hello: &ClientHello<'_>,
) -> ServerChoice<'a> {
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
            presented: chosen.map(|chosen| (CertificateKind::DirectlySigned, &chosen.credential)),
        };
    }
    let anchor = mtc_anchor(names.iter().map(AsRef::as_ref), set.mtc_trust.ca());
    let domain = anchor.map_or(TrustDomain::MtcStandalone, MtcAnchor::domain);
    let chosen = preferred(schemes, set.mtc.iter(), |candidate| &candidate.standalone);
    ServerChoice {
        domain,
        presented: chosen.map(|chosen| chosen.choose(anchor)),
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
    seat: Arc<Seat>,
}

#[derive(Debug)]
enum Offer {
    X509 {
        chain: Presented,
        root: Arc<[DistinguishedName]>,
    },
    Mtc {
        ca: TrustAnchorId,
        standalone: Presented,
        ca_alone: Presented,
        landmark: Option<(LogNumber, LandmarkNumber, Presented)>,
    },
}

impl Offer {
    /// The set's credential for `profile`, if it has one.
    fn new(set: &CredentialSet, profile: ConnectionProfile, seat: &Arc<Seat>) -> Option<Self> {
        if let TrustDomain::X509(wanted) = profile.domain {
            let own = set.x509.iter().find(|candidate| {
                candidate.profile == wanted && candidate.credential.leaf_key == profile.leaf_key
            })?;
            let mut trusted = set.x509_trust.iter();
            let trust = trusted.find(|trust| trust.profile == wanted)?;
            return Some(Self::X509 {
                chain: Presented::new(CertificateKind::DirectlySigned, &own.credential, seat),
                root: trust.hint.clone(),
            });
        }
        let own = set
            .mtc
            .iter()
            .find(|candidate| candidate.standalone.leaf_key == profile.leaf_key)?;
        // Whoever has no landmarks has no landmark-relative certificate either.
        let has_landmarks = matches!(
            profile.domain,
            TrustDomain::MtcLandmark | TrustDomain::MtcLandmarkStale
        );
        let landmark = own.landmark.as_ref().filter(|_| has_landmarks);
        let standalone = |credential| Presented::new(CertificateKind::Standalone, credential, seat);
        Some(Self::Mtc {
            ca: *set.mtc_trust.ca(),
            standalone: standalone(&own.standalone),
            ca_alone: standalone(own.ca_alone()),
            landmark: landmark.map(|own| {
                let kind = CertificateKind::LandmarkRelative;
                let presented = Presented::new(kind, &own.credential, seat);
                (own.log_number, own.landmark, presented)
            }),
        })
    }

    /// What is presented to one who asks for these names, if anything.
    fn choose(&self, names: &[&[u8]]) -> Option<&Presented> {
        match self {
            Self::X509 { chain, root } => {
                let asked =
                    names.is_empty() || root.iter().any(|root| names.contains(&root.as_ref()));
                asked.then_some(chain)
            }
            Self::Mtc {
                ca,
                standalone,
                ca_alone,
                landmark,
            } => {
                let anchor = mtc_anchor(names.iter().copied(), ca);
                if !names.is_empty() && anchor.is_none() {
                    return None;
                }
                let number = landmark.as_ref().map(|(log, number, _)| (*log, *number));
                Some(match (Choice::of(anchor, number), landmark) {
                    (Choice::CaAlone, _) => ca_alone,
                    (Choice::Landmark, Some((.., landmark))) => landmark,
                    _ => standalone,
                })
            }
        }
    }
}

impl ClientResolver {
    /// A resolver with the set's credential for `profile`, if it has one, for the handshakes on `seat`.
    pub(crate) fn new(set: &CredentialSet, profile: ConnectionProfile, seat: &Arc<Seat>) -> Self {
        Self {
            offer: Offer::new(set, profile, seat),
            seat: seat.clone(),
        }
    }
}

impl ResolvesClientCert for ClientResolver {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let notes = self.seat.occupant().ok()?.notes;
        let asked = certificate_request_length(sigschemes, root_hint_subjects.iter().copied());
        let _ = notes.certificate_request.set(asked);
        let chosen = self.offer.as_ref()?.choose(root_hint_subjects)?;
        Some(chosen.present(&notes))
    }

    fn has_certs(&self) -> bool {
        self.offer.is_some()
    }
}
