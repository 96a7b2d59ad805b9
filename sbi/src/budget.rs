//! The bytes that a process holds for its peers: requests that are not answered yet and answers that are not taken yet.
//!
//! ```text
//!  request head ─> Share (base charge) ─ body arrives, a chunk at a time ─> grow ─> handler ─> resize to the answer
//!                     └─ dropped with the last octet of the answer that HTTP still holds
//! ```
//!
//! Bounds of connections, streams and bodies multiply to far more than a machine has, and all of them are honest bounds of one
//! peer; so there is one sum of all that counts what is really held. A peer without a certificate can have a part of it only:
//! those with one are served while strangers hold all that strangers may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes for all peers together where the configuration does not say: 4096 certificate requests that wait for a batch have
/// 60 MiB, and as much again is for peers with certificates.
pub const DEFAULT_BUDGET: usize = 128 << 20;
/// The part that peers without a certificate may have: one in so many bytes.
const ANONYMOUS_PART: usize = 2;

/// The budget of a process. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Accounts>);

#[derive(Debug)]
struct Accounts {
    limit: AtomicUsize,
    all: AtomicUsize,
    /// Of `all`, what peers without a certificate hold.
    anonymous: AtomicUsize,
    refused: AtomicU64,
}

/// There is no room for more bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process holds as many bytes for its peers as its limit allows")]
pub struct Exhausted;

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Accounts {
            limit: AtomicUsize::new(limit),
            all: AtomicUsize::new(0),
            anonymous: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Changes the limit; what is held already stays.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Bytes that are held now.
    pub fn held(&self) -> usize {
        self.0.all.load(Ordering::Relaxed)
    }

    /// How often there was no room.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// A share of `bytes`, which grows and shrinks with what it stands for and goes back when it is dropped.
    ///
    /// # Errors
    /// There is no room.
    pub fn share(&self, bytes: usize, is_anonymous: bool) -> Result<Share, Exhausted> {
        let mut share = Share {
            budget: self.clone(),
            bytes: 0,
            is_anonymous,
        };
        share.resize(bytes)?;
        Ok(share)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET)
    }
}

impl Accounts {
    fn take(&self, bytes: usize, is_anonymous: bool) -> Result<(), Exhausted> {
        let limit = self.limit.load(Ordering::Relaxed);
        if is_anonymous && !add_within(&self.anonymous, bytes, limit / ANONYMOUS_PART) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Exhausted);
        }
        if !add_within(&self.all, bytes, limit) {
            if is_anonymous {
                self.anonymous.fetch_sub(bytes, Ordering::Relaxed);
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Exhausted);
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize, is_anonymous: bool) {
        if is_anonymous {
            self.anonymous.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn add_within(sum: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
        held.checked_add(bytes).filter(|&sum| sum <= limit)
    })
    .is_ok()
}

/// Bytes of a budget, as long as it lives.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: usize,
    is_anonymous: bool,
}

impl Share {
    /// Makes it one of `bytes`. Less is always had.
    ///
    /// # Errors
    /// There is no room for more; the share is what it was.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let accounts = &self.budget.0;
        match bytes.checked_sub(self.bytes) {
            Some(more) => accounts.take(more, self.is_anonymous)?,
            None => accounts.give_back(self.bytes - bytes, self.is_anonymous),
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Makes it greater by `bytes`.
    ///
    /// # Errors
    /// There is no room; the share is what it was.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.resize(self.bytes.saturating_add(bytes))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.give_back(self.bytes, self.is_anonymous);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_goes_back() {
        let budget = Budget::new(100);
        let mut share = budget.share(60, false).unwrap();
        assert_eq!(share.grow(41), Err(Exhausted));
        assert_eq!((budget.held(), budget.refused()), (60, 1));
        share.grow(40).unwrap();
        assert!(budget.share(1, false).is_err());
        share.resize(10).unwrap();
        assert_eq!(budget.held(), 10);
        drop(share);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn strangers_leave_half_to_peers_with_certificates() {
        let budget = Budget::new(100);
        let stranger = budget.share(50, true).unwrap();
        assert_eq!(budget.share(1, true).err(), Some(Exhausted));
        let known = budget.share(50, false).unwrap();
        drop(stranger);
        assert_eq!(budget.held(), 50);
        let all = budget.share(50, false).unwrap();
        assert_eq!(budget.share(1, true).err(), Some(Exhausted));
        drop((known, all));
        assert!(budget.share(50, true).is_ok());
    }
}
