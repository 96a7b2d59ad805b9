//! Trust anchor names in `certificate_authorities`: what a peer shows that it trusts (Section 8).
//!
//! ```text
//! relying party trusts              says                        is served
//! an X.509 root                     the root's DN               the chain below that root
//! the MTCA's cosigners              C                           a standalone certificate
//! the MTCA's own cosigner alone     C.3.1                       a standalone certificate with that one cosignature
//! and landmarks of log N up to L    C.2.N.L                     a landmark-relative one of landmark <= L, else standalone
//! none of the landmarks since 0     C.2.N.0                     the same rule: a standalone certificate
//! ```
//!
//! Deviation: the draft has no name for a relying party whose policy asks for no cosigner but the CA. Saying `C` would not
//! do, since whoever says that may require witnesses. `C.3` is a branch that the draft does not allocate, and only a
//! party that knows this project reads it; to another it is a name of nothing, answered like no name at all.
//!
//! Deviation: TLS's own `trust_anchors` extension (draft-ietf-tls-trust-anchor-ids) cannot be sent with rustls 0.23.
//! The same identifiers travel as distinguished names in the RFC 8446 extension, in both directions.

use std::fmt;
use std::str::FromStr;

use mtc_core::id::{Anchor, IdError, LogNumber, TrustAnchorId};

use crate::handshake::CertificateKind;
use crate::key::{KeyAlgorithm, UnknownX509Profile, X509Profile};
use crate::provider::KeyExchange;

/// What both ends of a connection trust: the world in which they authenticate each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrustDomain {
    /// The MTCA with its landmarks.
    MtcLandmark,
    /// The MTCA as a party has it that followed the log and has heard of no landmark after the empty one, number 0.
    MtcLandmarkStale,
    /// The MTCA's cosigners without any landmark.
    MtcStandalone,
    /// The MTCA's own cosigner and no other.
    MtcStandaloneCa,
    /// The X.509 root of a baseline.
    X509(X509Profile),
}

impl TrustDomain {
    /// The domains of the MTCA.
    pub const MTC: [Self; 4] = [
        Self::MtcLandmark,
        Self::MtcLandmarkStale,
        Self::MtcStandalone,
        Self::MtcStandaloneCa,
    ];

    /// The kind of certificate that is served in this domain by peers that have all of theirs.
    pub const fn kind(self) -> CertificateKind {
        match self {
            Self::MtcLandmark => CertificateKind::LandmarkRelative,
            Self::MtcLandmarkStale | Self::MtcStandalone | Self::MtcStandaloneCa => {
                CertificateKind::Standalone
            }
            Self::X509(_) => CertificateKind::DirectlySigned,
        }
    }
}

const X509_PREFIX: &str = "x509-";

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MtcLandmark => f.write_str("mtc-landmark"),
            Self::MtcLandmarkStale => f.write_str("mtc-landmark-stale"),
            Self::MtcStandalone => f.write_str("mtc-standalone"),
            Self::MtcStandaloneCa => f.write_str("mtc-standalone-ca"),
            Self::X509(profile) => write!(f, "{X509_PREFIX}{profile}"),
        }
    }
}

/// The text names no trust domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTrustDomain {
    /// Neither an MTC domain nor an X.509 one.
    #[error(
        "unknown trust domain {0:?}; known: mtc-landmark, mtc-landmark-stale, mtc-standalone, mtc-standalone-ca, x509-<algorithm>-direct, x509-<algorithm>-intermediate, x509-<algorithm>-two-intermediates"
    )]
    Name(String),
    /// An X.509 profile that does not exist.
    #[error(transparent)]
    Profile(#[from] UnknownX509Profile),
}

impl FromStr for TrustDomain {
    type Err = UnknownTrustDomain;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(X509_PREFIX) {
            Some(profile) => Ok(Self::X509(profile.parse()?)),
            None => Self::MTC
                .into_iter()
                .find(|domain| domain.to_string() == text)
                .ok_or_else(|| UnknownTrustDomain::Name(text.to_owned())),
        }
    }
}

