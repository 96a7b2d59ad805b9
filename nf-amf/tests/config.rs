//! Configuration files: what they may say, and that a mistake is named.

use std::path::Path;

use nf_amf::Config;
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
