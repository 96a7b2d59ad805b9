//! Relying-party state kept fresh from the CA's logs (Section 7.4): nothing is trusted that was not checked.
//!
//! ```text
//!  log N ── landmarks ───────> sequence, well formed, never older than the last one
//!        ── checkpoint ──────> cosigned to policy, as large as the newest landmark: the reference
//!        ── tiles ───────────> subtree hashes and consistency proofs to the reference, verified
//!                                              │
//!  a new MtcTrust <────────────────────────────┘   a log all or nothing; a failed update keeps what it had
//!
//!        ── revoked ────────> signed by the CA, newer than the list before: refused from now on, and open connections end
//!
//!  log N+1 ── checkpoint ──> cosigned to policy? then the CA has gone on there, and it is followed too
//! ```
//!
//! A CA goes on with the next log when it cannot extend one (Section 5.2). Nobody announces that: the log after the newest
//! is looked for each time, and its checkpoint is proof. What is trusted of the old log stays until it expires, and peers
//! learn of the newest log that has landmarks only, because trust anchor names have one landmark group per CA.

mod follower;
mod last_failure;
mod revocation;
mod source;
mod tiles;

use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use mtc_core::checkpoint::CheckpointError;
use mtc_core::id::{IdError, LandmarkNumber, LogId, LogNumber, TreeSize};
use mtc_core::landmark::LandmarkError;
use mtc_core::revocation_list::RevocationList;
use mtc_core::tile::TilePath;
use mtc_core::time::UnixTime;
use mtc_core::tree::ProofError;
use mtc_core::verify::{CaTrust, PolicyError};
use mtc_tls::credentials::{CredentialError, MtcTrust};
use mtc_web::{HttpError, Prefix};

use self::follower::Follower;
pub(crate) use self::last_failure::LastFailure;
use self::revocation::Revocation;
pub use self::revocation::RevocationError;
use self::source::LogSource;
use self::tiles::MAX_TILES;
use mtc_core::causes::Causes;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How many log numbers above the newest known one are looked at in one update. A retired log that cannot be shown any
/// more (`410`) is passed over, so this bounds how far a CA may move on in one step.
pub const LOOK_AHEAD: u64 = 16;
/// Logs that are followed at the same time; the oldest goes when there are more. A CA whose logs fail once an hour has 24
/// with certificates that are valid for a day.
const MAX_LOGS: usize = 64;

/// Why an update failed; the trust from before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The log did not answer.
    #[error("the log did not serve {url}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why.
        source: HttpError,
    },
    /// No log can be asked.
    #[error(transparent)]
    Client(HttpError),
    /// The landmarks document is malformed.
    #[error("the landmarks document")]
    Landmarks(#[from] LandmarkError),
    /// The landmarks document is not text.
    #[error("the landmarks document is not text")]
    NotText,
    /// The log shows an older list of landmarks than before, or what it shows verifies fewer of them.
    #[error("the log went back from landmark {before} to {now}")]
    WentBack {
        /// The newest landmark before.
        before: LandmarkNumber,
        /// The newest landmark now.
        now: LandmarkNumber,
    },
    /// The checkpoint is malformed or not cosigned by someone who must.
    #[error("the checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// Too few witnesses cosigned the checkpoint.
    #[error("the checkpoint's cosignatures")]
    Policy(#[from] PolicyError),
    /// A tile has not the length that its width says.
    #[error("{0} is malformed")]
    Tile(TilePath),
    /// More tiles than any honest log needs.
    #[error("the landmarks need more than {MAX_TILES} tiles")]
    TooManyTiles,
    /// No landmark is consistent with the checkpoint.
    #[error("landmark {landmark} is not consistent with the checkpoint of size {size}")]
    Inconsistent {
        /// The landmark.
        landmark: LandmarkNumber,
        /// The checkpoint's size.
        size: TreeSize,
        /// What is wrong with its proof.
        source: ProofError,
    },
    /// The list of revoked serial numbers.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// The landmark's ID exceeds its bound.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The CA's ID is too long for one of its logs.
    #[error("the CA's ID")]
    Log(#[from] IdError),
}

impl TrustError {
    /// The status with which the log's server refused, if it answered.
    pub(crate) const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Fetch {
                source: HttpError::Status(status),
                ..
            } => Some(*status),
            _ => None,
        }
    }

    /// Whether there was no answer, so that there will be none to another question either.
    const fn is_silence(&self) -> bool {
        matches!(self, Self::Fetch { .. }) && self.status().is_none()
    }
}

