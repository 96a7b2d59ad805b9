//! The configuration file of a process of light peers: `[nf]` as every NF has it, and `[peers]`.

use std::path::Path;

use sbi::config::{ConfigError, NfConfig, load};
use sbi::model::{NfType, PlmnId, Snssai};
use schemars::JsonSchema;
use serde::Deserialize;

/// The types that a process may host.
pub const HOSTED: [NfType; 3] = [NfType::Ausf, NfType::Udm, NfType::Pcf];

/// A configuration file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every NF has; each instance has an `nf_type`: AUSF, UDM or PCF.
    pub nf: NfConfig,
    /// What is particular to light peers; may be left out.
    #[serde(default)]
    pub peers: PeersConfig,
}

/// What every instance of the process serves, and its bounds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeersConfig {
    /// The network.
    #[schemars(with = "serde_json::Value")]
    pub plmn: PlmnId,
    /// The slice that subscribers may use.
    #[schemars(with = "serde_json::Value")]
    pub slice: Snssai,
    /// Most UEs of which an instance keeps something, each about 500 octets; the one that it heard of longest ago makes way.
    pub max_ues: usize,
    /// How often an AUSF uses a connection to a UDM before it opens another one.
    pub connection_uses: u32,
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self {
            plmn: PlmnId::new("001", "01").expect("digits"),
            slice: Snssai::new(1, Some("010203")).expect("hex digits"),
            max_ues: 65_536,
            connection_uses: 1,
        }
    }
}

impl Config {
    /// Reads and checks a file. Blocks on the disk.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let Self { nf, peers } = load(path)?;
        if peers.max_ues == 0 || peers.connection_uses == 0 {
            return Err(ConfigError::Rule {
                key: "peers.max_ues, peers.connection_uses",
                rule: "must be at least 1".to_owned(),
            });
        }
        let is_hosted = |nf_type: &Option<NfType>| {
            nf_type
                .as_ref()
                .is_some_and(|nf_type| HOSTED.contains(nf_type))
        };
        if !nf
            .instance
            .iter()
            .all(|instance| is_hosted(&instance.nf_type))
        {
            return Err(ConfigError::Rule {
                key: "nf.instance.nf_type",
                rule: "must be AUSF, UDM or PCF for every instance".to_owned(),
            });
        }
        let nf = nf.resolve(sbi::config::folder_of(path))?;
        Ok(Self { nf, peers })
    }
}
