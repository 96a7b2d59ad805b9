//! The distributor's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtc_tls::clock::Clock;
use mtc_web::Prefix;
use sbi::config::{ConfigError, default_trust_interval};
use sbi::limits::LimitsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Kubernetes is told to call the node in the environment of a pod.
const NODE_VARIABLE: &str = "NODE_NAME";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// A distributor: one TOML file. Relative paths are relative to it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistributorConfig {
    /// Where health and metrics are served, in cleartext.
    pub admin: SocketAddr,
    /// The trust file, `trust.toml`.
    pub trust: PathBuf,
    /// Where the CA's logs are: the URL below which log 1 is `1/`, or an address or a name with a port.
    #[schemars(with = "String")]
    pub log: Prefix,
    /// Folder that the sets are written into, for all of the node to read; made if it does not exist. Nobody but this process should be able to
    /// write there. It is what network functions have as `nf.trusted_sets`.
    pub folder: PathBuf,
    /// Private folder for the newest list of what is revoked, so that no older one is taken after a restart, and for until when landmarks are held
    /// back, apart for each CA by its key; made if it does not exist.
    pub state: PathBuf,
    /// Milliseconds between looks at the logs.
    #[serde(default = "default_trust_interval")]
    pub interval_ms: u64,
    /// Name of the node, which decides whether it is a canary; without it `$NODE_NAME`, or the name of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Share of nodes, 0 to 1, that publish new landmarks at once, other ones for each landmark; the others do so after `hold_seconds`.
    #[serde(default = "default_canary")]
    pub canary: f64,
    /// Seconds that new landmarks are held back on a node that is no canary; at most 86,400. What is revoked is never held back. It should be
    /// shorter than the `startup_seconds` of network functions that await landmarks.
    #[serde(default)]
    pub hold_seconds: u64,
    /// How many sets are kept to go back to, at least 2 and at most 1,000.
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Oldest set that may be gone back to, in seconds since it was verified.
    #[serde(default = "default_rollback")]
    pub rollback_seconds: u64,
    /// Limits on what peers may use of this process.
    #[serde(default, skip_serializing_if = "LimitsConfig::is_default")]
    pub limits: LimitsConfig,
    /// Seconds by which this process's clock is ahead, for experiments with clock skew (see
    /// [troubleshooting.md](troubleshooting.md#clock-steps)).
    #[serde(default)]
    pub clock_offset_seconds: i64,
}

const fn default_canary() -> f64 {
    1.0
}

const fn default_keep() -> usize {
    16
}

/// A day.
const fn default_rollback() -> u64 {
    86_400
}

impl DistributorConfig {
    /// Reads and checks a configuration. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read, or the first rule that it breaks.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let folder = sbi::config::folder_of(path);
        let mut config: Self = sbi::config::load(path)?;
        config.check()?;
        for path in [&mut config.trust, &mut config.folder, &mut config.state] {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rule = |key, rule: &str| ConfigError::Rule {
            key,
            rule: rule.to_owned(),
        };
        if self.interval_ms == 0 {
            return Err(rule("interval_ms", "must be at least 1"));
        }
        if !(0.0..=1.0).contains(&self.canary) {
            return Err(rule("canary", "must be a share, 0 to 1"));
        }
        if self.hold_seconds > 86_400 {
            return Err(rule("hold_seconds", "must be at most 86400, a day"));
        }
        if !(2..=1000).contains(&self.keep) {
            return Err(rule("keep", "must be 2 to 1000"));
        }
        Ok(())
    }

    /// This process's clock.
    pub const fn clock(&self) -> Clock {
        Clock {
            offset_seconds: self.clock_offset_seconds,
        }
    }

    /// How long new landmarks are held back on a node that is no canary.
    pub const fn hold(&self) -> Duration {
        Duration::from_secs(self.hold_seconds)
    }

    /// The name of this node. Blocks on the disk.
    pub fn node(&self) -> String {
        let named = || std::env::var(NODE_VARIABLE).ok();
        let named = self.node.clone().or_else(named);
        let host = || std::fs::read_to_string(HOST_NAME).ok();
        let name = named.filter(|name| !name.is_empty()).or_else(host);
        name.unwrap_or_default().trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(more: &str) -> Result<(), String> {
        let text = format!(
            "admin = \"127.0.0.1:0\"\ntrust = \"trust.toml\"\nlog = \"127.0.0.1:1\"\nfolder = \"sets\"\nstate = \"state\"\n{more}\n"
        );
        let config: DistributorConfig = toml_of(&text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    fn toml_of(text: &str) -> Result<DistributorConfig, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("distributor.toml");
        std::fs::write(&path, text).expect("written");
        sbi::config::load(&path)
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_its_key() {
        assert_eq!(checked(""), Ok(()));
        for (key, value) in [
            ("interval_ms", "0"),
            ("canary", "1.5"),
            ("canary", "nan"),
            ("hold_seconds", "86401"),
            ("keep", "1"),
        ] {
            let refused = checked(&format!("{key} = {value}")).expect_err(key);
            assert!(refused.contains(key), "{refused}");
        }
    }
}