/// Fetches from the logs of one CA and checks what it gets.
pub struct TrustUpdater {
    source: LogSource,
    policy: CaTrust,
    /// Trust in the cosigners alone, to which landmarks are added.
    cosigners: MtcTrust,
    trust: MtcTrust,
    revocation: Revocation,
    /// By number, at least one.
    logs: Vec<Follower>,
    /// Whether the logs have other landmarks than `trust`, or revoke other serial numbers.
    is_stale: bool,
    /// Why the newest log was read in part only.
    last_failure: LastFailure,
}

impl TrustUpdater {
    /// An updater for the CA's logs served below `prefix`, starting from trust in the cosigners alone. Later logs than `known` are
    /// found; if none is known, log 1 is.
    ///
    /// # Errors
    /// The CA's ID is too long for a log, or [`TrustError::Client`].
    pub fn new(
        prefix: impl Into<Prefix>,
        known: impl IntoIterator<Item = LogNumber>,
        policy: CaTrust,
    ) -> Result<Self, TrustError> {
        let mut known: Vec<_> = known.into_iter().collect();
        if known.is_empty() {
            known.push(LogNumber::FIRST);
        }
        known.sort_unstable();
        known.dedup();
        let follow = |number| Ok(Follower::new(LogId::new(*policy.id(), number)?));
        let logs = known
            .into_iter()
            .map(follow)
            .collect::<Result<_, IdError>>()?;
        let cosigners = MtcTrust::new(policy.clone());
        Ok(Self {
            source: LogSource::new(prefix.into())?,
            policy,
            trust: cosigners.clone(),
            cosigners,
            revocation: Revocation::default(),
            logs,
            is_stale: false,
            last_failure: LastFailure::default(),
        })
    }

    /// Keeps the CA's lists of revoked serial numbers in a folder, so that no older one is taken after a restart, and begins with the
    /// one that is there. Blocks on the disk.
    ///
    /// # Errors
    /// [`TrustError::Revocation`]: it cannot be read, or is damaged.
    pub fn keeping_revoked_in(mut self, folder: &Path) -> Result<Self, TrustError> {
        self.revocation.keep_in(folder, self.policy.cosigner())?;
        self.revoke();
        self.trust = self.cosigners.clone();
        Ok(self)
    }

    /// The list of revoked serial numbers that is in force.
    pub const fn revocation_list(&self) -> Option<&RevocationList> {
        self.revocation.list()
    }

    /// The trust that was established last.
    pub const fn trust(&self) -> &MtcTrust {
        &self.trust
    }

    /// Whether a landmark of a log is trusted, or a later one, or a later log is known, which leaves the landmark for what
    /// is left of its certificates.
    pub fn has_caught_up(&self, (log, landmark): (LogNumber, LandmarkNumber)) -> bool {
        self.newest_log() > Some(log) || self.trust.newest_landmark() >= Some((log, landmark))
    }

    /// The newest log that is followed.
    fn newest_log(&self) -> Option<LogNumber> {
        self.logs.last().map(|follower| follower.log().number())
    }

    /// Asks the logs for landmarks and for what is revoked, and returns the new trust if there is something else than before.
    ///
    /// Dropping the future keeps the old trust.
    ///
    /// # Errors
    /// The newest log's, see [`TrustError`]; the old trust stays. A retired log that fails is logged.
    pub async fn update(&mut self, now: UnixTime) -> Result<Option<MtcTrust>, TrustError> {
        self.forget_expired(now);
        // Before what takes longer: who is revoked waits for nobody.
        let revoked = self.update_revoked().await;
        self.update_retired(now).await;
        let mut looked = self.update_newest(now).await;
        if !looked.as_ref().is_err_and(TrustError::is_silence) {
            match self.find_newer(now).await {
                Ok(false) => {}
                // What was the newest log has been retired; it may be in any state.
                Ok(true) => looked = Ok(()),
                Err(error) => looked = looked.and(Err(error)),
            }
        }
        looked = looked.and(revoked);
        match looked {
            Err(error) if !self.is_stale => return Err(error),
            Err(error) if self.last_failure.is_new(&error) => {
                tracing::warn!(error = %Causes(&error), "the newest log was read only in part");
            }
            Err(error) => {
                tracing::debug!(error = %Causes(&error), "the newest log was still read only in part");
            }
            Ok(()) => {
                self.last_failure.has_passed();
            }
        }
        self.publish()
    }

