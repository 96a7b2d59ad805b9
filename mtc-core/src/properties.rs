//! What belongs to a certificate and does not stand in it: for whom a server may choose it (draft-ietf-tls-trust-anchor-ids-06,
//! Section 7, and Section 8 of the draft).
//!
//! ```text
//! struct { uint16 type; opaque data<0..2^16-1>; } CertificateProperty;
//! CertificateProperty CertificatePropertyList<0..2^16-1>;        ascending types, no duplicates
//!
//! type 0  trust_anchor_id           the ID's binary form
//!      1  trust_anchor_groups       opaque pattern<1..2^8-1>; pattern patterns<1..2^16-1>
//!      2  trust_anchor_negotiation  empty: for those alone who name one of these
//!
//! certificate                     trust anchor     groups
//! standalone                      C                C.2.{0-}.{0-}
//! of landmark L of log N          C.1.N.L          C.2.N.{L-}
//! ```
//!
//! The list travels before its chain in PEM, under the label `CERTIFICATE PROPERTIES`. Types that are not known are kept, and say nothing.

mod pattern;

use alloc::vec;
use alloc::vec::Vec;

use thiserror::Error;

pub use self::pattern::{AnchorPattern, PatternError};
use crate::id::{IdError, LandmarkNumber, LogId, TrustAnchorId};
use crate::wire::{self, Reader, WireError};

const TRUST_ANCHOR_ID: u16 = 0;
const TRUST_ANCHOR_GROUPS: u16 = 1;
const TRUST_ANCHOR_NEGOTIATION: u16 = 2;

/// Why bytes are not a list of certificate properties, or one cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PropertiesError {
    /// Lengths do not add up.
    #[error("malformed list of certificate properties")]
    Form(#[from] WireError),
    /// A type is there twice, or behind a greater one.
    #[error("certificate property {0} is a duplicate or out of order")]
    Order(u16),
    /// The trust anchor ID is none.
    #[error("property trust_anchor_id")]
    TrustAnchorId(#[from] IdError),
    /// There is a property for groups, and no group in it.
    #[error("property trust_anchor_groups is empty")]
    NoGroups,
    /// A group's pattern is none.
    #[error("property trust_anchor_groups")]
    Group(#[from] PatternError),
    /// The mark has something in it.
    #[error("property trust_anchor_negotiation has {0} bytes; it must be empty")]
    Negotiation(usize),
}

/// For whom a certificate may be chosen.
///
/// ```
/// use mtc_core::id::{LandmarkNumber, LogId, LogNumber, TrustAnchorId};
/// use mtc_core::properties::CertificateProperties;
///
/// let ca: TrustAnchorId = "32473.1".parse()?;
/// let log = LogId::new(ca, LogNumber::FIRST)?;
/// let properties = CertificateProperties::landmark_relative(&log, LandmarkNumber(5))?;
/// assert!(properties.match_any([&log.landmark_group(LandmarkNumber(7))?]));
/// assert!(!properties.match_any([&ca, &log.landmark_group(LandmarkNumber(4))?]));
/// assert_eq!(CertificateProperties::parse(&properties.encode()?), Ok(properties));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateProperties {
    /// The trust anchor that issued the chain.
    pub trust_anchor_id: Option<TrustAnchorId>,
    /// The groups of trust anchors that it is in.
    pub groups: Vec<AnchorPattern>,
    /// Whether it is for those alone who name the trust anchor or a group: no fallback.
    pub negotiation: bool,
    unknown: Vec<(u16, Vec<u8>)>,
}

impl CertificateProperties {
    /// Those of a chain that this trust anchor issued, of which nothing else is known.
    pub fn of_anchor(id: TrustAnchorId) -> Self {
        Self {
            trust_anchor_id: Some(id),
            ..Self::default()
        }
    }

    /// Those of a standalone certificate of `ca`, which may be shown to who names nothing.
    pub fn standalone(ca: &TrustAnchorId) -> Self {
        Self {
            trust_anchor_id: Some(*ca),
            groups: vec![AnchorPattern::landmark_groups(ca).at_least(0).at_least(0)],
            ..Self::default()
        }
    }

    /// Those of a landmark-relative certificate, which nobody can verify who does not know the landmark.
    ///
    /// # Errors
    /// The CA's ID has no room for the landmark's below it.
    pub fn landmark_relative(log: &LogId, landmark: LandmarkNumber) -> Result<Self, IdError> {
        let groups = AnchorPattern::landmark_groups(log.ca());
        Ok(Self {
            trust_anchor_id: Some(log.landmark(landmark)?),
            groups: vec![
                groups
                    .exactly(log.number().get().into())
                    .at_least(landmark.0),
            ],
            negotiation: true,
            ..Self::default()
        })
    }

    /// Reads a list.
    ///
    /// # Errors
    /// See [`PropertiesError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PropertiesError> {
        let mut reader = Reader::new(bytes);
        let mut list = Reader::new(reader.vector(2)?);
        reader.finish()?;
        let mut properties = Self::default();
        let mut last = None;
        while !list.is_empty() {
            let (kind, data) = (list.uint16()?, list.vector(2)?);
            if last.is_some_and(|last| last >= kind) {
                return Err(PropertiesError::Order(kind));
            }
            last = Some(kind);
            match kind {
                TRUST_ANCHOR_ID => {
                    properties.trust_anchor_id = Some(TrustAnchorId::from_bytes(data)?);
                }
                TRUST_ANCHOR_GROUPS => properties.groups = parse_groups(data)?,
                TRUST_ANCHOR_NEGOTIATION if data.is_empty() => properties.negotiation = true,
                TRUST_ANCHOR_NEGOTIATION => return Err(PropertiesError::Negotiation(data.len())),
                _ => properties.unknown.push((kind, data.to_vec())),
            }
        }
        Ok(properties)
    }

    /// The list's bytes.
    ///
    /// # Errors
    /// Something is too long for its length prefix.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut list = Vec::new();
        let mut put = |kind: u16, data: &[u8]| {
            wire::put_uint(&mut list, kind.into(), 2);
            wire::put_vector(&mut list, data, 2, "certificate property")
        };
        if let Some(id) = &self.trust_anchor_id {
            put(TRUST_ANCHOR_ID, id.as_bytes())?;
        }
        if !self.groups.is_empty() {
            let mut patterns = Vec::new();
            for group in &self.groups {
                wire::put_vector(&mut patterns, group.as_bytes(), 1, "pattern of groups")?;
            }
            let mut data = Vec::new();
            wire::put_vector(&mut data, &patterns, 2, "patterns of groups")?;
            put(TRUST_ANCHOR_GROUPS, &data)?;
        }
        if self.negotiation {
            put(TRUST_ANCHOR_NEGOTIATION, &[])?;
        }
        for (kind, data) in &self.unknown {
            put(*kind, data)?;
        }
        let mut out = Vec::new();
        wire::put_vector(&mut out, &list, 2, "certificate properties")?;
        Ok(out)
    }

    /// Whether a peer that names one of these IDs is content with the certificate: its trust anchor, or one of its groups.
    pub fn match_any<'a>(&self, named: impl IntoIterator<Item = &'a TrustAnchorId>) -> bool {
        let mut named = named.into_iter();
        named.any(|id| {
            self.trust_anchor_id.as_ref() == Some(id)
                || self.groups.iter().any(|group| group.matches(id))
        })
    }

    /// Properties that are not known here: their types and data, in order.
    pub fn unknown(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.unknown
            .iter()
            .map(|(kind, data)| (*kind, data.as_slice()))
    }
}

