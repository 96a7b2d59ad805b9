//! Pods of a Kubernetes cluster as applicants: who shows a projected service-account token of a pod is the NF instance that the pod is.
//!
//! ```text
//!  token ── header: kid, alg ──> ClusterKeys (JWKS: a file, or the API server's) ──> signature
//!    └───── claims: iss, aud, exp, nbf ──> times and names ──> Pod ── [[kubernetes.account]] ──> NF type, FQDN ──> Certifiable
//! ```
//!
//! The signature says all that is needed, so the API server is asked for its public keys alone, and for none of them while they are known: an
//! enrolment needs neither it nor a right to use it. What only TokenReview would say is that a pod is gone before its token has expired; hence
//! tokens that are good for more than a day are refused.
//!
//! A token is not used up: it is good for its pod as long as it lasts, as a certificate is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use mtc_core::time::UnixTime;
use sbi::config::ConfigError;
use sbi::model::NfType;
use sbi::service_account::{
    AUDIENCE, ClaimsError, Pod, PodFqdn, ServiceAccountClaims, unverified_claims,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod keys;

use self::keys::{ClusterKeys, KeySource};
pub use self::keys::{FetchError, Keeping, KeyError, KeysLocation, LocationError};

/// How far clocks of cluster and NRF may be apart.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// Longest time for which a token may still be good.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Certificates for pods of a cluster.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig {
    /// `iss` of the cluster's tokens, such as `https://kubernetes.default.svc.cluster.local`.
    pub issuer: String,
    /// `aud` that a token must have.
    #[serde(default = "default_audience")]
    pub audience: String,
    /// The cluster's public keys, a JWK set: a file, or the `https` URL of the API server's, such as
    /// `https://kubernetes.default.svc/openid/v1/jwks`.
    #[schemars(with = "String")]
    pub jwks: KeysLocation,
    /// File of the CA certificates that an `https` server is verified with (PEM), such as a pod's `ca.crt` [default: those that the system
    /// trusts].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// File of the bearer token that an `https` server is shown, such as the NRF's own service-account token; read again for each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<PathBuf>,
    /// The service accounts whose pods get certificates, one table each.
    pub account: Vec<AccountConfig>,
}

/// A service account, and what its pods are.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Their NF type, such as `AMF`.
    #[schemars(with = "String")]
    pub nf_type: NfType,
    /// Their FQDN, `{pod}` for the pod's name. Whoever may make pods of this service account chooses that name, so the domain behind it
    /// should have no other names.
    pub fqdn: PodFqdn,
}

fn default_audience() -> String {
    AUDIENCE.to_owned()
}

impl KubernetesConfig {
    /// Makes relative paths relative to `folder`.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        self.jwks.resolve(folder);
        for file in [&mut self.ca, &mut self.bearer].into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let rule = |key, rule: &str| {
            Err(ConfigError::Rule {
                key,
                rule: rule.to_owned(),
            })
        };
        if self.issuer.is_empty() || self.audience.is_empty() {
            return rule(
                "kubernetes.issuer, kubernetes.audience",
                "must not be empty",
            );
        }
        let is_file = matches!(self.jwks, KeysLocation::File(_));
        if is_file && (self.ca.is_some() || self.bearer.is_some()) {
            return rule(
                "kubernetes.ca, kubernetes.bearer",
                "are for a jwks at an https URL",
            );
        }
        let (mut accounts, mut names) = (HashSet::new(), HashSet::new());
        for account in &self.account {
            if !accounts.insert((&account.namespace, &account.name)) {
                return rule(
                    "kubernetes.account",
                    "two tables have the same namespace and name",
                );
            }
            if !names.insert(&account.fqdn) {
                return rule(
                    "kubernetes.account.fqdn",
                    "is the same in two tables: two pods could have one name",
                );
            }
        }
        if accounts.is_empty() {
            return rule(
                "kubernetes.account",
                "at least one [[kubernetes.account]] is needed",
            );
        }
        Ok(())
    }
}

