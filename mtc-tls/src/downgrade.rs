//! Why a certificate was presented that is worse than both ends could have had.
//!
//! ```text
//!  best  landmark-relative ──> standalone ──> X.509  worst
//!
//!  what the peer names ─┐
//!  what it claims to be ┼─> Downgrade::of ──> a reason, or none where nothing better was possible
//!  what this end has ───┘
//! ```
//!
//! Whoever presents judges: it knows what it has, what its peer has named, and what it has chosen. Both ends of a handshake do, each for
//! its own certificate. Nobody in between can change what was named without breaking the handshake, which signs it (RFC 8446 section 4.4.3);
//! who terminates TLS in between can, and then what is named and who the peer is do not fit.

use std::fmt;

use mtc_core::id::{Anchor, LandmarkNumber, LogNumber};

use crate::hints::MtcAnchor;
use crate::kind::CertificateKind;

/// Why a certificate is worse than it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Downgrade {
    /// The peer could verify a Merkle Tree Certificate, and this end has none.
    NotUpgraded,
    /// This end has a Merkle Tree Certificate, and the peer can verify X.509 only.
    PeerNotUpgraded,
    /// The peer names no trust anchor of the MTCA though it says that it is upgraded: its names were not sent, or lost on the way.
    NamesMissing,
    /// The peer names nobody that is known here, as software of others does that knows no way to.
    NothingNamed,
    /// This end's landmark-relative certificate is not there yet.
    NoLandmarkYet,
    /// The peer's newest landmark is older than this end's certificate, or of another log.
    NoCommonLandmark,
    /// The peer follows the log and knows none of its landmarks.
    PeerStale,
}

impl Downgrade {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::NotUpgraded,
        Self::PeerNotUpgraded,
        Self::NamesMissing,
        Self::NothingNamed,
        Self::NoLandmarkYet,
        Self::NoCommonLandmark,
        Self::PeerStale,
    ];

    /// The name in metrics and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUpgraded => "not-upgraded",
            Self::PeerNotUpgraded => "peer-not-upgraded",
            Self::NamesMissing => "names-missing",
            Self::NothingNamed => "nothing-named",
            Self::NoLandmarkYet => "no-landmark-yet",
            Self::NoCommonLandmark => "no-common-landmark",
            Self::PeerStale => "peer-stale",
        }
    }

    /// Why `seen` ended in a certificate of this kind, if a better one was possible.
    pub(crate) fn of(presented: CertificateKind, seen: Seen) -> Option<Self> {
        if presented == CertificateKind::LandmarkRelative {
            return None;
        }
        let Some(anchor) = seen.anchor else {
            return match seen.peer {
                Peer::Upgraded => Some(Self::NamesMissing),
                Peer::NamesNobody => Some(Self::NothingNamed),
                Peer::NotUpgraded => seen.upgraded.then_some(Self::PeerNotUpgraded),
                Peer::Silent => None,
            };
        };
        if !seen.upgraded {
            return Some(Self::NotUpgraded);
        }
        match anchor {
            // It has asked for nothing better.
            MtcAnchor::CaAlone | MtcAnchor::Draft(Anchor::Ca) => None,
            MtcAnchor::Draft(Anchor::LandmarkGroup {
                landmark: LandmarkNumber(0),
                ..
            }) => Some(Self::PeerStale),
            MtcAnchor::Draft(Anchor::LandmarkGroup { .. }) => Some(match seen.landmark {
                None => Self::NoLandmarkYet,
                Some(_) => Self::NoCommonLandmark,
            }),
        }
    }
}

impl fmt::Display for Downgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a peer beside the trust anchors that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It can verify Merkle Tree Certificates.
    Upgraded,
    /// It has named nobody that is known here.
    NamesNobody,
    /// It can verify X.509 only.
    NotUpgraded,
    /// It has said whom it trusts, and wants nothing else.
    Silent,
}

/// What whoever presents a certificate knows of both ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Whether this end has Merkle Tree Certificates for this peer.
    pub(crate) upgraded: bool,
    /// The landmark of this end's landmark-relative certificate, if that is there.
    pub(crate) landmark: Option<(LogNumber, LandmarkNumber)>,
    /// The peer.
    pub(crate) peer: Peer,
    /// What the peer names of the MTCA.
    pub(crate) anchor: Option<MtcAnchor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Option<(LogNumber, LandmarkNumber)> = Some((LogNumber::FIRST, LandmarkNumber(5)));

    fn group(landmark: u64) -> Option<MtcAnchor> {
        Some(MtcAnchor::Draft(Anchor::LandmarkGroup {
            log_number: LogNumber::FIRST,
            landmark: LandmarkNumber(landmark),
        }))
    }

    #[test]
    fn each_way_to_be_served_worse_has_its_reason() {
        use CertificateKind::{DirectlySigned, LandmarkRelative, Standalone};
        let ca = Some(MtcAnchor::Draft(Anchor::Ca));
        for (presented, upgraded, landmark, peer, anchor, expected) in [
            (LandmarkRelative, true, OWN, Peer::Upgraded, group(6), None),
            (
                Standalone,
                true,
                None,
                Peer::Upgraded,
                group(6),
                Some(Downgrade::NoLandmarkYet),
            ),
            (
                Standalone,
                true,
                OWN,
                Peer::Upgraded,
                group(4),
                Some(Downgrade::NoCommonLandmark),
            ),
            (
                Standalone,
                true,
                OWN,
                Peer::Upgraded,
                group(0),
                Some(Downgrade::PeerStale),
            ),
            (Standalone, true, OWN, Peer::Silent, ca, None),
            (
                DirectlySigned,
                false,
                None,
                Peer::Upgraded,
                group(6),
                Some(Downgrade::NotUpgraded),
            ),
            (
                DirectlySigned,
                true,
                OWN,
                Peer::NotUpgraded,
                None,
                Some(Downgrade::PeerNotUpgraded),
            ),
            (DirectlySigned, false, None, Peer::NotUpgraded, None, None),
            (
                DirectlySigned,
                true,
                OWN,
                Peer::Upgraded,
                None,
                Some(Downgrade::NamesMissing),
            ),
            (
                Standalone,
                true,
                OWN,
                Peer::NamesNobody,
                None,
                Some(Downgrade::NothingNamed),
            ),
            (DirectlySigned, true, OWN, Peer::Silent, None, None),
        ] {
            let seen = Seen {
                upgraded,
                landmark,
                peer,
                anchor,
            };
            assert_eq!(
                Downgrade::of(presented, seen),
                expected,
                "{presented} {seen:?}"
            );
        }
    }

    #[test]
    fn reasons_have_names_of_their_own() {
        let mut names = Downgrade::ALL.map(Downgrade::as_str).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Downgrade::ALL.len());
    }
}
