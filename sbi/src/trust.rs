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
//! Where one process does this for a whole node, the others read what it has found in a folder, and verify it again
//! ([`TrustedSet`]): they fetch nothing, and believe no more.
//!
//! A CA goes on with the next log when it cannot extend one (Section 5.2). Nobody announces that: the log after the newest
//! is looked for each time, and its checkpoint is proof. What is trusted of the old log stays until it expires, and peers
//! learn of the newest log that has landmarks only, because trust anchor names have one landmark group per CA.

mod follower;
mod last_failure;
mod revocation;
mod set;
mod set_folder;
mod source;
mod tiles;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use mtc_core::checkpoint::Checkpoint;
use mtc_core::checkpoint::CheckpointError;
use mtc_core::id::{EntryIndex, IdError, LandmarkNumber, LogId, LogNumber, TreeSize, serial};
use mtc_core::landmark::{LandmarkError, LandmarkSubtrees};
use mtc_core::revocation_list::RevocationList;
use mtc_core::tile::TilePath;
use mtc_core::time::UnixTime;
use mtc_core::tree::{ProofError, Subtree};
use mtc_core::verify::{CaTrust, PolicyError};
use mtc_tls::cpu::Metered;
use mtc_tls::credentials::{CredentialError, MtcTrust};
use mtc_web::{HttpError, Prefix};

use self::follower::Follower;
pub(crate) use self::last_failure::LastFailure;
use self::revocation::Revocation;
pub use self::revocation::RevocationError;
use self::set::is_early;
pub use self::set::{Base64Hash, MAX_SET, Pin, SetError, SetLog, SetSubtree, TrustedSet};
use self::set_folder::SetReader;
pub use self::set_folder::{Cost, LockedSets, SetFolderError, checked};
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
    /// A set has no proof of a landmark's subtree.
    #[error("nothing proves the subtree {subtree} of landmark {landmark}")]
    Unproven {
        /// The landmark.
        landmark: LandmarkNumber,
        /// The subtree.
        subtree: Subtree,
    },
    /// No set is there, or it is damaged.
    #[error(transparent)]
    SetFolder(#[from] SetFolderError),
    /// The set is not taken.
    #[error("the trusted set")]
    Set(#[from] SetError),
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

    const fn inconsistent(
        LandmarkSubtrees { landmark, .. }: &LandmarkSubtrees,
        checkpoint: &Checkpoint,
        source: ProofError,
    ) -> Self {
        Self::Inconsistent {
            landmark: landmark.number,
            size: checkpoint.size,
            source,
        }
    }

    /// Whether somebody has written what is not to be taken, rather than nothing.
    pub(crate) fn is_refused_set(&self) -> bool {
        match self {
            Self::Fetch { .. } | Self::Client(_) => false,
            Self::SetFolder(error) => !error.is_absence(),
            _ => true,
        }
    }

    /// Whether there was no answer, so that there will be none to another question either.
    const fn is_silence(&self) -> bool {
        matches!(self, Self::Fetch { .. }) && self.status().is_none()
    }
}

/// Where a relying party learns what the logs show.
enum Source {
    /// From the logs.
    Logs(Arc<LogSource>),
    /// From one who has asked the logs.
    Sets {
        reader: SetReader,
        /// Number of the set that was taken last, and the newest log of which it knows.
        taken: Option<(u64, LogNumber)>,
    },
}

/// What a relying party has of one who asks the logs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenSet {
    /// Number of the set that is in force; 0 for none.
    pub number: u64,
    /// When the logs were last asked with success; 1970 if nobody says. The one who asks tells, and nothing proves it.
    pub checked: UnixTime,
}

