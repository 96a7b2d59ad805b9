//! Getting and renewing the certificates of an NF instance (design: enrolment).
//!
//! ```text
//!  token ──> first MTC ──mTLS──> X.509 baselines          all stored in the vault, then published in the Store
//!                 └──> landmark-relative, once its landmark exists
//!  at 75 % of a lifetime: the same again with a new key; what is presented changes when the new one is complete
//!  when ordered to:       all again with new keys, presented at once, as by an instance that was replaced
//!  when it has expired:   the same as renewal, which the NRF allows for a while; refused, the token once more
//! ```
//!
//! What is asked for with a token, which is good once, is in the vault before it is asked for: whoever loses the answer, or is killed
//! before it is stored, asks for the same again and gets the same certificate.
//!
//! Times are the wall clock's, which may step: what is due is looked for, not slept until.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::id::{IdError, LandmarkNumber, LogNumber};
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::cpu;
use mtc_tls::csr;
use mtc_tls::key::{KeyAlgorithm, NfKey, NfKeyError};
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::backoff;
use crate::clock::await_time;
use crate::config::Wanted;
use crate::enrolment::{
    EnrolmentError, IssuedCertificate, LandmarkAnswer, landmark_relative, request_certificate,
};
use crate::instance::{CallError, Instance, Offer};
use crate::ledger::StartStep;
use crate::metrics::Metrics;
use crate::nnrf::Nrf;
use crate::orders::InstanceOrders;
use crate::vault::{RestoreError, Stored, StoredCredential, StoredRequest, Vault, VaultError};
use mtc_core::causes::Causes;

/// Share of a lifetime after which a certificate is renewed: three quarters.
const fn renewal_point(lifetime: u64) -> u64 {
    lifetime / 4 * 3
}

