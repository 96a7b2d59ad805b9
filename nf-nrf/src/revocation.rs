//! What is revoked, published: a signed list ([`mtc_core::revocation_list`]) beside the current log, for relying parties to fetch.
//!
//! ```text
//!  mtc5g revoke, CMP ──> crate::revoked (durable) ──> ranges ─┐
//!                                  half of its lifetime over ─┴─> number + 1, signed ──> state/revoked-list ──> <log>/revoked
//!                                                                                              durable           acknowledged
//! ```
//!
//! A crash between record and list loses nothing: at the start, the list is made of the records. The number is in the list that was kept,
//! before anybody else sees it, so that none is used for two lists.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::cosign::{Cosigner, KeyError, SecretKey};
use mtc_core::id::TrustAnchorId;
use mtc_core::revocation_list::{RevocationList, RevocationListError};
use mtc_core::time::UnixTime;
use mtc_core::verify::RevokedRanges;
use mtc_log::{Object, Storage, StorageError};
use mtc_tls::clock::Clock;
use sbi::clock::await_time;
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use crate::files::{FileError, PrivateFolder};
use crate::metrics::NrfMetrics;
use crate::revoked::Revoked;

mod command;
mod order;

pub use command::{Answer, PATH, PublishedList, Ranges, RevocationCommand};
pub use order::{MAX_REASON, ORDER_ISSUER, RevocationOrder, What};

/// The newest list, in the NRF's state.
const KEPT: &str = "revoked-list";
/// Pause after a list could not be published.
const RETRY: Duration = Duration::from_secs(1);

