//! The current log, read again and again as a whole in the background: a damaged old tile is found here before relying parties
//! meet it.
//!
//! ```text
//! pass:  a few bundles, a pause, a few bundles, ...  done ── a rest ── the next pass
//!          └─ damage: metrics, the sequencer ends, the log names the file and what to do
//! ```
//!
//! Of a log that has just been found whole the partial tiles are removed that full ones have superseded.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mtc_core::causes::Causes;
use mtc_log::{Inspection, Issuer, Storage, StorageError, TreeError};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use crate::metrics::NrfMetrics;

/// Bundles of 256 entries that are read between two pauses.
const BUNDLES_AT_ONCE: usize = 16;
/// With 64 bundles a second at the most, entries of 1 kB cost 16 MiB/s of the disk; a million entries take a minute.
const PAUSE: Duration = Duration::from_millis(250);
/// From the end of a pass to the beginning of the next.
const REST: Duration = Duration::from_secs(3600);
/// How long partial tiles stay beside the full one: relying parties look at the log every ten seconds, monitors every minute.
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
                        tracing::warn!(error = %Causes(&error), "superseded partial tiles stay on disk")
                    }
                    Err(_) => return,
                }
                sleep(REST).await;
            }
            Ok(Err(damage)) if damage.is_damage() => return damaged(damage, &issuer, &metrics),
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "the issuance log could not be inspected, will try again");
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
        "the issuance log is damaged on disk: stop the NRF, and restore the file, or let mtc5g log repair put it back"
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
fn remove_superseded(storage: &dyn Storage, size: u64) -> Result<u64, StorageError> {
    match SystemTime::now().checked_sub(SUPERSEDED_FOR) {
        Some(before) => storage.remove_superseded(size, before),
        None => Ok(0),
    }
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
