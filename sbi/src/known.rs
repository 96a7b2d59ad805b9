//! What has been verified once and need not be again, until its end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use mtc_core::time::UnixTime;

/// The hash of a text: what is remembered of it.
pub(crate) type Digest = [u8; 32];

/// SHA-256 of a text.
pub(crate) fn digest_of(text: &str) -> Digest {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    name
}

/// Values by the names of what they were read from, so many of them at most.
pub(crate) struct Known<K, V> {
    most: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: Arc<V>,
    end: UnixTime,
}

impl<K: Clone + Eq + Hash, V> Known<K, V> {
    /// Nothing yet, and never more than `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            entries: Mutex::default(),
        }
    }

    /// What is known by this name and has not ended by `now`.
    pub(crate) fn get(&self, name: &K, now: UnixTime) -> Option<Arc<V>> {
        self.with(|entries| {
            let entry = entries.get(name).filter(|entry| now < entry.end);
            entry.map(|entry| entry.value.clone())
        })
    }

    /// Remembers `value` until `end`, if that is after `now`. Makes room first, by what has ended and otherwise by any: it is verified
    /// again when it comes.
    pub(crate) fn remember(&self, name: K, value: Arc<V>, end: UnixTime, now: UnixTime) {
        if end <= now {
            return;
        }
        self.with(|entries| {
            if entries.len() >= self.most {
                entries.retain(|_, entry| now < entry.end);
            }
            if entries.len() >= self.most
                && let Some(any) = entries.keys().next().cloned()
            {
                entries.remove(&any);
            }
            entries.insert(name, Entry { value, end });
        });
    }

    /// Every change is a single insert or removal: what a holder that panicked leaves is consistent.
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<K, Entry<V>>) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16;
    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[test]
    fn what_is_known_is_bounded_and_what_has_ended_makes_room_first() {
        let known = Known::new(MOST);
        let (soon, later) = (UnixTime(NOW.0 + 60), UnixTime(NOW.0 + 120));
        for number in 0..MOST + 10 {
            known.remember(number, Arc::new(()), soon, NOW);
        }
        assert_eq!(known.with(|entries| entries.len()), MOST);
        assert!(known.get(&(MOST + 9), NOW).is_some());
        assert!(known.get(&(MOST + 9), soon).is_none());
        known.remember(1000, Arc::new(()), later, soon);
        assert_eq!(known.with(|entries| entries.len()), 1);
        known.remember(1001, Arc::new(()), soon, soon);
        assert!(known.get(&1001, NOW).is_none(), "it had ended");
    }
}