fn parse_groups(data: &[u8]) -> Result<Vec<AnchorPattern>, PropertiesError> {
    let mut data = Reader::new(data);
    let mut patterns = Reader::new(data.vector(2)?);
    data.finish()?;
    let mut groups = Vec::new();
    while !patterns.is_empty() {
        groups.push(AnchorPattern::from_bytes(patterns.vector(1)?)?);
    }
    if groups.is_empty() {
        return Err(PropertiesError::NoGroups);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Anchor, LogNumber};

    fn id(text: &str) -> TrustAnchorId {
        text.parse().expect("an ID")
    }

    fn log(number: u64) -> LogId {
        LogId::new(id("32473.1"), LogNumber::new(number).expect("a number")).expect("a short ID")
    }

    #[test]
    fn lists_have_the_octets_of_the_drafts() {
        let standalone = CertificateProperties::standalone(&id("32473.1"));
        let patterns = [
            &[0x81, 0xfd, 0x59, 0x81, 0xfd, 0x59, 1, 1, 2, 2][..],
            &[0, 0x80, 0, 0x80],
        ]
        .concat();
        let groups = [&[0, 1, 0, 17, 0, 15, 14][..], &patterns].concat();
        let anchor = [0, 0, 0, 4, 0x81, 0xfd, 0x59, 1];
        let expected = [&[0, 29][..], &anchor, &groups].concat();
        assert_eq!(standalone.encode().unwrap(), expected);
        assert_eq!(standalone.groups[0].to_string(), "32473.1.2.{0-}.{0-}");

        let relative =
            CertificateProperties::landmark_relative(&log(8), LandmarkNumber(300)).unwrap();
        assert_eq!(relative.trust_anchor_id, Some(id("32473.1.1.8.300")));
        assert_eq!(relative.groups[0].to_string(), "32473.1.2.8.{300-}");
        let encoded = relative.encode().unwrap();
        assert_eq!(encoded[encoded.len() - 4..], [0, 2, 0, 0]);
        let empty = CertificateProperties::default();
        assert_eq!(empty.encode().unwrap(), [0, 0]);
    }

    /// Two ways to the same choice: patterns of the certificate, and what an ID says of a CA ([`TrustAnchorId::as_anchor_of`]).
    #[test]
    fn patterns_choose_as_anchors_do() {
        let ca = id("32473.1");
        let standalone = CertificateProperties::standalone(&ca);
        for own in [1, 5, 127, 128] {
            let relative =
                CertificateProperties::landmark_relative(&log(2), LandmarkNumber(own)).unwrap();
            for named in [
                id("32473.1"),
                id("32473.2"),
                id("32473.1.2.2"),
                id("32473.1.2.2.5.0"),
                id("32473.1.3.2.5"),
            ]
            .into_iter()
            .chain((1..4).flat_map(|number| {
                [0, 4, 5, 6, 127, 128, 1 << 40].map(|landmark| {
                    log(number)
                        .landmark_group(LandmarkNumber(landmark))
                        .expect("a short ID")
                })
            })) {
                let anchor = named.as_anchor_of(&ca);
                assert_eq!(standalone.match_any([&named]), anchor.is_some(), "{named}");
                let covers = matches!(
                    anchor,
                    Some(Anchor::LandmarkGroup { log_number, landmark })
                        if log_number.get() == 2 && landmark.0 >= own
                );
                assert_eq!(relative.match_any([&named]), covers, "{named} for {own}");
            }
            let exact = log(2).landmark(LandmarkNumber(own)).unwrap();
            assert!(relative.match_any([&ca, &exact]));
            assert!(!standalone.match_any([&exact]));
        }
        assert!(!CertificateProperties::default().match_any([&ca]));
    }

    #[test]
    fn what_is_not_known_is_kept_and_says_nothing() {
        let bytes = [0, 11, 0, 2, 0, 0, 0, 9, 0, 3, 7, 8, 9];
        let properties = CertificateProperties::parse(&bytes).unwrap();
        assert!(properties.negotiation);
        assert_eq!(
            properties.unknown().collect::<Vec<_>>(),
            [(9, &[7, 8, 9][..])]
        );
        assert_eq!(properties.encode().unwrap(), bytes);
    }

    #[test]
    fn malformed_lists_say_which_rule_they_break() {
        let list = |contents: &[u8]| {
            let mut out = Vec::new();
            wire::put_vector(&mut out, contents, 2, "test").expect("short");
            CertificateProperties::parse(&out)
        };
        for (contents, error) in [
            (&[0, 2, 0, 0, 0, 2, 0, 0][..], PropertiesError::Order(2)),
            (&[0, 9, 0, 0, 0, 2, 0, 0], PropertiesError::Order(2)),
            (&[0, 2, 0, 1, 0], PropertiesError::Negotiation(1)),
            (&[0, 0, 0, 0], IdError::Length(0).into()),
            (&[0, 0, 0, 1, 0x80], IdError::Component.into()),
            (&[0, 1, 0, 2, 0, 0], PropertiesError::NoGroups),
            (&[0, 1, 0, 3, 0, 1, 0], PatternError::Empty.into()),
            (&[0, 1, 0, 4, 0, 2, 1, 5], PatternError::Pairs.into()),
            (&[0, 1, 0, 1, 0], WireError::Truncated.into()),
            (&[0, 1, 0, 3, 0, 0, 7], WireError::TrailingBytes(1).into()),
            (&[0, 7, 0, 1], WireError::Truncated.into()),
        ] {
            assert_eq!(list(contents), Err(error), "{contents:?}");
        }
        assert_eq!(
            CertificateProperties::parse(&[0, 0, 0]),
            Err(WireError::TrailingBytes(1).into())
        );
        let whole = CertificateProperties::standalone(&id("32473.1"))
            .encode()
            .unwrap();
        for end in 0..whole.len() {
            let cut = CertificateProperties::parse(&whole[..end]);
            assert_eq!(cut, Err(WireError::Truncated.into()), "cut at {end}");
        }
    }

    /// The example of earlier revisions (-05) has ranges where -06 has patterns.
    #[test]
    fn ranges_of_earlier_revisions_are_refused() {
        let range = [
            &[4, 0x81, 0xfd, 0x59, 3][..],
            &42_u64.to_be_bytes(),
            &[0xff; 8],
        ]
        .concat();
        let list = [&[0, 27, 0, 1, 0, 23, 0, 21][..], &range].concat();
        assert!(matches!(
            CertificateProperties::parse(&list),
            Err(PropertiesError::Group(_))
        ));
    }
}
