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
        config.nf = config.nf.resolve(folder)?;
        config.witness.key = folder.join(&config.witness.key);
        config.witness.state = folder.join(&config.witness.state);
        Ok(config)
    }
}
