//! Which credential to present to which peer: one rule set for both directions (Section 8).
//!
//! ```text
//! server: trust_anchors, else certificate_authorities, of ClientHello ──> TrustDomain
//!           ──> credential of that domain whose key the client can verify
//!         in a mixed estate: a Merkle Tree Certificate if both ends are upgraded, else the X.509 one of the root that was named
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
use crate::downgrade::{Downgrade, Peer, Seen};
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
use crate::wishes;

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
    /// Why that is worse than it could be.
    pub(crate) downgrade: Option<Downgrade>,
}

/// How a server serves clients of which it does not decide by what they name alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// Where a client is served that names nothing known.
    pub(crate) fallback: TrustDomain,
    /// Whether clients of a mixed estate are served Merkle Tree Certificates.
    pub(crate) upgraded: bool,
}

/// Chooses domain and credential by what the client trusts and can verify: `anchors` are those of its `trust_anchors` extension.
///
/// A client that names nothing known is served in the domain that `service` says.
pub(crate) fn choose_for_client<'a>(
    set: &'a CredentialSet,
    hello: &ClientHello<'_>,
    anchors: Option<&TrustAnchors>,
    service: Service,
) -> ServerChoice<'a> {
    let names = hello.certificate_authorities().unwrap_or_default();
    let schemes = hello.signature_schemes();
    let ca = set.mtc_trust.ca();
    let mtc = preferred(schemes, set.mtc.iter(), |candidate| &candidate.standalone);
    let own = mtc.and_then(MtcCredential::landmark_number);
    let of_mtc = |signal, domain, anchor| {
        let presented = mtc.map(|chosen| chosen.choose(anchor));
        let seen = Seen {
            upgraded: true,
            landmark: own,
            peer: match signal {
                Signal::Nothing => Peer::NamesNobody,
                _ => Peer::Silent,
            },
            anchor,
        };
        ServerChoice {
            domain,
            signal,
            presented,
            downgrade: presented.and_then(|(kind, _)| Downgrade::of(kind, seen)),
        }
    };
    if let Some(anchor) = anchors.and_then(|anchors| anchor_among(anchors.ids(), ca, own)) {
        return of_mtc(Signal::TrustAnchors, anchor.domain(), Some(anchor));
    }
    let named = |trust: &&X509Trust| {
        let mut roots = trust.hint.iter();
        roots.any(|root| names.iter().any(|name| name.as_ref() == root.as_ref()))
    };
    let root = set.x509_trust.iter().find(named);
    let anchor = mtc_anchor(names.iter().map(AsRef::as_ref), ca);
    let claim = wishes::upgraded(names.iter().map(AsRef::as_ref), ca);
    if let (Some(claim), Some(root)) = (claim, root) {
        let domain = TrustDomain::MtcLandmarkOr(root.profile);
        let choice = match anchor {
            Some(anchor) if service.upgraded && mtc.is_some() => {
                of_mtc(Signal::StandIn, domain, Some(anchor))
            }
            _ => of_root(set, schemes, root.profile, Signal::CertificateAuthorities),
        };
        let seen = Seen {
            upgraded: service.upgraded && mtc.is_some(),
            landmark: own,
            peer: if claim {
                Peer::Upgraded
            } else {
                Peer::NotUpgraded
            },
            anchor,
        };
        return ServerChoice {
            domain,
            downgrade: choice
                .presented
                .and_then(|(kind, _)| Downgrade::of(kind, seen)),
            ..choice
        };
    }
    if let Some(trust) = root {
        return of_root(set, schemes, trust.profile, Signal::CertificateAuthorities);
    }
    if let Some(anchor) = anchor {
        return of_mtc(Signal::StandIn, anchor.domain(), Some(anchor));
    }
    match service.fallback {
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
        // Of one who wants nothing else.
        downgrade: None,
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
    X509(X509Offer),
    Mtc(Box<MtcOffer>),
    /// Of a mixed estate: the former only to those that name no anchor of the MTCA.
    Either(X509Offer, Box<MtcOffer>),
}

#[derive(Debug)]
struct X509Offer {
    chain: Presented,
    root: Arc<[DistinguishedName]>,
    /// Whether it is that of a party of a mixed estate that is not upgraded, and the MTCA, whom others name to it.
    not_upgraded: Option<TrustAnchorId>,
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
    fn new(
        set: &CredentialSet,
        profile: ConnectionProfile,
        upgraded: bool,
        seat: &Arc<Seat>,
    ) -> Option<Self> {
        match profile.domain {
            TrustDomain::X509(wanted) => X509Offer::new(set, profile, wanted, seat).map(Self::X509),
            TrustDomain::MtcLandmarkOr(wanted) => {
                let x509 = X509Offer::new(set, profile, wanted, seat)?;
                let mtc = MtcOffer::new(set, profile, seat).filter(|_| upgraded);
                Some(match mtc {
                    Some(mtc) => Self::Either(x509, Box::new(mtc)),
                    None => Self::X509(X509Offer {
                        not_upgraded: Some(*set.mtc_trust.ca()),
                        ..x509
                    }),
                })
            }
            _ => {
                let mtc = MtcOffer::new(set, profile, seat)?;
                Some(Self::Mtc(Box::new(mtc)))
            }
        }
    }

