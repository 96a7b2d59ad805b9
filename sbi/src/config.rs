//! The configuration that every network function shares: a TOML file, checked before anything starts.
//!
//! Relative paths are relative to the file. Unknown keys are errors. An NF flattens [`NfConfig`] into its own type.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtc_tls::clock::Clock;
use mtc_tls::key::{KeyAlgorithm, X509Profile};
use mtc_tls::profile::{TrustDomain, UnknownTrustDomain};
use mtc_tls::trust_anchors;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access_token::TokenPolicy;
use crate::address::Address;
use crate::limits::LimitsConfig;
use crate::model::NfType;
use crate::pool::{PoolError, claim};
use crate::service_account::{PodError, PodFqdn, pod_of};
use mtc_web::Prefix;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A replica has no identity.
    #[error("this replica has no identity")]
    Pool(#[from] PoolError),
    /// A pod does not know which it is.
    #[error("this pod has no identity")]
    Pod(#[from] PodError),
    /// The file cannot be read.
    #[error("cannot read configuration {}; is the path right, and may this user read it?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not TOML, a key is unknown, or a value is not of its type.
    #[error("configuration {}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        source: Box<toml::de::Error>,
    },
    /// A value breaks a rule.
    #[error("configuration: {key}: {rule}")]
    Rule {
        /// The key.
        key: &'static str,
        /// The rule.
        rule: String,
    },
}

/// Reads a configuration file. Blocks on the disk.
///
/// # Errors
/// [`ConfigError::Read`] or [`ConfigError::Syntax`].
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = crate::text_file::read(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// The folder that relative paths of a configuration file are relative to.
pub fn folder_of(config: &Path) -> &Path {
    config.parent().unwrap_or_else(|| Path::new(""))
}

/// Where the NRF is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NrfAddress {
    /// Its SBI: an address or a name, with a port.
    #[schemars(with = "String")]
    pub sbi: Address,
    /// Its FQDN, which its certificate must name.
    pub fqdn: String,
    /// Where its issuance logs are: the URL below which log 1 is `1/`, or an address or a name with a port.
    #[schemars(with = "String")]
    pub log: Prefix,
}

/// A credential that an NF must have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedCredential {
    /// `mtc`, or an X.509 trust domain such as `x509-ml-dsa-65-intermediate`.
    pub profile: String,
    /// Algorithm of its key, such as `ml-dsa-65`.
    pub leaf_key: String,
}

/// One NF instance of a process.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Its NF type, as `UDM`, where a process hosts several; otherwise that of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub nf_type: Option<NfType>,
    /// NF instance id, a UUID; unique in the file.
    pub id: Uuid,
    /// Its FQDN; unique in the file.
    pub fqdn: String,
    /// Where its SBI listens; port 0 takes a free one. See `share_ports`. It is needed; of a sidecar only where an `[[inbound]]` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// File of its enrolment token; needed until it has a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<PathBuf>,
    /// Whether it presents and trusts Merkle Tree Certificates where a client of a mixed estate names them beside an X.509 root; `false` is for
    /// labs, whose share of such instances a scenario sets. It enrols by one either way.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub upgraded: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}

/// How a server of this process reads ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Trust domain in which clients are served that say nothing of what they trust, as curl, Go and Java do: `mtc-standalone`, or an
    /// X.509 one of `credential`, such as `x509-ecdsa-p256-intermediate`, whose root those clients can be given.
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    pub unnamed_clients: TrustDomain,
    /// Code point of the extension `trust_anchors` (draft-ietf-tls-trust-anchor-ids), which IANA has yet to assign: 51764, 0xca34, is
    /// BoringSSL's.
    pub trust_anchors_extension: u16,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            unnamed_clients: TrustDomain::MtcStandalone,
            trust_anchors_extension: trust_anchors::CODE_POINT,
        }
    }
}

