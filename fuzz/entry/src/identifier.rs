//! Trust anchor IDs, their names in DER and in text, and the IDs below them.
//!
//! The input is read in each of the four forms in which an ID comes; whatever is accepted prints as it was read. The
//! first component of an accepted ID, as the CA's, gives logs and landmark groups that are recognised as such.

use mtc_core::id::{Anchor, LandmarkNumber, LogId, LogNumber, MAX_TRUST_ANCHOR_ID, TrustAnchorId};

use crate::Verdict;
use crate::fixture::{self, CA};

/// Reads a trust anchor ID.
///
/// # Panics
/// An invariant does not hold.
pub fn identifier(data: &[u8]) -> Verdict {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let binary = TrustAnchorId::from_bytes(data).ok();
    let name = TrustAnchorId::from_name(data).ok();
    let dotted = text.parse::<TrustAnchorId>().ok();
    let signed_text = TrustAnchorId::from_signed_text_name(text).ok();
    if let Some(id) = binary {
        assert_eq!(id.as_bytes(), data);
    }
    if let Some(id) = name {
        assert_eq!(id.to_name(), data);
    }
    if let Some(id) = dotted {
        assert_eq!(id.to_string(), text);
    }
    if let Some(id) = signed_text {
        assert_eq!(id.signed_text_name(), text);
    }
    let found = [binary, name, dotted, signed_text];
    found.into_iter().flatten().for_each(check);
    Verdict::of(found.iter().any(Option::is_some))
}

fn check(id: TrustAnchorId) {
    assert!((1..=MAX_TRUST_ANCHOR_ID).contains(&id.as_bytes().len()));
    assert_eq!(TrustAnchorId::from_bytes(id.as_bytes()), Ok(id));
    assert_eq!(TrustAnchorId::from_name(&id.to_name()), Ok(id));
    assert_eq!(id.to_string().parse(), Ok(id));
    let components: Vec<u64> = id.components().collect();
    let dotted: Vec<String> = components.iter().map(u64::to_string).collect();
    assert_eq!(dotted.join("."), id.to_string());

    let other = fixture::id(CA);
    let by_length_and_bytes = |id: &TrustAnchorId| (id.as_bytes().len(), id.as_bytes().to_vec());
    assert_eq!(
        id.cmp(&other),
        by_length_and_bytes(&id).cmp(&by_length_and_bytes(&other))
    );

    assert_eq!(id.as_anchor_of(&id), Some(Anchor::Ca));
    let number = LogNumber::new(components[0] % 65_535 + 1).expect("1 to 65535");
    let Ok(log) = LogId::new(id, number) else {
        return;
    };
    assert_eq!(log.id().as_anchor_of(&id), None);
    if let Ok(group) = log.landmark_group(LandmarkNumber(components[0])) {
        let expected = Anchor::LandmarkGroup {
            log_number: number,
            landmark: LandmarkNumber(components[0]),
        };
        assert_eq!(group.as_anchor_of(&id), Some(expected));
        assert_eq!(group.as_anchor_of(&group), Some(Anchor::Ca));
    }
    if let Ok(landmark) = log.landmark(LandmarkNumber(components[0])) {
        assert_eq!(landmark.as_anchor_of(&id), None);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let log = fixture::log(65_535);
    let group = log.landmark_group(LandmarkNumber(u64::MAX)).expect("short");
    let long = TrustAnchorId::from_bytes(&[0xff, 0xff, 0xff, 0x7f].repeat(8)).expect("32 bytes");
    [fixture::id(CA), *log.id(), group, long]
        .iter()
        .flat_map(|id| {
            [
                id.as_bytes().to_vec(),
                id.to_name(),
                id.to_string().into_bytes(),
                id.signed_text_name().into_bytes(),
            ]
        })
        .collect()
}
