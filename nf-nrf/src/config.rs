//! The NRF's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtc_core::landmark::MAX_LANDMARKS;
use mtc_tls::clock::Clock;
use mtc_web::Prefix;
use sbi::access_token::TokenPolicy;
use sbi::config::{
    ConfigError, ProcessSettings, TlsConfig, Wanted, WantedCredential, default_client_credentials,
    default_startup, default_trust_interval,
};
use sbi::limits::LimitsConfig;
use sbi::model::PlmnId;
use sbi::uri::{ApiRoot, Scheme};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::kubernetes::KubernetesConfig;
use crate::log_location::{LogLocation, ObjectStoreConfig};
use crate::registry::HEARTBEAT_INTERVAL;

/// The NRF with its MTCA: one TOML file. Relative paths are relative to it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NrfConfig {
    /// NF instance id, a UUID.
    pub id: Uuid,
    /// Its FQDN.
    pub fqdn: String,
    /// Where its SBI listens.
    pub listen: SocketAddr,
    /// The registry in cleartext, for network functions of other projects that have no certificate of the lab (see
    /// [interop.md](interop.md)). Off unless it is there. Who calls is not known there: it has its own instances, apart from
    /// those that are registered with a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleartext: Option<CleartextConfig>,
    /// Certificates by CMP (RFC 9810), see [enrolment.md](enrolment.md). Off unless it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmp: Option<CmpConfig>,
    /// Certificates for pods of a Kubernetes cluster, by their service-account tokens (see [kubernetes.md](kubernetes.md#identity)). Off
    /// unless it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesConfig>,
    /// Certificates by ACME (RFC 8555), see [enrolment.md](enrolment.md). Off unless it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeConfig>,
    /// Where its issuance log is served, in cleartext.
    pub log_listen: SocketAddr,
    /// Where health, metrics and measurements are served, in cleartext.
    pub admin: SocketAddr,
    /// The trust file, `trust.toml`: CA certificate, numbers of logs, witnesses.
    pub trust: PathBuf,
    /// File of the CA cosigner's private key (PKCS#8 PEM, ML-DSA-44).
    pub cosigner_key: PathBuf,
    /// Folder of issuance log 1, created by `--create-log` only, or `s3://BUCKET/PREFIX` in an object store (see
    /// [object-store.md](object-store.md)). Log N, which the CA continues with after others have failed, is in `<log>-N` beside it.
    #[schemars(with = "String")]
    pub log: LogLocation,
    /// The object store, for a `log` that is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStoreConfig>,
    /// Folder of files that are served to everybody on `log_listen`, below `/lab/`: nothing secret may be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<PathBuf>,
    /// Whether to retire the log and create the next one when signatures prove at the start that it cannot continue (see
    /// [troubleshooting.md](troubleshooting.md#when-the-issuance-log-fails)). Otherwise an operator decides, with `--next-log`.
    #[serde(default)]
    pub retire_failed_log: bool,
    /// Private folder: used tokens, issued certificates, registered profiles, the NRF's own keys.
    pub state: PathBuf,
    /// File of the public key that enrolment tokens are signed with (PEM, P-256).
    pub enrolment_authority: PathBuf,
    /// Folder of the private keys that access tokens are signed with (PKCS#8 PEM): `es256.key`, `ml-dsa-44.key`, `ml-dsa-65.key`, at
    /// least one of them. Without it, this NRF issues none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_keys: Option<PathBuf>,
    /// Access tokens for `nnrf-disc`: `off`, `optional` (checked if there is one) or `required`. All but `off` need `token_keys` in
    /// the trust file. `nnrf-nfm` asks for none: the certificate says who registers.
    #[serde(default)]
    pub access_tokens: TokenPolicy,
    /// Whether an SCP gets access tokens for a consumer whose client credentials assertion (TS 33.501 clause 13.3.8) it shows, and a token
    /// that comes through one is taken only with its owner's. Both only with `access_tokens`.
    #[serde(default = "default_client_credentials")]
    pub client_credentials: bool,
    /// For how many seconds an access token is good, at least 10.
    #[serde(default = "default_token_lifetime")]
    pub access_token_lifetime_seconds: u64,
    /// Folder of the CAs of the X.509 baselines, `<folder>/<profile>/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<PathBuf>,
    /// For how many seconds a CRL or an OCSP response of the X.509 baselines is good, at least 10; NFs get another when half of them
    /// are over (see [revocation-x509.md](revocation-x509.md)).
    #[serde(default = "default_status_lifetime")]
    pub status_lifetime_seconds: u64,
    /// The NRF's own credentials, at least one of them `mtc`. The X.509 ones also say which baselines it issues.
    pub credential: Vec<WantedCredential>,
    /// Home network: organisation of the certificates' subjects.
    #[schemars(with = "serde_json::Value")]
    pub plmn: PlmnId,
    /// Country of the certificates' subjects: two letters.
    pub country: String,
    /// Lifetime of certificates in seconds, at least 10. Certificates are valid from five minutes before they are issued.
    pub certificate_lifetime_seconds: u64,
    /// For how many seconds after its expiry a certificate may still be renewed, and be used for nothing else, so that a
    /// lab survives a step of the clock or a night of a sleeping laptop; 0 for never (see [troubleshooting.md](troubleshooting.md#clock-steps)).
    #[serde(default = "default_renew_expired")]
    pub renew_expired_seconds: u64,
    /// Least milliseconds from one checkpoint to the next, so that batches form.
    #[serde(default = "default_checkpoint_interval")]
    pub checkpoint_interval_ms: u64,
    /// Least seconds from one landmark to the next; a new log's first are 1, 2, 4, ... seconds apart. Fewer than 4096
    /// landmarks may be active during a certificate's lifetime.
    #[serde(default = "default_landmark_interval")]
    pub landmark_interval_seconds: u64,
    /// For how many seconds a list of revoked serial numbers is good, at least 10; the next one is made when half of them are over, or
    /// something is revoked (see [revocation.md](revocation.md)).
    #[serde(default = "default_revocation_list_lifetime")]
    pub revocation_list_lifetime_seconds: u64,
    /// Null entries to begin a new log with, at most 10,000,000, so that proofs have a realistic depth.
    #[serde(default)]
    pub preload: u64,
    /// Certificate requests that may wait for a batch.
    #[serde(default = "default_queue")]
    pub queue: usize,
    /// For how many seconds witnesses are asked before a request is refused.
    #[serde(default = "default_witness_deadline")]
    pub witness_deadline_seconds: u64,
    /// How many of the witnesses must cosign; not fewer than relying parties ask for in their trust file.
    pub required_witnesses: usize,
    /// Where the witnesses are; who they are is in the trust file.
    pub witness: Vec<WitnessAddress>,
    /// Milliseconds between looks at the log for new landmarks.
    #[serde(default = "default_trust_interval")]
    pub trust_interval_ms: u64,
    /// Seconds for which consumers may use a discovery result.
    #[serde(default = "default_validity")]
    pub discovery_validity_seconds: u32,
    /// How many seconds the start may take before the process gives up.
    #[serde(default = "default_startup")]
    pub startup_seconds: u64,
    /// Whether the NRF is ready only when its own landmark-relative certificates are there.
    #[serde(default)]
    pub await_landmarks: bool,
    /// File that the secrets of all connections are written to, to decrypt packet captures (see
    /// [observing.md](observing.md#key-log)). Whoever reads it can read the connections. `SSLKEYLOGFILE` has no effect.
    #[serde(default)]
    pub key_log: Option<PathBuf>,
    /// How the NRF reads ClientHello.
    #[serde(default, skip_serializing_if = "TlsConfig::is_default")]
    pub tls: TlsConfig,
    /// Limits on what peers may use of this process.
    #[serde(default, skip_serializing_if = "LimitsConfig::is_default")]
    pub limits: LimitsConfig,
    /// Seconds by which this process's clock is ahead, for experiments with clock skew (see
    /// [troubleshooting.md](troubleshooting.md#clock-steps)).
    #[serde(default)]
    pub clock_offset_seconds: i64,
}

