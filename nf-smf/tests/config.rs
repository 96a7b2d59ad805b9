//! Configuration files: what they may say, and that a mistake is named.

use std::path::Path;

use nf_smf::Config;
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
    assert_eq!(config.smf.dnn, "internet");
    assert_eq!(config.smf.max_sm_contexts, 65_536);
    let config = load("[smf]\ndnn = \"ims\"\nslice = { sst = 2 }\nmax_transfers = 1").unwrap();
    assert_eq!(
        (config.smf.dnn.as_str(), config.smf.max_transfers),
        ("ims", 1)
    );
}

#[test]
fn mistakes_are_named() {
    for more in [
        "[smf]\ndnm = \"ims\"",
        "[amf]",
        "[smf]\nslice = { sst = 256 }",
    ] {
        assert!(
            matches!(load(more), Err(ConfigError::Syntax { .. })),
            "{more}"
        );
    }
    for more in [
        "[smf]\nmax_sm_contexts_per_amf = 0",
        "[smf]\nsm_context_idle_seconds = 0",
        "[smf]\nmax_sm_contexts = 0",
        "[smf]\nmax_transfers = 0",
    ] {
        assert!(
            matches!(load(more), Err(ConfigError::Rule { .. })),
            "{more}"
        );
    }
    let missing = Config::load(Path::new("/nonexistent/smf.toml"));
    assert!(matches!(missing, Err(ConfigError::Read { .. })));
}