/// Why a list is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It cannot be made, or the one that was kept is not this CA's.
    #[error("the list of revoked serial numbers")]
    List(#[from] RevocationListError),
    /// The key.
    #[error("the key that signs it")]
    Key(#[from] KeyError),
    /// It cannot be kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be put beside the log.
    #[error("the log's storage")]
    Storage(#[from] StorageError),
    /// The process is ending.
    #[error("the NRF is stopping")]
    Ending(#[from] JoinError),
}

/// Publishes lists.
pub struct Publisher {
    key: SecretKey,
    cosigner: Cosigner,
    lifetime: Duration,
    state: PrivateFolder,
    storage: Arc<dyn Storage>,
    revoked: watch::Receiver<RevokedRanges>,
    clock: Clock,
    metrics: NrfMetrics,
    published: watch::Sender<Option<RevocationList>>,
}

impl Publisher {
    /// Publishes what is revoked beside a log, signed with the key of its CA; each list is good for `lifetime`.
    ///
    /// # Errors
    /// [`PublishError::Key`].
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of it; nobody else builds one"
    )]
    pub fn new(
        ca: TrustAnchorId,
        key: SecretKey,
        lifetime: Duration,
        state: PrivateFolder,
        storage: Arc<dyn Storage>,
        revoked: &Revoked,
        clock: Clock,
        metrics: NrfMetrics,
    ) -> Result<Self, PublishError> {
        Ok(Self {
            cosigner: Cosigner {
                id: ca,
                key: key.public_key()?,
            },
            key,
            lifetime,
            state,
            storage,
            revoked: revoked.ranges(),
            clock,
            metrics,
            published: watch::Sender::new(None),
        })
    }

    /// The newest list that relying parties can fetch.
    pub fn published(&self) -> watch::Receiver<Option<RevocationList>> {
        self.published.subscribe()
    }

    /// Publishes for ever: when something is revoked, and in time before a list is stale.
    ///
    /// Dropping the future stops publishing; a list that was being made may be kept, and is then published at the next start.
    pub async fn keep(self) {
        let publisher = Arc::new(self);
        let mut revoked = publisher.revoked.clone();
        loop {
            let ranges = revoked.borrow_and_update().clone();
            let working = publisher.clone();
            let made = spawn_blocking(move || working.publish(ranges)).await;
            match made.map_err(PublishError::from).and_then(|made| made) {
                Ok(list) => {
                    let due = list.issued.plus(publisher.lifetime / 2);
                    publisher.metrics.revocation_list(&list);
                    publisher.published.send_replace(Some(list));
                    tokio::select! {
                        changed = revoked.changed() => if changed.is_err() { return },
                        () = await_time(publisher.clock, due) => {}
                    }
                }
                Err(PublishError::Ending(_)) => return,
                Err(error) => {
                    publisher.metrics.revocation_list_failed();
                    tracing::error!(error = %Causes(&error), "cannot publish what is revoked, retrying");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Publishes a list of these ranges: the newest one, if it is that and not old yet. Blocks on the disk and the log's storage.
    fn publish(&self, ranges: RevokedRanges) -> Result<RevocationList, PublishError> {
        let now = self.clock.now();
        let kept = self.state.read(KEPT)?;
        let (list, note) = match kept {
            Some(note) => {
                let newest = RevocationList::verify(&note, &self.cosigner)?;
                if newest.ranges == ranges && !self.is_due(&newest, now) {
                    (newest, note)
                } else {
                    self.make(newest.number + 1, ranges, now)?
                }
            }
            None => self.make(1, ranges, now)?,
        };
        if self.storage.get(&Object::Revoked)?.as_ref() != Some(&note) {
            self.storage.put(&Object::Revoked, &note)?;
            tracing::info!(
                number = list.number,
                ranges = list.ranges.len(),
                "published a list of revoked serial numbers"
            );
        }
        Ok(list)
    }

    fn make(
        &self,
        number: u64,
        ranges: RevokedRanges,
        now: UnixTime,
    ) -> Result<(RevocationList, Vec<u8>), PublishError> {
        let list = RevocationList {
            ca: self.cosigner.id,
            number,
            issued: now,
            next: now.plus(self.lifetime),
            ranges,
        };
        let note = list.sign(&self.key)?.into_bytes();
        self.state.write_durably(KEPT, &note)?;
        Ok((list, note))
    }

    /// Whether half of a list's lifetime is over, or it was made with a clock that was ahead or for another lifetime.
    fn is_due(&self, list: &RevocationList, now: UnixTime) -> bool {
        now >= list.issued.plus(self.lifetime / 2)
            || now < list.issued
            || list.next != list.issued.plus(self.lifetime)
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::SignatureAlgorithm;
    use mtc_core::verify::RevokedRange;
    use mtc_log::DirectoryStorage;

    use super::*;

    struct Scene {
        folder: tempfile::TempDir,
        storage: Arc<DirectoryStorage>,
        key: Vec<u8>,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let storage = DirectoryStorage::create(folder.path().join("log")).unwrap();
            let key = SecretKey::generate(SignatureAlgorithm::MlDsa44).unwrap();
            Self {
                storage: Arc::new(storage),
                key: key.to_pkcs8().unwrap().to_vec(),
                folder,
            }
        }

        /// After each of these the NRF may have died.
        fn start(&self, revoked: &Revoked) -> Publisher {
            let key = SecretKey::from_pkcs8(SignatureAlgorithm::MlDsa44, &self.key).unwrap();
            Publisher::new(
                "32473.1".parse().unwrap(),
                key,
                Duration::from_secs(3600),
                PrivateFolder::open(self.folder.path().join("state")).unwrap(),
                self.storage.clone(),
                revoked,
                Clock::default(),
                NrfMetrics::new(&sbi::metrics::Registry::default()),
            )
            .unwrap()
        }

        fn revoked(&self) -> Revoked {
            let records = PrivateFolder::open(self.folder.path().join("revoked")).unwrap();
            Revoked::open(records, &"32473.1".parse().unwrap()).unwrap()
        }

        fn served(&self, publisher: &Publisher) -> RevocationList {
            let note = self.storage.get(&Object::Revoked).unwrap().unwrap();
            RevocationList::verify(&note, &publisher.cosigner).unwrap()
        }
    }

    fn publish(publisher: &Publisher) -> RevocationList {
        let ranges = publisher.revoked.borrow().clone();
        publisher.publish(ranges).unwrap()
    }

    #[tokio::test]
    async fn what_was_recorded_before_a_crash_is_published_after_it_under_a_new_number() {
        let scene = Scene::new();
        let revoked = scene.revoked();
        let first = publish(&scene.start(&revoked));
        assert_eq!((first.number, first.ranges.len()), (1, 0));
        let range = RevokedRange { first: 5, last: 9 };
        revoked.revoke([range], None, UnixTime(1)).await.unwrap();
        // The NRF dies here, with the record and without the list.
        let again = scene.start(&scene.revoked());
        let second = publish(&again);
        assert!(second.number == 2 && second.ranges.covers(range));
        assert_eq!(scene.served(&again), second);
        assert_eq!(publish(&again), second, "nothing has changed");
    }

    #[tokio::test]
    async fn a_list_that_was_kept_and_not_published_is_published_at_the_next_start() {
        let scene = Scene::new();
        let publisher = scene.start(&scene.revoked());
        let first = publish(&publisher);
        let old = scene.storage.get(&Object::Revoked).unwrap().unwrap();
        let (made, _) = publisher
            .make(2, first.ranges, Clock::default().now())
            .unwrap();
        let again = scene.start(&scene.revoked());
        assert_eq!(publish(&again), made);
        // The log's files are an older copy: what was kept counts.
        scene.storage.put(&Object::Revoked, &old).unwrap();
        publish(&again);
        assert_eq!(scene.served(&again), made);
    }

    #[tokio::test]
    async fn a_list_is_made_anew_when_half_of_its_time_is_over() {
        let scene = Scene::new();
        let publisher = scene.start(&scene.revoked());
        let now = Clock::default().now();
        let old = now.minus(Duration::from_secs(1801));
        publisher.make(7, RevokedRanges::default(), old).unwrap();
        let list = publish(&publisher);
        assert!(list.number == 8 && list.issued >= now);
    }

    #[tokio::test]
    async fn a_damaged_list_is_not_begun_again_from_one() {
        let scene = Scene::new();
        let publisher = scene.start(&scene.revoked());
        publisher.state.write(KEPT, b"damaged").unwrap();
        let refused = publisher.publish(RevokedRanges::default());
        assert!(matches!(refused, Err(PublishError::List(_))), "{refused:?}");
    }
}