    fn publish(&mut self) -> Result<Option<MtcTrust>, TrustError> {
        if !self.is_stale {
            return Ok(None);
        }
        self.trust = self.assemble()?;
        self.is_stale = false;
        Ok(Some(self.trust.clone()))
    }

    /// Looks at the clock and not at the logs: returns the new trust if some of it has expired.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn expire(&mut self, now: UnixTime) -> Result<Option<MtcTrust>, TrustError> {
        self.forget_expired(now);
        self.publish()
    }

    fn forget_expired(&mut self, now: UnixTime) {
        for follower in &mut self.logs {
            self.is_stale |= follower.forget_expired(now);
        }
    }

    async fn update_newest(&mut self, now: UnixTime) -> Result<(), TrustError> {
        if let Some(newest) = self.logs.last_mut() {
            self.is_stale |= newest.update(&self.source, &self.policy, now).await?;
        }
        Ok(())
    }

    async fn update_revoked(&mut self) -> Result<(), TrustError> {
        let Some(newest) = self.newest_log() else {
            return Ok(());
        };
        let ca = self.policy.cosigner();
        if self.revocation.update(&self.source, newest, ca).await? {
            self.revoke();
        }
        Ok(())
    }

    /// Has the next trust refuse what is revoked.
    fn revoke(&mut self) {
        if let Some(list) = self.revocation.list() {
            self.cosigners = self.cosigners.with_revoked(&list.ranges);
            self.is_stale = true;
        }
    }

    /// Looks at the logs that the newest has followed. Such a log is never extended, so one without landmarks that are
    /// active is not looked at again once there are others to trust.
    async fn update_retired(&mut self, now: UnixTime) {
        let Some((newest, retired)) = self.logs.split_last_mut() else {
            return;
        };
        for follower in retired {
            match follower.update(&self.source, &self.policy, now).await {
                Ok(new) => self.is_stale |= new,
                Err(error) => {
                    let log = follower.log().number();
                    tracing::debug!(error = %Causes(&error), %log, "a retired log was not read");
                }
            }
        }
        if newest.newest_trusted().is_some() {
            let number = newest.log().number();
            self.logs.retain(|follower| {
                follower.log().number() == number || follower.newest_trusted().is_some()
            });
        }
    }

    /// Follows the logs after the newest, if the CA has gone on there; returns whether it has.
    async fn find_newer(&mut self, now: UnixTime) -> Result<bool, TrustError> {
        let newest = self.newest_log().map_or(0, |number| number.get().into());
        let mut found = false;
        for number in newest + 1..=newest + LOOK_AHEAD {
            // After 65535 there is none.
            let Ok(number) = LogNumber::new(number) else {
                break;
            };
            let mut follower = Follower::new(LogId::new(*self.policy.id(), number)?);
            let checkpoint = follower.reference_checkpoint(&self.source, &self.policy);
            match checkpoint.await {
                Ok(checkpoint) => {
                    tracing::info!(log = %number, size = checkpoint.size.0, "the CA has continued with another log");
                }
                Err(error) => match error.status() {
                    Some(StatusCode::GONE) => continue,
                    Some(StatusCode::NOT_FOUND) => break,
                    _ => return Err(error),
                },
            }
            match follower.update(&self.source, &self.policy, now).await {
                Ok(new) => self.is_stale |= new,
                // They are looked at again next time.
                Err(error) => {
                    tracing::warn!(error = %Causes(&error), log = %number, "no landmarks of the new log yet");
                }
            }
            self.logs.push(follower);
            self.forget_oldest();
            found = true;
        }
        Ok(found)
    }

    fn forget_oldest(&mut self) {
        let surplus = self.logs.len().saturating_sub(MAX_LOGS);
        self.is_stale |= self
            .logs
            .drain(..surplus)
            .any(|follower| follower.newest_trusted().is_some());
    }

    /// Everything that is trusted of all logs, under the group of the newest log that has any.
    fn assemble(&self) -> Result<MtcTrust, CredentialError> {
        let newest = self
            .logs
            .iter()
            .rev()
            .find_map(|follower| Some((follower.log(), follower.newest_trusted()?)));
        let Some((log, landmark)) = newest else {
            return Ok(self.cosigners.clone());
        };
        let subtrees = self.logs.iter().flat_map(Follower::subtrees);
        self.cosigners.with_landmarks(log, landmark, subtrees)
    }
}
