//! Work that one does for all who need it done: those who come while a round goes on wait for the next, which is one for all of them.
//!
//! ```text
//!   first      ──> [ round 1 ]
//!   second         ....waits....[ round 2: second, third, fourth ]
//!   third, fourth        .......                                  ──> its outcome
//! ```

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Rounds of work on items of this kind, which may fail.
#[derive(Debug)]
pub struct Rounds<T, E> {
    /// The round that has not begun.
    next: Mutex<Arc<Round<T, E>>>,
    /// Held by the round that goes on.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Round<T, E> {
    items: Mutex<Vec<T>>,
    outcome: OnceLock<Result<(), Arc<E>>>,
}

impl<T, E> Rounds<T, E> {
    /// Has `item` worked on, with those of others who wait. Whoever gets the turn first works for all of a round, so `work` must be the
    /// same from all. Blocks until it is done.
    ///
    /// # Errors
    /// That of the work, for all of the round.
    pub fn join(&self, item: T, work: impl FnOnce(&[T]) -> Result<(), E>) -> Result<(), Arc<E>> {
        let round = {
            let next = lock(&self.next);
            lock(&next.items).push(item);
            Arc::clone(&next)
        };
        let _turn = lock(&self.turn);
        let outcome = round.outcome.get_or_init(|| {
            // It begins: who comes now may be too late for it.
            *lock(&self.next) = Arc::default();
            work(&lock(&round.items)).map_err(Arc::new)
        });
        outcome.clone()
    }
}

/// What is locked is whole at any time. A round whose work panicked is worked on again by the next of it in turn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, E> Default for Rounds<T, E> {
    fn default() -> Self {
        Self {
            next: Mutex::default(),
            turn: Mutex::default(),
        }
    }
}

impl<T, E> Default for Round<T, E> {
    fn default() -> Self {
        Self {
            items: Mutex::default(),
            outcome: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn who_comes_while_a_round_goes_on_shares_the_next() {
        let rounds = Rounds::default();
        let seen = Mutex::new(Vec::new());
        let (begun, waited) = (Barrier::new(2), Barrier::new(2));
        let note = |items: &[u8]| {
            let mut items = items.to_vec();
            items.sort_unstable();
            lock(&seen).push(items);
            Ok::<_, io::Error>(())
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                rounds.join(0, |items| {
                    begun.wait();
                    waited.wait();
                    note(items)
                })
            });
            begun.wait();
            for item in 1..4 {
                let (rounds, note) = (&rounds, &note);
                scope.spawn(move || rounds.join(item, note));
            }
            while lock(&lock(&rounds.next).items).len() < 3 {
                thread::yield_now();
            }
            waited.wait();
        });
        assert_eq!(*lock(&seen), [vec![0], vec![1, 2, 3]]);
    }

    #[test]
    fn a_failure_is_told_to_all_of_its_round_and_no_other() {
        let rounds = Rounds::<(), io::Error>::default();
        let failing = |_: &[()]| Err(io::ErrorKind::StorageFull.into());
        let failed = rounds.join((), failing).expect_err("it fails");
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
        assert!(rounds.join((), |_| Ok(())).is_ok());
    }
}