    /// What is presented to one who asks for these names, if anything, and why it is worse than it could be.
    fn choose(&self, names: &[&[u8]]) -> Option<(&Presented, Option<Downgrade>)> {
        match self {
            Self::X509(offer) => offer.choose(names),
            Self::Mtc(offer) => offer.choose(names),
            Self::Either(x509, mtc) => match mtc_anchor(names.iter().copied(), &mtc.ca) {
                Some(_) => mtc.choose(names),
                None => {
                    let (chain, _) = x509.choose(names)?;
                    Some((chain, Some(Downgrade::PeerNotUpgraded)))
                }
            },
        }
    }
}

impl X509Offer {
    fn new(
        set: &CredentialSet,
        profile: ConnectionProfile,
        wanted: X509Profile,
        seat: &Arc<Seat>,
    ) -> Option<Self> {
        let own = set.x509.iter().find(|candidate| {
            candidate.profile == wanted && candidate.credential.leaf_key == profile.leaf_key
        })?;
        let mut trusted = set.x509_trust.iter();
        let trust = trusted.find(|trust| trust.profile == wanted)?;
        Some(Self {
            chain: Presented::new(CertificateKind::DirectlySigned, &own.credential, seat),
            root: trust.hint.clone(),
            not_upgraded: None,
        })
    }

    fn choose(&self, names: &[&[u8]]) -> Option<(&Presented, Option<Downgrade>)> {
        let mut roots = self.root.iter();
        let asked = names.is_empty() || roots.any(|root| names.contains(&root.as_ref()));
        let ca = self.not_upgraded.as_ref();
        let better = ca.and_then(|ca| mtc_anchor(names.iter().copied(), ca));
        asked.then_some((&self.chain, better.map(|_| Downgrade::NotUpgraded)))
    }
}

impl MtcOffer {
    fn new(set: &CredentialSet, profile: ConnectionProfile, seat: &Arc<Seat>) -> Option<Self> {
        let own = set
            .mtc
            .iter()
            .find(|candidate| candidate.standalone.leaf_key == profile.leaf_key)?;
        // Whoever has no landmarks has no landmark-relative certificate either.
        let has_landmarks = matches!(
            profile.domain,
            TrustDomain::MtcLandmark
                | TrustDomain::MtcLandmarkStale
                | TrustDomain::MtcLandmarkOr(_)
        );
        let landmark = own.landmark.as_ref().filter(|_| has_landmarks);
        let grease = profile.grease;
        let presented = |kind, credential: &Credential| {
            Presented::new(kind, credential.or_greased(grease), seat)
        };
        Some(Self {
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
        })
    }

    fn choose(&self, names: &[&[u8]]) -> Option<(&Presented, Option<Downgrade>)> {
        let anchor = mtc_anchor(names.iter().copied(), &self.ca);
        if !names.is_empty() && anchor.is_none() {
            return None;
        }
        let number = self.landmark.as_ref().map(|(log, of, _)| (*log, *of));
        let (kind, presented) = match (Choice::of(anchor, number), &self.landmark) {
            (Choice::CaAlone, _) => {
                let presented = self.ca_alone.get_or_init(|| {
                    let credential = self.own.ca_alone().or_greased(self.grease);
                    Presented::new(CertificateKind::Standalone, credential, &self.seat)
                });
                (CertificateKind::Standalone, presented)
            }
            (Choice::Landmark, Some((.., landmark))) => {
                (CertificateKind::LandmarkRelative, landmark)
            }
            _ => (CertificateKind::Standalone, &self.standalone),
        };
        let seen = Seen {
            upgraded: true,
            landmark: number,
            // Who is not of this project names nobody here, and has said by other means what it trusts.
            peer: Peer::Silent,
            anchor,
        };
        Some((presented, Downgrade::of(kind, seen)))
    }
}

impl ClientResolver {
    /// A resolver with the set's credential for `profile`, if it has one, for the handshakes on `seat`; of a mixed estate as one that is
    /// `upgraded` or not.
    pub(crate) fn new(
        set: &CredentialSet,
        profile: ConnectionProfile,
        upgraded: bool,
        seat: &Arc<Seat>,
    ) -> Self {
        Self {
            offer: Offer::new(set, profile, upgraded, seat),
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
        let (chosen, downgrade) = self.offer.as_ref()?.choose(root_hint_subjects)?;
        let _ = notes.downgrade.set(downgrade);
        Some(chosen.present(&notes))
    }

    fn has_certs(&self) -> bool {
        self.offer.is_some()
    }
}

#[cfg(test)]
mod tests;
