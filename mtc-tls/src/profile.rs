//! What a connection is to be like: whom its ends trust, with which keys, and whether a client shows a certificate.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::key::{KeyAlgorithm, UnknownX509Profile, X509Profile};
use crate::kind::CertificateKind;
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
    /// The MTCA with its landmarks and, with peers that have none of its certificates, the X.509 root of a baseline: an estate of which a
    /// part is upgraded.
    MtcLandmarkOr(X509Profile),
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
            Self::MtcLandmark | Self::MtcLandmarkOr(_) => CertificateKind::LandmarkRelative,
            Self::MtcLandmarkStale | Self::MtcStandalone | Self::MtcStandaloneCa => {
                CertificateKind::Standalone
            }
            Self::X509(_) => CertificateKind::DirectlySigned,
        }
    }

    /// What is left of it for a party that is not upgraded: of the mixed one the X.509 root, of every other itself.
    #[must_use]
    pub const fn not_upgraded(self) -> Self {
        match self {
            Self::MtcLandmarkOr(profile) => Self::X509(profile),
            other => other,
        }
    }
}

const X509_PREFIX: &str = "x509-";
const MIXED_PREFIX: &str = "mtc-landmark-or-x509-";

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MtcLandmark => f.write_str("mtc-landmark"),
            Self::MtcLandmarkStale => f.write_str("mtc-landmark-stale"),
            Self::MtcStandalone => f.write_str("mtc-standalone"),
            Self::MtcStandaloneCa => f.write_str("mtc-standalone-ca"),
            Self::MtcLandmarkOr(profile) => write!(f, "{MIXED_PREFIX}{profile}"),
            Self::X509(profile) => write!(f, "{X509_PREFIX}{profile}"),
        }
    }
}

/// The text names no trust domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTrustDomain {
    /// Neither an MTC domain nor an X.509 one.
    #[error(
        "unknown trust domain {0:?}; known: mtc-landmark, mtc-landmark-stale, mtc-standalone, mtc-standalone-ca, mtc-landmark-or-x509-<...>, x509-<algorithm>-direct, x509-<algorithm>-intermediate, x509-<algorithm>-two-intermediates"
    )]
    Name(String),
    /// An X.509 profile that does not exist.
    #[error(transparent)]
    Profile(#[from] UnknownX509Profile),
}

impl FromStr for TrustDomain {
    type Err = UnknownTrustDomain;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(profile) = text.strip_prefix(MIXED_PREFIX) {
            return Ok(Self::MtcLandmarkOr(profile.parse()?));
        }
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

/// Which access tokens the requests on a connection carry, where the network functions use tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tokens {
    /// Tokens that are signed with ES256.
    #[default]
    Es256,
    /// Tokens that are signed with ML-DSA-44.
    MlDsa44,
    /// Tokens that are signed with ML-DSA-65.
    MlDsa65,
    /// None, which a producer may refuse.
    None,
}

impl Tokens {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Es256, Self::MlDsa44, Self::MlDsa65, Self::None];

    /// The name in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "es256",
            Self::MlDsa44 => "ml-dsa-44",
            Self::MlDsa65 => "ml-dsa-65",
            Self::None => "none",
        }
    }

    /// The algorithm of their signature; none without a token.
    pub const fn algorithm(self) -> Option<KeyAlgorithm> {
        match self {
            Self::Es256 => Some(KeyAlgorithm::EcdsaP256),
            Self::MlDsa44 => Some(KeyAlgorithm::MlDsa44),
            Self::MlDsa65 => Some(KeyAlgorithm::MlDsa65),
            Self::None => None,
        }
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How requests on a connection reach the producers of other services than the NRF's (TS 23.501 annex E).
///
/// What a request brings about goes the same way: who is asked through an SCP asks others, and calls back, through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Via {
    /// Model B: the consumer discovers and calls them.
    #[default]
    Direct,
    /// Model C: the consumer discovers them, and the SCP forwards.
    ScpC,
    /// Model D: the SCP discovers them and forwards.
    ScpD,
}

impl Via {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Direct, Self::ScpC, Self::ScpD];

    /// The name in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::ScpC => "scp-c",
            Self::ScpD => "scp-d",
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown way {0:?}; known: direct, scp-c, scp-d")]
pub struct UnknownVia(pub String);

impl FromStr for Via {
    type Err = UnknownVia;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|via| via.as_str() == text)
            .ok_or_else(|| UnknownVia(text.to_owned()))
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
    /// Which access tokens its requests carry.
    pub tokens: Tokens,
    /// How its requests reach their producers.
    pub via: Via,
    /// Whether both ends send trust anchors and cosignatures that nobody knows, of Merkle Tree Certificates only.
    pub grease: bool,
}

/// What stands before the kind of tokens in the text of a profile.
const TOKENS_PREFIX: &str = "tokens-";
/// What stands at the end of the text of a profile with what nobody knows.
const GREASE: &str = "grease";

