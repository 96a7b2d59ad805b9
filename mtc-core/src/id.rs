//! Identifiers: trust anchor IDs and what is allocated below a CA's (Section 5.1), serial numbers (Section 6.2).
//!
//! ```text
//! C          the CA, and its cosigner          C.0.N      issuance log N
//! C.1.N.L    landmark L of log N               C.2.N.L    the CA and every landmark of log N up to L
//! ```

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::decimal::push_decimal;
use crate::der;
use crate::oid;

/// Longest binary form of a trust anchor ID, in bytes.
pub const MAX_TRUST_ANCHOR_ID: usize = 32;

/// Bits of a serial number that hold the entry index.
pub const INDEX_BITS: u32 = 48;

/// Prefix of the names that cosigners and logs have in signed text.
const NAME_PREFIX: &str = "oid/1.3.6.1.4.1.";

const LOG_BRANCH: u64 = 0;
const LANDMARK_BRANCH: u64 = 1;
pub(crate) const LANDMARK_GROUP_BRANCH: u64 = 2;

/// Why something is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not dotted decimal numbers without leading zeros, each below 2^64.
    #[error(
        "{0:?} is not a trust anchor ID: write decimal numbers below 2^64, separated by dots, such as 32473.1"
    )]
    NotDotted(String),
    /// The binary form is empty or longer than 32 bytes.
    #[error("the binary form has {0} bytes; 1 to 32 are allowed")]
    Length(usize),
    /// A component is not minimal, cut short, or 2^64 or more.
    ///
    /// Deviation: components may exceed 64 bits; this implementation bounds them and fails closed.
    #[error("a component is not minimally encoded, cut short, or above the supported 64 bits")]
    Component,
    /// Not a name with one RDN that holds one `id-rdna-trustAnchorID`.
    #[error("not a trust anchor name (one RDN with one id-rdna-trustAnchorID)")]
    NotAName,
    /// The ID is of a CA, a cosigner or a landmark.
    #[error("{0} is not the ID of an issuance log (<CA>.0.<number>)")]
    NotALog(TrustAnchorId),
    /// Log numbers are 1 to 65535.
    #[error("log number {0} is outside 1..=65535")]
    LogNumber(u64),
    /// Entry indices are below 2^48.
    #[error("entry index {0} is not below 2^48")]
    EntryIndex(EntryIndex),
}

/// A trust anchor ID: an OID relative to 1.3.6.1.4.1 that names a CA, cosigner, log or landmark.
///
/// Ordered as cosignatures are: shorter ones first, then by their bytes.
///
/// ```
/// use mtc_core::id::{Anchor, LandmarkNumber, LogId, LogNumber, TrustAnchorId};
///
/// let ca: TrustAnchorId = "32473.1".parse()?;
/// assert_eq!(ca.as_bytes(), [0x81, 0xfd, 0x59, 1]);
/// let group = LogId::new(ca, LogNumber::FIRST)?.landmark_group(LandmarkNumber(7))?;
/// assert_eq!(group.to_string(), "32473.1.2.1.7");
/// let landmark = LandmarkNumber(7);
/// assert_eq!(group.as_anchor_of(&ca), Some(Anchor::LandmarkGroup { log_number: LogNumber::FIRST, landmark }));
/// # Ok::<(), mtc_core::id::IdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrustAnchorId {
    bytes: [u8; MAX_TRUST_ANCHOR_ID],
    length: u8,
}

