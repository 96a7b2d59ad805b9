//! Trust anchor names in `certificate_authorities`: what a peer shows that it trusts (Section 8).
//!
//! ```text
//! relying party trusts              says                        is served
//! an X.509 root                     the root's DN               the chain below that root
//! the MTCA's cosigners              C                           a standalone certificate
//! and landmarks of log N up to L    C.2.N.L                     a landmark-relative one of landmark <= L, else standalone
//! ```
//!
//! Deviation: TLS's own `trust_anchors` extension (draft-ietf-tls-trust-anchor-ids) cannot be sent with rustls 0.23.
//! The same identifiers travel as distinguished names in the RFC 8446 extension, in both directions.

use std::fmt;
use std::str::FromStr;

use mtc_core::id::{Anchor, LogNumber, TrustAnchorId};

use crate::handshake::CertificateKind;
use crate::key::{KeyAlgorithm, UnknownX509Profile, X509Profile};
use crate::provider::KeyExchange;

/// What both ends of a connection trust: the world in which they authenticate each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrustDomain {
    /// The MTCA with its landmarks.
    MtcLandmark,
    /// The MTCA's cosigners without any landmark.
    MtcStandalone,
    /// The X.509 root of a baseline.
    X509(X509Profile),
}

impl TrustDomain {
    /// The kind of certificate that is served in this domain when nothing is stale.
    pub const fn kind(self) -> CertificateKind {
        match self {
            Self::MtcLandmark => CertificateKind::LandmarkRelative,
            Self::MtcStandalone => CertificateKind::Standalone,
            Self::X509(_) => CertificateKind::DirectlySigned,
        }
    }
}

const X509_PREFIX: &str = "x509-";

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X509(profile) => write!(f, "{X509_PREFIX}{profile}"),
            mtc => f.write_str(mtc.kind().as_str()),
        }
    }
}

/// The text names no trust domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTrustDomain {
    /// Neither an MTC domain nor an X.509 one.
    #[error(
        "unknown trust domain {0:?}; known: mtc-landmark, mtc-standalone, x509-<algorithm>-direct, x509-<algorithm>-intermediate"
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
            None => [Self::MtcLandmark, Self::MtcStandalone]
                .into_iter()
                .find(|domain| domain.kind().as_str() == text)
                .ok_or_else(|| UnknownTrustDomain::Name(text.to_owned())),
        }
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
}

impl fmt::Display for ConnectionProfile {
    /// For example `mtc-landmark/ml-dsa-65/X25519MLKEM768`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.domain, self.leaf_key, self.key_exchange)
    }
}

/// The text is not a connection profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a connection profile: {0:?}; write <trust domain>/<leaf key>/<key exchange>")]
pub struct UnknownConnectionProfile(pub String);

impl FromStr for ConnectionProfile {
    type Err = UnknownConnectionProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (domain, rest) = text.split_once('/')?;
            let (leaf_key, key_exchange) = rest.split_once('/')?;
            Some(Self {
                domain: domain.parse().ok()?,
                leaf_key: leaf_key.parse().ok()?,
                key_exchange: key_exchange.parse().ok()?,
            })
        };
        parse().ok_or_else(|| UnknownConnectionProfile(text.to_owned()))
    }
}

/// What a peer's list of names says about the MTCA `ca`: the first name that says anything.
pub(crate) fn mtc_anchor<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
) -> Option<Anchor> {
    names
        .into_iter()
        .find_map(|name| TrustAnchorId::from_name(name).ok()?.as_anchor_of(ca))
}

/// Whether a certificate of `landmark` in log `log_number` can be served to a peer with this anchor.
pub(crate) fn covers(anchor: Anchor, log_number: LogNumber, landmark: u64) -> bool {
    match anchor {
        Anchor::Ca => false,
        Anchor::LandmarkGroup {
            log_number: trusted,
            landmark: newest,
        } => trusted == log_number && landmark <= newest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_round_trip_as_text() {
        for text in [
            "mtc-landmark/ml-dsa-65/X25519MLKEM768",
            "mtc-standalone/ecdsa-p256/X25519",
            "x509-ml-dsa-65-direct/ml-dsa-65/X25519MLKEM768",
            "x509-ed25519-intermediate/ed25519/X25519",
        ] {
            assert_eq!(text.parse::<ConnectionProfile>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "mtc-landmark",
            "mtc/ed25519/X25519",
            "x509-rsa-direct/ed25519/X25519",
            "x509/ed25519/X25519",
        ] {
            assert!(text.parse::<ConnectionProfile>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_match_rules_of_the_profile() {
        let log = LogNumber::FIRST;
        let other = LogNumber::new(2).unwrap();
        assert!(!covers(Anchor::Ca, log, 0));
        for (newest, covered) in [(4, false), (5, true), (6, true)] {
            assert_eq!(
                covers(
                    Anchor::LandmarkGroup {
                        log_number: log,
                        landmark: newest
                    },
                    log,
                    5
                ),
                covered
            );
        }
        assert!(!covers(
            Anchor::LandmarkGroup {
                log_number: other,
                landmark: 9
            },
            log,
            5
        ));
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
            Some(Anchor::LandmarkGroup {
                log_number: LogNumber::FIRST,
                landmark: 7
            })
        );
        assert_eq!(mtc_anchor(names[..2].iter().map(Vec::as_slice), &ca), None);
    }
}
