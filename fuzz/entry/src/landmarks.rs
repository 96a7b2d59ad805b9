//! Landmarks documents: accepted are exactly those that keep the rules of Section 6.4.3, and they print as they were read.
//!
//! Of an accepted document the active landmarks, their subtrees, and the landmark of entries about every tree size are
//! compared with the definitions.

use std::time::Duration;

use mtc_core::id::{EntryIndex, LandmarkNumber, TreeSize};
use mtc_core::landmark::{LandmarkSequence, LandmarkSubtrees, MAX_LANDMARKS};
use mtc_core::time::UnixTime;

use crate::fixture::NOW;
use crate::{Verdict, oracle};

const HOUR: Duration = Duration::from_secs(3600);

/// Reads a landmarks document, as of `NOW`.
///
/// # Panics
/// An invariant does not hold.
pub fn landmarks(data: &[u8]) -> Verdict {
    let Ok(document) = std::str::from_utf8(data) else {
        return Verdict::Refused;
    };
    let sequence = LandmarkSequence::parse(document, NOW).ok();
    let lines = lines_by_the_rules(document);
    assert_eq!(
        sequence.is_some(),
        lines.is_some(),
        "parser and rules disagree about {document:?}"
    );
    let (Some(sequence), Some(lines)) = (sequence, lines) else {
        return Verdict::Refused;
    };
    assert_eq!(sequence.to_document(), document);
    assert_eq!(
        (sequence.latest().number.0, sequence.latest().tree_size.0),
        (lines[0].number, lines[0].tree_size)
    );
    check_active(&sequence, &lines);
    for line in &lines {
        for index in [line.tree_size.saturating_sub(1), line.tree_size] {
            check_entry(&sequence, &lines, index);
        }
    }
    check_allocation(sequence);
    Verdict::Accepted
}

#[derive(Clone, Copy)]
struct Line {
    number: u64,
    tree_size: u64,
    expiry: u64,
}

impl Line {
    fn is_active(self) -> bool {
        self.number != 0 && self.expiry > NOW.0
    }
}

/// The landmarks of a document, newest first, if it keeps every rule.
fn lines_by_the_rules(document: &str) -> Option<Vec<Line>> {
    if !document.ends_with('\n') {
        return None;
    }
    let texts: Vec<&str> = document[..document.len() - 1].split('\n').collect();
    let latest = number(texts[0])?;
    let lines: Vec<Line> = texts[1..]
        .iter()
        .zip(0..)
        .map(|(text, back)| {
            let (tree_size, expiry) = text.split_once(' ')?;
            Some(Line {
                number: latest.checked_sub(back)?,
                tree_size: number(tree_size)?,
                expiry: number(expiry)?,
            })
        })
        .collect::<Option<_>>()?;
    let is_expired = |line: &Line| line.number == 0 || line.expiry <= NOW.0;
    let rules = [
        !lines.is_empty() && lines.len() - 1 <= MAX_LANDMARKS,
        lines
            .iter()
            .all(|line| (line.number == 0) == (line.tree_size == 0)),
        lines.is_sorted_by(|newer, older| newer.tree_size > older.tree_size),
        lines.is_sorted_by(|newer, older| newer.expiry >= older.expiry),
        lines.iter().any(is_expired),
    ];
    rules.iter().all(|rule| *rule).then_some(lines)
}

/// Decimal digits without leading zeros, below 2^64.
fn number(text: &str) -> Option<u64> {
    let value = text.parse::<u64>().ok()?;
    (value.to_string() == text).then_some(value)
}

fn check_active(sequence: &LandmarkSequence, lines: &[Line]) {
    let active: Vec<LandmarkSubtrees> = sequence.active(NOW).collect();
    // The oldest line's subtrees would need the size before it; being expired, or landmark 0, it is not active.
    let expected = lines.iter().rev().filter(|line| line.is_active());
    assert!(
        active
            .iter()
            .map(|pair| pair.landmark.number.0)
            .eq(expected.map(|line| line.number))
    );
    for pair in active {
        let size_before = lines
            .iter()
            .find(|line| line.number + 1 == pair.landmark.number.0)
            .expect("an older line")
            .tree_size;
        let [first, second] = pair.subtrees;
        for subtree in [first, second] {
            assert!(oracle::is_subtree(subtree.start(), subtree.end()));
        }
        assert!(first.start() <= size_before);
        assert_eq!(first.end(), second.start());
        assert_eq!(second.end(), pair.landmark.tree_size.0);
        assert!(pair.holding(EntryIndex(size_before)).is_some());
        assert!(
            pair.holding(EntryIndex(pair.landmark.tree_size.0 - 1))
                .is_some()
        );
        assert!(
            pair.holding(EntryIndex(pair.landmark.tree_size.0))
                .is_none()
        );
    }
}

fn check_entry(sequence: &LandmarkSequence, lines: &[Line], index: u64) {
    let oldest = lines[lines.len() - 1];
    let lowest_above = lines
        .iter()
        .rev()
        .find(|line| line.tree_size > index)
        .filter(|line| index >= oldest.tree_size && line.is_active());
    let found = sequence.for_entry(EntryIndex(index), NOW);
    assert_eq!(
        found.map(|pair| pair.landmark.number.0),
        lowest_above.map(|line| line.number)
    );
    if let Some(pair) = found {
        let subtree = pair
            .holding(EntryIndex(index))
            .expect("its subtrees cover it");
        assert!(subtree.contains(EntryIndex(index)));
    }
}

/// The log that published the document goes on: its next document is accepted, too.
fn check_allocation(mut sequence: LandmarkSequence) {
    let latest = sequence.latest();
    let size = TreeSize(latest.tree_size.0.saturating_add(1));
    // No log gets to where numbers end, nor, with its own spacing and lifetime, to the bound on lines.
    if latest.number == LandmarkNumber(u64::MAX)
        || sequence.active(NOW).count() >= MAX_LANDMARKS - 1
    {
        return;
    }
    let Ok(landmark) = sequence.allocate(size, NOW, HOUR, HOUR) else {
        return;
    };
    assert_eq!(landmark.number, latest.number.next());
    assert!(landmark.expiry >= latest.expiry && landmark.expiry >= UnixTime(NOW.0 + 3600));
    assert_eq!(
        LandmarkSequence::parse(&sequence.to_document(), NOW).as_ref(),
        Ok(&sequence)
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut sequence = LandmarkSequence::new();
    let mut documents = vec![sequence.to_document()];
    for (step, size) in [7, 8, 1031, 1_u64 << 47].into_iter().enumerate() {
        let hours_ago = 4 - step as u64;
        sequence
            .allocate(
                TreeSize(size),
                UnixTime(NOW.0 - hours_ago * 3600),
                HOUR,
                2 * HOUR,
            )
            .expect("grown, an hour later");
        documents.push(sequence.to_document());
    }
    documents.into_iter().map(String::into_bytes).collect()
}
