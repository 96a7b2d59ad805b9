//! Connections that are used more than once, each by one operation at a time.
//!
//! ```text
//!  operation ── take ──> idle connection, or none: open one      used < limit: idle again
//!            ── give ──> used once more ───────────────────────> used = limit: handed back to be closed
//! ```
//!
//! One user at a time, so that a connection that serves `k` operations costs exactly one handshake for `k` of them, and no
//! operation waits for another's answer on a shared stream.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use sbi::instance::Offer;

/// Idle connections to one peer with one offer. More wait only when more operations were under way at a time.
const MAX_IDLE: usize = 256;

/// Idle connections by offer and peer.
type Idle<C> = BTreeMap<(Offer, SocketAddr), Vec<Kept<C>>>;

/// The idle connections of one consumer.
#[derive(Debug)]
pub struct Pool<C> {
    uses: u32,
    idle: Mutex<Idle<C>>,
}

/// A connection in use.
#[derive(Debug)]
pub struct Kept<C> {
    /// The connection.
    pub connection: C,
    used: u32,
}

impl<C> Kept<C> {
    /// A connection that nothing has used yet.
    pub const fn new(connection: C) -> Self {
        Self {
            connection,
            used: 0,
        }
    }
}

impl<C> Pool<C> {
    /// A pool in which each connection serves `uses` operations, at least one.
    pub fn new(uses: u32) -> Self {
        Self {
            uses: uses.max(1),
            idle: Mutex::default(),
        }
    }

    /// An idle connection that `is_usable`; those that are not are dropped.
    pub fn take(
        &self,
        offer: impl Into<Offer>,
        addr: SocketAddr,
        is_usable: impl Fn(&C) -> bool,
    ) -> Option<Kept<C>> {
        let key = (offer.into(), addr);
        self.with(|idle| {
            let waiting = idle.get_mut(&key)?;
            while let Some(kept) = waiting.pop() {
                if is_usable(&kept.connection) {
                    return Some(kept);
                }
            }
            None
        })
    }

    /// Takes a connection back that has served an operation; returns it when it is to be closed.
    pub fn give(&self, offer: impl Into<Offer>, addr: SocketAddr, mut kept: Kept<C>) -> Option<C> {
        kept.used += 1;
        if kept.used >= self.uses {
            return Some(kept.connection);
        }
        let key = (offer.into(), addr);
        self.with(|idle| {
            let waiting = idle.entry(key).or_default();
            if waiting.len() >= MAX_IDLE {
                return Some(kept.connection);
            }
            waiting.push(kept);
            None
        })
    }

    /// A list has no state in between that a panic could leave broken.
    fn with<T>(&self, act: impl FnOnce(&mut Idle<C>) -> T) -> T {
        act(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use mtc_tls::profile::ConnectionProfile;

    use super::*;

    fn peer(port: u16) -> (ConnectionProfile, SocketAddr) {
        let profile = "mtc-landmark/ml-dsa-65/X25519".parse();
        (profile.expect("a profile"), ([127, 0, 0, 1], port).into())
    }

    #[test]
    fn a_connection_serves_as_many_operations_as_it_may() {
        let (profile, addr) = peer(1);
        let pool = Pool::new(3);
        let mut opened = 0;
        for _ in 0..9 {
            let kept = pool.take(profile, addr, |_| true).unwrap_or_else(|| {
                opened += 1;
                Kept::new(opened)
            });
            pool.give(profile, addr, kept);
        }
        assert_eq!(opened, 3);
        assert!(pool.take(profile, addr, |_| true).is_none());
    }

    #[test]
    fn a_fresh_connection_is_handed_back_at_once() {
        let (profile, addr) = peer(1);
        assert_eq!(Pool::new(1).give(profile, addr, Kept::new(7)), Some(7));
    }

    #[test]
    fn peers_and_profiles_share_nothing() {
        let (profile, addr) = peer(1);
        let pool = Pool::new(9);
        pool.give(profile, addr, Kept::new(7));
        assert!(pool.take(profile, peer(2).1, |_| true).is_none());
        let other: ConnectionProfile = "mtc-standalone/ml-dsa-65/X25519".parse().unwrap();
        assert!(pool.take(other, addr, |_| true).is_none());
        // What offers more is no part of what is measured.
        let offer = Offer::First(profile);
        assert!(pool.take(offer, addr, |_| true).is_none());
        assert_eq!(
            pool.take(profile, addr, |_| true)
                .map(|kept| kept.connection),
            Some(7)
        );
    }

    #[test]
    fn a_connection_that_has_closed_is_not_taken() {
        let (profile, addr) = peer(1);
        let pool = Pool::new(9);
        pool.give(profile, addr, Kept::new(7));
        assert!(pool.take(profile, addr, |_| false).is_none());
        assert!(pool.take(profile, addr, |_| true).is_none());
    }

    #[test]
    fn idle_connections_are_bounded() {
        let (profile, addr) = peer(1);
        let pool = Pool::new(9);
        let given = (0..MAX_IDLE + 5).map(|n| pool.give(profile, addr, Kept::new(n)));
        assert_eq!(given.flatten().count(), 5);
    }
}
