//! The configuration files of the SCP, and of a witness that is a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mtc_tls::clock::Clock;
use sbi::config::{ConfigError, NfConfig, ProcessSettings};
use sbi::limits::LimitsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The SCP: an NF with one instance, and a witness. Relative paths are relative to the file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScpConfig {
    /// What every NF has.
    pub nf: NfConfig,
    /// The witness.
    pub witness: WitnessConfig,
    /// Routing of requests; may be left out.
    #[serde(default, skip_serializing_if = "RoutingConfig::is_default")]
    pub routing: RoutingConfig,
}

/// Routing of consumers' requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingConfig {
    /// Most requests that are routed at a time; more are answered with 503 and `Retry-After`. Each may take 256 KiB: windows of
    /// 64 KiB on both sides, and as much again in this process; longer bodies pass without being held.
    pub max_requests: usize,
    /// The SCP domain that it serves and registers with. Requests to producers whose profiles name other domains alone
    /// (`scpDomains`) go to an SCP that serves one of those.
    pub domain: String,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self {
            max_requests: 512,
            domain: "lab".to_owned(),
        }
    }
}

impl RoutingConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A witness that is a process of its own. Relative paths are relative to the file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WitnessProcessConfig {
    /// Where health, metrics and measurements are served, in cleartext.
    pub admin: SocketAddr,
    /// The trust file, `trust.toml`: the CA whose logs are cosigned.
    pub trust: PathBuf,
    /// Seconds by which this process's clock is ahead, for experiments with clock skew (see
    /// [troubleshooting.md](troubleshooting.md#clock-steps)).
    #[serde(default)]
    pub clock_offset_seconds: i64,
    /// Limits on what peers may use of this process.
    #[serde(default, skip_serializing_if = "LimitsConfig::is_default")]
    pub limits: LimitsConfig,
    /// The witness.
    pub witness: WitnessConfig,
}

impl WitnessProcessConfig {
    /// Reads a configuration. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read, or is not one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let folder = sbi::config::folder_of(path);
        let mut config: Self = sbi::config::load(path)?;
        config.trust = folder.join(&config.trust);
        config.witness.resolve(folder);
        Ok(config)
    }

    /// What the configuration says of the process itself.
    pub(crate) fn process(&self) -> ProcessSettings<'_> {
        ProcessSettings::plain(self.admin, &self.limits, self.clock())
    }

    /// This process's clock.
    pub(crate) const fn clock(&self) -> Clock {
        Clock {
            offset_seconds: self.clock_offset_seconds,
        }
    }
}

/// A witness.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where the witness listens, in cleartext.
    pub listen: SocketAddr,
    /// Its cosigner ID, as in the trust file.
    pub id: String,
    /// File of its private key (PKCS#8 PEM, ML-DSA-44).
    pub key: PathBuf,
    /// Folder of the latest checkpoints that it cosigned; made if it does not exist.
    pub state: PathBuf,
    /// Logs of other CAs that it cosigns for too; those of the trust file's CA need no mention.
    #[serde(default, rename = "log", skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<WitnessedCaConfig>,
}

/// Logs of another CA.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WitnessedCaConfig {
    /// The CA's verifier key (c2sp.org/signed-note), of ML-DSA-44, as `mtc5g log keys` prints it.
    pub vkey: String,
    /// Numbers of its issuance logs; the 255 after the last one are cosigned for too.
    #[serde(default = "first_log")]
    pub numbers: Vec<u64>,
}

fn first_log() -> Vec<u64> {
    vec![1]
}

impl WitnessConfig {
    /// Makes relative paths relative to `folder`.
    fn resolve(&mut self, folder: &Path) {
        self.key = folder.join(&self.key);
        self.state = folder.join(&self.state);
    }
}

impl ScpConfig {
    /// Reads and checks a configuration. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read, or the first rule that it breaks.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let folder = sbi::config::folder_of(path);
        let mut config: Self = sbi::config::load(path)?;
        if config.routing.max_requests == 0 {
            return Err(ConfigError::Rule {
                key: "routing.max_requests",
                rule: "must be at least 1".to_owned(),
            });
        }
        config.nf = config.nf.resolve(folder)?;
        config.witness.resolve(folder);
        Ok(config)
    }
}
