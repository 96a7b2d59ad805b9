//! The distributor's process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::cosign::Cosigner;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::MtcTrust;
use sbi::checksum::sha256;
use sbi::config::{ConfigError, ProcessSettings};
use sbi::durable::Folder;
use sbi::ledger::{Ledger, Look};
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::nf::{Life, NfError};
use sbi::process::{Control, Events};
use sbi::trust::{Cost, Pin, SetFolderError, TrustError, TrustUpdater, TrustedSet, checked};
use sbi::trust_file::{TrustFile, TrustFileError};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::config::DistributorConfig;
use crate::metrics::DistributorMetrics;
use crate::release::{Held, Release};
use crate::sets::{SetSummary, Sets};

/// What the process is called where others have an NF type.
const NAME: &str = "DISTRIBUTOR";
/// File of the state.
const HELD: &str = "held";

/// Why the distributor cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistributorError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// The logs cannot be followed.
    #[error("log")]
    Log(#[from] TrustError),
    /// The folder of the sets.
    #[error("folder")]
    Folder(#[from] SetFolderError),
    /// The folder of its state.
    #[error("cannot open {}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What every process has.
    #[error(transparent)]
    Process(#[from] NfError),
}

/// Runs the distributor until it is told to stop.
///
/// # Errors
/// It cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), DistributorError> {
    let config = DistributorConfig::load(config)?;
    let TrustFile { trust, logs, .. } = TrustFile::load(&config.trust)?;
    let state = state_of(&config.state, trust.cosigner());
    let updater =
        TrustUpdater::new(config.log.clone(), logs, trust.clone())?.keeping_revoked_in(&state)?;
    let times = HeldFile::open(state.clone()).map_err(|source| DistributorError::State {
        path: state,
        source,
    })?;
    let metrics = Metrics::new();
    let own_metrics = DistributorMetrics::new(&metrics.registry);
    own_metrics.begin(checked(&config.folder));
    let settings = ProcessSettings::plain(config.admin, &config.limits, config.clock());
    let beginning = Life::begin(
        NfType::Other(NAME.to_owned()),
        settings,
        metrics,
        events,
        control.stop.clone(),
    );
    let mut life = tokio::select! {
        life = beginning => life?,
        () = control.stop.clone().wait() => return Ok(()),
    };
    life.lacks("a trusted set");
    let keeper = Keeper {
        updater,
        release: Release::new(config.node(), config.canary, config.hold())
            .remembering(times.read()),
        times,
        clock: config.clock(),
        interval: Duration::from_millis(config.interval_ms),
        sets: Arc::new(Sets::new(config, trust)),
        current: None,
        pin: None,
        metrics: own_metrics,
        ledger: life.ledger.clone(),
        failure: None,
    };
    let (published, mut first) = watch::channel(false);
    life.spawn(keeper.keep(published));
    tokio::select! {
        has_one = first.wait_for(|published| *published) => if has_one.is_ok() {
            life.lacks("");
            life.tell_ready();
        },
        () = control.stop.clone().wait() => {}
    }
    life.await_stop().await;
    life.end().await;
    Ok(())
}

/// The folder for a CA's list of what is revoked. A node outlives the lab that it was in: the list of a CA with another key, under the
/// same name too, is neither damaged nor of use here, and is left where it is.
fn state_of(state: &Path, ca: &Cosigner) -> PathBuf {
    state.join(&sha256(ca.key.raw())[..16])
}

/// Keeps the sets of a folder as new as the logs.
struct Keeper {
    updater: TrustUpdater,
    release: Release,
    sets: Arc<Sets>,
    clock: Clock,
    interval: Duration,
    /// Where it is kept until when landmarks are held back.
    times: HeldFile,
    /// The current set as of the last look; none before the first.
    current: Option<Arc<TrustedSet>>,
    /// The operator's order that was told last.
    pin: Option<Pin>,
    metrics: DistributorMetrics,
    ledger: Arc<Ledger>,
    /// What was wrong last, which is told once.
    failure: Option<String>,
}

impl Keeper {
    /// Looks at the logs for ever; says when there is a set.
    async fn keep(mut self, published: watch::Sender<bool>) {
        loop {
            let now = self.clock.now();
            let before = self.updater.cost();
            let looked = self.updater.update(now).await;
            self.count(&looked, before);
            let written = self.write(looked.is_ok(), now).await;
            let (result, failure) = match (looked, written) {
                (_, Err(error)) => ("unwritten", Some(Causes(&error).to_string())),
                (Err(error), _) => ("failed", Some(Causes(&error).to_string())),
                (Ok(_), Ok(())) => ("ok", None),
            };
            self.metrics.looked(result);
            self.tell(failure);
            if self.metrics.has_set() {
                published.send_replace(true);
            }
            sleep(self.interval).await;
        }
    }

    /// Counts a look, before which all looks had cost so much.
    fn count(&self, looked: &Result<Option<MtcTrust>, TrustError>, before: Cost) {
        let look = match looked {
            Ok(Some(_)) => Look::New,
            Ok(None) => Look::Unchanged,
            Err(_) => Look::Failed,
        };
        let cost = self.updater.cost();
        let of_look = cost.since(before);
        self.ledger.record_look(look, of_look.octets, of_look.cpu);
        let trust = self.updater.trust();
        self.ledger.record_newest_landmark(trust.newest_landmark());
        let metrics = self.ledger.metrics();
        metrics.show_trust(trust);
        metrics.sets.show_cost(cost.octets, cost.cpu);
    }

    /// Writes what the last look has brought, if there is something; without one, what is due by now, an order of the operator, or an expiry, is
    /// still seen to.
    async fn write(&mut self, has_looked: bool, now: UnixTime) -> Result<(), SetFolderError> {
        // Number and time are chosen when it is published.
        let verified = { self.updater.to_set(0, now) }.filter(|_| has_looked);
        self.publish(verified, has_looked, now).await
    }

    /// As [`Self::write`], of what was verified.
    async fn publish(
        &mut self,
        verified: Option<TrustedSet>,
        has_looked: bool,
        now: UnixTime,
    ) -> Result<(), SetFolderError> {
        if self.current.is_none() {
            // What another process has published is something to go on with, while what is new is held back.
            let sets = self.sets.clone();
            let found = spawn_blocking(move || sets.in_force(now)).await;
            self.current = found.unwrap_or(Ok(None))?.map(Arc::new);
        }
        let revoked = self.updater.revocation_note();
        let last = self.current.clone();
        let published = last.as_ref().map_or(&[][..], |set| &set.logs);
        let due = self.release.due(verified, published, now);
        self.metrics.hold(self.release.held());
        self.times.write(self.release.times()).await;
        let sets = self.sets.clone();
        let advancing = spawn_blocking(move || {
            let (current, is_new) = sets.advance(last.as_deref(), due, revoked, now)?;
            if has_looked {
                sets.tell_checked(now)?;
            }
            let summary = current
                .as_ref()
                .map(|set| SetSummary::of(set, sets.policy(), now));
            Ok((current, summary, is_new))
        });
        // It does not panic, and is aborted when the runtime is going down.
        let advanced = advancing.await.unwrap_or(Ok((None, None, false)))?;
        let (current, summary, is_new): (Option<TrustedSet>, _, _) = advanced;
        if let Some(current) = current {
            self.tell_order(&current);
            self.current = Some(Arc::new(current));
        }
        if let Some(summary) = summary {
            self.metrics.show(&summary);
        }
        if is_new {
            self.metrics.published();
        }
        Ok(())
    }

    /// Tells an order of the operator, which another process has carried out, once, and that it was taken back.
    fn tell_order(&mut self, current: &TrustedSet) {
        if current.pin == self.pin {
            return;
        }
        let number = current.number;
        match &current.pin {
            Some(Pin {
                set,
                since,
                rolled_back_from: Some(from),
            }) => tracing::error!(
                number,
                set,
                from,
                since,
                "ROLLED BACK to an earlier trusted set, which stays until mtc5g distribute unpin"
            ),
            Some(Pin { set, since, .. }) => tracing::warn!(
                number,
                set,
                since,
                "the trusted set is pinned, and stays until mtc5g distribute unpin"
            ),
            None => tracing::warn!(number, "the trusted set is not pinned any more"),
        }
        self.pin.clone_from(&current.pin);
    }

    /// Tells a failure once until it is another one, and that it has passed.
    fn tell(&mut self, failure: Option<String>) {
        if failure == self.failure {
            return;
        }
        match &failure {
            Some(error) => tracing::warn!(error, "no new trusted set, the one before stays"),
            None => tracing::info!("the logs are followed again"),
        }
        self.failure = failure;
    }
}

/// The file in which it stands until when landmarks are held back, so that a restart neither publishes them earlier nor later.
struct HeldFile {
    folder: Arc<Folder>,
    /// What is in it.
    written: Option<Vec<Held>>,
}

impl HeldFile {
    /// The file of a folder, which is made if it does not exist. Blocks on the disk.
    fn open(folder: PathBuf) -> io::Result<Self> {
        let folder = Arc::new(Folder::open(folder)?);
        Ok(Self {
            folder,
            written: None,
        })
    }

    /// What is in it. If that cannot be known, landmarks are held back anew, which is longer and no harm. Blocks on the disk.
    fn read(&self) -> Vec<Held> {
        let path = self.folder.path().join(HELD);
        let octets = match fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(error = %Causes(&error), path = %path.display(), "landmarks are held back anew");
                return Vec::new();
            }
        };
        serde_json::from_slice(&octets).unwrap_or_else(|error| {
            tracing::warn!(error = %Causes(&error), path = %path.display(), "landmarks are held back anew");
            Vec::new()
        })
    }

    /// Writes it, if something has changed.
    async fn write(&mut self, held: Vec<Held>) {
        if self.written.as_ref() == Some(&held) {
            return;
        }
        let octets = serde_json::to_vec(&held).expect("numbers have a JSON form");
        let folder = self.folder.clone();
        match spawn_blocking(move || folder.replace(HELD, &octets)).await {
            Ok(Ok(())) => self.written = Some(held),
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "a restart would hold landmarks back anew");
            }
            // The runtime is going down.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};

    use super::*;
    use crate::sets::tests::{Scene, at, landmark};

    /// A distributor of a folder that holds landmarks back for so long, as it begins; what it verifies is given to it.
    fn keeper(scene: &Scene, hold: u64) -> Keeper {
        let folder = scene.folder.path();
        let metrics = Metrics::new();
        let times = HeldFile::open(folder.join("state")).expect("a folder");
        let hold = Duration::from_secs(hold);
        Keeper {
            updater: TrustUpdater::reading(Path::new("none"), scene.sets.policy().clone()),
            release: Release::new("node".to_owned(), 0.0, hold).remembering(times.read()),
            times,
            sets: Arc::new(scene.sets.clone()),
            clock: Clock::default(),
            interval: Duration::from_secs(1),
            current: None,
            pin: None,
            metrics: DistributorMetrics::new(&metrics.registry),
            ledger: Arc::new(Ledger::new(metrics)),
            failure: None,
        }
    }

    /// The newest landmark that is published after a look that shows this one; of none after a look that failed.
    async fn published(
        keeper: &mut Keeper,
        scene: &Scene,
        shows: Option<usize>,
        seconds: u64,
    ) -> String {
        let verified = shows.map(|newest| scene.verified(newest, at(seconds)));
        let publishing = keeper.publish(verified, shows.is_some(), at(seconds));
        publishing.await.expect("the folder");
        landmark(&scene.current()).to_owned()
    }

    // Deleting a pod published at once what its node held back.
    #[tokio::test]
    async fn a_restart_publishes_nothing_before_its_time_and_nothing_later() {
        let scene = Scene::new();
        let mut first = keeper(&scene, 100);
        assert_eq!(published(&mut first, &scene, Some(1), 0).await, "1");
        assert_eq!(published(&mut first, &scene, Some(2), 10).await, "1");
        drop(first);
        let mut second = keeper(&scene, 100);
        assert_eq!(published(&mut second, &scene, Some(2), 60).await, "1");
        assert_eq!(published(&mut second, &scene, Some(2), 109).await, "1");
        // What is due is published though the log is down by then.
        assert_eq!(published(&mut second, &scene, None, 110).await, "2");
    }

    #[tokio::test]
    async fn an_order_is_seen_once_and_its_end() {
        let scene = Scene::new();
        let mut keeper = keeper(&scene, 0);
        published(&mut keeper, &scene, Some(1), 0).await;
        published(&mut keeper, &scene, Some(2), 10).await;
        let back = scene.sets.roll_back(None, at(20)).expect("there is one");
        assert_eq!(published(&mut keeper, &scene, Some(3), 30).await, "1");
        assert_eq!(keeper.pin, back.pin);
        scene.sets.unpin(at(40)).expect("it is pinned");
        assert_eq!(published(&mut keeper, &scene, Some(3), 50).await, "3");
        assert_eq!(keeper.pin, None);
    }

    #[tokio::test]
    async fn until_when_landmarks_are_held_back_is_kept_and_damage_is_no_harm() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = HeldFile::open(folder.path().join("state")).expect("made");
        assert_eq!(file.read(), []);
        let held = vec![Held {
            log: 1,
            landmark: 2,
            due: 3,
        }];
        file.write(held.clone()).await;
        assert_eq!(file.read(), held);
        fs::write(folder.path().join("state").join(HELD), "half").expect("written");
        assert_eq!(file.read(), []);
    }

    #[test]
    fn each_ca_key_has_state_of_its_own_whatever_its_name() {
        let ca = |key: &SecretKey| Cosigner {
            id: "32473.1".parse().unwrap(),
            key: key.public_key().unwrap(),
        };
        let key = || SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
        let (one, other) = (key(), key());
        let folder = |key| state_of(Path::new("state"), &ca(key));
        assert_eq!(folder(&one), folder(&one));
        assert_ne!(folder(&one), folder(&other));
        assert_eq!(folder(&one).parent(), Some(Path::new("state")));
    }
}