impl TrustAnchorId {
    /// Reads the binary form: contents octets of a RELATIVE-OID.
    ///
    /// # Errors
    /// Not 1 to 32 bytes, or a component is not minimal, incomplete or 2^64 or more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.is_empty() || bytes.len() > MAX_TRUST_ANCHOR_ID {
            return Err(IdError::Length(bytes.len()));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split_component(rest).ok_or(IdError::Component)?;
        }
        let mut id = Self {
            bytes: [0; MAX_TRUST_ANCHOR_ID],
            length: bytes.len() as u8,
        };
        id.bytes[..bytes.len()].copy_from_slice(bytes);
        Ok(id)
    }

    /// The binary form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The components, from the left.
    pub fn components(&self) -> impl Iterator<Item = u64> + '_ {
        let mut rest = self.as_bytes();
        core::iter::from_fn(move || {
            let (component, after) = split_component(rest)?;
            rest = after;
            Some(component)
        })
    }

    /// This ID with more components.
    ///
    /// # Errors
    /// The result would be longer than 32 bytes.
    pub fn child(&self, components: &[u64]) -> Result<Self, IdError> {
        let mut bytes = self.as_bytes().to_vec();
        components
            .iter()
            .for_each(|component| put_component(&mut bytes, *component));
        Self::from_bytes(&bytes)
    }

    /// The name in signed text: `oid/1.3.6.1.4.1.` and the dotted form.
    pub fn signed_text_name(&self) -> String {
        format!("{NAME_PREFIX}{self}")
    }

    /// Appends [`Self::signed_text_name`].
    pub(crate) fn put_signed_text_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME_PREFIX.as_bytes());
        for (position, component) in self.components().enumerate() {
            if position > 0 {
                out.push(b'.');
            }
            push_decimal(out, component);
        }
    }

    /// Reads [`Self::signed_text_name`].
    ///
    /// # Errors
    /// Another prefix, or no dotted form after it.
    pub fn from_signed_text_name(name: &str) -> Result<Self, IdError> {
        name.strip_prefix(NAME_PREFIX)
            .ok_or_else(|| IdError::NotDotted(name.to_owned()))?
            .parse()
    }

    /// The DER of the distinguished name that carries this ID: one RDN, one `id-rdna-trustAnchorID`.
    pub fn to_name(&self) -> Vec<u8> {
        let attribute_type = der::element(der::OID, &[oid::TRUST_ANCHOR_ID]);
        let value = der::element(der::RELATIVE_OID, &[self.as_bytes()]);
        let attribute = der::element(der::SEQUENCE, &[&attribute_type, &value]);
        der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])])
    }

    /// Reads [`Self::to_name`].
    ///
    /// # Errors
    /// [`IdError::NotAName`] for any other name, or the ID in it is malformed.
    pub fn from_name(name: &[u8]) -> Result<Self, IdError> {
        let id = (|| {
            let set = der::only(der::only(name, der::SEQUENCE)?, der::SET)?;
            let mut attribute = der::Reader::new(der::only(set, der::SEQUENCE)?);
            let attribute_type = attribute.contents(der::OID)?;
            if attribute_type != oid::TRUST_ANCHOR_ID {
                return Err(der::DerError::InvalidValue("attribute type"));
            }
            let value = attribute.contents(der::RELATIVE_OID)?;
            attribute.finish()?;
            Ok(value)
        })();
        Self::from_bytes(id.map_err(|_| IdError::NotAName)?)
    }

    /// What this ID says about the CA `ca`, if anything: the CA itself, or one of its landmark groups.
    pub fn as_anchor_of(&self, ca: &Self) -> Option<Anchor> {
        let below = self.as_bytes().strip_prefix(ca.as_bytes())?;
        if below.is_empty() {
            return Some(Anchor::Ca);
        }
        let (branch, below) = split_component(below)?;
        let (number, below) = split_component(below)?;
        let (landmark, below) = split_component(below)?;
        if branch != LANDMARK_GROUP_BRANCH || !below.is_empty() {
            return None;
        }
        Some(Anchor::LandmarkGroup {
            log_number: LogNumber::new(number).ok()?,
            landmark: LandmarkNumber(landmark),
        })
    }
}

/// What a relying party says that it trusts of a CA (Section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// `C`: the CA's cosigners, no landmark.
    Ca,
    /// `C.2.N.L`: the CA's cosigners and every landmark of log N up to L.
    LandmarkGroup {
        /// N.
        log_number: LogNumber,
        /// L, the newest landmark held.
        landmark: LandmarkNumber,
    },
}

