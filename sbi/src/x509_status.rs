//! What X.509 CAs say of certificates that were revoked, fetched for the instances of a process and kept fresh.
//!
//! ```text
//!  GET  x509/<profile>/root.crl ...  ──> of the CA? signed? not stale? not older than the last? ──> lists of each instance's trust
//!  POST x509/<profile>/ocsp          ──> about its own certificate, and good?                   ──> stapled to it from now on
//! ```
//!
//! All are below the prefix of the CA's logs. Another is fetched when half of the time of one is over, so that there is as much time again to
//! try; what is not replaced in time is stale, and peers are refused then: who keeps the NRF from answering must not keep a revoked
//! certificate alive. What a process has fetched before it is started again is not remembered, so that a list from before, which has to be
//! fresh all the same, is not noticed then.

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use mtc_core::causes::Causes;
use mtc_core::cosign::{KeyError, PublicKey};
use mtc_core::time::UnixTime;
use mtc_core::x509::{Certificate, X509Error};
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialError, CredentialSet, X509Credential, X509Trust};
use mtc_tls::identity::CertificateId;
use mtc_tls::key::{X509Profile, X509Revocation};
use mtc_tls::revocation::crl::{Crl, CrlError, MAX_CRL};
use mtc_tls::revocation::ocsp::{CertId, MAX_RESPONSE, OcspError, Response};
use mtc_tls::revocation::{crl_paths, responder_path};
use mtc_web::{Client, HttpError, Prefix};
use tokio::time::sleep;

use crate::instance::Instance;
use crate::ledger::Ledger;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Between looks at what is due, and at certificates that are new.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause after fetches that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const OCSP_REQUEST: HeaderValue = HeaderValue::from_static("application/ocsp-request");

