//! Who may begin to write: a lease in the object `lock`, swapped before it runs out.
//!
//! ```text
//! <holder>            who asks, the same after a restart: takes its own lease over at once
//! <writer>            a UUID of this opening
//! <until>             seconds since 1970; 0 when given up
//! ```
//!
//! Clocks decide when somebody else may take it over, and clocks may be wrong, so a lease is no proof; the fence is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mtc_core::causes::Causes;
use mtc_log::StorageError;
use object_store::UpdateVersion;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::objects::{Condition, Found, Objects, Written};
use crate::worker::Worker;

const LOCK: &str = "lock";
/// For how long others stay away from a writer that was killed on another machine.
const TERM: Duration = Duration::from_secs(30);
/// Two renewals may fail at once. One that nobody answers is given up after 25 s ([`crate::s3`]), when the lease has all but run out: then
/// whoever writes waits for the next.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long giving it up may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// Those that may wait for a renewal at once: each is a thread that blocks.
const WAITING: usize = 64;

/// `until` of a lease that somebody else has taken.
const TAKEN: u64 = u64::MAX;

/// The lease, as whoever writes looks at it.
pub(crate) struct Lease {
    objects: Arc<Objects>,
    until: Arc<AtomicU64>,
    /// Asks for a renewal now.
    renew: mpsc::Sender<oneshot::Sender<()>>,
}

/// Has the lease renewed until this is dropped, and then given up. Not to be dropped on the thread that makes the requests.
pub(crate) struct Keeping {
    /// Dropped first, which ends the renewing.
    give_up: Option<oneshot::Sender<()>>,
    ended: Mutex<Receiver<()>>,
}

/// What is written in the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Terms {
    holder: String,
    writer: Uuid,
    until: u64,
}

impl Lease {
    /// Takes the lease of `objects` for `holder`, if it is free or the holder's own, and keeps it from then on.
    ///
    /// # Errors
    /// [`StorageError::Locked`] if somebody else has it; or the store failed, or ignores conditions.
    pub(crate) fn take(
        objects: Arc<Objects>,
        holder: &str,
        writer: Uuid,
        worker: &Worker,
    ) -> Result<(Self, Keeping), StorageError> {
        let terms = Terms {
            holder: holder.to_owned(),
            writer,
            until: 0,
        };
        let taking = take(objects.clone(), terms.clone());
        let taken = worker.wait(taking);
        let (lock, until) =
            taken.unwrap_or_else(|| Err(objects.refused("take", LOCK, "its thread failed")))?;
        let until = Arc::new(AtomicU64::new(until));
        let (renew, asked) = mpsc::channel(WAITING);
        let (give_up, given_up) = oneshot::channel();
        let (end, ended) = sync_channel(1);
        let keeper = Keeper {
            objects: objects.clone(),
            terms,
            lock,
            until: until.clone(),
        };
        worker.spawn(async move {
            keeper.keep(asked, given_up).await;
            // Nobody waits any more if that took too long.
            let _ = end.send(());
        });
        let lease = Self {
            objects,
            until,
            renew,
        };
        let keeping = Keeping {
            give_up: Some(give_up),
            ended: Mutex::new(ended),
        };
        Ok((lease, keeping))
    }

    /// Makes sure of the lease: renews it if it has run out, as it does while a machine sleeps.
    ///
    /// # Errors
    /// Somebody else has it, or it cannot be renewed.
    pub(crate) async fn hold(&self) -> Result<(), StorageError> {
        if self.is_held() {
            return Ok(());
        }
        let (done, renewed) = oneshot::channel();
        // Fails if nobody renews it any more: then there is nothing to wait for.
        if self.renew.send(done).await.is_ok() {
            let _ = renewed.await;
        }
        match self.until.load(Ordering::Relaxed) {
            TAKEN => Err(StorageError::TakenOver {
                path: self.objects.place(LOCK),
            }),
            _ if self.is_held() => Ok(()),
            _ => Err(self.objects.refused(
                "renew",
                LOCK,
                "the lease has run out and cannot be renewed",
            )),
        }
    }

    fn is_held(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != TAKEN && now() < until
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.give_up = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // If it is not given up in time, it runs out.
        let _ = ended.recv_timeout(FAREWELL);
    }
}

