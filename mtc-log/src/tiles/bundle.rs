//! Entry bundles (c2sp.org/mtc-tlog): up to 256 entries, each behind its length in two bytes.

use std::ops::Range;

use mtc_core::tile::TILE_WIDTH;
use mtc_core::wire;

/// The bytes of a bundle, and where its entries are in them.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    bytes: Vec<u8>,
    entries: Vec<Range<usize>>,
}

impl Bundle {
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut reader = wire::Reader::new(&bytes);
        let mut entries = Vec::new();
        while !reader.is_empty() {
            if entries.len() as u64 == TILE_WIDTH {
                return None;
            }
            let length = reader.vector(2).ok()?.len();
            let end = bytes.len() - reader.rest().len();
            entries.push(end - length..end);
        }
        Some(Self { bytes, entries })
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, position: usize) -> Option<&[u8]> {
        self.entries
            .get(position)
            .map(|range| &self.bytes[range.clone()])
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|range| &self.bytes[range.clone()])
    }

    /// Adds an entry, whose length has been checked by whoever accepted it.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        wire::put_vector(&mut self.bytes, entry, 2, "entry")
            .expect("entries are at most 65535 bytes");
        let end = self.bytes.len();
        self.entries.push(end - entry.len()..end);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A bundle of empty entries had a range of 16 bytes for every two of its own.
    #[test]
    fn no_bundle_has_more_entries_than_a_tile() {
        let full = vec![0; 2 * TILE_WIDTH as usize];
        let entries = Bundle::parse(full.clone()).map(|bundle| bundle.len() as u64);
        assert_eq!(entries, Some(TILE_WIDTH));
        assert!(Bundle::parse([full, vec![0; 2]].concat()).is_none());
    }

    #[test]
    fn bundles_round_trip_and_no_truncation_is_one() {
        let entries = [&b""[..], b"a", &[7; 65_535]];
        let mut bundle = Bundle::default();
        entries.iter().for_each(|entry| bundle.push(entry));
        assert!(bundle.entries().eq(entries));
        let bytes = bundle.into_bytes();
        let parsed = Bundle::parse(bytes.clone()).unwrap();
        assert_eq!((parsed.len(), parsed.entry(1)), (3, Some(&b"a"[..])));
        assert!(parsed.entries().eq(entries));
        for end in [1, 3, 4, 6, bytes.len() - 1] {
            assert!(
                Bundle::parse(bytes[..end].to_vec()).is_none(),
                "cut at {end}"
            );
        }
    }
}
