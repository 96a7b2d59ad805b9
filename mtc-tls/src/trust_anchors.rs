//! The `trust_anchors` extension of a ClientHello (draft-ietf-tls-trust-anchor-ids-06), read from the bytes that came.
//!
//! ```text
//! records     type(1) version(2) length(2) fragment, of which one or more hold
//! message     msg_type(1) length(3) legacy_version(2) random(32) session_id<0..32> cipher_suites<2..2^16-2>
//!             compression_methods<1..2^8-1> extensions<8..2^16-1>
//! extension   type(2) data<0..2^16-1>
//! data        opaque TrustAnchorID<1..2^8-1>; TrustAnchorID trust_anchors<0..2^16-1>
//! ```
//!
//! rustls passes over what it does not know, so a server can read the extension and choose by it. It cannot answer: the list of
//! what it has (EncryptedExtensions) and the mark of a match (Certificate) are not sent, and a client verifies all the same.
//!
//! rustls has read the message before and refused a malformed one; of what it does not look into, the extension's data, the form
//! is checked here.

use std::borrow::Cow;

use mtc_core::id::TrustAnchorId;
use mtc_core::wire::{Reader, WireError};
use thiserror::Error;

/// Where BoringSSL has the extension until IANA assigns a code point.
pub const CODE_POINT: u16 = 0xca34;

/// `status_request` (RFC 6066 section 8).
const STATUS_REQUEST: u16 = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// `legacy_version(2) random(32)`.
const BEFORE_SESSION_ID: usize = 2 + 32;

/// The extension is not a list of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustAnchorsError {
    /// Its lengths do not add up.
    #[error("malformed trust_anchors extension")]
    Form(#[from] WireError),
    /// An identifier without an octet.
    #[error("trust_anchors extension with an empty identifier")]
    Empty,
}

/// What a client says that it trusts by the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustAnchors {
    list: Vec<u8>,
}

impl TrustAnchors {
    /// Those in the ClientHello that these records begin with, if it has the extension.
    ///
    /// # Errors
    /// It has, and that is malformed.
    pub(crate) fn of_records(
        records: &[u8],
        code_point: u16,
    ) -> Result<Option<Self>, TrustAnchorsError> {
        let message = handshake_bytes(records);
        match extension(&message, code_point) {
            Ok(Some(data)) => Self::parse(data).map(Some),
            // A message that rustls takes and that cannot be read here has none that could be read.
            Ok(None) | Err(_) => Ok(None),
        }
    }

    fn parse(data: &[u8]) -> Result<Self, TrustAnchorsError> {
        let mut data = Reader::new(data);
        let list = data.vector(2)?;
        data.finish()?;
        let mut ids = Reader::new(list);
        while !ids.is_empty() {
            if ids.vector(1)?.is_empty() {
                return Err(TrustAnchorsError::Empty);
            }
        }
        Ok(Self {
            list: list.to_vec(),
        })
    }

    /// The identifiers, in order; those that are none of ours to read say nothing.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TrustAnchorId> + '_ {
        let mut ids = Reader::new(&self.list);
        std::iter::from_fn(move || ids.vector(1).ok())
            .filter_map(|id| TrustAnchorId::from_bytes(id).ok())
    }
}

/// Whether the ClientHello that these records begin with asks for the status of the server's certificate (RFC 6066 section 8).
pub(crate) fn asks_for_status(records: &[u8]) -> bool {
    matches!(
        extension(&handshake_bytes(records), STATUS_REQUEST),
        Ok(Some(_))
    )
}

/// The bytes of handshake messages in records up to the first of another type.
fn handshake_bytes(records: &[u8]) -> Cow<'_, [u8]> {
    let mut records = Reader::new(records);
    let mut message = Cow::Borrowed(&[][..]);
    while let Ok([HANDSHAKE, _, _]) = records.bytes(3) {
        let Ok(fragment) = records.vector(2) else {
            break;
        };
        if message.is_empty() {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
    }
    message
}

