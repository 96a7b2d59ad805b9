//! UE contexts, and the PDU sessions in them that wait for an N1N2 message transfer.
//!
//! ```text
//!   register ──> Awaiting ── transfer ──> Transferred ── transfer again: nothing new
//!                   │                          │
//!                   └──────── release ─────────┴──> gone
//! ```
//!
//! A session is registered before the SMF is asked for its SM context: the transfer may come before the answer. Both are
//! matched by SUPI and PDU session, never by the reference that the SMF gives (TS 29.518 clause 5.2.2.3.1).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Why a PDU session cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// There are as many UE contexts as there may be.
    #[error("the AMF has reached its limit of UE contexts")]
    Full,
    /// The UE has this PDU session already.
    #[error("the UE already has this PDU session")]
    Busy,
    /// The UE is registered already, or is being registered.
    #[error("the UE is registered already")]
    Registered,
}

/// There is no such UE or PDU session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the UE has no such PDU session")]
pub struct UnknownSession;

/// The UE contexts of an AMF instance.
#[derive(Debug)]
pub struct UeContexts {
    capacity: usize,
    /// By SUPI. A context has at least one session.
    contexts: HashMap<String, UeContext>,
}

/// What the AMF knows of a UE: its PDU sessions, by their ids.
type UeContext = BTreeMap<u8, PduSession>;

#[derive(Debug)]
enum PduSession {
    /// Whoever waits is told by this.
    Awaiting(oneshot::Sender<()>),
    Transferred,
}

impl UeContexts {
    /// No contexts yet, and at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            contexts: HashMap::new(),
        }
    }

    /// Makes a PDU session that awaits its transfer. The receiver gets a value when it comes, and an error when the session is
    /// released before.
    ///
    /// # Errors
    /// See [`RegisterError`]; nothing has changed then.
    pub fn register(
        &mut self,
        supi: &str,
        pdu_session_id: u8,
    ) -> Result<oneshot::Receiver<()>, RegisterError> {
        let is_known = self.contexts.contains_key(supi);
        if !is_known && self.contexts.len() >= self.capacity {
            return Err(RegisterError::Full);
        }
        let context = self.contexts.entry(supi.to_owned()).or_default();
        if context.contains_key(&pdu_session_id) {
            return Err(RegisterError::Busy);
        }
        let (sender, receiver) = oneshot::channel();
        context.insert(pdu_session_id, PduSession::Awaiting(sender));
        Ok(receiver)
    }

    /// An N1N2 message transfer for a PDU session has come. One that comes again is taken too: the SMF may not have seen the
    /// first answer.
    ///
    /// # Errors
    /// There is no such session.
    pub fn transfer(&mut self, supi: &str, pdu_session_id: u8) -> Result<(), UnknownSession> {
        let context = self.contexts.get_mut(supi).ok_or(UnknownSession)?;
        let session = context.get_mut(&pdu_session_id).ok_or(UnknownSession)?;
        if let PduSession::Awaiting(waiting) = std::mem::replace(session, PduSession::Transferred) {
            // Nobody waits any more: the session is about to be released.
            let _ = waiting.send(());
        }
        Ok(())
    }

    /// Whether there is such a PDU session.
    pub fn contains(&self, supi: &str, pdu_session_id: u8) -> bool {
        self.contexts
            .get(supi)
            .is_some_and(|context| context.contains_key(&pdu_session_id))
    }

    /// Forgets a PDU session, and the UE with its last one; nothing if there is none.
    pub fn release(&mut self, supi: &str, pdu_session_id: u8) {
        if let Some(context) = self.contexts.get_mut(supi) {
            context.remove(&pdu_session_id);
            if context.is_empty() {
                self.contexts.remove(supi);
            }
        }
    }
}

/// The UE contexts, as the operations and the services of an AMF share them.
#[derive(Clone, Debug)]
pub struct SharedUeContexts(Arc<Mutex<UeContexts>>);

