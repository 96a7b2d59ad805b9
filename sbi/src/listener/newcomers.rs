//! Connections of which it is not known yet whether anybody is there: few places, taken from the oldest.
//!
//! ```text
//!  accepted ─> silent ─ whole ClientHello ─> busy ─ handshake with a certificate ─> settled: one of the port's places
//!                │                             │
//!                │ a newer one comes           `─ no certificate, or cleartext: silent until the first request
//!                v
//!             closed, the longest silent first, and each only when it has had its time
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::limits::{Limits, Refused};

/// How long a connection whose handshake goes on is safe: many that come at once have honest reasons, and are slow for them.
const BUSY_TIME: Duration = Duration::from_secs(1);
/// How long a silent connection is safe: a ClientHello comes right behind the connection, and a first request right behind the handshake,
/// however long the path. With [`super::MAX_NEWCOMERS`] places 5,000 silent connections still pass in half a second.
const SILENT_TIME: Duration = Duration::from_millis(50);

/// The newcomers of one port. Clones share them.
#[derive(Clone)]
pub(super) struct Newcomers(Arc<Shared>);

struct Shared {
    most: usize,
    limits: Limits,
    waiting: Mutex<Waiting>,
    /// One left, or is not busy any more.
    changed: Notify,
    /// The places of the port for those that have spoken.
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// Numbered as they came, so the first is the oldest. At most `most`.
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    since: Instant,
    /// Since when it has been as it is, busy or silent.
    turned: Instant,
    is_busy: bool,
    close: oneshot::Sender<()>,
}

/// A connection's standing at its port, until it is dropped.
pub(crate) struct Newcomer {
    number: u64,
    newcomers: Newcomers,
    place: OnceCell<OwnedSemaphorePermit>,
}

/// Completes when a newer connection took the place.
pub(super) type Closed = oneshot::Receiver<()>;

enum Room {
    Is,
    /// When it is known to come at the latest.
    Comes(Instant),
}

