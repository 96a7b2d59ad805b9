//! The transactions of some minutes: which IDs are taken, by whom, and what is awaited in each.
//!
//! ```text
//!  begin ──> Begun ──┬──(certificate, certConf wanted)──> Issued ──certConf──> Ended
//!                    ├──(not there yet)──> Issuing ──pollReq──> Issued or Ended
//!                    └──(anything else)──> Ended
//! ```
//!
//! Only messages whose sender is known come here, so that nobody else can fill the table. What is forgotten after [`KEPT`] is too old to
//! be sent again, by its `messageTime`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cmp::{Failure, RequestKind};
use tokio::sync::watch;

use super::refused::Refused;
use super::sender::SenderId;
use crate::witness_times::CLOCK_TOLERANCE;

/// A nonce of this side.
pub(super) type Nonce = [u8; 16];
/// A chain, or why there is none.
pub(super) type Outcome = Result<Vec<Vec<u8>>, Refused>;

/// How long a transaction is kept: a message may be from the end of what is tolerated on one side, and be sent again until the end on the
/// other.
const KEPT: Duration = Duration::from_secs(2 * CLOCK_TOLERANCE.as_secs() + 1);
/// Transactions at a time, each of some hundred octets, or a certificate of 10 kB that waits for certConf.
const MOST: usize = 4096;
/// Those of one sender at a time, so that none keeps out the others.
const MOST_OF_ONE: usize = 64;

/// What is awaited in a transaction.
#[derive(Clone)]
pub(super) enum Stage {
    /// An answer to its first message.
    Begun,
    /// A certificate.
    Issuing(Box<Issuing>),
    /// certConf for this certificate.
    Issued {
        /// Contents octets of `certReqId` of the request.
        id: Vec<u8>,
        /// DER of it.
        certificate: Vec<u8>,
    },
    /// Nothing.
    Ended,
}

/// A certificate that is being issued.
#[derive(Clone)]
pub(super) struct Issuing {
    /// How it was asked for; none for a PKCS#10 request.
    pub(super) kind: Option<RequestKind>,
    /// Contents octets of `certReqId`.
    pub(super) id: Vec<u8>,
    /// What may not be granted.
    pub(super) mods: Mods,
    /// Whether certConf is not waited for.
    pub(super) implicit_confirm: bool,
    /// What comes of it; nothing as long as it is under way.
    pub(super) outcome: watch::Receiver<Option<Outcome>>,
}

/// What a request wants of a certificate that is the CA's to say.
#[derive(Clone)]
pub(super) struct Mods {
    /// SHA-256 of the DER of the subject, if it wants one.
    pub(super) subject: Option<[u8; 32]>,
    /// Whether it wants a validity.
    pub(super) has_validity: bool,
}

/// The transactions.
#[derive(Default)]
pub(super) struct Transactions(Mutex<HashMap<Vec<u8>, Transaction>>);

struct Transaction {
    sender: SenderId,
    /// That of the last answer, which the next message must repeat.
    nonce: Nonce,
    stage: Stage,
    began: Instant,
}

impl Transactions {
    /// Takes an ID for the transaction of a sender, who will be answered with `nonce`.
    ///
    /// # Errors
    /// It is taken, or there are too many.
    pub(super) fn begin(
        &self,
        id: Vec<u8>,
        sender: SenderId,
        nonce: Nonce,
        now: Instant,
    ) -> Result<(), Refused> {
        let mut transactions = self.lock();
        if transactions.len() >= MOST_OF_ONE {
            transactions.retain(|_, transaction| now.duration_since(transaction.began) < KEPT);
        }
        match transactions.get(&id) {
            Some(known) if now.duration_since(known.began) < KEPT => {
                let text = "there is a transaction with this ID; was the message sent twice?";
                return Err(Refused::new(Failure::TransactionIdInUse, text.to_owned()));
            }
            Some(_) => {}
            None if transactions.len() >= MOST => {
                let text = format!("{MOST} transactions are under way; try again in a few minutes");
                return Err(Refused::new(Failure::SystemUnavail, text));
            }
            None => {}
        }
        let own = transactions.values().filter(|of| of.sender == sender);
        if own.count() >= MOST_OF_ONE {
            let text = format!(
                "{MOST_OF_ONE} transactions of this sender are under way; try again in a few minutes"
            );
            return Err(Refused::new(Failure::SystemUnavail, text));
        }
        let transaction = Transaction {
            sender,
            nonce,
            stage: Stage::Begun,
            began: now,
        };
        transactions.insert(id, transaction);
        Ok(())
    }

