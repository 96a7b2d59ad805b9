//! The DER reader: what it accepts has one encoding, which is what was read.
//!
//! The input is read as a series of elements, and the contents of constructed ones and of OCTET STRINGs likewise as far as
//! they go. Values of the types with a reader of their own are written back, too.

use mtc_core::cosign::PublicKey;
use mtc_core::der;
use mtc_core::time::UnixTime;

use crate::Verdict;
use crate::fixture::{NOW, PKI};

/// How deep nested elements are followed.
const MAX_DEPTH: usize = 64;
/// The bit of an identifier octet that says that there are elements inside.
const CONSTRUCTED: u8 = 0x20;

/// Reads elements.
///
/// # Panics
/// An invariant does not hold.
pub fn der(data: &[u8]) -> Verdict {
    Verdict::of(walk(data, 0))
}

/// Whether `data` is elements and nothing else.
fn walk(data: &[u8], depth: usize) -> bool {
    let mut reader = der::Reader::new(data);
    let mut consumed = 0;
    while !reader.is_empty() {
        let before = reader.clone();
        assert_eq!(before.rest(), &data[consumed..]);
        assert_eq!(reader.peek_tag(), Some(data[consumed]));
        let Ok(element) = reader.element() else {
            return false;
        };
        assert_eq!(
            der::element(element.tag, &[element.contents]),
            element.whole
        );
        consumed += element.whole.len();
        assert!(element.whole.len() >= 2, "no progress");
        check_value(element, before);
        if depth < MAX_DEPTH && (element.tag & CONSTRUCTED != 0 || element.tag == der::OCTET_STRING)
        {
            walk(element.contents, depth + 1);
        }
    }
    assert!(reader.finish().is_ok());
    true
}

fn check_value(element: der::Element<'_>, mut at: der::Reader<'_>) {
    let der::Element {
        tag,
        contents,
        whole,
    } = element;
    assert_eq!(der::only(whole, tag), Ok(contents));
    assert!(
        der::only(whole, tag ^ 1).is_err(),
        "another tag was expected"
    );
    match tag {
        der::INTEGER => {
            if let Ok(value) = der::unsigned(contents) {
                assert_eq!(der::unsigned_integer(value), whole);
            }
        }
        der::BIT_STRING => {
            if let Ok(octets) = der::whole_octets(contents) {
                assert_eq!(der::bit_string(octets), whole);
            }
        }
        der::UTC_TIME | der::GENERALIZED_TIME => {
            if let Ok(time) = UnixTime::from_der(&mut at) {
                let again = time.to_der();
                assert_eq!(UnixTime::from_der(&mut der::Reader::new(&again)), Ok(time));
            }
        }
        der::SEQUENCE => {
            if let Ok(key) = PublicKey::from_spki(whole) {
                assert_eq!(key.to_spki(), whole);
            }
        }
        _ => {}
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let times = [0, NOW.0, 2_524_608_000, u64::MAX].map(|seconds| UnixTime(seconds).to_der());
    let integers = [0, 0x7f, 0x80, u64::MAX].map(der::unsigned_integer);
    let long = der::element(der::SEQUENCE, &[&der::element(der::NULL, &[&[0; 300]])]);
    let mut seeds = vec![
        times.concat(),
        integers.concat(),
        long,
        PKI.ca_certificate.to_der(NOW, NOW),
    ];
    seeds.extend(PKI.acceptable().into_iter().take(2));
    seeds
}
