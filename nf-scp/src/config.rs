//! The SCP's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sbi::config::{ConfigError, NfConfig};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingConfig {
    /// Most requests that are routed at a time; more are answered with 503 and `Retry-After`. Each may have an answer of
    /// 256 KiB on its way.
    pub max_requests: usize,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self { max_requests: 512 }
    }
}

impl RoutingConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The witness of the SCP.
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
        config.witness.key = folder.join(&config.witness.key);
        config.witness.state = folder.join(&config.witness.state);
        Ok(config)
    }
}
