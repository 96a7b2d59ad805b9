//! Log entries: what is accepted is encoded to the bytes that were read.

use mtc_core::entry::{EntryBody, MAX_ENTRY, MtcLogEntry};

use crate::Verdict;
use crate::fixture::PKI;

/// Reads a log entry.
///
/// # Panics
/// An invariant does not hold.
pub fn log_entry(data: &[u8]) -> Verdict {
    let Ok(entry) = MtcLogEntry::decode(data) else {
        return Verdict::Refused;
    };
    assert!(data.len() <= MAX_ENTRY);
    assert!(
        entry.extensions.is_sorted_by(|one, next| one.0 < next.0),
        "extensions out of order"
    );
    assert_eq!(entry.encode().as_deref(), Ok(data));
    Verdict::Accepted
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // The first, which has no extensions, and one that has.
    let issued = [0, 7].map(|index: usize| PKI.issued[index].entry.clone());
    let extended_null = MtcLogEntry {
        extensions: vec![(7, vec![7; 7]), (8, Vec::new())],
        body: EntryBody::Null,
    };
    issued
        .into_iter()
        .chain([MtcLogEntry::NULL, extended_null])
        .map(|entry| entry.encode().expect("short"))
        .collect()
}