/// What a server sends so that the next handshake with the same client can be a short one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tickets {
    /// Nothing: every handshake is a full one.
    #[default]
    None,
    /// The name of a session that the server keeps.
    Stateful,
    /// The session itself, encrypted for the server, the client's certificate chain in it.
    Stateless,
}

impl Tickets {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::None, Self::Stateful, Self::Stateless];

    /// The name in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Stateful => "stateful",
            Self::Stateless => "stateless",
        }
    }
}

impl fmt::Display for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of tickets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown tickets {0:?}; known: none, stateful, stateless")]
pub struct UnknownTickets(pub String);

impl FromStr for Tickets {
    type Err = UnknownTickets;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|tickets| tickets.as_str() == text)
            .ok_or_else(|| UnknownTickets(text.to_owned()))
    }
}

/// Everything about a connection that a variant of a scenario chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionProfile {
    /// What authenticates the peers.
    pub domain: TrustDomain,
    /// The algorithm of both leaf keys.
    pub leaf_key: KeyAlgorithm,
    /// The key exchange.
    pub key_exchange: KeyExchange,
    /// How sessions are resumed.
    pub tickets: Tickets,
}

impl fmt::Display for ConnectionProfile {
    /// For example `mtc-landmark/ml-dsa-65/X25519MLKEM768`; with tickets, `/stateful` or `/stateless` after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.domain, self.leaf_key, self.key_exchange)?;
        match self.tickets {
            Tickets::None => Ok(()),
            tickets => write!(f, "/{tickets}"),
        }
    }
}

/// The text is not a connection profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a connection profile: {0:?}; write <trust domain>/<leaf key>/<key exchange>[/<tickets>]"
)]
pub struct UnknownConnectionProfile(pub String);

impl FromStr for ConnectionProfile {
    type Err = UnknownConnectionProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('/');
            let profile = Self {
                domain: parts.next()?.parse().ok()?,
                leaf_key: parts.next()?.parse().ok()?,
                key_exchange: parts.next()?.parse().ok()?,
                tickets: parts.next().map_or(Some(Tickets::None), |tickets| {
                    tickets
                        .parse()
                        .ok()
                        .filter(|tickets| *tickets != Tickets::None)
                })?,
            };
            parts.next().is_none().then_some(profile)
        };
        parse().ok_or_else(|| UnknownConnectionProfile(text.to_owned()))
    }
}

/// What a relying party says that it trusts of the MTCA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MtcAnchor {
    /// One of the draft's: cosigners as the party's policy wants them, with or without landmarks.
    Draft(Anchor),
    /// `C.3.1`: the CA's own cosigner, and no other.
    CaAlone,
}

impl MtcAnchor {
    /// Below a CA's ID: what relying parties of this project say beyond the draft.
    const PROJECT_BRANCH: u64 = 3;
    const CA_ALONE: u64 = 1;

    /// The name of a party that asks for the cosignature of `ca` and no other.
    pub(crate) fn ca_alone(ca: &TrustAnchorId) -> Result<TrustAnchorId, IdError> {
        ca.child(&[Self::PROJECT_BRANCH, Self::CA_ALONE])
    }

    fn of(id: &TrustAnchorId, ca: &TrustAnchorId) -> Option<Self> {
        let draft = id.as_anchor_of(ca).map(Self::Draft);
        draft.or_else(|| (Self::ca_alone(ca).as_ref() == Ok(id)).then_some(Self::CaAlone))
    }

    /// The world of a party that says this.
    pub(crate) const fn domain(self) -> TrustDomain {
        match self {
            Self::CaAlone => TrustDomain::MtcStandaloneCa,
            Self::Draft(Anchor::Ca) => TrustDomain::MtcStandalone,
            Self::Draft(Anchor::LandmarkGroup { landmark: 0, .. }) => TrustDomain::MtcLandmarkStale,
            Self::Draft(Anchor::LandmarkGroup { .. }) => TrustDomain::MtcLandmark,
        }
    }