/// Certificates by CMP.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CmpConfig {
    /// Where it listens, for HTTP in cleartext: CMP protects its messages itself.
    pub listen: SocketAddr,
    /// File of the key that the secrets of `mtc5g token --cmp` are derived from, 64 hexadecimal digits; `mtc5g init` makes
    /// `enrolment/cmp.key`.
    pub secrets: PathBuf,
}

/// Certificates by ACME.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcmeConfig {
    /// Where it listens, for HTTPS with an X.509 certificate of the NRF: there must be one in `credential`.
    pub listen: SocketAddr,
    /// File of the key that the external accounts of `mtc5g token --acme` are derived from, 64 hexadecimal digits; `mtc5g init` makes
    /// `enrolment/acme.key`.
    pub external_accounts: PathBuf,
    /// Where clients reach it, `https://` with a name of the NRF's certificate and a port, if that is not `fqdn` and the port of `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl AcmeConfig {
    /// Checks that clients are told to come over HTTPS, and that there is a certificate for it.
    fn check(&self, wanted: &[Wanted]) -> Result<(), ConfigError> {
        let rule = |key, rule: &str| ConfigError::Rule {
            key,
            rule: rule.to_owned(),
        };
        let is_usable = |url: &String| {
            let root = url.parse::<ApiRoot>();
            root.is_ok_and(|root| root.scheme() == Scheme::Https && root.prefix().is_empty())
        };
        if !self.url.as_ref().is_none_or(is_usable) {
            let text = "must be https://, a name and perhaps a port, as in https://nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7781";
            return Err(rule("acme.url", text));
        }
        if wanted
            .iter()
            .any(|wanted| matches!(wanted, Wanted::X509(..)))
        {
            return Ok(());
        }
        Err(rule(
            "acme",
            "needs an X.509 certificate of the NRF, since clients of others verify no other: add a [[credential]] with profile = \"x509-...\"",
        ))
    }
}

