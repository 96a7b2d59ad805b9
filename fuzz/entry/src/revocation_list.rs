//! Lists of revoked serial numbers: what is accepted is encoded to the bytes that were read, and nobody but the CA makes one.

use mtc_core::id::TrustAnchorId;
use mtc_core::note::SignedNote;
use mtc_core::revocation_list::{MAX_RANGES, RevocationList};
use mtc_core::time::UnixTime;
use mtc_core::verify::RevokedRange;

use crate::Verdict;
use crate::fixture::PKI;

/// Reads the text of a list, as if somebody had signed it.
///
/// # Panics
/// An invariant does not hold.
pub fn revocation_list(data: &[u8]) -> Verdict {
    let ca = PKI.cosigners.cosigner();
    assert!(
        RevocationList::verify(data, ca).is_err(),
        "the CA has signed no list"
    );
    let Ok(text) = std::str::from_utf8(data) else {
        return Verdict::Refused;
    };
    let Ok(list) = RevocationList::parse(text, ca.id) else {
        return Verdict::Refused;
    };
    assert_eq!(list.to_text(), text);
    assert!(list.ranges.len() <= MAX_RANGES);
    let ranges: Vec<_> = list.ranges.iter().collect();
    let lie_apart =
        |pair: &[RevokedRange]| pair[0].last < u64::MAX && pair[0].last + 1 < pair[1].first;
    assert!(ranges.windows(2).all(lie_apart));
    for RevokedRange { first, last } in ranges {
        assert!(list.ranges.contains(first) && list.ranges.contains(last));
        let before = first.checked_sub(1);
        assert!(before.is_none_or(|before| !list.ranges.contains(before)));
    }
    let note = SignedNote {
        text: text.to_owned(),
        signatures: Vec::new(),
    };
    assert!(RevocationList::verify(note.encode().as_bytes(), ca).is_err());
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let list = |ca: TrustAnchorId, ranges: &[(u64, u64)]| RevocationList {
        ca,
        number: 7,
        issued: UnixTime(1_800_000_000),
        next: UnixTime(1_800_003_600),
        ranges: ranges
            .iter()
            .map(|&(first, last)| RevokedRange { first, last })
            .collect(),
    };
    let ca = PKI.cosigners.cosigner().id;
    [&[][..], &[(1 << 48, (1 << 48) + 4), (u64::MAX, u64::MAX)]]
        .map(|ranges| list(ca, ranges).to_text().into_bytes())
        .into()
}
