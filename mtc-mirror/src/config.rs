//! The mirror's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mtc_tls::clock::Clock;
use mtc_web::Prefix;
use sbi::config::ConfigError;
use sbi::limits::LimitsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mirror: one TOML file. Relative paths are relative to it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    /// Where it takes entries and serves its copy, in cleartext: both prefixes of c2sp.org/tlog-mirror.
    pub listen: SocketAddr,
    /// Where health and metrics are served, in cleartext.
    pub admin: SocketAddr,
    /// The trust file, `trust.toml`: the CA whose logs are mirrored.
    pub trust: PathBuf,
    /// Its cosigner ID, as in the trust file of whoever asks for its cosignatures; another one than the witness's.
    pub id: String,
    /// File of its private key (PKCS#8 PEM, ML-DSA-44), which nobody else uses.
    pub key: PathBuf,
    /// Folder of the copies, a folder for each log; made if it does not exist. It should be on another disk than the log.
    pub state: PathBuf,
    /// Where the CA's logs are, to copy their landmarks from: the URL below which log 1 is `1/`, or an address or a name with a port.
    #[schemars(with = "String")]
    pub log: Prefix,
    /// Milliseconds between looks at the logs for new landmarks. A landmark of the last interval is lost with the log.
    #[serde(default = "default_landmark_interval")]
    pub landmark_interval_ms: u64,
    /// Limits on what peers may use of this process.
    #[serde(default, skip_serializing_if = "LimitsConfig::is_default")]
    pub limits: LimitsConfig,
    /// Seconds by which this process's clock is ahead, for experiments with clock skew (see
    /// [troubleshooting.md](troubleshooting.md#clock-steps)).
    #[serde(default)]
    pub clock_offset_seconds: i64,
}

/// A second: a new log's first landmarks are that far apart.
const fn default_landmark_interval() -> u64 {
    1000
}

impl MirrorConfig {
    /// Reads and checks a configuration. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read, or the first rule that it breaks.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let folder = sbi::config::folder_of(path);
        let mut config: Self = sbi::config::load(path)?;
        if config.landmark_interval_ms == 0 {
            return Err(ConfigError::Rule {
                key: "landmark_interval_ms",
                rule: "must be at least 1".to_owned(),
            });
        }
        for path in [&mut config.trust, &mut config.key, &mut config.state] {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    /// This process's clock.
    pub const fn clock(&self) -> Clock {
        Clock {
            offset_seconds: self.clock_offset_seconds,
        }
    }
}