/// The registry in cleartext.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CleartextConfig {
    /// Where it listens: a loopback address, unless `beyond_loopback`.
    pub listen: SocketAddr,
    /// Whether it may listen at an address that others reach. Everybody there may register, and be told, what they like.
    #[serde(default)]
    pub beyond_loopback: bool,
    /// Seconds between heartbeats of instances that propose no `heartBeatTimer`, at most a week. Long for network functions that send
    /// none, as those of free5GC: they are suspended when it is over.
    #[serde(default = "heartbeat_seconds")]
    pub heartbeat_seconds: u32,
}

/// As over TLS.
const fn heartbeat_seconds() -> u32 {
    HEARTBEAT_INTERVAL
}

/// A week: a laboratory that is up for longer starts again before.
const MAX_HEARTBEAT_SECONDS: u32 = 7 * 24 * 3600;

impl CleartextConfig {
    /// Checks that nobody but this machine reaches it by mistake, and that whoever is gone is forgotten some day.
    fn check(&self) -> Result<(), ConfigError> {
        if !(1..=MAX_HEARTBEAT_SECONDS).contains(&self.heartbeat_seconds) {
            return Err(ConfigError::Rule {
                key: "cleartext.heartbeat_seconds",
                rule: format!("must be 1 to {MAX_HEARTBEAT_SECONDS}"),
            });
        }
        if self.beyond_loopback || self.listen.ip().is_loopback() {
            return Ok(());
        }
        Err(ConfigError::Rule {
            key: "cleartext.listen",
            rule: "is not a loopback address: whoever reaches it may register anything; if that is meant, set beyond_loopback = true".to_owned(),
        })
    }
}

/// Where a witness is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WitnessAddress {
    /// Its cosigner ID in the trust file.
    pub id: String,
    /// Below which URL it takes requests (`add-checkpoint`, `sign-subtree`); an address or a name with a port is one in cleartext.
    #[schemars(with = "String")]
    #[serde(alias = "addr")]
    pub submission_prefix: Prefix,
    /// Below which URL it shows what it has cosigned [default: the submission prefix].
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_prefix: Option<Prefix>,
    /// Whether it is a mirror (c2sp.org/tlog-mirror): it is sent the entries too (`add-entries`), before the other witnesses are asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirror: bool,
}

/// Twelve hours: a laptop that sleeps for a night.
const fn default_renew_expired() -> u64 {
    12 * 3600
}

/// An hour.
const fn default_token_lifetime() -> u64 {
    3600
}

/// An hour.
const fn default_status_lifetime() -> u64 {
    3600
}

const fn default_checkpoint_interval() -> u64 {
    100
}

const fn default_revocation_list_lifetime() -> u64 {
    3600
}

const fn default_landmark_interval() -> u64 {
    3600
}

const fn default_queue() -> usize {
    4096
}

const fn default_witness_deadline() -> u64 {
    10
}

const fn default_validity() -> u32 {
    60
}