/// Fetches from the logs of one CA, or reads what another process has fetched, and checks what it gets.
pub struct TrustUpdater {
    source: Source,
    policy: CaTrust,
    /// Trust in the cosigners alone, to which landmarks are added.
    cosigners: MtcTrust,
    trust: MtcTrust,
    revocation: Revocation,
    /// By number; at least one, unless no set was taken yet.
    logs: Vec<Follower>,
    /// Whether the logs have other landmarks than `trust`, or revoke other serial numbers.
    is_stale: bool,
    /// Why the newest log was read in part only.
    last_failure: LastFailure,
    /// CPU time of the updates.
    cpu: Duration,
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
        let source = Source::Logs(Arc::new(LogSource::new(prefix.into())?));
        Ok(Self::starting(source, policy, logs))
    }

    /// An updater that takes the sets which another process writes into `folder`, starting from trust in the cosigners alone.
    pub fn reading(folder: &Path, policy: CaTrust) -> Self {
        let source = Source::Sets {
            reader: SetReader::new(folder),
            taken: None,
        };
        Self::starting(source, policy, Vec::new())
    }

    fn starting(source: Source, policy: CaTrust, logs: Vec<Follower>) -> Self {
        let cosigners = MtcTrust::new(policy.clone());
        Self {
            source,
            policy,
            trust: cosigners.clone(),
            cosigners,
            revocation: Revocation::default(),
            logs,
            is_stale: false,
            last_failure: LastFailure::default(),
            cpu: Duration::ZERO,
        }
    }

    /// What all updates have cost so far.
    pub fn cost(&self) -> Cost {
        let of_source = match &self.source {
            Source::Logs(source) => Cost {
                octets: source.fetched(),
                cpu: Duration::ZERO,
            },
            Source::Sets { reader, .. } => reader.cost(),
        };
        Cost {
            cpu: of_source.cpu + self.cpu,
            ..of_source
        }
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

    /// That list as the CA has signed it.
    pub fn revocation_note(&self) -> Option<String> {
        self.revocation.list()?;
        String::from_utf8(self.revocation.note().to_vec()).ok()
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

    /// When the newest landmark that is trusted expires.
    pub fn newest_expiry(&self) -> Option<UnixTime> {
        self.logs.iter().rev().find_map(Follower::expiry)
    }

    /// The serial number after the last that a trusted landmark covers; 0 if none is trusted.
    pub fn covered(&self) -> u64 {
        let subtrees = self.logs.iter().flat_map(Follower::subtrees);
        let ends = subtrees.filter_map(|trusted| {
            serial(trusted.log_number, EntryIndex(trusted.subtree.end())).ok()
        });
        ends.max().unwrap_or(0)
    }

    /// The newest log that is followed.
    fn newest_log(&self) -> Option<LogNumber> {
        match self.source {
            Source::Sets {
                taken: Some((_, newest)),
                ..
            } => Some(newest),
            _ => self.logs.last().map(|follower| follower.log().number()),
        }
    }

    /// Whether this reads sets and has taken none yet, so that it knows nothing of landmarks or of what is revoked but what it has kept.
    pub const fn awaits_set(&self) -> bool {
        matches!(self.source, Source::Sets { taken: None, .. })
    }

    /// What was taken from the sets of another process; none where this asks the logs itself.
    pub fn taken_set(&self) -> Option<TakenSet> {
        match &self.source {
            Source::Logs(_) => None,
            Source::Sets { reader, taken } => Some(TakenSet {
                number: taken.map_or(0, |(number, _)| number),
                checked: UnixTime(reader.checked().unwrap_or(0)),
            }),
        }
    }

    /// What others on this node need to know of the logs, with a number and a time that the caller chooses; none while what the logs show is
    /// verified in part only.
    pub fn to_set(&self, number: u64, made: UnixTime) -> Option<TrustedSet> {
        let active = self.logs.iter();
        let active = active.filter(|follower| follower.newest_trusted().is_some());
        Some(TrustedSet {
            number,
            made: made.0,
            pin: None,
            newest_log: self.newest_log()?.get().into(),
            revoked: self
                .revocation
                .list()
                .map(|_| String::from_utf8_lossy(self.revocation.note()).into_owned()),
            logs: active.map(Follower::to_set).collect::<Option<_>>()?,
        })
    }

    /// Asks for landmarks and for what is revoked, and returns the new trust if there is something else than before.
    ///
    /// Dropping the future keeps the old trust.
    ///
    /// # Errors
    /// The newest log's, or the set's, see [`TrustError`]; the old trust stays. A retired log that fails is logged.
    pub async fn update(&mut self, now: UnixTime) -> Result<Option<MtcTrust>, TrustError> {
        let (updated, cpu) = Metered::new(self.update_unmetered(now)).await;
        self.cpu += cpu;
        updated
    }

    async fn update_unmetered(&mut self, now: UnixTime) -> Result<Option<MtcTrust>, TrustError> {
        self.forget_expired(now);
        let looked = match &self.source {
            Source::Logs(source) => {
                let source = source.clone();
                self.ask_logs(&source, now).await
            }
            Source::Sets { .. } => self.read_set(now).await,
        };
        match looked {
            Err(error) if !self.is_stale => return Err(error),
            Err(error) if self.last_failure.is_new(&error) => {
                tracing::warn!(error = %Causes(&error), "{} only in part", self.what_was_read());
            }
            Err(error) => {
                tracing::debug!(error = %Causes(&error), "{} still only in part", self.what_was_read());
            }
            Ok(()) => {
                self.last_failure.has_passed();
            }
        }
        self.publish()
    }

    const fn what_was_read(&self) -> &'static str {
        match self.source {
            Source::Logs(_) => "the newest log was read",
            Source::Sets { .. } => "the trusted set was taken",
        }
    }

    async fn ask_logs(&mut self, source: &LogSource, now: UnixTime) -> Result<(), TrustError> {
        // Before what takes longer: who is revoked waits for nobody.
        let revoked = self.update_revoked(source).await;
        self.update_retired(source, now).await;
        let mut looked = self.update_newest(source, now).await;
        if !looked.as_ref().is_err_and(TrustError::is_silence) {
            match self.find_newer(source, now).await {
                Ok(false) => {}
                // What was the newest log has been retired; it may be in any state.
                Ok(true) => looked = Ok(()),
                Err(error) => looked = looked.and(Err(error)),
            }
        }
        looked.and(revoked)
    }

    /// Takes the current set if it is another one than before: what it revokes, and all of its landmarks or none.
    async fn read_set(&mut self, now: UnixTime) -> Result<(), TrustError> {
        let Source::Sets { reader, .. } = &mut self.source else {
            return Ok(());
        };
        let Some(set) = reader.read_new().await? else {
            return Ok(());
        };
        let taken = self.take_set(&set, now).await;
        if taken.is_err()
            && let Source::Sets { reader, .. } = &mut self.source
        {
            // It is refused each time, until another one is there.
            reader.forget();
        }
        taken
    }

    async fn take_set(&mut self, set: &TrustedSet, now: UnixTime) -> Result<(), TrustError> {
        let revoked = self.take_revoked(set).await;
        let logs = self.newer_logs(set, now)?;
        let newest_log = set.newest_log()?;
        // The same landmarks again are nothing new.
        self.is_stale |= !logs.iter().eq(&self.logs);
        self.logs = logs;
        if let Source::Sets { taken, .. } = &mut self.source {
            *taken = Some((set.number, newest_log));
        }
        revoked
    }

    async fn take_revoked(&mut self, set: &TrustedSet) -> Result<(), TrustError> {
        let ca = self.policy.cosigner();
        let Some(note) = &set.revoked else {
            return match self.revocation.list() {
                None => Ok(()),
                Some(list) => Err(RevocationError::Gone(list.number).into()),
            };
        };
        let note = note.clone().into();
        if self.revocation.take(note, ca).await? {
            self.revoke();
        }
        Ok(())
    }

    /// The logs of a set, if it is to follow the one before.
    fn newer_logs(&self, set: &TrustedSet, now: UnixTime) -> Result<Vec<Follower>, TrustError> {
        let (number, made) = (set.number, UnixTime(set.made));
        // No number is chosen that keeps all later ones from being taken.
        if set.is_early(now) {
            return Err(SetError::Early { number, made }.into());
        }
        if let Source::Sets {
            taken: Some((before, _)),
            ..
        } = self.source
            && number < before
            // One of the future was taken while this machine's clock was ahead. It would keep all others from being taken until then.
            && !is_early(before, now)
        {
            let now = number;
            return Err(SetError::WentBack { before, now }.into());
        }
        let mut logs = verified_logs(set, &self.policy, now)?;
        for follower in &mut logs {
            follower.forget_expired(now);
        }
        logs.retain(|follower| follower.newest_trusted().is_some());
        // What an operator takes back was verified too, so a set that only says that it was costs signatures and no safety.
        if newest_of(&logs) < newest_of(&self.logs) {
            let Some(pin) = &set.pin else {
                return Err(SetError::OlderLandmarks(number).into());
            };
            tracing::error!(
                number,
                pinned = pin.set,
                since = pin.since,
                "ROLLED BACK: the operator of this node has ordered older landmarks than those that were trusted"
            );
        }
        Ok(logs)
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

    async fn update_newest(&mut self, source: &LogSource, now: UnixTime) -> Result<(), TrustError> {
        if let Some(newest) = self.logs.last_mut() {
            self.is_stale |= newest.update(source, &self.policy, now).await?;
        }
        Ok(())
    }

    async fn update_revoked(&mut self, source: &LogSource) -> Result<(), TrustError> {
        let Some(newest) = self.newest_log() else {
            return Ok(());
        };
        let ca = self.policy.cosigner();
        if self.revocation.update(source, newest, ca).await? {
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
    async fn update_retired(&mut self, source: &LogSource, now: UnixTime) {
        let Some((newest, retired)) = self.logs.split_last_mut() else {
            return;
        };
        for follower in retired {
            match follower.update(source, &self.policy, now).await {
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
    async fn find_newer(&mut self, source: &LogSource, now: UnixTime) -> Result<bool, TrustError> {
        let newest = self.newest_log().map_or(0, |number| number.get().into());
        let mut found = false;
        for number in newest + 1..=newest + LOOK_AHEAD {
            // After 65535 there is none.
            let Ok(number) = LogNumber::new(number) else {
                break;
            };
            let mut follower = Follower::new(LogId::new(*self.policy.id(), number)?);
            let checkpoint = follower.reference_checkpoint(source, &self.policy);
            match checkpoint.await {
                Ok((_, checkpoint)) => {
                    tracing::info!(log = %number, size = checkpoint.size.0, "the CA has continued with another log");
                }
                Err(error) => match error.status() {
                    Some(StatusCode::GONE) => continue,
                    Some(StatusCode::NOT_FOUND) => break,
                    _ => return Err(error),
                },
            }
            match follower.update(source, &self.policy, now).await {
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

/// The newest log that has landmarks, and the newest of these.
fn newest_of(logs: &[Follower]) -> Option<(LogNumber, LandmarkNumber)> {
    let newest = |follower: &Follower| Some((follower.log().number(), follower.newest_trusted()?));
    logs.iter().rev().find_map(newest)
}

/// The logs of a set, all verified.
fn verified_logs(
    set: &TrustedSet,
    policy: &CaTrust,
    now: UnixTime,
) -> Result<Vec<Follower>, TrustError> {
    if set.logs.len() > MAX_LOGS {
        return Err(SetError::TooManyLogs.into());
    }
    if !set.logs.is_sorted_by(|log, next| log.number < next.number) {
        return Err(SetError::LogOrder.into());
    }
    let logs = set.logs.iter();
    logs.map(|log| Follower::of_set(log, policy, now)).collect()
}

/// Verifies a set that is not to be taken yet, but for its list of revoked serial numbers, and tells when the last of its landmarks expires.
///
/// # Errors
/// What would keep any relying party from taking it.
pub fn verify_set(
    set: &TrustedSet,
    policy: &CaTrust,
    now: UnixTime,
) -> Result<Option<UnixTime>, TrustError> {
    let logs = verified_logs(set, policy, now)?;
    Ok(logs.iter().filter_map(Follower::expiry).max())
}
