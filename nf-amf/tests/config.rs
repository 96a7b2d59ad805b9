//! Configuration files: what they may say, and that a mistake is named.

use std::path::Path;

use nf_amf::Config;
use sbi::config::ConfigError;

const NF: &str = r#"
    [nf]
    trust = "trust.toml"
    state = "state"
    admin = "127.0.0.1:0"
    nrf = { sbi = "127.0.0.1:7777", fqdn = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org", log = "127.0.0.1:7778" }
    credential = [{ profile = "mtc", leaf_key = "ml-dsa-65" }]
    [[nf.instance]]
    id = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01"
    fqdn = "nf1.5gc.mnc001.mcc001.3gppnetwork.org"
    listen = "127.0.0.1:0"
"#;

fn load(more: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nf.toml");
    std::fs::write(&path, format!("{NF}{more}")).expect("a file");
    let config = Config::load(&path)?;
    assert_eq!(config.nf.trust, folder.path().join("trust.toml"));
    Ok(config)
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = load("").unwrap();
    assert_eq!(
        (config.amf.region, config.amf.set, config.amf.pointer),
        (2, 1, 0)
    );
    let config = load("[amf]\nregion = 0xca\nset = 0x3f8\npointer = 3").unwrap();
    let guami = serde_json::to_value(config.amf.guami()).unwrap();
    assert_eq!(guami["amfId"], "cafe03");
}

#[test]
fn mistakes_are_named() {
    for more in ["[amf]\nregions = 2", "[smf]", "[amf]\nregion = 256"] {
        assert!(
            matches!(load(more), Err(ConfigError::Syntax { .. })),
            "{more}"
        );
    }
    for more in [
        "[amf]\nset = 1024",
        "[amf]\npointer = 64",
        "[amf]\nmax_ue_contexts = 0",
    ] {
        assert!(
            matches!(load(more), Err(ConfigError::Rule { .. })),
            "{more}"
        );
    }
    let missing = Config::load(Path::new("/nonexistent/amf.toml"));
    assert!(matches!(missing, Err(ConfigError::Read { .. })));
}
