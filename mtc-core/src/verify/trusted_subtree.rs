//! A subtree that stands for the cosignatures on it.

use crate::id::LogNumber;
use crate::tree::{Hash, Subtree};

/// A subtree whose hash was verified once, so that certificates in it need no signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrustedSubtree {
    /// The log.
    pub log_number: LogNumber,
    /// The interval.
    pub subtree: Subtree,
    /// Its hash.
    pub hash: Hash,
}

impl TrustedSubtree {
    /// Orders by the end, which few subtrees share; equal for the same interval of the same log.
    pub(super) const fn order(&self) -> (u64, u64, LogNumber) {
        (self.subtree.end(), self.subtree.start(), self.log_number)
    }
}
