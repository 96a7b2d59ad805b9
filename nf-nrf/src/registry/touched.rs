//! Which instances were stored or removed of late, so that a result worked out earlier is brought up to date by them alone.

use std::collections::VecDeque;

use sbi::model::NfInstanceId;

/// Most instances that are remembered, 16 octets each: a second's worth of a large network. Who looks less often starts anew, which
/// costs a look at every instance.
pub const MAX_TOUCHED: usize = 1024;

/// A state of the registry; each instance that is stored or removed makes the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision(u64);

/// The latest instances that were stored or removed.
#[derive(Debug, Default)]
pub(super) struct Touched {
    revision: Revision,
    /// The last is that which made the current revision.
    ids: VecDeque<NfInstanceId>,
}

impl Touched {
    /// `id` was stored or removed.
    pub(super) fn touch(&mut self, id: NfInstanceId) {
        if self.ids.len() == MAX_TOUCHED {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
        self.revision.0 += 1;
    }

    /// The current revision.
    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    /// What was touched since `revision`, an instance once for each time; none if that is not remembered any more.
    pub(super) fn since(&self, revision: Revision) -> Option<impl Iterator<Item = NfInstanceId>> {
        let count = usize::try_from(self.revision.0.checked_sub(revision.0)?).ok()?;
        let known = self.ids.len().checked_sub(count)?;
        Some(self.ids.range(known..).copied())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> NfInstanceId {
        NfInstanceId::from(Uuid::from_u128(number as u128))
    }

    fn since(touched: &Touched, revision: Revision) -> Option<Vec<NfInstanceId>> {
        touched.since(revision).map(Iterator::collect)
    }

    #[test]
    fn what_was_touched_since_a_revision_is_told_in_order() {
        let mut touched = Touched::default();
        let empty = touched.revision();
        touched.touch(id(1));
        let one = touched.revision();
        touched.touch(id(2));
        touched.touch(id(1));
        assert_eq!(since(&touched, empty), Some(vec![id(1), id(2), id(1)]));
        assert_eq!(since(&touched, one), Some(vec![id(2), id(1)]));
        assert_eq!(since(&touched, touched.revision()), Some(vec![]));
    }

    #[test]
    fn what_is_forgotten_is_not_told_in_part() {
        let mut touched = Touched::default();
        let empty = touched.revision();
        touched.touch(id(0));
        let one = touched.revision();
        (1..=MAX_TOUCHED).for_each(|number| touched.touch(id(number)));
        assert_eq!(since(&touched, empty), None);
        assert_eq!(since(&touched, one).unwrap().len(), MAX_TOUCHED);
    }
}
