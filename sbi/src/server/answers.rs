//! Answers that HTTP still holds because the peer has not taken them: counted in the budget, and not for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::body::Body;
use crate::budget::Share;

/// How long a peer may take to take an answer, also one that reads a little now and then, or that answers PINGs and opens no
/// window. The longest answer is a discovery result of 2 MB, which a link of 300 kbit/s carries in that time. An answer that is
/// passed on has as long from its first octet to its last.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The answers of one connection that are not taken yet. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    /// Numbered as they began, so the first is the oldest. At most one for each stream.
    since: BTreeMap<u64, Instant>,
}

impl Answers {
    /// `body`, which gives `share` back when HTTP lets go of its last octet.
    pub(super) fn hold(&self, body: Body, share: Share) -> Body {
        let number = {
            let mut open = self.open();
            let number = open.next;
            open.next += 1;
            open.since.insert(number, Instant::now());
            number
        };
        body.guarded(Held {
            answers: self.clone(),
            number,
            _share: share,
        })
    }

    /// Whether there are any.
    pub(super) fn are_open(&self) -> bool {
        !self.open().since.is_empty()
    }

    /// Completes when an answer has not been taken for [`ANSWER_TIMEOUT`].
    pub(super) async fn overdue(&self) {
        loop {
            let oldest = self.open().since.values().next().copied();
            // One that begins later is overdue later.
            let due = oldest.unwrap_or_else(Instant::now) + ANSWER_TIMEOUT;
            sleep_until(due).await;
            if oldest.is_some() && self.open().since.values().next().copied() == oldest {
                return;
            }
        }
    }

    /// A map has no state in between that a panic could leave broken.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Held {
    answers: Answers,
    number: u64,
    _share: Share,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answers.open().since.remove(&self.number);
    }
}
