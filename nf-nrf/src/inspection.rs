//! The current log, read again and again as a whole in the background: a damaged old tile is found here before relying parties
//! meet it.
//!
//! ```text
//! pass:  a few bundles, a pause, a few bundles, ...  done ── a rest ── the next pass
//!          └─ damage: metrics, the sequencer ends, the log names the file and what to do
//! ```
//!
//! Of a log that has just been found whole the partial tiles are removed that full or wider ones have superseded.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mtc_core::causes::Causes;
use mtc_core::id::TreeSize;
use mtc_log::{Inspection, Issuer, LandmarkStoreError, Storage, TreeError, newest_landmark_size};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use crate::metrics::NrfMetrics;

/// Bundles of 256 entries that are read between two pauses.
const BUNDLES_AT_ONCE: usize = 16;
/// With 64 bundles a second at the most, entries of 1 kB cost 16 MiB/s of the disk; a million entries take a minute.
const PAUSE: Duration = Duration::from_millis(250);
/// From the end of a pass to the beginning of the next.
const REST: Duration = Duration::from_secs(3600);
/// How long partial tiles stay beside a full or wider one: relying parties look at the log every ten seconds, monitors every minute.
const SUPERSEDED_FOR: Duration = Duration::from_secs(3600);
/// Until a pass that could not read is begun anew.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Reads the log for ever, or until it is found damaged.
///
/// Dropping the future stops reading.
pub(crate) async fn keep_inspecting(
    storage: Arc<dyn Storage>,
    issuer: Issuer,
    metrics: NrfMetrics,
) {
    let mut published = issuer.published();
    loop {
        let checkpoint = published.borrow_and_update().clone();
        let Some(checkpoint) = checkpoint else {
            if published.changed().await.is_err() {
                return;
            }
            continue;
        };
        let size = checkpoint.size();
        let read = storage.clone();
        let begun = spawn_blocking(move || Inspection::begin(read, &checkpoint)).await;
        match pass(begun, &metrics).await {
            Ok(Ok(())) => {
                metrics.inspected_whole_log();
                let storage = storage.clone();
                match spawn_blocking(move || remove_superseded(&*storage, size)).await {
                    Ok(Ok(removed)) => tracing::debug!(removed, "removed superseded partial tiles"),
                    Ok(Err(error)) => {
                        tracing::warn!(error = %Causes(&error), "cannot remove superseded partial tiles")
                    }
                    Err(_) => return,
                }
                sleep(REST).await;
            }
            Ok(Err(damage)) if damage.is_damage() => return damaged(damage, &issuer, &metrics),
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "the issuance log could not be inspected, retrying");
                sleep(AFTER_FAILURE).await;
            }
            // The runtime is going down.
            Err(_) => return,
        }
    }
}

/// What is stored is not what was signed: whoever issues from it is stopped.
pub(crate) fn damaged(damage: TreeError, issuer: &Issuer, metrics: &NrfMetrics) {
    tracing::error!(
        error = %Causes(&damage),
        "the issuance log is damaged on disk: stop the NRF, and restore the file or run mtc5g log repair"
    );
    metrics.damaged();
    issuer.stop_for(damage);
}

