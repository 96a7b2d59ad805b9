//! The distributor's process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::cosign::Cosigner;
use mtc_core::time::UnixTime;
use mtc_core::verify::CaTrust;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::MtcTrust;
use sbi::checksum::sha256;
use sbi::config::{ConfigError, ProcessSettings};
use sbi::ledger::{Ledger, Look};
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::nf::{Life, NfError};
use sbi::process::{Control, Events};
use sbi::trust::{Cost, SetFolderError, SetLog, TrustError, TrustUpdater, TrustedSet};
use sbi::trust_file::{TrustFile, TrustFileError};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::config::DistributorConfig;
use crate::metrics::DistributorMetrics;
use crate::release::Release;
use crate::sets::{SetSummary, Sets};

/// What the process is called where others have an NF type.
const NAME: &str = "DISTRIBUTOR";

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
    let updater = TrustUpdater::new(config.log.clone(), logs, trust.clone())?
        .keeping_revoked_in(&state_of(&config.state, trust.cosigner()))?;
    let metrics = Metrics::new();
    let own_metrics = DistributorMetrics::new(&metrics.registry);
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
        release: Release::new(config.node(), config.canary, config.hold()),
        clock: config.clock(),
        interval: Duration::from_millis(config.interval_ms),
        policy: trust.clone(),
        sets: Arc::new(Sets::new(config, trust)),
        published: Vec::new(),
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
    policy: CaTrust,
    clock: Clock,
    interval: Duration,
    /// The logs of the current set.
    published: Vec<SetLog>,
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
        let newest = self.updater.trust().newest_landmark();
        self.ledger.record_newest_landmark(newest);
        let metrics = self.ledger.metrics();
        metrics.sets.show_cost(cost.octets, cost.cpu);
    }

    /// Writes what the last look has brought, if there is something; without one, an order of the operator, or an expiry, is still seen to.
    async fn write(&mut self, has_looked: bool, now: UnixTime) -> Result<(), SetFolderError> {
        // Number and time are chosen when it is published.
        let verified = { self.updater.to_set(0, now) }.filter(|_| has_looked);
        let revoked = self.updater.revocation_note();
        let due = verified.and_then(|set| self.release.due(set, &self.published, now));
        self.metrics.hold(self.release.held());
        let (sets, policy) = (self.sets.clone(), self.policy.clone());
        let advancing = spawn_blocking(move || {
            let (current, is_new) = sets.advance(None, due, revoked, now)?;
            if has_looked {
                sets.tell_checked(now)?;
            }
            let summary = current
                .as_ref()
                .map(|set| SetSummary::of(set, &policy, now));
            Ok((current, summary, is_new))
        });
        // It does not panic, and is aborted when the runtime is going down.
        let advanced = advancing.await.unwrap_or(Ok((None, None, false)))?;
        let (current, summary, is_new): (Option<TrustedSet>, _, _) = advanced;
        if let Some(current) = current {
            self.published = current.logs;
        }
        if let Some(summary) = summary {
            self.metrics.show(&summary);
        }
        if is_new {
            self.metrics.published();
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};

    use super::*;

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
