//! Connections that carry many requests each, opened as they are needed and closed by whom they lead to.
//!
//! ```text
//!  place ── a lane with room? ──> its connection            so many requests at a time on each
//!    └─ no: a new lane, while there may be more ── opened by its first request ──> connection ── ended ──> forgotten
//! ```

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::client::Connection;

/// How much lanes may carry.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests in progress on one connection: no more than the other side takes, so that none is refused.
    pub streams: usize,
    /// Connections to one peer.
    pub lanes: usize,
    /// Connections to all peers.
    pub all: usize,
}

/// The lanes to peers that `K` tells apart, each with notes `N` of its own. Clones share them.
pub struct Lanes<K, N = ()> {
    bounds: Bounds,
    open: Arc<Mutex<Open<K, N>>>,
}

type Open<K, N> = HashMap<K, Vec<Arc<Lane<N>>>>;

/// A connection, or what becomes one.
#[derive(Default)]
struct Lane<N> {
    connection: OnceCell<Connection>,
    in_progress: AtomicUsize,
    notes: N,
}

impl<N> Lane<N> {
    fn is_closed(&self) -> bool {
        self.connection.get().is_some_and(Connection::is_closed)
    }

    fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }
}

/// A place on a lane, for one request until it is dropped.
pub struct Place<K, N = ()> {
    key: K,
    lane: Arc<Lane<N>>,
    open: Arc<Mutex<Open<K, N>>>,
}

impl<K, N> Drop for Place<K, N> {
    fn drop(&mut self) {
        self.lane.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<K: Clone + Eq + Hash, N: Default> Lanes<K, N> {
    /// None yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            open: Arc::default(),
        }
    }

    /// A place on a lane that has one, or on a new lane; none if there may be no more.
    pub fn place(&self, key: K) -> Option<Place<K, N>> {
        let mut open = lock(&self.open);
        let own = open.entry(key.clone()).or_default();
        own.retain(|lane| !lane.is_closed());
        let with_room = own
            .iter()
            .find(|lane| lane.in_progress() < self.bounds.streams);
        let lane = match with_room {
            Some(lane) => lane.clone(),
            None if own.len() >= self.bounds.lanes => return None,
            None => {
                self.make_room(&mut open)?;
                let lane = Arc::<Lane<N>>::default();
                open.entry(key.clone()).or_default().push(lane.clone());
                lane
            }
        };
        lane.in_progress.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            key,
            lane,
            open: self.open.clone(),
        })
    }

    /// Lets go of idle lanes where there are as many as there may be; none if that is not enough.
    fn make_room(&self, open: &mut Open<K, N>) -> Option<()> {
        let count = |open: &Open<K, N>| open.values().map(Vec::len).sum::<usize>();
        if count(open) >= self.bounds.all {
            for own in open.values_mut() {
                own.retain(|lane| lane.in_progress() > 0);
            }
            open.retain(|_, own| !own.is_empty());
        }
        (count(open) < self.bounds.all).then_some(())
    }
}

impl<K, N> Place<K, N> {
    /// The connection, if it is there already.
    pub fn connection(&self) -> Option<&Connection> {
        self.lane.connection.get()
    }

    /// What is noted of the lane.
    pub fn notes(&self) -> &N {
        &self.lane.notes
    }
}

impl<K, N> Place<K, N>
where
    K: Eq + Hash + Send + Clone + 'static,
    N: Send + Sync + 'static,
{
    /// The connection, which `open` opens if it is not there. What comes with it is dropped when it has ended, and its lane is forgotten.
    ///
    /// # Errors
    /// Those of `open`, which the next request on the lane then tries anew.
    pub async fn connect<G: Send + 'static, E, O>(
        &self,
        open: impl FnOnce() -> O,
    ) -> Result<&Connection, E>
    where
        O: Future<Output = Result<(Connection, G), E>>,
    {
        let noted = || async {
            // Few requests open a connection, and all would have room for a handshake.
            let (connection, guard) = Box::pin(open()).await?;
            let (ended, open, key) = (connection.ended(), self.open.clone(), self.key.clone());
            tokio::spawn(async move {
                ended.await;
                drop(guard);
                forget_closed(&open, &key);
            });
            Ok(connection)
        };
        self.lane.connection.get_or_try_init(noted).await
    }
}

fn forget_closed<K: Eq + Hash, N>(open: &Mutex<Open<K, N>>, key: &K) {
    let mut open = lock(open);
    if let Some(own) = open.get_mut(key) {
        own.retain(|lane| !lane.is_closed());
        if own.is_empty() {
            open.remove(key);
        }
    }
}

/// What is held under these locks stays consistent if a holder panicked: every change is a single insert or remove.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        streams: 2,
        lanes: 2,
        all: 3,
    };

    #[test]
    fn a_peer_has_its_places_and_no_more() {
        let lanes = Lanes::<u8>::new(BOUNDS);
        let taken: Vec<_> = (0..4).map_while(|_| lanes.place(1)).collect();
        assert_eq!(taken.len(), 4);
        assert!(lanes.place(1).is_none());
        drop(taken);
        assert!(lanes.place(1).is_some());
    }

    #[test]
    fn idle_lanes_make_room_for_others_and_busy_ones_do_not() {
        let lanes = Lanes::<u8>::new(BOUNDS);
        let busy: Vec<_> = (1..=3).map_while(|peer| lanes.place(peer)).collect();
        assert_eq!(busy.len(), 3);
        assert!(lanes.place(4).is_none());
        drop(busy);
        assert!(lanes.place(4).is_some());
    }
}