/// From a log's first landmark to its second; it doubles until it is `landmark_interval_seconds`. Whoever starts a lab, and a
/// load on it, soon has certificates that are relative to a landmark.
const FIRST_TIME_BETWEEN_LANDMARKS: Duration = Duration::from_secs(1);

/// Null entries that a log may begin with: they are made in memory.
const MAX_PRELOAD: u64 = 10_000_000;

impl NrfConfig {
    /// Makes relative paths relative to `folder`, and checks what the types cannot.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn resolve(mut self, folder: &Path) -> Result<Self, ConfigError> {
        self.check()?;
        for path in [
            &mut self.trust,
            &mut self.cosigner_key,
            &mut self.state,
            &mut self.enrolment_authority,
        ] {
            *path = folder.join(&*path);
        }
        self.log.resolve(folder);
        if let Some(store) = &mut self.object_store {
            store.credentials = store.credentials.take().map(|file| folder.join(file));
        }
        self.x509 = self.x509.map(|x509| folder.join(x509));
        self.token_keys = self.token_keys.map(|keys| folder.join(keys));
        self.public = self.public.map(|public| folder.join(public));
        self.key_log = self.key_log.map(|file| folder.join(file));
        if let Some(cmp) = &mut self.cmp {
            cmp.secrets = folder.join(&cmp.secrets);
        }
        if let Some(acme) = &mut self.acme {
            acme.external_accounts = folder.join(&acme.external_accounts);
        }
        if let Some(kubernetes) = &mut self.kubernetes {
            kubernetes.resolve(folder);
        }
        Ok(self)
    }

    /// How many landmarks may be active at once if all are an interval apart.
    const fn active_landmarks(&self) -> u64 {
        self.certificate_lifetime_seconds / self.landmark_interval_seconds
    }

    /// Least time between a log's first landmark and the second, see [`LandmarkPolicy::first_time_between`].
    ///
    /// It is the interval itself where the landmarks of the first seconds would be too many: there is one more for each
    /// doubling.
    ///
    /// [`LandmarkPolicy::first_time_between`]: mtc_log::LandmarkPolicy::first_time_between
    pub(crate) fn first_time_between_landmarks(&self) -> Duration {
        let doublings = u64::BITS - self.landmark_interval_seconds.leading_zeros();
        if self.active_landmarks() + u64::from(doublings) < MAX_LANDMARKS as u64 {
            FIRST_TIME_BETWEEN_LANDMARKS
        } else {
            Duration::from_secs(self.landmark_interval_seconds)
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rule = |key, rule: &str| ConfigError::Rule {
            key,
            rule: rule.to_owned(),
        };
        if self.certificate_lifetime_seconds < 10 {
            return Err(rule("certificate_lifetime_seconds", "must be at least 10"));
        }
        if self.access_token_lifetime_seconds < 10 {
            return Err(rule("access_token_lifetime_seconds", "must be at least 10"));
        }
        if self.revocation_list_lifetime_seconds < 10 {
            return Err(rule(
                "revocation_list_lifetime_seconds",
                "must be at least 10",
            ));
        }
        if self.status_lifetime_seconds < 10 {
            return Err(rule("status_lifetime_seconds", "must be at least 10"));
        }
        if self.landmark_interval_seconds == 0 || self.trust_interval_ms == 0 {
            return Err(rule(
                "landmark_interval_seconds, trust_interval_ms",
                "must be at least 1",
            ));
        }
        if self.active_landmarks() >= MAX_LANDMARKS as u64 {
            return Err(rule(
                "landmark_interval_seconds",
                "too short for the certificate lifetime: more than 4096 landmarks could be active at once",
            ));
        }
        if let Some(cleartext) = &self.cleartext {
            cleartext.check()?;
        }
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes.check()?;
        }
        if let Some(store) = &self.object_store {
            store.check()?;
        }
        if self.preload > MAX_PRELOAD {
            return Err(rule("preload", "must be at most 10000000"));
        }
        if self.required_witnesses > self.witness.len() {
            return Err(rule(
                "required_witnesses",
                "is more than the number of [[witness]] tables",
            ));
        }
        let is_repeated = |(at, of): (usize, &WitnessAddress)| {
            self.witness[..at].iter().any(|before| before.id == of.id)
        };
        if self.witness.iter().enumerate().any(is_repeated) {
            return Err(rule(
                "witness.id",
                "is the same in two [[witness]] tables: one witness counts once, wherever it is reached",
            ));
        }
        let wanted = self.wanted()?;
        self.tls.check(&wanted)?;
        if let Some(acme) = &self.acme {
            acme.check(&wanted)?;
        }
        if !wanted.iter().any(|wanted| matches!(wanted, Wanted::Mtc(_))) {
            return Err(rule(
                "credential",
                "the NRF needs an MTC itself: add one with profile = \"mtc\"",
            ));
        }
        Ok(())
    }

    /// The NRF's own wanted credentials.
    ///
    /// # Errors
    /// A profile or algorithm does not exist.
    pub fn wanted(&self) -> Result<Vec<Wanted>, ConfigError> {
        self.credential
            .iter()
            .map(WantedCredential::understand)
            .collect()
    }

    /// Lifetime of certificates.
    pub const fn certificate_lifetime(&self) -> Duration {
        Duration::from_secs(self.certificate_lifetime_seconds)
    }

    /// How long CRLs and OCSP responses are good.
    pub const fn status_lifetime(&self) -> Duration {
        Duration::from_secs(self.status_lifetime_seconds)
    }

    /// The URL of `log_listen`, as certificates say it: by the address, or by this NRF's name where it listens at every address.
    pub fn log_url(&self) -> String {
        let ip = self.log_listen.ip();
        if ip.is_unspecified() {
            format!("http://{}:{}", self.fqdn, self.log_listen.port())
        } else {
            format!("http://{}", self.log_listen)
        }
    }

    /// How long after its end a certificate may be renewed.
    pub const fn renew_expired(&self) -> Duration {
        Duration::from_secs(self.renew_expired_seconds)
    }

    /// What the configuration says of the process itself.
    pub fn process(&self) -> ProcessSettings<'_> {
        ProcessSettings {
            admin: self.admin,
            limits: &self.limits,
            clock: self.clock(),
            startup: Duration::from_secs(self.startup_seconds),
            trust_interval: Duration::from_millis(self.trust_interval_ms),
            key_log: self.key_log.as_deref(),
            tls: self.tls,
        }
    }

    /// This process's clock.
    pub const fn clock(&self) -> Clock {
        Clock {
            offset_seconds: self.clock_offset_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acme_is_served_by_https_with_a_certificate_that_clients_verify() {
        let key = |profile: &str, url: Option<&str>| {
            let acme = AcmeConfig {
                listen: ([127, 0, 0, 10], 7781).into(),
                external_accounts: PathBuf::new(),
                url: url.map(str::to_owned),
            };
            let credential = WantedCredential {
                profile: profile.to_owned(),
                leaf_key: "ecdsa-p256".to_owned(),
            };
            let wanted = credential.understand().expect("there is such a one");
            match acme.check(&[wanted]) {
                Err(ConfigError::Rule { key, .. }) => key,
                checked => checked.map_or("another", |()| ""),
            }
        };
        let x509 = "x509-ecdsa-p256-intermediate";
        assert_eq!(key(x509, None), "");
        assert_eq!(key(x509, Some("https://nrf1.test:7781")), "");
        assert_eq!(key("mtc", None), "acme");
        for url in [
            "http://nrf1.test",
            "https://nrf1.test/",
            "https://nrf1.test/x",
            "nrf1.test",
        ] {
            assert_eq!(key(x509, Some(url)), "acme.url", "{url}");
        }
    }

    #[test]
    fn cleartext_beyond_this_machine_must_be_meant() {
        let check = |listen: &str, beyond_loopback| {
            let listen = listen.parse().expect("an address");
            let cleartext = CleartextConfig {
                listen,
                beyond_loopback,
                heartbeat_seconds: HEARTBEAT_INTERVAL,
            };
            cleartext.check()
        };
        for listen in ["127.0.0.10:7777", "[::1]:7777"] {
            assert!(check(listen, false).is_ok(), "{listen}");
        }
        for listen in ["0.0.0.0:7777", "[::]:7777", "192.0.2.1:7777"] {
            let refused = check(listen, false);
            let is_rule = matches!(
                refused,
                Err(ConfigError::Rule {
                    key: "cleartext.listen",
                    ..
                })
            );
            assert!(is_rule, "{listen}: {refused:?}");
            assert!(check(listen, true).is_ok(), "{listen}");
        }
    }
}
