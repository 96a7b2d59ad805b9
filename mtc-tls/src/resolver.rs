//! Which credential to present to which peer: one rule set for both directions (Section 8).
//!
//! ```text
//! server: trust_anchors, else certificate_authorities, of ClientHello ──> TrustDomain
//!           ──> credential of that domain whose key the client can verify
//! client: its own domain    ──> credential ──> landmark-relative if CertificateRequest's names cover its landmark,
//!                                              with the CA's cosignature alone if they ask for no other
//! ```

use std::sync::{Arc, OnceLock};

use mtc_core::id::{LandmarkNumber, LogNumber, TrustAnchorId};
use rustls::client::ResolvesClientCert;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, SignatureScheme};

use crate::credentials::{Credential, CredentialSet, MtcCredential, X509Trust};
use crate::hints::{MtcAnchor, anchor_among, mtc_anchor};
use crate::key::X509Profile;
use crate::kind::CertificateKind;
use crate::presented::Presented;
use crate::profile::{ConnectionProfile, TrustDomain};
use crate::provider::signature_scheme;
use crate::record::certificate_request_length;
use crate::seat::Seat;
use crate::signal::Signal;
use crate::trust_anchors::TrustAnchors;

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
    /// By what it was chosen.
    pub(crate) signal: Signal,
    /// None if the server has no credential that fits.
    pub(crate) presented: Option<(CertificateKind, &'a Credential)>,
}

/// Chooses domain and credential by what the client trusts and can verify: `anchors` are those of its `trust_anchors` extension.
///
/// A client that names nothing known is served in the domain `fallback`.
pub(crate) fn choose_for_client<'a>(
    set: &'a CredentialSet,
    hello: &ClientHello<'_>,
    anchors: Option<&TrustAnchors>,
    fallback: TrustDomain,
) -> ServerChoice<'a> {
    let names = hello.certificate_authorities().unwrap_or_default();
    let schemes = hello.signature_schemes();
    let ca = set.mtc_trust.ca();
    let mtc = preferred(schemes, set.mtc.iter(), |candidate| &candidate.standalone);
    let of_mtc = |signal, domain, anchor| ServerChoice {
        domain,
        signal,
        presented: mtc.map(|chosen| chosen.choose(anchor)),
    };
    let own = mtc.and_then(MtcCredential::landmark_number);
    if let Some(anchor) = anchors.and_then(|anchors| anchor_among(anchors.ids(), ca, own)) {
        return of_mtc(Signal::TrustAnchors, anchor.domain(), Some(anchor));
    }
    let named = |trust: &&X509Trust| {
        let mut roots = trust.hint.iter();
        roots.any(|root| names.iter().any(|name| name.as_ref() == root.as_ref()))
    };
    if let Some(trust) = set.x509_trust.iter().find(named) {
        return of_root(set, schemes, trust.profile, Signal::CertificateAuthorities);
    }
    if let Some(anchor) = mtc_anchor(names.iter().map(AsRef::as_ref), ca) {
        return of_mtc(Signal::StandIn, anchor.domain(), Some(anchor));
    }
    match fallback {
        TrustDomain::X509(profile) => of_root(set, schemes, profile, Signal::Nothing),
        // What nobody has named nobody gets: neither a landmark nor less than all cosignatures.
        _ => of_mtc(Signal::Nothing, TrustDomain::MtcStandalone, None),
    }
}

/// The choice below the root of an X.509 baseline.
fn of_root<'a>(
    set: &'a CredentialSet,
    schemes: &[SignatureScheme],
    profile: X509Profile,
    signal: Signal,
) -> ServerChoice<'a> {
    let candidates = set.x509.iter();
    let candidates = candidates.filter(|candidate| candidate.profile == profile);
    let chosen = preferred(schemes, candidates, |candidate| &candidate.credential);
    ServerChoice {
        domain: TrustDomain::X509(profile),
        signal,
        presented: chosen.map(|chosen| (CertificateKind::DirectlySigned, &chosen.credential)),
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
    Mtc(Box<MtcOffer>),
}

#[derive(Debug)]
struct MtcOffer {
    ca: TrustAnchorId,
    own: MtcCredential,
    grease: bool,
    seat: Arc<Seat>,
    standalone: Presented,
    ca_alone: OnceLock<Presented>,
    landmark: Option<(LogNumber, LandmarkNumber, Presented)>,
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
        let grease = profile.grease;
        let presented = |kind, credential: &Credential| {
            Presented::new(kind, credential.or_greased(grease), seat)
        };
        Some(Self::Mtc(Box::new(MtcOffer {
            ca: *set.mtc_trust.ca(),
            own: own.clone(),
            grease,
            seat: seat.clone(),
            standalone: presented(CertificateKind::Standalone, &own.standalone),
            ca_alone: OnceLock::new(),
            landmark: landmark.map(|own| {
                let presented = presented(CertificateKind::LandmarkRelative, &own.credential);
                (own.log_number, own.landmark, presented)
            }),
        })))
    }

    /// What is presented to one who asks for these names, if anything.
    fn choose(&self, names: &[&[u8]]) -> Option<&Presented> {
        match self {
            Self::X509 { chain, root } => {
                let asked =
                    names.is_empty() || root.iter().any(|root| names.contains(&root.as_ref()));
                asked.then_some(chain)
            }
            Self::Mtc(offer) => {
                let MtcOffer {
                    ca,
                    own,
                    grease,
                    seat,
                    standalone,
                    ca_alone,
                    landmark,
                } = &**offer;
                let anchor = mtc_anchor(names.iter().copied(), ca);
                if !names.is_empty() && anchor.is_none() {
                    return None;
                }
                let number = landmark.as_ref().map(|(log, number, _)| (*log, *number));
                Some(match (Choice::of(anchor, number), landmark) {
                    (Choice::CaAlone, _) => ca_alone.get_or_init(|| {
                        let credential = own.ca_alone().or_greased(*grease);
                        Presented::new(CertificateKind::Standalone, credential, seat)
                    }),
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

#[cfg(test)]
mod tests;