impl Newcomers {
    /// `most` of them beside `places` for those that have spoken.
    pub(super) fn new(most: usize, places: usize, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            most,
            limits,
            waiting: Mutex::default(),
            changed: Notify::new(),
            places: Arc::new(Semaphore::new(places)),
        }))
    }

    /// Lets one in, in the place of the one that has been silent longest if need be; waits where none has had its time.
    pub(super) async fn admit(&self) -> (Newcomer, Closed) {
        loop {
            let changed = self.0.changed.notified();
            match self.make_room() {
                Room::Is => return self.enter(),
                Room::Comes(at) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    fn make_room(&self) -> Room {
        let mut waiting = self.waiting();
        if waiting.entries.len() < self.0.most {
            return Room::Is;
        }
        let silent = waiting.entries.iter().filter(|(_, entry)| !entry.is_busy);
        let silent = silent.min_by_key(|(_, entry)| entry.turned);
        let Some((&number, entry)) = silent.or_else(|| waiting.entries.first_key_value()) else {
            return Room::Is;
        };
        let safe_until = entry.safe_until();
        if Instant::now() < safe_until {
            return Room::Comes(safe_until);
        }
        if let Some(entry) = waiting.entries.remove(&number) {
            // One that has just ended by itself does not listen.
            let _ = entry.close.send(());
            self.0.limits.count(Refused::Newer);
        }
        Room::Is
    }

    fn enter(&self) -> (Newcomer, Closed) {
        let (close, closed) = oneshot::channel();
        let mut waiting = self.waiting();
        let number = waiting.next;
        let now = Instant::now();
        waiting.next += 1;
        waiting.entries.insert(
            number,
            Entry {
                since: now,
                turned: now,
                is_busy: false,
                close,
            },
        );
        let newcomer = Newcomer {
            number,
            newcomers: self.clone(),
            place: OnceCell::new(),
        };
        (newcomer, closed)
    }

    /// A map has no state in between that a panic could leave broken.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn safe_until(&self) -> Instant {
        if self.is_busy {
            self.since + BUSY_TIME
        } else {
            self.turned + SILENT_TIME
        }
    }
}

impl Newcomer {
    /// Says whether this side has something to do for it.
    pub(crate) fn set_busy(&self, is_busy: bool) {
        if let Some(entry) = self.newcomers.waiting().entries.get_mut(&self.number) {
            entry.is_busy = is_busy;
            entry.turned = Instant::now();
        }
        if !is_busy {
            self.newcomers.0.changed.notify_one();
        }
    }

    /// Takes one of the port's places, for which it waits as a newcomer; the second time nothing happens.
    pub(crate) async fn settle(&self) {
        let settling = || async {
            self.set_busy(true);
            let places = self.newcomers.0.places.clone();
            let place = places.acquire_owned().await;
            self.leave();
            place
        };
        // The semaphore is never closed.
        let _ = self.place.get_or_try_init(settling).await;
    }

    fn leave(&self) {
        self.newcomers.waiting().entries.remove(&self.number);
        self.newcomers.0.changed.notify_one();
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitsConfig;
    use crate::metrics::Metrics;

    fn newcomers(most: usize, places: usize) -> Newcomers {
        let limits = Limits::new(&LimitsConfig::default(), &Metrics::new());
        Newcomers::new(most, places, limits)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silent_one_goes_first_when_it_has_had_its_time() {
        let port = newcomers(2, 2);
        let (_first, mut first_closed) = port.admit().await;
        let (_second, mut second_closed) = port.admit().await;
        let before = Instant::now();
        let (_third, mut third_closed) = port.admit().await;
        assert_eq!(first_closed.try_recv(), Ok(()));
        assert_eq!(before.elapsed(), SILENT_TIME);
        assert!(second_closed.try_recv().is_err() && third_closed.try_recv().is_err());
    }

    // Its handshake without a certificate had taken longer than the others had been silent, so it was the oldest, and closed before its
    // request could come.
    #[tokio::test(start_paused = true)]
    async fn who_has_just_finished_a_handshake_has_time_for_a_request() {
        let port = newcomers(2, 2);
        let (honest, mut honest_closed) = port.admit().await;
        honest.set_busy(true);
        let (_silent, mut silent_closed) = port.admit().await;
        tokio::time::advance(SILENT_TIME * 2).await;
        honest.set_busy(false);
        let (_newer, _newer_closed) = port.admit().await;
        assert_eq!(silent_closed.try_recv(), Ok(()));
        assert!(honest_closed.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_one_stays_for_its_time_and_not_longer() {
        let port = newcomers(2, 2);
        let began = Instant::now();
        let (busy, mut busy_closed) = port.admit().await;
        busy.set_busy(true);
        let (_silent, mut silent_closed) = port.admit().await;
        let (newer, _newer_closed) = port.admit().await;
        assert_eq!(silent_closed.try_recv(), Ok(()));
        newer.set_busy(true);
        assert!(busy_closed.try_recv().is_err());
        // Both are busy: the next comes in when the older one has had its time.
        let (_last, _last_closed) = port.admit().await;
        assert_eq!(busy_closed.try_recv(), Ok(()));
        assert_eq!(began.elapsed(), BUSY_TIME);
    }

    #[tokio::test]
    async fn who_has_settled_is_never_closed() {
        let port = newcomers(1, 1);
        let (settled, mut closed) = port.admit().await;
        settled.settle().await;
        settled.settle().await;
        let (_second, _second_closed) = port.admit().await;
        let (_third, _third_closed) = port.admit().await;
        assert!(closed.try_recv().is_err(), "nobody says so");
    }

    #[tokio::test]
    async fn a_place_comes_back_with_its_connection() {
        let port = newcomers(2, 1);
        let (settled, _closed) = port.admit().await;
        settled.settle().await;
        let (next, _next_closed) = port.admit().await;
        let leaving = async {
            tokio::task::yield_now().await;
            drop(settled);
        };
        tokio::join!(next.settle(), leaving);
        assert!(next.place.initialized());
    }
}
