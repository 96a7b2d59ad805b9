//! The cluster's public keys: fetched, kept, and fetched again where a token names another.
//!
//! ```text
//!  find(kid) ── known ──> key
//!      └─ unknown ──> wanted ──> keep: fetch ── at most every 5 s, after failures ever more slowly ──> found ──> key, or none
//!                                every 5 min all the same, so that a key that the cluster has taken back goes
//! ```
//!
//! While keys cannot be fetched, those that are known stay.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::http::HeaderValue;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey};
use mtc_core::causes::Causes;
use mtc_web::{Client, HttpError, Prefix, trust_in, trust_of_the_system};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

/// Longest JWK set: 16 keys of RSA with 4096 bits have 14 kB.
const MAX_JWKS: usize = 64 * 1024;
/// Most keys of a set. A cluster has one or two.
const MAX_KEYS: usize = 16;
/// How long a server may take.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// From one fetch to the next at least, however many unknown keys are named meanwhile.
const LEAST_PAUSE: Duration = Duration::from_secs(5);
/// The same after many failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// From one fetch to the next at most.
const REFRESH: Duration = Duration::from_secs(300);

const HTTPS: &str = "https://";

/// Where the cluster's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeysLocation {
    /// In a file.
    File(PathBuf),
    /// At an `https` URL.
    Url {
        /// All of it but the last segment of its path.
        prefix: Prefix,
        /// The last segment.
        object: String,
    },
}

/// The text is neither a path nor an `https` URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a file nor https://HOST/PATH; by http, anybody on the way could say what the keys are"
)]
pub struct LocationError(String);

impl TryFrom<String> for KeysLocation {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        let Some(rest) = text.strip_prefix(HTTPS) else {
            return if text.is_empty() || text.contains("://") {
                Err(LocationError(text))
            } else {
                Ok(Self::File(text.into()))
            };
        };
        let split = rest
            .rsplit_once('/')
            .filter(|(_, object)| !object.is_empty());
        let location = split.and_then(|(prefix, object)| {
            Some(Self::Url {
                prefix: format!("{HTTPS}{prefix}").parse().ok()?,
                object: object.to_owned(),
            })
        });
        location.ok_or(LocationError(text))
    }
}

impl From<KeysLocation> for String {
    fn from(location: KeysLocation) -> Self {
        location.to_string()
    }
}

impl fmt::Display for KeysLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Url { prefix, object } => f.write_str(&prefix.url(object)),
        }
    }
}

impl KeysLocation {
    /// Makes a relative path relative to `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Self::File(file) = self {
            *file = folder.join(&*file);
        }
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A file.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that holds no certificates.
    #[error("{}: no CA certificate in PEM", .0.display())]
    Ca(PathBuf),
    /// A file that holds no token.
    #[error("{}: not a token", .0.display())]
    Bearer(PathBuf),
    /// The server.
    #[error("{url}")]
    Http {
        /// What was asked for.
        url: String,
        /// What it answered.
        source: HttpError,
    },
    /// Not a JWK set.
    #[error("{location}: not a JWK set")]
    Json {
        /// Where it is.
        location: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// Too long, or of too many keys.
    #[error("{location}: more than {MAX_JWKS} bytes or {MAX_KEYS} keys")]
    TooMany {
        /// Where it is.
        location: String,
    },
    /// Nothing in it can be used.
    #[error("{location}: no key with a kid for RS256 or ES256")]
    NoKey {
        /// Where it is.
        location: String,
    },
    /// The process is ending.
    #[error("the NRF is stopping")]
    Ending(#[from] tokio::task::JoinError),
}

/// Why a key cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The cluster has no such key.
    #[error("kid {0:?} is no key of the cluster")]
    Unknown(String),
    /// It is not known and cannot be asked for. Why, is for the operator: whoever asks is nobody known.
    #[error("the cluster's keys cannot be had now; the NRF's log says why")]
    NoKeys,
}