async fn pass(
    begun: Result<Result<Inspection, TreeError>, JoinError>,
    metrics: &NrfMetrics,
) -> Result<Result<(), TreeError>, JoinError> {
    let mut inspection = match begun? {
        Ok(inspection) => inspection,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let (given_back, read) = spawn_blocking(move || {
            let read = some_bundles(&mut inspection);
            (inspection, read)
        })
        .await?;
        inspection = given_back;
        match read {
            Ok(Some(sound)) => metrics.inspected(sound),
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
        sleep(PAUSE).await;
    }
}

/// Whoever read an older checkpoint has had time to read its partial tiles. Blocks on the disk.
fn remove_superseded(storage: &dyn Storage, size: TreeSize) -> Result<u64, LandmarkStoreError> {
    let Some(before) = SystemTime::now().checked_sub(SUPERSEDED_FOR) else {
        return Ok(0);
    };
    let trees = [size, newest_landmark_size(storage)?];
    Ok(storage.remove_superseded(&trees, before)?)
}

/// Blocks on the disk.
fn some_bundles(inspection: &mut Inspection) -> Result<Option<u64>, TreeError> {
    let mut sound = None;
    for _ in 0..BUNDLES_AT_ONCE {
        match inspection.step()? {
            Some(more) => sound = Some(more),
            None => break,
        }
    }
    Ok(sound)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
    use mtc_core::id::{LogId, LogNumber};
    use mtc_log::{
        CosigningKey, DirectoryStorage, IssuanceLog, IssueError, LandmarkPolicy, LandmarkStore,
        Object, Sequencer, SequencerConfig, SequencerError,
    };
    use mtc_tls::clock::Clock;
    use sbi::ledger::Ledger;
    use tempfile::TempDir;
    use tokio::task::{JoinHandle, JoinSet};
    use tokio::time::timeout;

    use super::*;
    use crate::files::PrivateFolder;
    use crate::mtca::Mtca;
    use crate::witness_client::HttpWitness;

    const CLOCK: Clock = Clock { offset_seconds: 0 };
    const HOUR: Duration = Duration::from_secs(3600);
    const POLICY: LandmarkPolicy = LandmarkPolicy {
        time_between: Duration::from_secs(60),
        first_time_between: Duration::from_secs(60),
        max_certificate_lifetime: HOUR,
    };

    /// A log from which a sequencer without witnesses issues.
    struct Scene {
        folder: TempDir,
        id: LogId,
        storage: Arc<dyn Storage>,
        issuer: Issuer,
        sequencer: JoinHandle<Result<(), Arc<SequencerError>>>,
        ledger: Arc<Ledger>,
        metrics: NrfMetrics,
    }

    impl Scene {
        fn start() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let storage: Arc<dyn Storage> =
                Arc::new(DirectoryStorage::create(folder.path().join("log")).expect("new"));
            let ca = "32473.1".parse().expect("a trust anchor ID");
            let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
            let key = CosigningKey::new(ca, secret).expect("a public half");
            let id = LogId::new(ca, LogNumber::FIRST).expect("a short ID");
            let log = IssuanceLog::create(storage.clone(), id, key, CLOCK.now()).expect("empty");
            let config = SequencerConfig {
                queue: 1000,
                min_interval: Duration::ZERO,
                required_witnesses: 0,
                witness_deadline: HOUR,
            };
            let nobody = std::iter::empty::<HttpWitness>();
            let (issuer, sequencer) =
                Sequencer::new(log, nobody, config, Arc::new(|| CLOCK.now())).expect("0 of 0");
            let ledger = Arc::new(Ledger::default());
            Self {
                folder,
                id,
                storage,
                issuer,
                sequencer: tokio::spawn(sequencer.run()),
                metrics: NrfMetrics::new(&ledger.metrics().registry),
                ledger,
            }
        }

        async fn issue(&self, entries: usize) {
            let mut issuing = JoinSet::new();
            for entry in 0..entries {
                let issuer = self.issuer.clone();
                issuing.spawn(async move { issuer.issue(vec![0; entry]).await });
            }
            for issued in issuing.join_all().await {
                issued.expect("a sound log");
            }
        }

        fn file(&self, object: &str) -> PathBuf {
            self.folder.path().join("log").join(object)
        }

        fn flip_a_bit(&self, object: &str) {
            let mut bytes = std::fs::read(self.file(object)).expect("stored");
            bytes[40] ^= 1;
            std::fs::write(self.file(object), bytes).expect("writable");
        }

        fn inspecting(&self) -> impl Future<Output = ()> + use<> {
            keep_inspecting(
                self.storage.clone(),
                self.issuer.clone(),
                self.metrics.clone(),
            )
        }

        fn metric(&self, line: &str) -> bool {
            let gathered = self.ledger.metrics().registry.gather();
            let text = sbi::metrics::Exposition::Prometheus.encode(&gathered);
            text.lines().any(|found| found == line)
        }

        async fn assert_stopped(self) {
            assert!(self.metric("mtc_log_damaged 1"));
            let error = self.issuer.issue(b"late".to_vec()).await.unwrap_err();
            assert!(matches!(error, IssueError::LogFailed(_)), "{error:?}");
            let ended = self.sequencer.await.expect("no panic").unwrap_err();
            assert!(matches!(&*ended, SequencerError::Damaged(_)), "{ended:?}");
        }
    }

    // The clock of these tests jumps as soon as nothing but time can happen.
    #[tokio::test(start_paused = true)]
    async fn a_log_is_read_again_and_again_until_it_is_damaged() {
        let scene = Scene::start();
        scene.issue(300).await;
        let mut inspecting = Box::pin(scene.inspecting());
        timeout(REST / 2, &mut inspecting)
            .await
            .expect_err("a sound log is inspected for ever");
        assert!(scene.metric("mtc_log_inspected_entries 300"));
        assert!(scene.metric("mtc_log_damaged 0"));
        scene.flip_a_bit("log/tile/entries/000");
        timeout(REST, inspecting)
            .await
            .expect("the next pass finds it");
        scene.assert_stopped().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_for_a_while_is_no_damage() {
        let scene = Scene::start();
        scene.issue(300).await;
        let (tile, away) = (
            scene.file("log/tile/entries/000"),
            scene.file("log/tile/entries/away"),
        );
        std::fs::rename(&tile, &away).expect("stored");
        std::fs::create_dir(&tile).expect("nothing there any more");
        let mut inspecting = Box::pin(scene.inspecting());
        timeout(AFTER_FAILURE / 2, &mut inspecting)
            .await
            .expect_err("it is tried again");
        assert!(scene.metric("mtc_log_damaged 0"));
        std::fs::remove_dir(&tile).expect("empty");
        std::fs::rename(&away, &tile).expect("away");
        timeout(AFTER_FAILURE * 2, &mut inspecting)
            .await
            .expect_err("a sound log is inspected for ever");
        assert!(scene.metric("mtc_log_inspected_entries 300"));
        scene.issue(1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pass_partial_tiles_of_checkpoint_and_landmark_are_left() {
        let scene = Scene::start();
        let mut landmarks = LandmarkStore::open(scene.storage.clone(), POLICY, None).expect("none");
        for size in 1..=5 {
            scene.issue(1).await;
            let published = scene.issuer.published().borrow().clone().expect("a batch");
            assert_eq!(published.size(), TreeSize(size));
            if size == 2 {
                landmarks
                    .allocate(&published, CLOCK.now())
                    .expect("the first");
            }
        }
        let folder = scene.file("log/tile/entries/000.p");
        let long_ago = SystemTime::now() - 2 * SUPERSEDED_FOR;
        // The last batch has just come: until a moment ago relying parties were shown a checkpoint that needs 4.
        for width in 1..=4 {
            let file = std::fs::File::options()
                .append(true)
                .open(folder.join(width.to_string()));
            file.and_then(|file| file.set_modified(long_ago))
                .expect("a partial bundle");
        }
        timeout(REST / 2, scene.inspecting())
            .await
            .expect_err("a sound log is inspected for ever");
        let left = std::fs::read_dir(folder).expect("a folder");
        let mut left: Vec<_> = left.map(|file| file.expect("a file").file_name()).collect();
        left.sort();
        assert_eq!(left, ["2", "4", "5"]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_landmark_is_allocated_that_relying_parties_could_not_verify() {
        let scene = Scene::start();
        let mut landmarks = LandmarkStore::open(scene.storage.clone(), POLICY, None).expect("none");
        scene.issue(100).await;
        let published = scene.issuer.published().borrow().clone().expect("a batch");
        let earlier = CLOCK.now().minus(HOUR / 2);
        landmarks.allocate(&published, earlier).expect("the first");
        scene.issue(200).await;
        let before = scene.storage.get(&Object::Landmarks).expect("readable");
        let mtca = Mtca::new(
            scene.id,
            scene.issuer.clone(),
            scene.storage.clone(),
            landmarks,
            PrivateFolder::open(scene.folder.path().join("certificates")).expect("a new folder"),
            HOUR,
            POLICY.time_between,
            CLOCK,
            scene.ledger.clone(),
            scene.metrics.clone(),
        );
        // No tile at the right edge, which whoever opens the tree reads. The subtree of entries 100 to 256 needs it.
        scene.flip_a_bit("log/tile/0/000");
        timeout(HOUR, Arc::new(mtca).keep_landmarks())
            .await
            .expect("the damage ends it");
        let after = scene.storage.get(&Object::Landmarks).expect("readable");
        assert!(after == before, "no second landmark");
        scene.assert_stopped().await;
    }
}