async fn take(objects: Arc<Objects>, given_up: Terms) -> Result<(Found, u64), StorageError> {
    let found = objects.get(LOCK).await?;
    if let Some(found) = &found {
        let Some(others) = Terms::parse(&found.bytes) else {
            return Err(objects.refused(
                "take",
                LOCK,
                "it is not a lease: something else is stored below this prefix",
            ));
        };
        if others.holder != given_up.holder && now() < others.until {
            tracing::debug!(holder = others.holder, until = others.until, "leased");
            return Err(StorageError::Locked {
                path: objects.place(LOCK),
            });
        }
    }
    let terms = Terms {
        until: now() + TERM.as_secs(),
        ..given_up.clone()
    };
    let condition = Condition::as_found(found.as_ref());
    match objects.put(LOCK, terms.bytes(), condition).await? {
        Written::Other(_) => Err(StorageError::Locked {
            path: objects.place(LOCK),
        }),
        Written::Done(lock) => {
            check_conditions(&objects, &given_up).await?;
            Ok((lock, terms.until))
        }
    }
}

/// A store that ignores conditions fences nobody out, and some do: what must be refused is tried, with a lease that is given up.
async fn check_conditions(objects: &Objects, terms: &Terms) -> Result<(), StorageError> {
    let another = UpdateVersion {
        e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
        version: None,
    };
    for condition in [Condition::Absent, Condition::Unchanged(another)] {
        let written = objects.put(LOCK, terms.bytes(), condition).await?;
        if matches!(written, Written::Done(_)) {
            return Err(objects.refused(
                "guard",
                LOCK,
                "this store ignores If-Match or If-None-Match: two writers could make two histories of a log",
            ));
        }
    }
    Ok(())
}

/// Renews the lease.
struct Keeper {
    objects: Arc<Objects>,
    terms: Terms,
    lock: Found,
    until: Arc<AtomicU64>,
}

impl Keeper {
    /// Until it is given up, or somebody else has it.
    async fn keep(
        mut self,
        mut asked: mpsc::Receiver<oneshot::Sender<()>>,
        mut given_up: oneshot::Receiver<()>,
    ) {
        let mut ticks = interval(RENEWAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            let waiting = tokio::select! {
                _ = &mut given_up => break,
                Some(waiting) = asked.recv() => Some(waiting),
                _ = ticks.tick() => None,
            };
            let until = now() + TERM.as_secs();
            let renewed = self.swap(until).await;
            if let Some(waiting) = waiting {
                // It may have given up waiting.
                let _ = waiting.send(());
            }
            if !renewed {
                return;
            }
        }
        self.swap(0).await;
    }

    /// Whether it is still ours, as far as is known.
    async fn swap(&mut self, until: u64) -> bool {
        self.terms.until = until;
        let mut condition = Condition::as_found(Some(&self.lock));
        loop {
            match self.objects.put(LOCK, self.terms.bytes(), condition).await {
                Ok(Written::Done(lock)) => {
                    self.lock = lock;
                    self.until.store(until, Ordering::Relaxed);
                    return true;
                }
                // An earlier renewal of ours whose answer was lost. What is found is newer each time, and nobody writes beside us, so this ends.
                Ok(Written::Other(Some(lock))) if self.is_own(&lock) => {
                    condition = Condition::as_found(Some(&lock));
                }
                Ok(Written::Other(_)) => {
                    tracing::error!(lock = %self.objects.place(LOCK).display(), "another writer has taken the issuance log over");
                    self.until.store(TAKEN, Ordering::Relaxed);
                    return false;
                }
                Err(error) => {
                    tracing::warn!(error = %Causes(&error), "the lease of the issuance log is not renewed, retrying");
                    return true;
                }
            }
        }
    }

    fn is_own(&self, lock: &Found) -> bool {
        Terms::parse(&lock.bytes).is_some_and(|terms| terms.writer == self.terms.writer)
    }
}

impl Terms {
    fn bytes(&self) -> Bytes {
        format!("{}\n{}\n{}\n", self.holder, self.writer, self.until).into()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = str::from_utf8(bytes).ok()?.lines();
        let terms = Self {
            holder: lines.next()?.to_owned(),
            writer: lines.next()?.parse().ok()?,
            until: lines.next()?.parse().ok()?,
        };
        lines.next().is_none().then_some(terms)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
