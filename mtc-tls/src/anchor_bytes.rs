//! What it takes to say whom one trusts: by the names that stand in for `trust_anchors`, and what `trust_anchors` would take.
//!
//! ```text
//!                        stand-in, on the wire                       trust_anchors, computed (draft-ietf-tls-trust-anchor-ids-06)
//! ClientHello            type(2) length(2) length(2) length(2) DN..  type(2) length(2) length(2) length(1) ID..
//! CertificateRequest     the same                                    the same
//! EncryptedExtensions                                                the same: the anchors of what a server has, if it says so
//! Certificate                                                        type(2) length(2): it is what was named
//! ```
//!
//! Names of this project that are no trust anchors (`wishes`) travel beside them and are in neither.

use mtc_core::id::TrustAnchorId;
use serde::{Deserialize, Serialize};

/// An extension's type and length.
const EXTENSION: u64 = 2 + 2;
/// Length before a list, or before a name in `certificate_authorities`.
const LENGTH: u64 = 2;

/// What one side of a handshake sent to say whom it trusts; of one handshake, or a sum over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnchorBytes {
    /// Trust anchors as names in `certificate_authorities`, and the extension around them.
    pub stand_in: u64,
    /// The same by `trust_anchors`, and the mark on a certificate that was chosen by it.
    pub trust_anchors: u64,
    /// The list of what a server has, from which a client that named other anchors would choose for a second attempt.
    pub available: u64,
}

impl AnchorBytes {
    /// Of one who names `anchors`, and is a server with certificates of `available`.
    /// Who names nothing sends none of this.
    pub(crate) fn naming(anchors: &[TrustAnchorId], available: &[TrustAnchorId]) -> Self {
        if anchors.is_empty() {
            return Self::default();
        }
        let names = anchors.iter().map(|id| LENGTH + id.to_name().len() as u64);
        Self {
            stand_in: extension(names),
            trust_anchors: list(anchors),
            available: list(available),
        }
    }

    /// And whose certificate was chosen by what the peer named.
    pub(crate) fn with_match(self) -> Self {
        Self {
            trust_anchors: self.trust_anchors + EXTENSION,
            ..self
        }
    }

    /// Adds or subtracts another's, part by part.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            stand_in,
            trust_anchors,
            available,
        } = other;
        for (mine, theirs) in [
            (&mut self.stand_in, stand_in),
            (&mut self.trust_anchors, trust_anchors),
            (&mut self.available, available),
        ] {
            *mine = with(*mine, *theirs);
        }
    }
}

fn list(ids: &[TrustAnchorId]) -> u64 {
    extension(ids.iter().map(|id| 1 + id.as_bytes().len() as u64))
}

/// An extension with a list of items so long; none without an item.
fn extension(items: impl Iterator<Item = u64>) -> u64 {
    let items: u64 = items.sum();
    if items == 0 {
        return 0;
    }
    EXTENSION + LENGTH + items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<TrustAnchorId> {
        let ids = texts.iter().map(|text| text.parse().expect("an ID"));
        ids.collect()
    }

    /// The table of docs/method.md.
    #[test]
    fn trust_anchors_takes_less_than_what_stands_in_for_it() {
        for (named, stand_in, trust_anchors) in [
            ("32473.1", 30, 11),
            ("32473.1.2.1.127", 33, 14),
            ("32473.1.2.1.128", 34, 15),
        ] {
            let bytes = AnchorBytes::naming(&ids(&[named]), &[]);
            let expected = AnchorBytes {
                stand_in,
                trust_anchors,
                available: 0,
            };
            assert_eq!(bytes, expected, "{named}");
        }
        let server = AnchorBytes::naming(
            &ids(&["32473.1.2.1.127"]),
            &ids(&["32473.1", "32473.1.1.1.127"]),
        );
        assert_eq!(server.with_match().trust_anchors, 14 + 4);
        assert_eq!(server.available, 19);
        assert_eq!(AnchorBytes::naming(&[], &[]), AnchorBytes::default());
    }
}
