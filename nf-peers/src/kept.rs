//! State that is kept by key and bounded: what was put longest ago makes way.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// What is kept.
#[derive(Debug)]
pub struct Kept<K, V> {
    capacity: usize,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    by_key: HashMap<K, (u64, V)>,
    /// Each key under the number of its put, the oldest first.
    by_age: BTreeMap<u64, K>,
    puts: u64,
}

impl<K: Clone + Eq + Hash, V> Kept<K, V> {
    /// Nothing yet, and at most `capacity`, which is at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            state: Mutex::new(State {
                by_key: HashMap::new(),
                by_age: BTreeMap::new(),
                puts: 0,
            }),
        }
    }

    /// Keeps `value`; whether it replaces one of the same key.
    pub fn put(&self, key: K, value: V) -> bool {
        self.with(|state| {
            state.puts += 1;
            let (puts, by_age) = (state.puts, &mut state.by_age);
            let replaced = state.by_key.insert(key.clone(), (puts, value));
            if let Some((older, _)) = &replaced {
                by_age.remove(older);
            }
            by_age.insert(puts, key);
            if by_age.len() > self.capacity
                && let Some((_, oldest)) = by_age.pop_first()
            {
                state.by_key.remove(&oldest);
            }
            replaced.is_some()
        })
    }

    /// Takes what is kept under `key`, if it is `wanted`.
    pub fn take_if(&self, key: &K, wanted: impl FnOnce(&V) -> bool) -> Option<V> {
        self.with(|state| {
            state.by_key.get(key).filter(|(_, value)| wanted(value))?;
            let (put, value) = state.by_key.remove(key)?;
            state.by_age.remove(&put);
            Some(value)
        })
    }

    /// Takes what is kept under `key`.
    pub fn take(&self, key: &K) -> Option<V> {
        self.take_if(key, |_| true)
    }

    /// Whether something is kept under `key` that `holds`.
    pub fn has(&self, key: &K, holds: impl FnOnce(&V) -> bool) -> bool {
        self.with(|state| state.by_key.get(key).is_some_and(|(_, value)| holds(value)))
    }

    /// How much is kept.
    pub fn len(&self) -> usize {
        self.with(|state| state.by_key.len())
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The two maps stay consistent if a holder panicked: a panic would have to come from the maps themselves.
    fn with<T>(&self, act: impl FnOnce(&mut State<K, V>) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_longest_ago_makes_way() {
        let kept = Kept::new(2);
        assert!(!kept.put("a", 1));
        assert!(!kept.put("b", 2));
        // Put again, so "b" is the oldest now.
        assert!(kept.put("a", 3));
        assert!(!kept.put("c", 4));
        assert_eq!(kept.len(), 2);
        assert_eq!((kept.take(&"a"), kept.take(&"b")), (Some(3), None));
        assert!(!kept.put("d", 5));
        assert_eq!((kept.take(&"c"), kept.take(&"d")), (Some(4), Some(5)));
        assert!(kept.is_empty());
    }

    #[test]
    fn what_is_not_wanted_stays() {
        let kept = Kept::new(2);
        kept.put("a", 1);
        assert_eq!(kept.take_if(&"a", |value| *value == 2), None);
        assert!(kept.has(&"a", |value| *value == 1));
        assert_eq!(kept.take_if(&"a", |value| *value == 1), Some(1));
        assert!(!kept.has(&"a", |_| true));
    }
}