/// Why a pod's token is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PodTokenError {
    /// What it says is not what a pod's token says.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// It is not a JWT.
    #[error("service-account token: not a signed JWT")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Signed with another algorithm than its key is for, RS256 or ES256, or not at all.
    #[error("service-account token: alg is not that of the cluster's key {0:?}, RS256 or ES256")]
    Algorithm(String),
    /// Its key is none of the cluster's.
    #[error("service-account token: {0}")]
    Key(#[from] KeyError),
    /// Not signed by the cluster.
    #[error("service-account token: the signature is not by the cluster's key {0:?}")]
    BadSignature(String),
    /// Another cluster's.
    #[error("service-account token: iss is {found:?}, not {expected:?}")]
    Issuer {
        /// Whose it is.
        found: String,
        /// Whose it must be.
        expected: String,
    },
    /// For somebody else.
    #[error(
        "service-account token: aud is {found}, not {expected}; set audience in the projected volume"
    )]
    Audience {
        /// For whom it is.
        found: String,
        /// For whom it must be.
        expected: String,
    },
    /// Its time is over.
    #[error(
        "service-account token: exp {expired} was {} s before this clock, {now}; does the kubelet renew it, or is a clock wrong?",
        now.0.saturating_sub(expired.0)
    )]
    Expired {
        /// First second in which it is not good.
        expired: UnixTime,
        /// The NRF's clock.
        now: UnixTime,
    },
    /// Its time has not come.
    #[error("service-account token: nbf {begins} is after this clock, {now}; is a clock wrong?")]
    NotYet {
        /// First good second.
        begins: UnixTime,
        /// The NRF's clock.
        now: UnixTime,
    },
    /// It outlives its pod by too much.
    #[error(
        "service-account token: exp {expired} is more than {} s away; ask for less in expirationSeconds",
        LONGEST.as_secs()
    )]
    TooLongLived {
        /// First second in which it is not good.
        expired: UnixTime,
    },
    /// Pods of this service account get none.
    #[error(
        "service account {namespace}/{name} may not enrol: there is no [[kubernetes.account]] for it"
    )]
    Account {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl PodTokenError {
    /// The check that failed, in a word.
    pub const fn check(&self) -> &'static str {
        match self {
            Self::Claims(_) | Self::Malformed(_) => "malformed",
            Self::Algorithm(_) => "algorithm",
            Self::Key(KeyError::Unknown(_)) => "key",
            Self::Key(KeyError::NoKeys) => "no-keys",
            Self::BadSignature(_) => "signature",
            Self::Issuer { .. } => "issuer",
            Self::Audience { .. } => "audience",
            Self::Expired { .. } | Self::TooLongLived { .. } => "expired",
            Self::NotYet { .. } => "not-yet",
            Self::Account { .. } => "account",
        }
    }

    /// Whether the same token may be good in a moment.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Key(KeyError::NoKeys))
    }
}

/// A pod and what it may have certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certifiable {
    /// The pod.
    pub pod: Pod,
    /// Its NF type.
    pub nf_type: NfType,
    /// Its FQDN.
    pub fqdn: String,
}

/// Checks tokens of pods.
pub struct Pods {
    issuer: String,
    audience: String,
    accounts: Vec<AccountConfig>,
    keys: ClusterKeys,
}

impl Pods {
    /// Checks tokens as `config` says; what keeps its keys is to be run beside it. Blocks on the disk.
    ///
    /// # Errors
    /// The keys are in a file that cannot be used. A server is asked later.
    pub fn open(config: &KubernetesConfig) -> Result<(Self, Keeping), FetchError> {
        let (keys, keeping) = ClusterKeys::open(KeySource {
            location: config.jwks.clone(),
            ca: config.ca.clone(),
            bearer: config.bearer.clone(),
        })?;
        let pods = Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            accounts: config.account.clone(),
            keys,
        };
        Ok((pods, keeping))
    }

    /// Whether this is a service account's token, or would be, and not one of the enrolment authority.
    pub fn concerns(token: &str) -> bool {
        unverified_claims(token).is_ok()
    }

    /// Who a token that is good at `now` is for.
    ///
    /// Waits for the cluster's keys where it names one that is not known. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Every rule has its variant in [`PodTokenError`].
    pub async fn verify(&self, token: &str, now: UnixTime) -> Result<Certifiable, PodTokenError> {
        // Whatever a token can be refused for is looked at before anybody is asked for keys.
        let claims = unverified_claims(token)?;
        self.check(&claims, now)?;
        let header = jsonwebtoken::decode_header(token).map_err(PodTokenError::Malformed)?;
        let name = header.kid.unwrap_or_default();
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(PodTokenError::Algorithm(name));
        }
        let key = self.keys.find(&name).await?;
        // The library judges the signature alone: issuer, audience and times have been judged with the caller's clock.
        let mut validation = Validation::new(key.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let verified = jsonwebtoken::decode::<ServiceAccountClaims>(token, &key.key, &validation)
            .map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => PodTokenError::BadSignature(name.clone()),
            ErrorKind::InvalidAlgorithm => PodTokenError::Algorithm(name.clone()),
            _ => PodTokenError::Malformed(error),
        })?;
        self.certifiable(verified.claims)
    }

    /// Whose the token is, for whom, and when.
    fn check(&self, claims: &ServiceAccountClaims, now: UnixTime) -> Result<(), PodTokenError> {
        if claims.iss != self.issuer {
            return Err(PodTokenError::Issuer {
                found: claims.iss.clone(),
                expected: self.issuer.clone(),
            });
        }
        if !claims.aud.contains(&self.audience) {
            return Err(PodTokenError::Audience {
                found: claims.aud.to_string(),
                expected: self.audience.clone(),
            });
        }
        let expired = UnixTime(claims.exp);
        if now >= expired {
            return Err(PodTokenError::Expired { expired, now });
        }
        if expired > now.plus(LONGEST) {
            return Err(PodTokenError::TooLongLived { expired });
        }
        match claims.nbf.map(UnixTime) {
            Some(begins) if begins > now.plus(CLOCK_TOLERANCE) => {
                Err(PodTokenError::NotYet { begins, now })
            }
            _ => Ok(()),
        }
    }

    /// What a pod may have certified.
    fn certifiable(&self, claims: ServiceAccountClaims) -> Result<Certifiable, PodTokenError> {
        let pod = Pod::try_from(claims)?;
        let (namespace, name) = (pod.namespace(), pod.service_account());
        let mut accounts = self.accounts.iter();
        let account = accounts
            .find(|account| account.namespace == namespace && account.name == name)
            .ok_or_else(|| PodTokenError::Account {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })?;
        Ok(Certifiable {
            nf_type: account.nf_type.clone(),
            fqdn: account.fqdn.of(&pod),
            pod,
        })
    }
}