impl SharedUeContexts {
    /// No contexts yet, and at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(UeContexts::new(capacity))))
    }

    /// Does `work` while nobody else has the contexts.
    pub fn with<T>(&self, work: impl FnOnce(&mut UeContexts) -> T) -> T {
        // The contexts stay consistent if a holder panicked: a panic would have to come from the map itself.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`UeContexts::register`], and the session is released when the value is dropped.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn register(&self, supi: String, pdu_session_id: u8) -> Result<Registered, RegisterError> {
        let transferred = self.with(|contexts| contexts.register(&supi, pdu_session_id))?;
        Ok(Registered {
            contexts: self.clone(),
            supi,
            pdu_session_id,
            transferred,
        })
    }
}

/// A PDU session that is in its UE context for as long as this value lives.
#[derive(Debug)]
pub struct Registered {
    contexts: SharedUeContexts,
    supi: String,
    pdu_session_id: u8,
    transferred: oneshot::Receiver<()>,
}

impl Registered {
    /// The subscriber.
    pub fn supi(&self) -> &str {
        &self.supi
    }

    /// Which of the subscriber's sessions.
    pub const fn pdu_session_id(&self) -> u8 {
        self.pdu_session_id
    }

    /// Waits for the transfer. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The session was released.
    pub async fn transferred(&mut self) -> Result<(), UnknownSession> {
        (&mut self.transferred).await.map_err(|_| UnknownSession)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.contexts
            .with(|contexts| contexts.release(&self.supi, self.pdu_session_id));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    const SUPI: &str = "imsi-001010000000001";

    #[test]
    fn a_transfer_reaches_who_waits_for_it() {
        let mut contexts = UeContexts::new(1);
        let mut waiting = contexts.register(SUPI, 5).unwrap();
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(contexts.transfer(SUPI, 5), Ok(()));
        assert_eq!(waiting.try_recv(), Ok(()));
    }

    #[test]
    fn a_repeated_transfer_is_taken() {
        let mut contexts = UeContexts::new(1);
        let _waiting = contexts.register(SUPI, 5).unwrap();
        assert_eq!(contexts.transfer(SUPI, 5), Ok(()));
        assert_eq!(contexts.transfer(SUPI, 5), Ok(()));
    }

    #[test]
    fn a_transfer_for_another_ue_or_session_is_not() {
        let mut contexts = UeContexts::new(1);
        let mut waiting = contexts.register(SUPI, 5).unwrap();
        assert_eq!(contexts.transfer(SUPI, 6), Err(UnknownSession));
        let other = "imsi-001010000000002";
        assert_eq!(contexts.transfer(other, 5), Err(UnknownSession));
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn a_release_ends_the_wait() {
        let mut contexts = UeContexts::new(1);
        let mut waiting = contexts.register(SUPI, 5).unwrap();
        contexts.release(SUPI, 5);
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(contexts.transfer(SUPI, 5), Err(UnknownSession));
    }

    #[test]
    fn a_session_is_registered_once() {
        let mut contexts = UeContexts::new(1);
        let _waiting = contexts.register(SUPI, 5).unwrap();
        assert_eq!(contexts.register(SUPI, 5).unwrap_err(), RegisterError::Busy);
        assert!(contexts.register(SUPI, 6).is_ok());
    }

    #[test]
    fn ue_contexts_are_bounded_and_end_with_their_last_session() {
        let mut contexts = UeContexts::new(1);
        let _waiting = (contexts.register(SUPI, 5), contexts.register(SUPI, 6));
        let other = "imsi-001010000000002";
        contexts.release(SUPI, 5);
        assert_eq!(
            contexts.register(other, 5).unwrap_err(),
            RegisterError::Full
        );
        contexts.release(SUPI, 6);
        assert!(contexts.register(other, 5).is_ok());
    }

    #[test]
    fn a_registered_session_goes_with_its_value() {
        let contexts = SharedUeContexts::new(1);
        let registered = contexts.register(SUPI.to_owned(), 5).unwrap();
        assert!(contexts.with(|contexts| contexts.contains(SUPI, 5)));
        drop(registered);
        assert!(!contexts.with(|contexts| contexts.contains(SUPI, 5)));
    }
}