impl Ord for TrustAnchorId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.length
            .cmp(&other.length)
            .then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl PartialOrd for TrustAnchorId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TrustAnchorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, component) in self.components().enumerate() {
            write!(f, "{}{component}", if position == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for TrustAnchorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustAnchorId({self})")
    }
}

impl FromStr for TrustAnchorId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = Vec::new();
        for component in text.split('.') {
            let canonical = component == "0" || !component.starts_with('0');
            let digits = component.bytes().all(|byte| byte.is_ascii_digit());
            match component.parse() {
                Ok(value) if canonical && digits => put_component(&mut bytes, value),
                _ => return Err(IdError::NotDotted(text.to_owned())),
            }
        }
        Self::from_bytes(&bytes)
    }
}

/// The first component of a RELATIVE-OID's contents and what follows; none if malformed, empty or too large.
fn split_component(bytes: &[u8]) -> Option<(u64, &[u8])> {
    if bytes.first() == Some(&0x80) {
        return None;
    }
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().enumerate() {
        if value >> (u64::BITS - 7) != 0 {
            return None;
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[position + 1..]));
        }
    }
    None
}

pub(crate) fn put_component(bytes: &mut Vec<u8>, component: u64) {
    let groups = (u64::BITS - component.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        bytes.push(more | ((component >> (7 * group)) & 0x7f) as u8);
    }
}

/// Number of an issuance log of a CA: 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogNumber(u16);

impl LogNumber {
    /// The first log of a CA.
    pub const FIRST: Self = Self(1);