    /// Whether a certificate of `landmark` in log `log_number` can be served to a party that says this.
    pub(crate) fn covers(self, log_number: LogNumber, landmark: u64) -> bool {
        match self {
            Self::CaAlone | Self::Draft(Anchor::Ca) => false,
            Self::Draft(Anchor::LandmarkGroup {
                log_number: trusted,
                landmark: newest,
            }) => trusted == log_number && landmark <= newest,
        }
    }
}

/// What a peer's list of names says about the MTCA `ca`: the first name that says anything.
pub(crate) fn mtc_anchor<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
) -> Option<MtcAnchor> {
    names
        .into_iter()
        .find_map(|name| MtcAnchor::of(&TrustAnchorId::from_name(name).ok()?, ca))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_round_trip_as_text() {
        for text in [
            "mtc-landmark/ml-dsa-65/X25519MLKEM768",
            "mtc-landmark-stale/ml-dsa-65/X25519",
            "mtc-standalone/ecdsa-p256/X25519",
            "mtc-standalone-ca/ecdsa-p256/secp256r1",
            "mtc-landmark/ml-dsa-65/X25519/stateful",
            "mtc-landmark/ml-dsa-65/X25519/stateless",
            "x509-ml-dsa-65-direct/ml-dsa-65/X25519MLKEM768",
            "x509-ed25519-intermediate/ed25519/X25519",
            "x509-ml-dsa-87-two-intermediates/ml-dsa-87/SecP256r1MLKEM768",
        ] {
            assert_eq!(text.parse::<ConnectionProfile>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "mtc-landmark",
            "mtc/ed25519/X25519",
            "x509-rsa-direct/ed25519/X25519",
            "x509/ed25519/X25519",
            "mtc-landmark/ml-dsa-65/X25519/none",
            "mtc-landmark/ml-dsa-65/X25519/stateful/",
        ] {
            assert!(text.parse::<ConnectionProfile>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_match_rules_of_the_profile() {
        let group = |number: u64, landmark| {
            MtcAnchor::Draft(Anchor::LandmarkGroup {
                log_number: LogNumber::new(number).unwrap(),
                landmark,
            })
        };
        for (anchor, covered) in [
            (MtcAnchor::CaAlone, false),
            (MtcAnchor::Draft(Anchor::Ca), false),
            (group(1, 0), false),
            (group(1, 4), false),
            (group(1, 5), true),
            (group(1, 6), true),
            (group(2, 9), false),
        ] {
            assert_eq!(anchor.covers(LogNumber::FIRST, 5), covered, "{anchor:?}");
        }
    }

    #[test]
    fn what_a_party_says_is_the_name_of_its_domain() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        for (name, domain) in [
            ("32473.1", Some(TrustDomain::MtcStandalone)),
            ("32473.1.3.1", Some(TrustDomain::MtcStandaloneCa)),
            ("32473.1.2.1.0", Some(TrustDomain::MtcLandmarkStale)),
            ("32473.1.2.1.1", Some(TrustDomain::MtcLandmark)),
            ("32473.1.3.2", None),
            ("32473.1.3", None),
            ("32473.2.3.1", None),
        ] {
            let name = name.parse::<TrustAnchorId>().unwrap().to_name();
            let anchor = mtc_anchor([name.as_slice()], &ca);
            assert_eq!(anchor.map(MtcAnchor::domain), domain);
        }
    }

    #[test]
    fn foreign_names_say_nothing() {
        let ca: TrustAnchorId = "32473.1".parse().unwrap();
        let group: TrustAnchorId = "32473.1.2.1.7".parse().unwrap();
        let foreign: TrustAnchorId = "32473.2".parse().unwrap();
        let names = [vec![0x30, 0], foreign.to_name(), group.to_name()];
        let anchor = mtc_anchor(names.iter().map(Vec::as_slice), &ca);
        assert_eq!(
            anchor,
            Some(MtcAnchor::Draft(Anchor::LandmarkGroup {
                log_number: LogNumber::FIRST,
                landmark: 7
            }))
        );
        assert_eq!(mtc_anchor(names[..2].iter().map(Vec::as_slice), &ca), None);
    }
}