    /// What the next message of a transaction is about. It must be of the same sender and have `heard` the last answer; it will be answered
    /// with `nonce`.
    ///
    /// # Errors
    /// There is no such transaction, or it is not the next message of it.
    pub(super) fn follow(
        &self,
        id: &[u8],
        sender: &SenderId,
        heard: Option<&[u8]>,
        nonce: Nonce,
    ) -> Result<Stage, Refused> {
        let mut transactions = self.lock();
        let transaction = transactions.get_mut(id).ok_or_else(|| {
            let text = "there is no transaction with this ID, or no more".to_owned();
            Refused::new(Failure::BadRequest, text)
        })?;
        if transaction.sender != *sender {
            let text = "the transaction is another sender's".to_owned();
            return Err(Refused::new(Failure::NotAuthorized, text));
        }
        if heard != Some(&transaction.nonce) {
            let text = "recipNonce is not the senderNonce of the last answer".to_owned();
            return Err(Refused::new(Failure::BadRecipientNonce, text));
        }
        transaction.nonce = nonce;
        Ok(transaction.stage.clone())
    }

    /// Says what is awaited next.
    pub(super) fn set(&self, id: &[u8], stage: Stage) {
        if let Some(transaction) = self.lock().get_mut(id) {
            transaction.stage = stage;
        }
    }

    /// A panic while the lock was held leaves transactions that are still true: each is changed in single steps.
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Transaction>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn sender(number: u128) -> SenderId {
        SenderId::Secret(Uuid::from_u128(number))
    }

    fn failure<T>(result: Result<T, Refused>) -> Option<Failure> {
        result.err().map(|refused| refused.failure)
    }

    #[test]
    fn an_id_is_taken_until_its_message_is_too_old_to_be_sent_again() {
        let transactions = Transactions::default();
        let began = Instant::now();
        let begin = |at| failure(transactions.begin(vec![1], sender(1), [0; 16], at));
        assert_eq!(begin(began), None);
        let last = began + KEPT - Duration::from_secs(1);
        assert_eq!(begin(last), Some(Failure::TransactionIdInUse));
        assert_eq!(begin(began + KEPT), None);
    }

    #[test]
    fn only_the_next_message_of_the_same_sender_follows() {
        let transactions = Transactions::default();
        let now = Instant::now();
        transactions
            .begin(vec![1], sender(1), [1; 16], now)
            .unwrap();
        let follow = |id: &[u8], of, heard: &[u8], nonce| {
            failure(transactions.follow(id, &sender(of), Some(heard), nonce))
        };
        assert_eq!(
            follow(&[2], 1, &[1; 16], [2; 16]),
            Some(Failure::BadRequest)
        );
        assert_eq!(
            follow(&[1], 2, &[1; 16], [2; 16]),
            Some(Failure::NotAuthorized)
        );
        assert_eq!(
            follow(&[1], 1, &[9; 16], [2; 16]),
            Some(Failure::BadRecipientNonce)
        );
        assert_eq!(follow(&[1], 1, &[1; 16], [2; 16]), None);
        // Sent twice.
        assert_eq!(
            follow(&[1], 1, &[1; 16], [3; 16]),
            Some(Failure::BadRecipientNonce)
        );
        assert_eq!(follow(&[1], 1, &[2; 16], [3; 16]), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let transactions = Transactions::default();
        let now = Instant::now();
        let begin = |number: usize, of: usize, at| {
            let (id, sender) = (number.to_be_bytes().to_vec(), sender(of as u128));
            failure(transactions.begin(id, sender, [0; 16], at))
        };
        let full = Some(Failure::SystemUnavail);
        for number in 0..MOST {
            assert_eq!(begin(number, number / MOST_OF_ONE, now), None);
        }
        assert_eq!(begin(MOST, MOST, now), full);
        assert_eq!(begin(MOST, MOST, now + KEPT), None);
        for number in 1..MOST_OF_ONE {
            assert_eq!(begin(MOST + number, MOST, now + KEPT), None);
        }
        assert_eq!(begin(2 * MOST, MOST, now + KEPT), full);
        assert_eq!(begin(2 * MOST, 1, now + KEPT), None);
    }
}
