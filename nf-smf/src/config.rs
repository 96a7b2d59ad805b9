//! The configuration file of an SMF process: `[nf]` as every NF has it, and `[smf]`.

use std::path::Path;

use sbi::config::{ConfigError, NfConfig, load};
use sbi::model::{PlmnId, Snssai, Tai};
use serde::Deserialize;

/// A configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every NF has.
    pub nf: NfConfig,
    /// What is particular to the SMF; may be left out.
    #[serde(default)]
    pub smf: SmfConfig,
}

/// What every SMF instance of the process serves, and its bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmfConfig {
    /// The network; default `{ mcc = "001", mnc = "01" }`.
    pub plmn: PlmnId,
    /// The tracking area; default that of code `000001`.
    pub tracking_area: Tai,
    /// The slice; default `{ sst = 1, sd = "010203" }`.
    pub slice: Snssai,
    /// The data network in the slice; default `internet`.
    pub dnn: String,
    /// Most SM contexts of an instance, each some 300 octets; default 65536.
    pub max_sm_contexts: usize,
    /// Most N1N2 transfers of an instance under way, each a TLS connection; default 512.
    pub max_transfers: usize,
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
            max_transfers: 512,
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
        if smf.max_sm_contexts == 0 || smf.max_transfers == 0 {
            return Err(ConfigError::Rule {
                key: "smf.max_sm_contexts, smf.max_transfers",
                rule: "must be at least 1".to_owned(),
            });
        }
        let nf = nf.resolve(sbi::config::folder_of(path))?;
        Ok(Self { nf, smf })
    }
}
