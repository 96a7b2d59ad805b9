//! The configuration file of an SMF process: `[nf]` as every NF has it, and `[smf]`.

use std::path::Path;
use std::time::Duration;

use sbi::config::{ConfigError, NfConfig, load};
use sbi::model::{PlmnId, Snssai, Tai};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::sm_context::Bounds;

/// A configuration file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every NF has.
    pub nf: NfConfig,
    /// What is particular to the SMF; may be left out.
    #[serde(default)]
    pub smf: SmfConfig,
}

/// What every SMF instance of the process serves, and its bounds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SmfConfig {
    /// The network.
    #[schemars(with = "serde_json::Value")]
    pub plmn: PlmnId,
    /// The tracking area.
    #[schemars(with = "serde_json::Value")]
    pub tracking_area: Tai,
    /// The slice that is served.
    #[schemars(with = "serde_json::Value")]
    pub slice: Snssai,
    /// The data network that is served in the slice.
    pub dnn: String,
    /// Most SM contexts of an instance, each about 300 octets.
    pub max_sm_contexts: usize,
    /// Most SM contexts of one AMF; without it three quarters of `max_sm_contexts`, so that other AMFs find room.
    pub max_sm_contexts_per_amf: Option<usize>,
    /// Seconds after which an SM context ends that its AMF has asked nothing of, at most a year. Contexts also end when
    /// their AMF has not been registered for 15 seconds or has restarted (`recoveryTime`).
    pub sm_context_idle_seconds: u64,
    /// Most N1N2 transfers of an instance in progress, each a TLS connection to an AMF.
    pub max_transfers: usize,
    /// Whether the network has UDMs, which are told of each session and asked for its subscription.
    pub udm: bool,
    /// Whether the network has PCFs, which give each session a policy.
    pub pcf: bool,
    /// How often an instance uses a connection to a UDM or a PCF before it opens another one.
    pub connection_uses: u32,
}

impl Default for SmfConfig {
    fn default() -> Self {
        let plmn = PlmnId::new("001", "01").expect("digits");
        Self {
            tracking_area: Tai::new(plmn.clone(), "000001").expect("hex digits"),
            plmn,
            slice: Snssai::new(1, Some("010203")).expect("hex digits"),
            dnn: "internet".to_owned(),
            max_sm_contexts: 65_536,
            max_sm_contexts_per_amf: None,
            sm_context_idle_seconds: 24 * 60 * 60,
            max_transfers: 512,
            udm: false,
            pcf: false,
            connection_uses: 1,
        }
    }
}

/// A year: what is kept for longer is never released.
const MAX_IDLE_SECONDS: u64 = 365 * 24 * 60 * 60;

impl SmfConfig {
    /// How many SM contexts there may be, and for how long.
    pub fn bounds(&self) -> Bounds {
        let capacity = self.max_sm_contexts;
        // Rounded up: an SMF with one place has it for any AMF.
        let share = capacity - capacity / 4;
        Bounds {
            capacity,
            per_amf: self.max_sm_contexts_per_amf.unwrap_or(share),
            idle: Duration::from_secs(self.sm_context_idle_seconds),
        }
    }
}

impl Config {
    /// Reads and checks a file. Blocks on the disk.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let Self { nf, smf } = load(path)?;
        if smf.max_sm_contexts == 0 || smf.max_transfers == 0 || smf.connection_uses == 0 {
            return Err(ConfigError::Rule {
                key: "smf.max_sm_contexts, smf.max_transfers, smf.connection_uses",
                rule: "must be at least 1".to_owned(),
            });
        }
        if smf.max_sm_contexts_per_amf == Some(0) {
            return Err(ConfigError::Rule {
                key: "smf.max_sm_contexts_per_amf",
                rule: "must be at least 1".to_owned(),
            });
        }
        if !(1..=MAX_IDLE_SECONDS).contains(&smf.sm_context_idle_seconds) {
            return Err(ConfigError::Rule {
                key: "smf.sm_context_idle_seconds",
                rule: format!("must be 1 to {MAX_IDLE_SECONDS}"),
            });
        }
        let nf = nf.resolve(sbi::config::folder_of(path))?;
        Ok(Self { nf, smf })
    }
}
