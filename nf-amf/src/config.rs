//! The configuration file of an AMF process: `[nf]` as every NF has it, and `[amf]`.

use std::path::Path;

use sbi::config::{ConfigError, NfConfig, load};
use sbi::model::{Guami, PlmnId, Snssai, Tai};
use schemars::JsonSchema;
use serde::Deserialize;

/// Highest AMF set: 10 bits of an AMF identifier.
const MAX_SET: u16 = 0x3ff;
/// Highest AMF pointer: 6 bits of an AMF identifier.
const MAX_POINTER: u8 = 0x3f;

/// A configuration file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every NF has.
    pub nf: NfConfig,
    /// What is particular to the AMF; may be left out.
    #[serde(default)]
    pub amf: AmfConfig,
}

/// What every AMF instance of the process serves and asks for, and its bounds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AmfConfig {
    /// The network.
    #[schemars(with = "serde_json::Value")]
    pub plmn: PlmnId,
    /// First five digits of the IMSIs of the UEs: MCC and a two-digit MNC.
    pub imsi_prefix: String,
    /// The tracking area.
    #[schemars(with = "serde_json::Value")]
    pub tracking_area: Tai,
    /// The slice that sessions ask for.
    #[schemars(with = "serde_json::Value")]
    pub slice: Snssai,
    /// The data network that sessions ask for.
    pub dnn: String,
    /// AMF region, 0 to 255.
    pub region: u8,
    /// AMF set, 0 to 1023.
    pub set: u16,
    /// AMF pointer, 0 to 63.
    pub pointer: u8,
    /// Most UE contexts of an instance, each about 300 octets; limits the sessions in progress.
    pub max_ue_contexts: usize,
}

impl Default for AmfConfig {
    fn default() -> Self {
        let plmn = PlmnId::new("001", "01").expect("digits");
        Self {
            tracking_area: Tai::new(plmn.clone(), "000001").expect("hex digits"),
            plmn,
            imsi_prefix: "00101".to_owned(),
            slice: Snssai::new(1, Some("010203")).expect("hex digits"),
            dnn: "internet".to_owned(),
            region: 2,
            set: 1,
            pointer: 0,
            max_ue_contexts: 65_536,
        }
    }
}

impl Config {
    /// Reads and checks a file. Blocks on the disk.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let Self { nf, amf } = load(path)?;
        amf.check()?;
        let nf = nf.resolve(sbi::config::folder_of(path))?;
        Ok(Self { nf, amf })
    }
}

impl AmfConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let rule = |key, holds: bool, rule: &str| {
            let broken = || ConfigError::Rule {
                key,
                rule: rule.to_owned(),
            };
            holds.then_some(()).ok_or_else(broken)
        };
        rule("amf.set", self.set <= MAX_SET, "must be at most 1023")?;
        rule(
            "amf.pointer",
            self.pointer <= MAX_POINTER,
            "must be at most 63",
        )?;
        let is_prefix =
            self.imsi_prefix.len() == 5 && self.imsi_prefix.bytes().all(|b| b.is_ascii_digit());
        rule(
            "amf.imsi_prefix",
            is_prefix,
            "must be 5 digits: MCC and a two-digit MNC",
        )?;
        rule(
            "amf.max_ue_contexts",
            self.max_ue_contexts > 0,
            "must be at least 1",
        )
    }

    /// Its GUAMI: region (8 bits), set (10) and pointer (6) in 6 hex digits.
    pub fn guami(&self) -> Guami {
        let amf_id = (u32::from(self.region) << 16)
            | (u32::from(self.set & MAX_SET) << 6)
            | u32::from(self.pointer & MAX_POINTER);
        Guami::new(self.plmn.clone(), &format!("{amf_id:06x}")).expect("24 bits are 6 hex digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guami(region: u8, set: u16, pointer: u8) -> serde_json::Value {
        let config = AmfConfig {
            region,
            set,
            pointer,
            ..AmfConfig::default()
        };
        serde_json::to_value(config.guami()).expect("a GUAMI is JSON")["amfId"].take()
    }

    #[test]
    fn the_amf_identifier_is_region_set_and_pointer() {
        assert_eq!(guami(2, 1, 0), "020040");
        assert_eq!(guami(0xff, 0x3ff, 0x3f), "ffffff");
        assert_eq!(guami(0, 0, 1), "000001");
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(AmfConfig::default().check().is_ok());
        for (set, pointer, imsi_prefix, max_ue_contexts, wrong) in [
            (1024, 0, "00101", 1, "amf.set"),
            (0, 64, "00101", 1, "amf.pointer"),
            (0, 0, "001001", 1, "amf.imsi_prefix"),
            (0, 0, "001o1", 1, "amf.imsi_prefix"),
            (0, 0, "00101", 0, "amf.max_ue_contexts"),
        ] {
            let config = AmfConfig {
                set,
                pointer,
                imsi_prefix: imsi_prefix.to_owned(),
                max_ue_contexts,
                ..AmfConfig::default()
            };
            let error = config.check().expect_err(wrong);
            assert!(matches!(error, ConfigError::Rule { key, .. } if key == wrong));
        }
    }
}
