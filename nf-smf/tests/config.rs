//! Configuration files: what they may say, and that a mistake is named.

use std::path::Path;

use nf_smf::Config;
use sbi::config::ConfigError;
use test_support::nf::configured;

fn load(more: &str) -> Result<Config, ConfigError> {
    configured(more, |path| {
        let config = Config::load(path)?;
        assert_eq!(config.nf.trust, path.with_file_name("trust.toml"));
        Ok(config)
    })
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