/// A key of the cluster. It verifies signatures of one algorithm.
#[derive(Clone)]
pub(super) struct ClusterKey {
    name: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl ClusterKey {
    /// A key as a set has it; none if it has no name, or is for something else (RFC 7517 section 5).
    fn of(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            _ => return None,
        };
        let named = jwk.common.key_algorithm;
        if named.is_some_and(|named| named != algorithm.into()) {
            return None;
        }
        Some(Self {
            name: jwk.common.key_id.clone()?,
            algorithm,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }
}

/// The keys of a JWK set that tokens may be signed with.
fn parse(json: &[u8], location: &KeysLocation) -> Result<Vec<ClusterKey>, FetchError> {
    let location = location.to_string();
    if json.len() > MAX_JWKS {
        return Err(FetchError::TooMany { location });
    }
    let set: JwkSet = match serde_json::from_slice(json) {
        Ok(set) => set,
        Err(source) => return Err(FetchError::Json { location, source }),
    };
    if set.keys.len() > MAX_KEYS {
        return Err(FetchError::TooMany { location });
    }
    let keys: Vec<_> = set.keys.iter().filter_map(ClusterKey::of).collect();
    if keys.is_empty() {
        return Err(FetchError::NoKey { location });
    }
    Ok(keys)
}

/// What is known.
#[derive(Clone)]
struct Found {
    keys: Arc<[ClusterKey]>,
    /// Before this nothing is fetched.
    next: Instant,
    /// Whether the last fetch succeeded.
    is_fresh: bool,
}

impl Found {
    fn find(&self, name: &str) -> Option<ClusterKey> {
        self.keys.iter().find(|key| key.name == name).cloned()
    }

    fn missing(&self, name: &str) -> KeyError {
        if self.is_fresh {
            KeyError::Unknown(name.to_owned())
        } else {
            KeyError::NoKeys
        }
    }
}

/// The cluster's keys, which [`Keeping`] keeps.
#[derive(Clone)]
pub(super) struct ClusterKeys {
    found: watch::Receiver<Found>,
    wanted: Arc<Notify>,
}

impl ClusterKeys {
    /// The keys that are where `source` says. Blocks on the disk if that is a file.
    ///
    /// # Errors
    /// The file cannot be used. A server is asked later.
    pub(super) fn open(source: KeySource) -> Result<(Self, Keeping), FetchError> {
        let keys = match &source.location {
            KeysLocation::File(file) => read_keys(file, &source.location)?,
            KeysLocation::Url { .. } => Vec::new(),
        };
        let (publish, found) = watch::channel(Found {
            is_fresh: !keys.is_empty(),
            keys: keys.into(),
            next: Instant::now(),
        });
        let wanted = Arc::<Notify>::default();
        let keeping = Keeping {
            source,
            publish,
            wanted: wanted.clone(),
        };
        Ok((Self { found, wanted }, keeping))
    }

    /// The key of this name, for which the cluster is asked if it is not known.
    pub(super) async fn find(&self, name: &str) -> Result<ClusterKey, KeyError> {
        let mut found = self.found.clone();
        {
            let now = found.borrow_and_update();
            if let Some(key) = now.find(name) {
                return Ok(key);
            }
            if Instant::now() < now.next {
                return Err(now.missing(name));
            }
        }
        self.wanted.notify_one();
        // A fetch ends by itself in this time, and says so.
        let fetched = timeout(2 * FETCH_TIME, found.changed()).await;
        let now = found.borrow();
        now.find(name).ok_or_else(|| match fetched {
            Ok(Ok(())) => now.missing(name),
            _ => KeyError::NoKeys,
        })
    }
}

/// Where keys come from, and how.
#[derive(Clone, Debug)]
pub(super) struct KeySource {
    pub(super) location: KeysLocation,
    /// CA certificates of the server.
    pub(super) ca: Option<PathBuf>,
    /// The token that the server is shown.
    pub(super) bearer: Option<PathBuf>,
}

/// Keeps the cluster's keys as new as they have to be.
pub struct Keeping {
    source: KeySource,
    publish: watch::Sender<Found>,
    wanted: Arc<Notify>,
}

impl Keeping {
    /// Fetches what is asked for, and all again after a while, for ever.
    pub async fn keep(self) {
        let mut pause = LEAST_PAUSE;
        if matches!(self.source.location, KeysLocation::File(_)) {
            self.await_want(REFRESH).await;
        }
        loop {
            let fetched = self.source.fetch().await;
            let failed = fetched.is_err();
            pause = match &fetched {
                Ok(_) => LEAST_PAUSE,
                Err(error) => {
                    tracing::warn!(error = %Causes(error), "cannot fetch the cluster's public keys");
                    (2 * pause).min(LONGEST_PAUSE)
                }
            };
            self.publish.send_modify(|found| {
                found.next = Instant::now() + pause;
                found.is_fresh = fetched.is_ok();
                if let Ok(keys) = fetched {
                    found.keys = keys.into();
                }
            });
            sleep(pause).await;
            if !failed {
                self.await_want(REFRESH - pause).await;
            }
        }
    }

    async fn await_want(&self, longest: Duration) {
        let _ = timeout(longest, self.wanted.notified()).await;
    }
}

impl KeySource {
    async fn fetch(&self) -> Result<Vec<ClusterKey>, FetchError> {
        match self.location.clone() {
            KeysLocation::File(file) => {
                let location = self.location.clone();
                tokio::task::spawn_blocking(move || read_keys(&file, &location)).await?
            }
            KeysLocation::Url { prefix, object } => {
                let own = self.clone();
                let is_https = prefix.is_https();
                let (tls, authorization) = tokio::task::spawn_blocking(move || {
                    Ok::<_, FetchError>((own.tls(is_https)?, own.authorization()?))
                })
                .await??;
                // Once in minutes, so that nothing is kept: a CA that was renewed is trusted at once.
                let client = Client::with_tls(prefix, FETCH_TIME, tls);
                let json = client.file_for(authorization, &object, MAX_JWKS).await;
                let json = json.map_err(|source| self.failed(source))?;
                parse(&json, &self.location)
            }
        }
    }

    fn failed(&self, source: HttpError) -> FetchError {
        FetchError::Http {
            url: self.location.to_string(),
            source,
        }
    }

    /// Blocks on the disk.
    fn tls(&self, is_https: bool) -> Result<rustls::ClientConfig, FetchError> {
        let Some(path) = &self.ca else {
            return trust_of_the_system(is_https).map_err(|source| self.failed(source));
        };
        let pem = read(path)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if roots.is_empty() {
            return Err(FetchError::Ca(path.clone()));
        }
        trust_in(roots).map_err(|source| self.failed(source))
    }

    /// Blocks on the disk.
    fn authorization(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(path) = &self.bearer else {
            return Ok(None);
        };
        let no_token = || FetchError::Bearer(path.clone());
        let token = Zeroizing::new(read(path)?);
        let token = std::str::from_utf8(&token).map_err(|_| no_token())?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| no_token())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    fs::read(path).map_err(|source| FetchError::Read {
        path: path.to_owned(),
        source,
    })
}

fn read_keys(file: &Path, location: &KeysLocation) -> Result<Vec<ClusterKey>, FetchError> {
    parse(&read(file)?, location)
}