/// Why a list or an answer was not had; what was had before stays until it is stale.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer.
    #[error("{url} was not served")]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why.
        source: HttpError,
    },
    /// Nothing can be asked.
    #[error(transparent)]
    Client(HttpError),
    /// Not a list of now of the CA.
    #[error("{url}")]
    Crl {
        /// Where it was.
        url: String,
        /// What is wrong with it.
        source: CrlError,
    },
    /// No answer about a certificate, or not a good one.
    #[error("{url}")]
    Ocsp {
        /// Who was asked.
        url: String,
        /// What is wrong with it.
        source: OcspError,
    },
    /// webpki does not take the lists.
    #[error(transparent)]
    Lists(#[from] CredentialError),
    /// A certificate of a CA cannot be read.
    #[error("a CA's certificate")]
    Certificate(#[from] X509Error),
    /// A CA's key is none.
    #[error("a CA's key")]
    Key(#[from] KeyError),
    /// There is no certificate of a profile, by whose chain its CAs are known.
    #[error("no certificate of {0} yet, whose chain names the CAs")]
    NoChain(X509Profile),
}

/// Fetches lists and answers for the instances of a process.
pub struct StatusKeeper {
    client: Client,
    clock: Clock,
    ledger: Arc<Ledger>,
    lists: Vec<Lists>,
    /// Own certificates that were revoked: nothing is asked about them again, or what others of the process need would wait for it.
    revoked: HashSet<CertificateId>,
}

/// The lists of one profile.
struct Lists {
    profile: X509Profile,
    /// Number of the newest of each CA, the root's first.
    newest: Vec<u64>,
    /// From when others are fetched.
    due: UnixTime,
}

/// What was fetched of them.
struct Fetched {
    /// What is trusted with these lists.
    trust: X509Trust,
    newest: Vec<u64>,
    due: UnixTime,
}

/// Trust in the root of a profile with the lists that its CAs have now, for who has certificates of it and needs that once. `prefix` is that of
/// the CA's logs. Trust in a profile without lists is that of the set.
///
/// # Errors
/// They cannot be had.
pub async fn current_trust(
    prefix: impl Into<Prefix>,
    set: &CredentialSet,
    profile: X509Profile,
    clock: Clock,
) -> Result<X509Trust, FetchError> {
    let roots = set.x509_trust.iter();
    let own: Vec<_> = roots
        .filter(|root| root.profile() == profile)
        .cloned()
        .collect();
    match StatusKeeper::new(prefix, &own, clock, Arc::default())? {
        Some(keeper) => {
            let known = &keeper.lists[0];
            Ok(keeper.fetch(known, set).await?.trust)
        }
        None => own.into_iter().next().ok_or(FetchError::NoChain(profile)),
    }
}

impl StatusKeeper {
    /// A keeper for what these roots' profiles need; none if they need nothing. `prefix` is that of the CA's logs.
    ///
    /// # Errors
    /// [`FetchError::Client`].
    pub fn new(
        prefix: impl Into<Prefix>,
        roots: &[X509Trust],
        clock: Clock,
        ledger: Arc<Ledger>,
    ) -> Result<Option<Self>, FetchError> {
        let profiles = roots.iter().map(X509Trust::profile);
        let profiles = profiles.filter(|profile| profile.revocation != X509Revocation::None);
        let lists: Vec<_> = profiles
            .map(|profile| Lists {
                profile,
                newest: vec![0; crl_paths(profile).count()],
                due: UnixTime(0),
            })
            .collect();
        if lists.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            client: Client::new(prefix.into(), TIMEOUT).map_err(FetchError::Client)?,
            clock,
            ledger,
            lists,
            revoked: HashSet::new(),
        }))
    }

    /// Fetches what is due, and publishes it to the instances.
    ///
    /// Dropping the future loses nothing that was published.
    ///
    /// # Errors
    /// The first of those that occur; what else is due is fetched all the same.
    pub async fn update(&mut self, instances: &[Arc<Instance>]) -> Result<(), FetchError> {
        let mut result = Ok(());
        for position in 0..self.lists.len() {
            if self.lists[position].due <= self.clock.now() {
                result = result.and(self.update_lists(position, instances).await);
            }
        }
        for instance in instances {
            let set = instance.store.current();
            for own in set.x509.iter().chain(&set.unstapled) {
                if self.lacks_answer(own) {
                    result = result.and(self.ask_about(own, &set, instance).await);
                }
            }
        }
        result
    }

    /// Fetches for ever what is due; errors are logged, one for each kind in a row, and tried again.
    pub async fn keep(mut self, instances: Vec<Arc<Instance>>) {
        let (mut pause, mut failing) = (PAUSE, None);
        let ledger = self.ledger.clone();
        let metrics = &ledger.metrics().x509_status;
        loop {
            sleep(pause).await;
            match self.update(&instances).await {
                Ok(()) => {
                    metrics.is_fresh();
                    if failing.take().is_some() {
                        tracing::info!("CRLs and OCSP responses are fresh again");
                    }
                    pause = PAUSE;
                }
                Err(error) => {
                    metrics.failed();
                    let is_new =
                        failing.replace(discriminant(&error)) != Some(discriminant(&error));
                    if is_new {
                        tracing::warn!(error = %Causes(&error), "no CRL or OCSP response, keeping the old one while it is fresh");
                    } else {
                        tracing::debug!(error = %Causes(&error), "still no CRL or OCSP response");
                    }
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn update_lists(
        &mut self,
        position: usize,
        instances: &[Arc<Instance>],
    ) -> Result<(), FetchError> {
        let Some(set) = instances.first().map(|first| first.store.current()) else {
            return Ok(());
        };
        let known = &self.lists[position];
        let Fetched { trust, newest, due } = self.fetch(known, &set).await?;
        for instance in instances {
            instance.store.update(|set| {
                let mut roots = set.x509_trust.iter_mut();
                if let Some(own) = roots.find(|own| own.profile() == trust.profile()) {
                    *own = trust.clone();
                }
            });
        }
        self.lists[position].newest = newest;
        self.lists[position].due = due;
        Ok(())
    }

    /// Fetches the lists of a profile, whose CAs are known by the chains of a set's certificates.
    async fn fetch(&self, known: &Lists, set: &CredentialSet) -> Result<Fetched, FetchError> {
        let profile = known.profile;
        let (trust, authorities) = authorities(set, profile).ok_or(FetchError::NoChain(profile))?;
        let (mut lists, mut newest, mut due) = (Vec::new(), Vec::new(), None);
        let paths = crl_paths(profile).zip(authorities).zip(&known.newest);
        for ((path, authority), before) in paths {
            let url = self.client.prefix().url(&path);
            let list = match self.client.file(&path, MAX_CRL).await {
                Ok(list) => list,
                Err(source) => return Err(FetchError::Fetch { url, source }),
            };
            self.ledger.record_crl(profile, list.len() as u64);
            let authority = Certificate::parse(authority)?;
            let key = PublicKey::from_spki(authority.spki)?;
            let read = Crl::parse(&list).and_then(|crl| {
                let now = self.clock.now();
                crl.check(authority.statement.subject, &key, now, *before)?;
                Ok((crl.number, half_time(crl.this_update, crl.next_update)))
            });
            let (number, half) = read.map_err(|source| FetchError::Crl { url, source })?;
            newest.push(number);
            due = due.min(Some(half)).or(Some(half));
            lists.push(list.to_vec());
        }
        Ok(Fetched {
            trust: trust.with_lists(&lists)?,
            newest,
            due: due.unwrap_or_default(),
        })
    }

    /// Gets an answer about a certificate, unless it is known to be revoked, which does not end.
    async fn ask_about(
        &mut self,
        own: &X509Credential,
        set: &CredentialSet,
        instance: &Instance,
    ) -> Result<(), FetchError> {
        let leaf = Certificate::parse(own.credential.leaf())?;
        let id = CertificateId::new(leaf.statement.issuer, leaf.serial);
        if self.revoked.contains(&id) {
            return Ok(());
        }
        let answered = self.update_answer(own, set, instance).await;
        if let Err(FetchError::Ocsp { source, .. }) = &answered
            && matches!(source, OcspError::Revoked(_))
        {
            self.revoked.insert(id);
        }
        answered
    }

    /// Whether a certificate needs an answer that it has not, or not for long.
    fn lacks_answer(&self, own: &X509Credential) -> bool {
        if own.profile.revocation != X509Revocation::OcspStapled {
            return false;
        }
        let read = own.credential.staple().map(Response::parse);
        match read {
            Some(Ok(answer)) => {
                half_time(answer.this_update, answer.next_update) <= self.clock.now()
            }
            _ => true,
        }
    }

    async fn update_answer(
        &self,
        own: &X509Credential,
        set: &CredentialSet,
        instance: &Instance,
    ) -> Result<(), FetchError> {
        let profile = own.profile;
        let mut roots = set.x509_trust.iter();
        let root = roots.find(|trust| trust.profile() == profile);
        let leaf = Certificate::parse(own.credential.leaf())?;
        let issuer = own.credential.chain().nth(1);
        let issuer = issuer.or_else(|| root.map(X509Trust::root));
        let issuer = Certificate::parse(issuer.ok_or(FetchError::NoChain(profile))?)?;
        let path = responder_path(profile);
        let failed = |source| FetchError::Ocsp {
            url: self.client.prefix().url(&path),
            source,
        };
        let cert_id = CertId::new(issuer.statement.subject, issuer.spki, leaf.serial);
        let request = cert_id.map_err(failed)?.request();
        let answer = self.ask(profile, &path, request).await?;
        let read = Response::parse(&answer).and_then(|response| {
            response.check(&issuer, leaf.serial, self.clock.now())?;
            Ok(())
        });
        read.map_err(failed)?;
        let leaf = own.credential.leaf();
        instance.store.update(|set| set.staple(leaf, &answer));
        Ok(())
    }

    async fn ask(
        &self,
        profile: X509Profile,
        path: &str,
        request: Vec<u8>,
    ) -> Result<Bytes, FetchError> {
        let failed = |source| FetchError::Fetch {
            url: self.client.prefix().url(path),
            source,
        };
        let asked = request.len() as u64;
        let answer = self
            .client
            .post(path, OCSP_REQUEST, request, MAX_RESPONSE)
            .await
            .map_err(failed)?;
        if answer.status != StatusCode::OK {
            return Err(failed(HttpError::Status(answer.status)));
        }
        self.ledger
            .record_ocsp(profile, asked + answer.body.len() as u64);
        Ok(answer.body)
    }
}

/// When half of the time between two is over.
fn half_time(begin: UnixTime, end: UnixTime) -> UnixTime {
    UnixTime(begin.0 + end.0.saturating_sub(begin.0) / 2)
}

/// Trust in the root of a profile, and the certificates of its CAs, the root's first, as an own certificate's chain has them.
fn authorities(set: &CredentialSet, profile: X509Profile) -> Option<(&X509Trust, Vec<&[u8]>)> {
    let mut roots = set.x509_trust.iter();
    let trust = roots.find(|trust| trust.profile() == profile)?;
    let mut own = set.x509.iter().chain(&set.unstapled);
    let own = own.find(|own| own.profile == profile)?;
    let mut authorities: Vec<_> = own.credential.chain().skip(1).collect();
    authorities.push(trust.root());
    authorities.reverse();
    Some((trust, authorities))
}