impl TlsConfig {
    /// Whether nothing is to be written down.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that there are certificates of the domain of clients that name none.
    ///
    /// # Errors
    /// There are not.
    pub fn check(&self, wanted: &[Wanted]) -> Result<(), ConfigError> {
        let is_served = match self.unnamed_clients {
            TrustDomain::MtcStandalone => true,
            TrustDomain::X509(profile) => x509_profiles(wanted).contains(&profile),
            _ => false,
        };
        if is_served {
            return Ok(());
        }
        Err(ConfigError::Rule {
            key: "tls.unnamed_clients",
            rule: "must be mtc-standalone, or the profile of an X.509 credential".to_owned(),
        })
    }
}

/// Values that are written as their text.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// What a process of NF instances needs. See `docs/configuration.md` for an example.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NfConfig {
    /// The trust file, `trust.toml`.
    pub trust: PathBuf,
    /// Folder of the roots of the X.509 baselines, `<folder>/<profile>/root.crt`; needed for X.509 credentials only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<PathBuf>,
    /// Private folder of keys and certificates, which survive a restart there; made if it does not exist.
    pub state: PathBuf,
    /// Where health, metrics and measurements are served, in cleartext; port 0 takes a free one.
    pub admin: SocketAddr,
    /// The NRF.
    pub nrf: NrfAddress,
    /// Credentials that every instance must have; at least one is `mtc`.
    pub credential: Vec<WantedCredential>,
    /// Folder of the trusted sets that `mtc5g distribute` writes on this node (see [distribution.md](distribution.md)): landmarks and what is
    /// revoked are read there, and the logs are not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_sets: Option<PathBuf>,
    /// Milliseconds between looks at the log, or into the folder of trusted sets, for new landmarks.
    #[serde(default = "default_trust_interval")]
    pub trust_interval_ms: u64,
    /// Looks on demand (see [distribution.md](distribution.md#on-demand)): the process looks, too, when a peer shows a standalone certificate
    /// that no landmark covers which is known here, so many milliseconds after the look before at the earliest. Left out, it looks only every
    /// `trust_interval_ms`, which must be longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_on_demand_ms: Option<u64>,
    /// Heartbeat interval that is proposed to the NRF, in seconds.
    #[serde(default = "default_heartbeat")]
    pub heartbeat_seconds: u32,
    /// How many seconds the start may take before the process gives up.
    #[serde(default = "default_startup")]
    pub startup_seconds: u64,
    /// Whether the process is ready only when its landmark-relative certificates are there. A landmark may be an hour away,
    /// and until then standalone certificates serve.
    #[serde(default)]
    pub await_landmarks: bool,
    /// File that the secrets of all connections are written to, to decrypt packet captures (see
    /// [observing.md](observing.md#key-log)). Whoever reads it can read the connections. `SSLKEYLOGFILE` has no effect.
    #[serde(default)]
    pub key_log: Option<PathBuf>,
    /// Seconds by which this process's clock is ahead, for experiments with clock skew (see
    /// [troubleshooting.md](troubleshooting.md#clock-steps)).
    #[serde(default)]
    pub clock_offset_seconds: i64,
    /// Access tokens (TS 33.501 clause 13.4.1): `off` (none are sent or looked at), `optional` (they are sent, and checked if there is
    /// one), `required` (requests without one are refused). All but `off` need `token_keys` in the trust file.
    #[serde(default)]
    pub access_tokens: TokenPolicy,
    /// Whether, beside access tokens, requests that go through an SCP carry a client credentials assertion (TS 33.501 clause 13.3.8), and a
    /// token that comes through one is taken only with its owner's. Without, the SCP is believed.
    #[serde(default = "default_client_credentials")]
    pub client_credentials: bool,
    /// How servers of this process read ClientHello.
    #[serde(default, skip_serializing_if = "TlsConfig::is_default")]
    pub tls: TlsConfig,
    /// Limits on what peers may use of this process.
    #[serde(default, skip_serializing_if = "LimitsConfig::is_default")]
    pub limits: LimitsConfig,
    /// Whether instances that follow each other and have the same `listen` have one port together: a client says by the server name in
    /// its ClientHello which it means, and one that names none of them is refused (`unrecognized_name`). A process of many instances
    /// spares a file descriptor and a port for each of them.
    #[serde(default)]
    pub share_ports: bool,
    /// The NF instances of this process, one table each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance: Vec<InstanceConfig>,
    /// Instead of `instance`: one instance that is told who it is when it starts, such as a replica of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaConfig>,
    /// Whether the instance has taken its token from a pool; known when the file is resolved.
    #[serde(skip)]
    pub took_token: bool,
}

