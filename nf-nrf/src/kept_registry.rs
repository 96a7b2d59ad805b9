//! A registry that outlives its process: opened with its subscriptions as both were stored, and kept while time passes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtc_tls::clock::Clock;

use crate::files::{FileError, PrivateFolder};
use crate::metrics::notifications::NotificationMetrics;
use crate::notifier::Notifier;
use crate::registry::{ChangeSink, Registry, Settings, SharedRegistry};
use crate::registry_files;
use crate::subscriptions::Bounds;

/// How often missing heartbeats are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);

/// The registry in the folder `profiles` and the subscriptions to it in `subscriptions`, which are told of each change as it is stored.
/// Blocks on the disk.
///
/// # Errors
/// A folder cannot be made or read.
pub fn open(
    [profiles, subscriptions]: [PathBuf; 2],
    (settings, bounds): (Settings, Bounds),
    clock: Clock,
    metrics: NotificationMetrics,
) -> Result<(Arc<SharedRegistry>, Arc<Notifier>), FileError> {
    let folder = PrivateFolder::open(profiles)?;
    let mut registry = registry_files::restore(&folder, settings, Instant::now())?;
    let subscriptions = PrivateFolder::open(subscriptions)?;
    let notifier = Notifier::open(subscriptions, bounds, clock, metrics)?;
    if notifier.is_load_monitored() {
        registry.tell_load();
    }
    let notifier = Arc::new(notifier);
    let hearing = notifier.clone();
    let on_change: ChangeSink = Box::new(move |change| {
        registry_files::store(&folder, change);
        hearing.announce(change);
    });
    Ok((Arc::new(SharedRegistry::new(registry, on_change)), notifier))
}

/// Suspends and purges instances whose heartbeats are missing, ends subscriptions that are not renewed, and has `count` look at
/// those that are there, for ever.
pub async fn expire(
    registry: Arc<SharedRegistry>,
    notifier: Arc<Notifier>,
    count: impl Fn(&Registry),
) {
    let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
    loop {
        ticks.tick().await;
        let (late, ended) = (registry.clone(), notifier.clone());
        let work = move || {
            late.expire(Instant::now());
            ended.sweep();
        };
        // Off the runtime: what changes is written to disk. It fails only when the runtime ends.
        let _ = tokio::task::spawn_blocking(work).await;
        registry.read(&count);
    }
}
