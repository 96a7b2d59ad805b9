//! TLS configurations, made once for each kind of connection and lent to one handshake after the other.
//!
//! ```text
//!  take(set, kind) ──> Slot: configuration, its seat ──> handshake complete ──> put_back
//!        └─ none is free: the caller makes one           └─ broken off: the slot goes with its connection
//!
//!  a new CredentialSet: everything is dropped. What was verified by other trust is not resumed.
//! ```

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mtc_core::time::UnixTime;

use crate::anchor_bytes::AnchorBytes;
use crate::credentials::CredentialSet;
use crate::seat::Seat;

/// Slots of a kind that are kept, which is how many handshakes of it may be under way and still find one.
pub(crate) const SLOTS: usize = 256;

/// Something that is good for one set of credentials.
#[derive(Debug, Default)]
pub(crate) struct Kept<T> {
    set: Option<Arc<CredentialSet>>,
    what: T,
}

impl<T: Default> Kept<T> {
    /// What is kept for `set`; what was kept for another is dropped.
    pub(crate) fn of(&mut self, set: &Arc<CredentialSet>) -> &mut T {
        if !self.is_for(set) {
            self.set = Some(set.clone());
            self.what = T::default();
        }
        &mut self.what
    }

    fn is_for(&self, set: &Arc<CredentialSet>) -> bool {
        self.set.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, set))
    }
}

/// A configuration; nobody else has it meanwhile.
#[derive(Debug)]
pub(crate) struct Slot<C> {
    pub(crate) config: Arc<C>,
    pub(crate) seat: Arc<Seat>,
    /// Length of the CertificateRequest message that it sends, if it sends one.
    pub(crate) certificate_request: Option<u64>,
    /// What it sends to say whom it trusts.
    pub(crate) anchors: AnchorBytes,
    /// Last second in which the peer's certificate is valid, if sessions with it may be resumed.
    pub(crate) not_after: Option<u64>,
}

/// Slots that nobody has, by the kind of their connections.
#[derive(Debug)]
pub(crate) struct Pool<K, C> {
    /// Of a kind.
    most: usize,
    kept: Mutex<Kept<HashMap<K, Vec<Slot<C>>>>>,
}

impl<K, C> Pool<K, C> {
    /// Keeps so many slots of a kind; with 0 nothing, the set neither.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::new(Kept {
                set: None,
                what: HashMap::new(),
            }),
        }
    }
}

impl<K: Eq + Hash, C> Pool<K, C> {
    /// A slot for a connection, if one is free whose peer is still valid at `now`.
    pub(crate) fn take(
        &self,
        set: &Arc<CredentialSet>,
        kind: &K,
        now: UnixTime,
    ) -> Option<Slot<C>> {
        if self.most == 0 {
            return None;
        }
        let mut kept = lock(&self.kept);
        let slots = kept.of(set).get_mut(kind)?;
        slots.retain(|slot| slot.not_after.is_none_or(|end| now.0 <= end));
        slots.pop()
    }

    /// Puts a slot back when its handshake is complete: what comes later over the connection calls nobody back.
    pub(crate) fn put_back(&self, set: &Arc<CredentialSet>, kind: K, slot: Slot<C>) {
        slot.seat.seat(None);
        let mut kept = lock(&self.kept);
        // A set that has come meanwhile keeps its own.
        if !kept.is_for(set) {
            return;
        }
        let slots = kept.of(set).entry(kind).or_default();
        if slots.len() < self.most {
            slots.push(slot);
        }
    }
}

/// No panic happens under these locks, and what is kept is whole at every moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