/// The only instance of a process, which is told who it is when it starts: by `tokens` or by `pod`, one of the two.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaConfig {
    /// Folder of enrolment tokens, a pool of which it takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
    /// Where its SBI listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The pod that it is (see [kubernetes.md](kubernetes.md#identity)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodConfig>,
}

/// A pod of Kubernetes as an NF instance.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodConfig {
    /// File of its projected service-account token. It is read again whenever the NRF is to be shown it, as the kubelet renews it.
    pub token: PathBuf,
    /// Its FQDN, `{pod}` for its name; the same as in the NRF's `[[kubernetes.account]]`.
    pub fqdn: PodFqdn,
}

impl ReplicaConfig {
    /// The instance, with a token that it takes to `state` if it needs one. Blocks on the disk.
    fn instance(self, folder: &Path, state: &Path) -> Result<InstanceConfig, ConfigError> {
        let (id, fqdn, token) = match (self.tokens, self.pod) {
            (Some(pool), None) => {
                let claimed = claim(&folder.join(pool), state)?;
                (claimed.instance_id, claimed.fqdn, claimed.token)
            }
            (None, Some(PodConfig { token, fqdn })) => {
                let token = folder.join(token);
                let pod = pod_of(&token)?;
                (pod.instance_id(), fqdn.of(&pod), token)
            }
            _ => {
                return Err(ConfigError::Rule {
                    key: "replica",
                    rule: "needs tokens or pod, one of the two".to_owned(),
                });
            }
        };
        Ok(InstanceConfig {
            nf_type: None,
            id,
            fqdn,
            listen: Some(self.listen),
            token: Some(token),
            upgraded: true,
        })
    }
}

/// Most instances of a process that keep connections to the NRF open.
pub const KEEPING: usize = 256;

/// Default of `client_credentials`: true.
pub const fn default_client_credentials() -> bool {
    true
}

/// Default of `trust_interval_ms`: 10 s.
pub const fn default_trust_interval() -> u64 {
    10_000
}

const fn default_heartbeat() -> u32 {
    10
}

/// Default of `startup_seconds`: a minute.
pub const fn default_startup() -> u64 {
    60
}

/// What a configuration says of the process itself.
#[derive(Clone, Copy, Debug)]
pub struct ProcessSettings<'a> {
    /// Where the admin port listens.
    pub admin: SocketAddr,
    /// What peers may have of the process.
    pub limits: &'a LimitsConfig,
    /// Its clock.
    pub clock: Clock,
    /// How long its start may take.
    pub startup: Duration,
    /// From one look at the log for new landmarks to the next.
    pub trust_interval: Duration,
    /// File that gets the secrets of all connections.
    pub key_log: Option<&'a Path>,
    /// How its servers read ClientHello.
    pub tls: TlsConfig,
}

impl<'a> ProcessSettings<'a> {
    /// Those of a process that waits for nobody, keeps no trust of instances and has no connections of TLS.
    pub fn plain(admin: SocketAddr, limits: &'a LimitsConfig, clock: Clock) -> Self {
        Self {
            admin,
            limits,
            clock,
            startup: Duration::ZERO,
            trust_interval: Duration::ZERO,
            key_log: None,
            tls: TlsConfig::default(),
        }
    }
}

/// A wanted credential, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A Merkle Tree Certificate.
    Mtc(KeyAlgorithm),
    /// A certificate of an X.509 baseline.
    X509(X509Profile, KeyAlgorithm),
}

