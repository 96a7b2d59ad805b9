//! Subtrees whose cosignatures satisfied the policy once.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use super::trusted_subtree::TrustedSubtree;

/// A bounded set of verified subtrees. The hash picks the one slot where a subtree may stand, so that neither looking up
/// nor remembering depends on how many there are; a newcomer displaces whoever is there, who is then verified again.
///
/// An attacker cannot fill it: what enters was cosigned.
#[derive(Debug)]
pub(super) struct VerifiedSubtrees {
    slots: Box<[Mutex<Option<TrustedSubtree>>]>,
}

impl VerifiedSubtrees {
    /// An empty set with room for `capacity` subtrees, rounded up to a power of two.
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        let slots = capacity.get().next_power_of_two();
        Self {
            slots: (0..slots).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// An empty set of the same size.
    pub(super) fn emptied(&self) -> Self {
        Self {
            slots: self.slots.iter().map(|_| Mutex::new(None)).collect(),
        }
    }

    pub(super) fn contains(&self, subtree: &TrustedSubtree) -> bool {
        self.slot(subtree)
            .lock()
            .is_ok_and(|slot| slot.as_ref() == Some(subtree))
    }

    pub(super) fn insert(&self, subtree: TrustedSubtree) {
        if let Ok(mut slot) = self.slot(&subtree).lock() {
            *slot = Some(subtree);
        }
    }

    fn slot(&self, subtree: &TrustedSubtree) -> &Mutex<Option<TrustedSubtree>> {
        let [first, second, third, fourth, ..] = subtree.hash;
        let place = u32::from_le_bytes([first, second, third, fourth]) as usize;
        &self.slots[place & (self.slots.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LogNumber;
    use crate::tree::Subtree;

    fn subtree(start: u64, hash: [u8; 32]) -> TrustedSubtree {
        TrustedSubtree {
            log_number: LogNumber::FIRST,
            subtree: Subtree::new(start, start + 4).unwrap(),
            hash,
        }
    }

    #[test]
    fn only_the_very_subtree_is_found() {
        let verified = VerifiedSubtrees::new(NonZeroUsize::new(5).unwrap());
        verified.insert(subtree(8, [1; 32]));
        assert!(verified.contains(&subtree(8, [1; 32])));
        assert!(!verified.contains(&subtree(12, [1; 32])), "interval");
        assert!(!verified.contains(&subtree(8, [2; 32])), "hash");
        let other_log = TrustedSubtree {
            log_number: LogNumber::new(2).unwrap(),
            ..subtree(8, [1; 32])
        };
        assert!(!verified.contains(&other_log), "log");
        assert!(!verified.emptied().contains(&subtree(8, [1; 32])));
    }

    #[test]
    fn a_newcomer_displaces_and_the_size_stays() {
        let verified = VerifiedSubtrees::new(NonZeroUsize::new(3).unwrap());
        let subtrees: Vec<_> = (0..32).map(|n| subtree(4 * n, [n as u8; 32])).collect();
        subtrees
            .iter()
            .for_each(|subtree| verified.insert(*subtree));
        let kept = subtrees
            .iter()
            .filter(|subtree| verified.contains(subtree))
            .count();
        assert_eq!(kept, 4, "three slots are rounded up to four");
    }
}