    /// Log number `number`.
    ///
    /// # Errors
    /// Outside 1 to 65535.
    pub fn new(number: u64) -> Result<Self, IdError> {
        match u16::try_from(number) {
            Ok(inner) if inner != 0 => Ok(Self(inner)),
            _ => Err(IdError::LogNumber(number)),
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for LogNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A plain number that is one thing and no other: ordered, shown as its digits, and as such in JSON.
macro_rules! plain_number {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(transparent))]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

plain_number! {
    /// The index of an entry in its log, from 0 (Section 5.2). Below 2^48 wherever a serial number says it, which [`serial`] checks.
    EntryIndex
}

plain_number! {
    /// How many entries are in a tree of a log (the tree size of c2sp.org/tlog-checkpoint).
    TreeSize
}

impl TreeSize {
    /// That of the empty tree, which every log begins with.
    pub const EMPTY: Self = Self(0);

    /// Whether a tree of this size holds the entry.
    pub const fn holds(self, index: EntryIndex) -> bool {
        index.0 < self.0
    }

    /// The index of the entry that is appended to a tree of this size.
    pub const fn next_index(self) -> EntryIndex {
        EntryIndex(self.0)
    }
}

plain_number! {
    /// The number of a landmark in its log, from 1; landmark 0 is the empty tree, which everybody knows (Section 6.4.1).
    LandmarkNumber
}

impl LandmarkNumber {
    /// The number of the landmark that is allocated after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// An issuance log: its CA, its number and the trust anchor ID `C.0.N`.
///
/// ```
/// use mtc_core::id::{LogId, LogNumber};
///
/// let log = LogId::new("32473.1".parse()?, LogNumber::new(7)?)?;
/// assert_eq!(log.origin(), "oid/1.3.6.1.4.1.32473.1.0.7");
/// assert_eq!(LogId::from_origin(&log.origin()), Ok(log));
/// # Ok::<(), mtc_core::id::IdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId {
    ca: TrustAnchorId,
    number: LogNumber,
    id: TrustAnchorId,
}

impl LogId {
    /// Log `number` of `ca`.
    ///
    /// # Errors
    /// The CA's ID is so long that the log's exceeds 32 bytes.
    pub fn new(ca: TrustAnchorId, number: LogNumber) -> Result<Self, IdError> {
        let id = ca.child(&[LOG_BRANCH, number.get().into()])?;
        Ok(Self { ca, number, id })
    }

    /// The CA whose log this is.
    pub const fn ca(&self) -> &TrustAnchorId {
        &self.ca
    }

    /// The log's number.
    pub const fn number(&self) -> LogNumber {
        self.number
    }

    /// The log's own trust anchor ID, `C.0.N`.
    pub const fn id(&self) -> &TrustAnchorId {
        &self.id
    }

    /// The log's origin in checkpoints and cosigned messages, e.g. `oid/1.3.6.1.4.1.32473.1.0.1`.
    pub fn origin(&self) -> String {
        self.id.signed_text_name()
    }

    /// Reads [`Self::origin`].
    ///
    /// # Errors
    /// Another prefix, or an ID that is not `C.0.N` with N a log number.
    pub fn from_origin(origin: &str) -> Result<Self, IdError> {
        let id = TrustAnchorId::from_signed_text_name(origin)?;
        let not_a_log = || IdError::NotALog(id);
        let components: Vec<u64> = id.components().collect();
        let [ca @ .., LOG_BRANCH, number] = components.as_slice() else {
            return Err(not_a_log());
        };
        let (first, below) = ca.split_first().ok_or_else(not_a_log)?;
        let mut root = Vec::new();
        put_component(&mut root, *first);
        let ca = TrustAnchorId::from_bytes(&root)?.child(below)?;
        Self::new(ca, LogNumber::new(*number)?)
    }

    /// The ID `C.1.N.L` of a landmark.
    ///
    /// # Errors
    /// The ID would exceed 32 bytes.
    pub fn landmark(&self, landmark: LandmarkNumber) -> Result<TrustAnchorId, IdError> {
        self.ca
            .child(&[LANDMARK_BRANCH, self.number.get().into(), landmark.0])
    }

    /// The ID `C.2.N.L` of the group of landmarks up to L.
    ///
    /// # Errors
    /// The ID would exceed 32 bytes.
    pub fn landmark_group(&self, landmark: LandmarkNumber) -> Result<TrustAnchorId, IdError> {
        self.ca
            .child(&[LANDMARK_GROUP_BRANCH, self.number.get().into(), landmark.0])
    }
}

/// The serial number of the certificate for an entry: log number above 48 bits of index.
///
/// ```
/// use mtc_core::id::{EntryIndex, LogNumber, serial, split_serial};
///
/// let number = serial(LogNumber::FIRST, EntryIndex(5))?;
/// assert_eq!(number, 0x0001_0000_0000_0005);
/// assert_eq!(split_serial(number), Ok((LogNumber::FIRST, EntryIndex(5))));
/// assert!(serial(LogNumber::FIRST, EntryIndex(1 << 48)).is_err());
/// # Ok::<(), mtc_core::id::IdError>(())
/// ```
///
/// # Errors
/// The index is 2^48 or more.
pub fn serial(log: LogNumber, index: EntryIndex) -> Result<u64, IdError> {
    if index.0 >> INDEX_BITS != 0 {
        return Err(IdError::EntryIndex(index));
    }
    Ok((u64::from(log.get()) << INDEX_BITS) | index.0)
}

/// The log number and the entry index of a serial number.
///
/// # Errors
/// The log number is 0.
pub fn split_serial(serial: u64) -> Result<(LogNumber, EntryIndex), IdError> {
    Ok((
        LogNumber::new(serial >> INDEX_BITS)?,
        EntryIndex(serial & ((1 << INDEX_BITS) - 1)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TrustAnchorId {
        text.parse().expect("a trust anchor ID")
    }

    #[test]
    fn the_three_forms_of_the_profile() {
        let id = id("32473.1");
        assert_eq!(id.as_bytes(), [0x81, 0xfd, 0x59, 1]);
        assert_eq!(id.to_string(), "32473.1");
        let name = [
            0x30, 0x14, 0x31, 0x12, 0x30, 0x10, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x19, 3, 0x0d, 4,
            0x81, 0xfd, 0x59, 1,
        ];
        assert_eq!(id.to_name(), name);
        assert_eq!(TrustAnchorId::from_name(&name), Ok(id));
    }

    // A log's name was taken apart as text, far from where it is put together.
    #[test]
    fn an_origin_names_a_log_or_nothing() {
        for ca in ["32473.1", "1", "0", "32473.1.0.7"] {
            let log = LogId::new(id(ca), LogNumber::new(7).unwrap()).unwrap();
            assert_eq!(LogId::from_origin(&log.origin()), Ok(log), "{ca}");
        }
        let refused = |origin: &str| LogId::from_origin(origin).expect_err(origin);
        let prefix = "oid/1.3.6.1.4.1";
        for not_a_log in ["32473.1.1.7", "32473.1", "0.7", "7"] {
            let error = refused(&format!("{prefix}.{not_a_log}"));
            assert_eq!(error, IdError::NotALog(id(not_a_log)));
        }
        assert_eq!(
            refused(&format!("{prefix}.32473.1.0.0")),
            IdError::LogNumber(0)
        );
        assert_eq!(
            refused(&format!("{prefix}.32473.1.0.65536")),
            IdError::LogNumber(65_536)
        );
        for not_an_id in ["example.org/log", "oid/1.3.6.1.4.1.32473.1.0.07"] {
            assert!(matches!(refused(not_an_id), IdError::NotDotted(_)));
        }
    }

    #[test]
    fn allocations_below_a_ca() {
        let log = LogId::new(id("32473.1"), LogNumber::FIRST).unwrap();
        assert_eq!(log.origin(), "oid/1.3.6.1.4.1.32473.1.0.1");
        assert_eq!(
            log.landmark(LandmarkNumber(7)).unwrap(),
            id("32473.1.1.1.7")
        );
        assert_eq!(
            log.landmark_group(LandmarkNumber(300)).unwrap(),
            id("32473.1.2.1.300")
        );
        assert_eq!(
            TrustAnchorId::from_signed_text_name(&log.origin()),
            Ok(*log.id())
        );
    }

    #[test]
    fn anchors_are_recognised_below_their_ca_only() {
        let ca = id("32473.1");
        let group = Anchor::LandmarkGroup {
            log_number: LogNumber::FIRST,
            landmark: LandmarkNumber(9),
        };
        assert_eq!(ca.as_anchor_of(&ca), Some(Anchor::Ca));
        assert_eq!(id("32473.1.2.1.9").as_anchor_of(&ca), Some(group));
        for other in [
            "32473.2",
            "32473.1.1.1.9",
            "32473.1.2.1",
            "32473.1.2.1.9.9",
            "32473.1.2.0.9",
            "32473.1.2.65536.9",
        ] {
            assert_eq!(id(other).as_anchor_of(&ca), None, "{other}");
        }
    }

    #[test]
    fn malformed_texts_and_bytes_are_rejected() {
        for text in [
            "",
            ".",
            "1.",
            "01",
            "1.-1",
            "+1",
            "18446744073709551616",
            "a",
        ] {
            assert!(text.parse::<TrustAnchorId>().is_err(), "{text:?}");
        }
        for bytes in [
            &[][..],
            &[0x80, 1],
            &[0x81],
            &[1; 33],
            &[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
        ] {
            assert!(TrustAnchorId::from_bytes(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(
            id("18446744073709551615").components().next(),
            Some(u64::MAX)
        );
    }

    #[test]
    fn order_is_by_length_then_bytes() {
        let mut ids = [id("300"), id("2"), id("1.2"), id("1")];
        ids.sort();
        assert_eq!(ids.map(|id| id.to_string()), ["1", "2", "1.2", "300"]);
    }

    #[test]
    fn serial_numbers_split_into_what_made_them() {
        let last = EntryIndex((1 << 48) - 1);
        let log = LogNumber::new(65535).unwrap();
        assert_eq!(serial(log, last), Ok(u64::MAX));
        assert_eq!(split_serial(u64::MAX), Ok((log, last)));
        assert_eq!(
            serial(log, EntryIndex(1 << 48)),
            Err(IdError::EntryIndex(EntryIndex(1 << 48)))
        );
        assert_eq!(split_serial(last.0), Err(IdError::LogNumber(0)));
    }
}