impl NfConfig {
    /// Makes relative paths relative to `folder`, claims a replica's instance, and checks what the types cannot. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn resolve(mut self, folder: &Path) -> Result<Self, ConfigError> {
        let rule = |key, rule: &str| ConfigError::Rule {
            key,
            rule: rule.to_owned(),
        };
        self.state = folder.join(&self.state);
        self.key_log = self.key_log.map(|file| folder.join(file));
        if let Some(replica) = self.replica.take() {
            if !self.instance.is_empty() {
                return Err(rule(
                    "replica",
                    "replaces [[instance]]; give one of the two",
                ));
            }
            self.took_token = replica.tokens.is_some();
            self.instance.push(replica.instance(folder, &self.state)?);
        }
        if self.instance.is_empty() {
            return Err(rule(
                "instance",
                "at least one [[instance]] is needed, or [replica]",
            ));
        }
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for instance in &self.instance {
            if !ids.insert(instance.id) || !names.insert(&instance.fqdn) {
                return Err(rule("instance", "two instances have the same id or fqdn"));
            }
        }
        let wanted = self.wanted()?;
        self.tls.check(&wanted)?;
        if !wanted.iter().any(|wanted| matches!(wanted, Wanted::Mtc(_))) {
            return Err(rule(
                "credential",
                "the first certificate must be an MTC: add one with profile = \"mtc\"",
            ));
        }
        if self.trust_interval_ms == 0 || self.heartbeat_seconds == 0 {
            return Err(rule(
                "trust_interval_ms, heartbeat_seconds",
                "must be at least 1",
            ));
        }
        if let Some(pause) = self.trust_on_demand_ms
            && !(1..self.trust_interval_ms).contains(&pause)
        {
            return Err(rule(
                "trust_on_demand_ms",
                "must be at least 1 and less than trust_interval_ms",
            ));
        }
        self.trust = folder.join(&self.trust);
        self.trusted_sets = self.trusted_sets.map(|sets| folder.join(sets));
        self.x509 = self.x509.map(|x509| folder.join(x509));
        for instance in &mut self.instance {
            instance.token = instance.token.take().map(|token| folder.join(token));
        }
        Ok(self)
    }

    /// The pause between looks on demand, if it looks on demand.
    pub fn trust_on_demand(&self) -> Option<Duration> {
        self.trust_on_demand_ms.map(Duration::from_millis)
    }

    /// Whether the process has so many instances that they keep no connections to the NRF open while they have nothing to say: each takes
    /// a file descriptor and some 100 kB at both ends.
    pub const fn is_large(&self) -> bool {
        self.instance.len() > KEEPING
    }

    /// The wanted credentials, MTC first.
    ///
    /// # Errors
    /// A profile or algorithm does not exist.
    pub fn wanted(&self) -> Result<Vec<Wanted>, ConfigError> {
        let mut wanted = self
            .credential
            .iter()
            .map(WantedCredential::understand)
            .collect::<Result<Vec<_>, _>>()?;
        wanted.sort_by_key(|wanted| matches!(wanted, Wanted::X509(..)));
        Ok(wanted)
    }

    /// Refuses an instance of another type than the process. One that is called by no type of TS 29.510 hosts instances of any.
    ///
    /// # Errors
    /// There is one.
    pub fn check_types(&self, process: &NfType) -> Result<(), ConfigError> {
        let hosts_others = matches!(process, NfType::Other(_));
        let mut named = self.instance.iter().filter_map(|own| own.nf_type.as_ref());
        if hosts_others || named.all(|named| named == process) {
            return Ok(());
        }
        Err(ConfigError::Rule {
            key: "nf.instance.nf_type",
            rule: format!("must be {process}, or left out"),
        })
    }

    /// Refuses an instance that listens nowhere, which serves nobody.
    ///
    /// # Errors
    /// There is one.
    pub fn check_listening(&self) -> Result<(), ConfigError> {
        if self.instance.iter().all(|own| own.listen.is_some()) {
            return Ok(());
        }
        Err(ConfigError::Rule {
            key: "nf.instance.listen",
            rule: "is needed: where its SBI listens".to_owned(),
        })
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

/// The X.509 baselines of wanted credentials, each once, in their order.
pub fn x509_profiles(wanted: &[Wanted]) -> Vec<X509Profile> {
    let mut profiles = Vec::new();
    for wanted in wanted {
        if let Wanted::X509(profile, _) = wanted
            && !profiles.contains(profile)
        {
            profiles.push(*profile);
        }
    }
    profiles
}

impl Wanted {
    /// The key's algorithm.
    pub const fn leaf_key(self) -> KeyAlgorithm {
        match self {
            Self::Mtc(leaf_key) | Self::X509(_, leaf_key) => leaf_key,
        }
    }

    /// The profile that the NRF is asked for.
    pub fn profile(self) -> String {
        match self {
            Self::Mtc(_) => crate::enrolment::MTC_PROFILE.to_owned(),
            Self::X509(profile, _) => TrustDomain::X509(profile).to_string(),
        }
    }
}

impl WantedCredential {
    /// Reads profile and algorithm.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn understand(&self) -> Result<Wanted, ConfigError> {
        let leaf_key = self
            .leaf_key
            .parse()
            .map_err(|error: mtc_core::cosign::KeyError| ConfigError::Rule {
                key: "credential.leaf_key",
                rule: error.to_string(),
            })?;
        if self.profile == crate::enrolment::MTC_PROFILE {
            return Ok(Wanted::Mtc(leaf_key));
        }
        let profile = self.profile.parse().and_then(|domain| match domain {
            TrustDomain::X509(profile) => Ok(profile),
            _ => Err(UnknownTrustDomain::Name(self.profile.clone())),
        });
        profile.map(|profile| Wanted::X509(profile, leaf_key)).map_err(|_| ConfigError::Rule {
            key: "credential.profile",
            rule: format!(
                "{:?} is neither mtc nor x509-<algorithm>-direct, -intermediate or -two-intermediates",
                self.profile
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_function_listens_somewhere() {
        let config = |listen: &str| {
            let text = format!(
                "trust = ''\nstate = ''\nadmin = '127.0.0.1:0'\n\
                 nrf = {{ sbi = '127.0.0.1:1', fqdn = 'nrf.test', log = '127.0.0.1:2' }}\n\
                 credential = [{{ profile = 'mtc', leaf_key = 'ml-dsa-65' }}]\n\
                 [[instance]]\nid = '0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01'\nfqdn = 'smf.test'\n{listen}"
            );
            toml::from_str::<NfConfig>(&text).expect("a configuration")
        };
        assert!(config("listen = '127.0.0.1:0'").check_listening().is_ok());
        let refused = config("").check_listening().expect_err("no listen");
        let text = refused.to_string();
        assert!(text.contains("nf.instance.listen"), "{text}");
    }

    fn tls(text: &str) -> Result<TlsConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn clients_that_name_nothing_are_served_where_there_are_certificates() {
        let wanted = [
            Wanted::Mtc(KeyAlgorithm::EcdsaP256),
            Wanted::X509(
                "ecdsa-p256-direct".parse().expect("a profile"),
                KeyAlgorithm::EcdsaP256,
            ),
        ];
        for (domain, is_served) in [
            ("mtc-standalone", true),
            ("x509-ecdsa-p256-direct", true),
            ("x509-ml-dsa-65-direct", false),
            ("mtc-landmark", false),
            ("mtc-standalone-ca", false),
        ] {
            let tls = tls(&format!("unnamed_clients = \"{domain}\"")).expect("a domain");
            assert_eq!(tls.unnamed_clients.to_string(), domain);
            assert_eq!(tls.check(&wanted).is_ok(), is_served, "{domain}");
        }
        let error = tls("unnamed_clients = \"x509\"").expect_err("no domain");
        assert!(
            error.to_string().contains("unknown trust domain"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_said_of_tls_is_as_it_always_was() {
        let default = tls("").expect("nothing is required");
        assert!(default.is_default());
        let other = tls("trust_anchors_extension = 65024").expect("a code point");
        assert!(!other.is_default());
        assert_eq!(
            (other.unnamed_clients, other.trust_anchors_extension),
            (default.unnamed_clients, 0xfe00)
        );
        assert!(tls("trust_anchors_extension = 65536").is_err());
        assert!(tls("fallback = \"mtc-standalone\"").is_err());
    }
}