/// How long one renewal is tried before the next look at what is due.
const RENEWAL_TIME: Duration = Duration::from_secs(30);
/// Pause after something that was refused or failed.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Longest wait for a landmark by the monotonic clock, whose instants have a last one: a year, after which renewal asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 86_400);
/// Least pause between looks at what is due.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// Why an instance has no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObtainError {
    /// It has none yet and no token to get one with.
    #[error(
        "no certificate and no enrolment token: set token in [[instance]] (mtc5g init writes one for each instance)"
    )]
    NoToken,
    /// The token file cannot be read.
    #[error("cannot read the enrolment token {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No key or no request could be made.
    #[error("cannot make a key or certificate request")]
    Key(#[from] NfKeyError),
    /// The NRF cannot be reached.
    #[error("cannot connect to the NRF")]
    Call(#[from] CallError),
    /// The NRF did not issue.
    #[error("no certificate {profile}")]
    Enrolment {
        /// The profile that was asked for.
        profile: String,
        /// Why not.
        source: EnrolmentError,
    },
    /// What the NRF issued cannot be used.
    #[error("an issued certificate cannot be used")]
    Unusable(#[from] RestoreError),
    /// The landmark-relative certificate names a log that cannot be.
    #[error("an issued certificate names an impossible log")]
    Log(#[from] IdError),
    /// The certificates cannot be stored, or what was stored is damaged.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl ObtainError {
    /// Whether the enrolment token was used before.
    pub fn token_is_used(&self) -> bool {
        matches!(self, Self::Enrolment { source, .. } if source.token_is_used())
    }

    /// Whether the NRF may have refused the certificate that was shown: an answer, or a connection that broke after its
    /// handshake; not one that could not be opened.
    fn may_be_refusal(&self) -> bool {
        match self {
            Self::Enrolment { source, .. } => match source {
                EnrolmentError::Refused { .. } => !source.is_temporary(),
                EnrolmentError::Client(_) => true,
                _ => false,
            },
            Self::Call(CallError::Client(_)) => true,
            _ => false,
        }
    }

    fn is_temporary(&self) -> bool {
        match self {
            Self::Call(_) => true,
            Self::Enrolment { source, .. } => source.is_temporary(),
            _ => false,
        }
    }
}

/// Where certificates come from: the NRF across the network or, for the NRF itself, its own MTCA.
pub trait CertificateSource: Send + Sync + 'static {
    /// Has a request (DER) certified under a profile.
    fn request(
        &self,
        csr: &[u8],
        profile: &str,
    ) -> impl Future<Output = Result<IssuedCertificate, ObtainError>> + Send;

    /// Asks for the landmark-relative certificate at [`IssuedCertificate::landmark_relative`].
    fn landmark_relative(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<LandmarkAnswer, ObtainError>> + Send;
}

/// The NRF as the source of an instance's certificates.
pub struct NrfSource {
    /// The instance.
    pub instance: Arc<Instance>,
    /// The NRF.
    pub nrf: Nrf,
    /// Its enrolment token, needed until it has a certificate.
    pub token: Option<PathBuf>,
    /// The key algorithm that the NRF must have a certificate for while this instance has none of its own.
    pub leaf_key: KeyAlgorithm,
}

impl NrfSource {
    /// The token, which is needed as long as there is no certificate to show.
    fn read_token(&self) -> Result<Zeroizing<String>, ObtainError> {
        let path = self.token.as_ref().ok_or(ObtainError::NoToken)?;
        std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| ObtainError::TokenFile {
                path: path.clone(),
                source,
            })
    }

    /// The certificate to show at a renewal: one that is valid, if there is one.
    fn shown(&self) -> Option<Shown> {
        let now = self.instance.endpoint().clock().now();
        let set = self.instance.store.current();
        let newest = set.mtc.iter().max_by_key(|mtc| mtc.standalone.not_after)?;
        Some(Shown {
            leaf_key: newest.standalone.leaf_key,
            expired: newest.standalone.not_after < now,
        })
    }

    async fn ask(
        &self,
        instance: &Instance,
        profile: ConnectionProfile,
        wanted: (&[u8], &str),
        token: Option<&str>,
    ) -> Result<IssuedCertificate, ObtainError> {
        let (csr, wanted) = wanted;
        // No scenario chooses it, and the NRF may have another key or group than this instance.
        let opened = self.nrf.open(instance, Offer::First(profile)).await?;
        let authority = self.nrf.authority();
        request_certificate(&opened.connection, &authority, csr, wanted, token)
            .await
            .map_err(|source| ObtainError::Enrolment {
                profile: wanted.to_owned(),
                source,
            })
    }

    async fn ask_with_token(
        &self,
        instance: &Instance,
        wanted: (&[u8], &str),
    ) -> Result<IssuedCertificate, ObtainError> {
        let token = self.read_token()?;
        let profile = connection_profile(self.leaf_key);
        self.ask(instance, profile, wanted, Some(token.trim()))
            .await
    }
}

/// The certificate of its own that an instance shows to the NRF.
struct Shown {
    leaf_key: KeyAlgorithm,
    expired: bool,
}

/// Without landmarks, which an instance without certificates does not have.
const fn connection_profile(leaf_key: KeyAlgorithm) -> ConnectionProfile {
    ConnectionProfile {
        domain: TrustDomain::MtcStandalone,
        leaf_key,
        key_exchange: KeyExchange::X25519MlKem768,
        tickets: Tickets::None,
        tokens: Tokens::Es256,
        via: Via::Direct,
        grease: false,
    }
}

impl CertificateSource for NrfSource {
    async fn request(&self, csr: &[u8], profile: &str) -> Result<IssuedCertificate, ObtainError> {
        let wanted = (csr, profile);
        let Some(Shown { leaf_key, expired }) = self.shown() else {
            return self.ask_with_token(&self.instance, wanted).await;
        };
        let asked = self
            .ask(&self.instance, connection_profile(leaf_key), wanted, None)
            .await;
        match asked {
            // What an NRF does not accept any more it refuses with an alert, which arrives as a broken connection.
            Err(error) if expired && self.token.is_some() && error.may_be_refusal() => {
                tracing::warn!(error = %Causes(&error), "the expired certificate was not renewed, trying the enrolment token");
                let bare = self.instance.without_credentials();
                self.ask_with_token(&bare, wanted).await
            }
            asked => asked,
        }
    }

    async fn landmark_relative(&self, path: &str) -> Result<LandmarkAnswer, ObtainError> {
        let opened = self
            .nrf
            .open(
                &self.instance,
                Offer::First(connection_profile(
                    self.shown().map_or(self.leaf_key, |shown| shown.leaf_key),
                )),
            )
            .await?;
        let answer = landmark_relative(&opened.connection, &self.nrf.authority(), path).await;
        answer.map_err(no_landmark)
    }
}

fn no_landmark(source: EnrolmentError) -> ObtainError {
    ObtainError::Enrolment {
        profile: "landmark-relative".to_owned(),
        source,
    }
}

/// Keeps the certificates of one instance.
pub struct Keeper<S> {
    instance: Arc<Instance>,
    source: S,
    wanted: Vec<Wanted>,
    vault: Vault,
    stored: Stored,
    metrics: Metrics,
    /// How many of the certificates in `metrics` that lack their landmark are this instance's.
    without_landmark: i64,
    /// How often all certificates were replaced on order.
    replacements: watch::Sender<u64>,
    memory: Memory,
}

/// Where keys and certificates are, beside those that are shown, while none of them changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// In memory, whatever becomes of the vault.
    Held,
    /// In the vault only: they are read again when one is to change.
    Spared,
    /// As [`Self::Spared`], and now they are in the vault only.
    Resting,
}

impl<S: CertificateSource> Keeper<S> {
    /// Loads what is stored for the instance and publishes what is still valid. Blocks on the disk.
    ///
    /// # Errors
    /// What is stored is damaged.
    pub fn load(
        instance: Arc<Instance>,
        source: S,
        wanted: Vec<Wanted>,
        vault: Vault,
        metrics: Metrics,
    ) -> Result<Self, ObtainError> {
        let mut stored = vault.load()?;
        let now = instance.endpoint().clock().now();
        // An expired MTC may still be renewed; nobody accepts anything else that has expired.
        stored
            .credentials
            .retain(|credential| credential.is_mtc() || !credential.has_expired(now));
        let mut keeper = Self {
            instance,
            source,
            wanted,
            vault,
            stored,
            metrics,
            without_landmark: 0,
            replacements: watch::Sender::new(0),
            memory: Memory::Held,
        };
        keeper
            .publish()
            .map_err(|error| keeper.vault.damaged(error.into()))?;
        Ok(keeper)
    }

    /// Leaves keys and certificates in the vault while none changes: for an instance of which a process has many.
    #[must_use]
    pub fn sparing_memory(mut self) -> Self {
        self.memory = Memory::Spared;
        self.rest();
        self
    }

    /// Lets go of what the vault has, if memory is to be spared.
    fn rest(&mut self) {
        if self.memory == Memory::Spared {
            self.stored.forget_texts();
            self.memory = Memory::Resting;
        }
    }

    /// Has again what it has let go of.
    async fn recall(&mut self) -> Result<(), ObtainError> {
        if self.memory != Memory::Resting {
            return Ok(());
        }
        let vault = self.vault.clone();
        let stored = tokio::task::spawn_blocking(move || vault.load()).await;
        let stored = stored.expect("loading does not panic and is not aborted")?;
        if !self.stored.recall_texts(stored) {
            return Err(self.vault.damaged(Box::new(Missing)).into());
        }
        self.memory = Memory::Spared;
        Ok(())
    }

    /// Gets every wanted certificate that is missing; landmark-relative ones come later.
    ///
    /// # Errors
    /// One cannot be had before `deadline`, or at all.
    pub async fn complete(&mut self, deadline: Instant) -> Result<(), ObtainError> {
        self.complete_of(|_| true, deadline).await
    }

    /// Gets the missing certificates that `can_be_had` selects, and no others.
    ///
    /// # Errors
    /// One cannot be had before `deadline`, or at all.
    pub async fn complete_of(
        &mut self,
        can_be_had: impl Fn(Wanted) -> bool,
        deadline: Instant,
    ) -> Result<(), ObtainError> {
        for wanted in self.wanted.clone() {
            if can_be_had(wanted) && self.lacks(wanted) {
                let obtained = self.obtain(wanted, deadline).await?;
                self.replace(wanted, obtained).await?;
            }
        }
        Ok(())
    }

    /// Gets every landmark-relative certificate that is missing.
    ///
    /// # Errors
    /// One cannot be had before `deadline`, or at all.
    pub async fn complete_landmarks(&mut self, deadline: Instant) -> Result<(), ObtainError> {
        self.recall().await?;
        for position in 0..self.stored.credentials.len() {
            if self.stored.credentials[position].lacks_landmark() {
                let mut credential = self.stored.credentials[position].clone();
                self.add_landmark(&mut credential, deadline).await?;
                self.stored.credentials[position] = credential;
                self.save().await?;
            }
        }
        self.rest();
        Ok(())
    }

    /// Renews for ever what is due, and replaces everything when ordered to; errors are logged and tried again.
    ///
    /// Dropping the future stops renewing.
    pub async fn keep(mut self, mut orders: InstanceOrders) {
        loop {
            self.rest();
            // What is boxed is rare, and larger than what waits: with many instances in a process memory is what waiting takes.
            tokio::select! {
                () = self.await_renewal() => {}
                () = orders.re_enrolment() => Box::pin(self.replace_all()).await,
            }
            Box::pin(self.renew_due()).await;
        }
    }

    async fn renew_due(&mut self) {
        for wanted in self.wanted.clone() {
            if !self.is_due(wanted) {
                continue;
            }
            if let Err(error) = self.renew(wanted).await {
                tracing::warn!(fqdn = %self.instance.fqdn, error = %Causes(&error), "certificate not renewed, retrying");
                if self.memory != Memory::Resting
                    && let Err(error) = self.publish()
                {
                    tracing::warn!(fqdn = %self.instance.fqdn, error = %Causes(&error), "certificates cannot be used");
                }
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Waits until a renewal is due; meanwhile gets what landmark-relative certificates are missing, as often as the NRF
    /// wants to be asked.
    async fn await_renewal(&mut self) {
        sleep(LEAST_PAUSE).await;
        let due = self.renewal_time();
        let lacking = |stored: &Stored| {
            let mut credentials = stored.credentials.iter();
            credentials.position(StoredCredential::lacks_landmark)
        };
        while let Some(position) = lacking(&self.stored) {
            let saved = Box::pin(self.complete_landmark_until(position, due)).await;
            self.rest();
            let Err(error) = saved else { continue };
            tracing::info!(fqdn = %self.instance.fqdn, error = %Causes(&error), "no landmark-relative certificate yet");
            if self.now().plus(RETRY_PAUSE) >= due {
                break;
            }
            sleep(RETRY_PAUSE).await;
        }
        await_time(self.clock(), due).await;
    }

    /// Gets the landmark-relative certificate of the credential at `position` and shows it.
    async fn complete_landmark_until(
        &mut self,
        position: usize,
        end: UnixTime,
    ) -> Result<(), ObtainError> {
        self.recall().await?;
        let mut credential = self.stored.credentials[position].clone();
        self.add_landmark_until(&mut credential, end).await?;
        self.stored.credentials[position] = credential;
        self.save().await
    }

    /// As [`Self::add_landmark`], until `end` by the wall clock.
    async fn add_landmark_until(
        &self,
        credential: &mut StoredCredential,
        end: UnixTime,
    ) -> Result<(), ObtainError> {
        let left = Duration::from_secs(end.0.saturating_sub(self.now().0)).min(LONGEST_WAIT);
        let deadline = Instant::now() + left;
        tokio::select! {
            added = self.add_landmark(credential, deadline) => added,
            () = await_time(self.clock(), end) => Err(no_landmark(EnrolmentError::Answer(
                "its landmark did not appear in time",
            ))),
        }
    }

    /// Gets new keys and certificates in place of all, as an instance does that starts anew: what it presents has no
    /// landmark until the next one.
    async fn replace_all(&mut self) {
        while let Err(error) = self.obtain_all().await {
            tracing::warn!(fqdn = %self.instance.fqdn, error = %Causes(&error), "cannot enrol again, retrying");
            sleep(RETRY_PAUSE).await;
        }
        self.replacements.send_modify(|count| *count += 1);
    }

    async fn obtain_all(&mut self) -> Result<(), ObtainError> {
        self.recall().await?;
        let deadline = Instant::now() + RENEWAL_TIME;
        let mut obtained = Vec::with_capacity(self.wanted.len());
        for wanted in self.wanted.clone() {
            obtained.push(self.obtain(wanted, deadline).await?);
        }
        self.stored.credentials = obtained;
        self.stored.requests.clear();
        self.save().await
    }

    async fn renew(&mut self, wanted: Wanted) -> Result<(), ObtainError> {
        self.recall().await?;
        let mut obtained = self.obtain(wanted, Instant::now() + RENEWAL_TIME).await?;
        if obtained.lacks_landmark() {
            // Peers with landmarks would fall back to the standalone certificate until this has its landmark. Better to
            // present the old one that long, unless it expires first.
            let not_after = self
                .position(wanted)
                .map_or(0, |position| self.stored.credentials[position].not_after);
            let left = not_after.saturating_sub(self.now().0);
            let end = self.now().plus(Duration::from_secs(left / 2));
            if left > 0
                && let Err(error) = self.add_landmark_until(&mut obtained, end).await
            {
                tracing::warn!(fqdn = %self.instance.fqdn, error = %Causes(&error), "no landmark-relative certificate yet");
            }
        }
        self.replace(wanted, obtained).await
    }

    fn clock(&self) -> Clock {
        self.instance.endpoint().clock()
    }

    fn now(&self) -> UnixTime {
        self.clock().now()
    }

    fn is_due(&self, wanted: Wanted) -> bool {
        self.position(wanted)
            .is_none_or(|position| self.stored.credentials[position].renew_at <= self.now().0)
    }

    /// Whether there is no such certificate that is valid.
    fn lacks(&self, wanted: Wanted) -> bool {
        self.position(wanted)
            .is_none_or(|position| self.stored.credentials[position].has_expired(self.now()))
    }

    /// Whether there is any certificate that is valid.
    pub fn has_valid(&self) -> bool {
        let now = self.now();
        let mut credentials = self.stored.credentials.iter();
        credentials.any(|credential| !credential.has_expired(now))
    }

    /// When the first certificate is to be renewed.
    fn renewal_time(&self) -> UnixTime {
        let credentials = self.stored.credentials.iter();
        UnixTime(
            credentials
                .map(|credential| credential.renew_at)
                .min()
                .unwrap_or(0),
        )
    }

    fn position(&self, wanted: Wanted) -> Option<usize> {
        let (profile, leaf_key) = (wanted.profile(), wanted.leaf_key());
        let is_it = |stored: &StoredCredential| {
            stored.profile == profile && stored.leaf_key == leaf_key.as_str()
        };
        self.stored.credentials.iter().position(is_it)
    }

    /// The key and the request (DER) for a wanted certificate: those of an attempt whose answer was lost, or new ones.
    async fn request_for(&mut self, wanted: Wanted) -> Result<(NfKey, Vec<u8>), ObtainError> {
        let fqdn = &self.instance.fqdn;
        let mut requests = self.stored.requests.iter();
        if let Some(stored) = requests.find(|stored| is_for(stored, wanted) && stored.fqdn == *fqdn)
        {
            return Ok(stored.restore()?);
        }
        let began = Instant::now();
        let (key, generating) = generate(wanted.leaf_key()).await?;
        let started = cpu::thread_time();
        let csr = csr::create(&key, self.instance.id.uuid(), std::slice::from_ref(fqdn))?;
        let requesting = cpu::thread_time().saturating_sub(started);
        self.record(StartStep::Key, began.elapsed(), generating + requesting);
        // With a certificate to show, an answer that is lost costs nothing: another certificate can be had.
        if !self.has_valid() {
            let stored = StoredRequest::new(wanted.profile(), &key, fqdn.clone(), &csr)?;
            self.stored
                .requests
                .retain(|stored| !is_for(stored, wanted));
            self.stored.requests.push(stored);
            self.store().await?;
        }
        Ok((key, csr))
    }

    async fn obtain(
        &mut self,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<StoredCredential, ObtainError> {
        let (key, csr) = self.request_for(wanted).await?;
        let profile = wanted.profile();
        let began = Instant::now();
        let attempt = || self.source.request(&csr, &profile);
        let issued = backoff::until(deadline, attempt, ObtainError::is_temporary).await?;
        self.record(StartStep::Certificate, began.elapsed(), Duration::ZERO);
        let failed = |source| ObtainError::Enrolment {
            profile: profile.clone(),
            source,
        };
        let chain = issued.chain_der().map_err(failed)?;
        let now = self.now().0;
        let renew_at = now + renewal_point(issued.not_after.saturating_sub(now));
        self.metrics
            .certificates
            .with_label_values(&[&profile])
            .inc();
        let IssuedCertificate {
            not_after,
            landmark_relative,
            ..
        } = issued;
        Ok(StoredCredential::new(
            profile,
            &key,
            &chain,
            not_after,
            renew_at,
            landmark_relative,
        )?)
    }

    async fn add_landmark(
        &self,
        credential: &mut StoredCredential,
        deadline: Instant,
    ) -> Result<(), ObtainError> {
        let Some(path) = credential.landmark_relative.clone() else {
            return Ok(());
        };
        loop {
            let ask = || self.source.landmark_relative(&path);
            match backoff::until(deadline, ask, ObtainError::is_temporary).await? {
                LandmarkAnswer::Ready(ready) => {
                    let der = ready.der().map_err(no_landmark)?;
                    credential.set_landmark(
                        LogNumber::new(ready.log_number)?,
                        ready.landmark,
                        &der,
                    );
                    return Ok(());
                }
                LandmarkAnswer::Never => {
                    credential.landmark_relative = None;
                    return Ok(());
                }
                LandmarkAnswer::RetryAfter(wait) if Instant::now() + wait < deadline => {
                    sleep(wait).await;
                }
                LandmarkAnswer::RetryAfter(_) => {
                    return Err(no_landmark(EnrolmentError::Answer(
                        "its landmark did not appear in time",
                    )));
                }
            }
        }
    }

    async fn replace(
        &mut self,
        wanted: Wanted,
        obtained: StoredCredential,
    ) -> Result<(), ObtainError> {
        match self.position(wanted) {
            Some(position) => self.stored.credentials[position] = obtained,
            None => self.stored.credentials.push(obtained),
        }
        self.stored
            .requests
            .retain(|stored| !is_for(stored, wanted));
        let began = Instant::now();
        self.store().await?;
        let started = cpu::thread_time();
        self.publish()?;
        let verifying = cpu::thread_time().saturating_sub(started);
        self.record(StartStep::Storage, began.elapsed(), verifying);
        Ok(())
    }

    /// Stores first, then publishes: what peers have seen survives a restart.
    async fn save(&mut self) -> Result<(), ObtainError> {
        self.store().await?;
        Ok(self.publish()?)
    }

    fn record(&self, step: StartStep, elapsed: Duration, cpu: Duration) {
        self.instance.ledger().record_step(step, elapsed, cpu);
    }

    async fn store(&self) -> Result<(), ObtainError> {
        debug_assert!(
            self.memory != Memory::Resting,
            "what was let go of is not stored"
        );
        let (vault, stored) = (self.vault.clone(), self.stored.clone());
        let saving = tokio::task::spawn_blocking(move || vault.save(&stored));
        saving
            .await
            .expect("saving does not panic and is not aborted")?;
        Ok(())
    }

    fn publish(&mut self) -> Result<(), RestoreError> {
        let trust = self.instance.store.current().mtc_trust.clone();
        let (mut mtc, mut x509) = (Vec::new(), Vec::new());
        let mut without_landmark = 0;
        let now = self.now();
        for stored in &self.stored.credentials {
            let expired = stored.has_expired(now);
            match stored.profile.strip_prefix("x509-") {
                Some(_) if expired => {}
                Some(profile) => x509.push(stored.x509(profile.parse()?)?),
                None => {
                    let credential = stored.mtc()?;
                    // Peers would say no more than that they refuse it.
                    match trust.verify_issuance(credential.standalone.leaf()) {
                        Ok(_) => {
                            without_landmark += i64::from(stored.lacks_landmark());
                            mtc.push(credential);
                        }
                        // It is good for nothing any more, and no reason not to enrol anew.
                        Err(_) if expired => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        self.instance.store.update(|set| {
            set.mtc = mtc;
            set.present_x509(x509);
        });
        // One gauge for all instances of the process.
        let before = std::mem::replace(&mut self.without_landmark, without_landmark);
        self.metrics.without_landmark.add(without_landmark - before);
        let first = self
            .stored
            .credentials
            .iter()
            .min_by_key(|credential| credential.not_after);
        if let Some(first) = first {
            let time = |seconds| i64::try_from(seconds).unwrap_or(i64::MAX);
            self.metrics
                .certificate_not_after
                .set(time(first.not_after));
            self.metrics.certificate_renewal.set(time(first.renew_at));
        }
        Ok(())
    }

    /// Tells when all certificates were replaced on order.
    pub fn replacements(&self) -> watch::Receiver<u64> {
        self.replacements.subscribe()
    }

    /// Whose certificates these are.
    pub const fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Makes the certificates of every other log than `log` due for renewal, whatever is left of their lives.
    pub fn renew_into(&mut self, log: LogNumber) {
        for credential in &mut self.stored.credentials {
            if credential.log_number().is_some_and(|other| other != log) {
                credential.renew_at = 0;
            }
        }
    }

    /// The newest landmark that the instance's certificates need, behind the number of its log.
    pub fn newest_own_landmark(&self) -> Option<(LogNumber, LandmarkNumber)> {
        self.stored
            .credentials
            .iter()
            .filter_map(StoredCredential::landmark)
            .max()
    }
}

/// What is stored of an instance is not what it has stored.
#[derive(Debug, thiserror::Error)]
#[error("certificates that were stored are not there")]
struct Missing;

fn is_for(stored: &StoredRequest, wanted: Wanted) -> bool {
    stored.profile == wanted.profile() && stored.leaf_key == wanted.leaf_key().as_str()
}

/// A key, and the CPU time that it took: milliseconds with some algorithms, so not on a thread that serves others.
async fn generate(algorithm: KeyAlgorithm) -> Result<(NfKey, Duration), NfKeyError> {
    let generating = move || {
        let started = cpu::thread_time();
        let key = NfKey::generate(algorithm)?;
        Ok((key, cpu::thread_time().saturating_sub(started)))
    };
    tokio::task::spawn_blocking(generating)
        .await
        .expect("generating does not panic and is not aborted")
}