impl fmt::Display for ConnectionProfile {
    /// For example `mtc-landmark/ml-dsa-65/X25519MLKEM768`; with tickets, `/stateful` or `/stateless` after it,
    /// with other tokens than those of ES256 for example `/tokens-ml-dsa-44`, through an SCP `/scp-c` or `/scp-d`, and with what nobody
    /// knows `/grease` at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.domain, self.leaf_key, self.key_exchange)?;
        match self.tickets {
            Tickets::None => {}
            tickets => write!(f, "/{tickets}")?,
        }
        match self.tokens {
            Tokens::Es256 => {}
            tokens => write!(f, "/{TOKENS_PREFIX}{tokens}")?,
        }
        match self.via {
            Via::Direct => {}
            via => write!(f, "/{via}")?,
        }
        if self.grease {
            write!(f, "/{GREASE}")?;
        }
        Ok(())
    }
}

/// The text is not a connection profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a connection profile: {0:?}; write <trust domain>/<leaf key>/<key exchange>[/<tickets>][/tokens-<kind>][/<via>][/grease]"
)]
pub struct UnknownConnectionProfile(pub String);

impl FromStr for ConnectionProfile {
    type Err = UnknownConnectionProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('/').peekable();
            Some(Self {
                domain: parts.next()?.parse().ok()?,
                leaf_key: parts.next()?.parse().ok()?,
                key_exchange: parts.next()?.parse().ok()?,
                tickets: match parts.peek().and_then(|part| part.parse().ok()) {
                    Some(tickets) if tickets != Tickets::None => {
                        parts.next();
                        tickets
                    }
                    _ => Tickets::None,
                },
                tokens: match parts
                    .peek()
                    .and_then(|part| part.strip_prefix(TOKENS_PREFIX))
                {
                    None => Tokens::Es256,
                    Some(name) => {
                        parts.next();
                        let other =
                            |tokens: &Tokens| *tokens != Tokens::Es256 && tokens.as_str() == name;
                        Tokens::ALL.into_iter().find(other)?
                    }
                },
                via: match parts.peek().and_then(|part| part.parse().ok()) {
                    Some(via) if via != Via::Direct => {
                        parts.next();
                        via
                    }
                    _ => Via::Direct,
                },
                grease: parts.next_if_eq(&GREASE).is_some(),
            })
            .filter(|_| parts.next().is_none())
        };
        parse().ok_or_else(|| UnknownConnectionProfile(text.to_owned()))
    }
}

/// Whether clients must present a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// Without one there is no connection.
    Required,
    /// Connections without one are accepted; requests on them see no identity (an NRF, for enrolment with a token).
    Optional,
    /// As before; and a Merkle Tree Certificate that expired no longer than `expired_within` ago is accepted if it is good
    /// in all else, and its peer marked [`VerifiedPeer::expired`](crate::peer::VerifiedPeer::expired) (an NRF, for renewal after the clock has stepped).
    OptionalOrExpired {
        /// How long ago it may have expired.
        expired_within: Duration,
    },
}

impl ClientAuth {
    /// How long ago a client's certificate may have expired.
    pub(crate) const fn expired_within(self) -> Option<Duration> {
        match self {
            Self::OptionalOrExpired { expired_within } => Some(expired_within),
            Self::Required | Self::Optional => None,
        }
    }
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
            "mtc-landmark/ml-dsa-65/X25519/tokens-none",
            "mtc-landmark/ml-dsa-65/X25519/stateful/tokens-ml-dsa-44",
            "mtc-landmark/ml-dsa-65/X25519/scp-c",
            "mtc-landmark/ml-dsa-65/X25519/stateful/tokens-ml-dsa-44/scp-d",
            "mtc-landmark/ml-dsa-65/X25519/grease",
            "mtc-standalone/ml-dsa-65/X25519/stateful/tokens-ml-dsa-44/scp-d/grease",
            "mtc-landmark-or-x509-ml-dsa-65-intermediate/ml-dsa-65/X25519MLKEM768",
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
            "mtc-landmark-or-x509/ed25519/X25519",
            "x509-rsa-direct/ed25519/X25519",
            "x509/ed25519/X25519",
            "mtc-landmark/ml-dsa-65/X25519/none",
            "mtc-landmark/ml-dsa-65/X25519/stateful/",
            "mtc-landmark/ml-dsa-65/X25519/tokens-es256",
            "mtc-landmark/ml-dsa-65/X25519/tokens-none/stateful",
            "mtc-landmark/ml-dsa-65/X25519/direct",
            "mtc-landmark/ml-dsa-65/X25519/scp-c/tokens-none",
            "mtc-landmark/ml-dsa-65/X25519/scp-c/scp-d",
            "mtc-landmark/ml-dsa-65/X25519/grease/scp-d",
            "mtc-landmark/ml-dsa-65/X25519/grease/grease",
        ] {
            assert!(text.parse::<ConnectionProfile>().is_err(), "{text}");
        }
    }
}