/// The data of an extension of the ClientHello that a message begins with.
fn extension(message: &[u8], wanted: u16) -> Result<Option<&[u8]>, WireError> {
    let mut message = Reader::new(message);
    let [CLIENT_HELLO] = message.bytes(1)? else {
        return Ok(None);
    };
    let mut hello = Reader::new(message.vector(3)?);
    hello.bytes(BEFORE_SESSION_ID)?;
    hello.vector(1)?;
    hello.vector(2)?;
    hello.vector(1)?;
    let mut extensions = Reader::new(hello.vector(2)?);
    while !extensions.is_empty() {
        let (found, data) = (extensions.uint16()?, extensions.vector(2)?);
        if found == wanted {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(prefix: usize, contents: &[u8]) -> Vec<u8> {
        let length = (contents.len() as u64).to_be_bytes();
        [&length[8 - prefix..], contents].concat()
    }

    /// A ClientHello with these extensions, in records of `fragment` bytes.
    fn hello(extensions: &[(u16, Vec<u8>)], fragment: usize) -> Vec<u8> {
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|(number, data)| [&number.to_be_bytes()[..], &vector(2, data)].concat())
            .collect();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &vector(1, &[9; 32]),
            &vector(2, &[0x13, 1]),
            &vector(1, &[0]),
            &vector(2, &extensions),
        ]
        .concat();
        let message = [&[CLIENT_HELLO][..], &vector(3, &body)].concat();
        message
            .chunks(fragment)
            .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &vector(2, part)].concat())
            .collect()
    }

    fn list(ids: &[&[u8]]) -> Vec<u8> {
        let ids: Vec<u8> = ids.iter().flat_map(|id| vector(1, id)).collect();
        vector(2, &ids)
    }

    fn texts(records: &[u8]) -> Option<Vec<String>> {
        let anchors = TrustAnchors::of_records(records, CODE_POINT).expect("well formed");
        anchors.map(|anchors| anchors.ids().map(|id| id.to_string()).collect())
    }

    #[test]
    fn identifiers_are_read_in_order_wherever_records_end() {
        let ca = [0x81, 0xfd, 0x59, 1];
        let group = [&ca[..], &[2, 1, 7]].concat();
        let others = (0_u16, vec![0; 40]);
        let extensions = [others.clone(), (CODE_POINT, list(&[&group, &ca]))];
        for fragment in [1, 2, 5, 64, 16_384] {
            let records = hello(&extensions, fragment);
            let ids = vec!["32473.1.2.1.7".to_owned(), "32473.1".to_owned()];
            assert_eq!(texts(&records), Some(ids), "{fragment}");
        }
        assert_eq!(texts(&hello(&[others], 100)), None);
        let empty = hello(&[(CODE_POINT, list(&[]))], 100);
        assert_eq!(texts(&empty), Some(vec![]));
        assert_eq!(
            TrustAnchors::of_records(&hello(&extensions, 100), CODE_POINT + 1),
            Ok(None),
            "another code point"
        );
    }

    #[test]
    fn identifiers_that_cannot_be_read_say_nothing() {
        let records = hello(
            &[(
                CODE_POINT,
                list(&[&[0x80, 1], &[1; 33], &[0xff; 12], &[1, 2]]),
            )],
            100,
        );
        assert_eq!(texts(&records), Some(vec!["1.2".to_owned()]));
    }

    #[test]
    fn a_list_whose_lengths_do_not_add_up_is_malformed() {
        for (data, error) in [
            (vec![], WireError::Truncated.into()),
            (vec![0, 3, 2, 1], WireError::Truncated.into()),
            (vec![0, 2, 2, 1], WireError::Truncated.into()),
            (vec![0, 0, 0], WireError::TrailingBytes(1).into()),
            (vec![0, 1, 0], TrustAnchorsError::Empty),
        ] {
            let records = hello(&[(CODE_POINT, data.clone())], 100);
            let read = TrustAnchors::of_records(&records, CODE_POINT);
            assert_eq!(read, Err(error), "{data:?}");
        }
    }

    #[test]
    fn what_is_no_client_hello_has_no_extension() {
        let whole = hello(&[(CODE_POINT, list(&[&[1]]))], 50);
        for end in 0..whole.len() {
            assert_eq!(
                TrustAnchors::of_records(&whole[..end], CODE_POINT),
                Ok(None),
                "cut at {end}"
            );
        }
        let mut other = whole.clone();
        other[5] = 2;
        assert_eq!(TrustAnchors::of_records(&other, CODE_POINT), Ok(None));
        let mut alert = whole;
        alert[0] = 21;
        assert_eq!(TrustAnchors::of_records(&alert, CODE_POINT), Ok(None));
    }
}
