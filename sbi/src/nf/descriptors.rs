//! Whether a process may open as many files as its instances take: better told before it begins than in the middle.

use super::error::NfError;
use crate::config::NfConfig;

/// File descriptors of a process beside those of its instances: connections of others, and those of its start.
const SPARE: u64 = 512;

/// Refuses to begin with many instances what would run out of file descriptors, of which the process may have `limit`.
///
/// # Errors
/// [`NfError::Descriptors`].
pub(super) fn require(config: &NfConfig, limit: u64) -> Result<(), NfError> {
    let instances = config.instance.len();
    // The lock of its vault, and its port; one of many keeps no connection.
    let each = 1 + u64::from(!config.share_ports);
    let needed = instances as u64 * each + SPARE;
    if !config.is_large() || needed <= limit {
        return Ok(());
    }
    Err(NfError::Descriptors {
        instances,
        needed,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::InstanceConfig;

    fn config(instances: u128, share_ports: bool) -> NfConfig {
        let text = "trust = \"trust.toml\"\nstate = \"state\"\nadmin = \"127.0.0.1:0\"\n\
            nrf = { sbi = \"127.0.0.1:1\", fqdn = \"nrf.test\", log = \"127.0.0.1:2\" }\n\
            credential = [{ profile = \"mtc\", leaf_key = \"ml-dsa-65\" }]\n";
        let mut config: NfConfig = toml::from_str(text).expect("a configuration");
        config.share_ports = share_ports;
        let instances = (0..instances).map(|number| InstanceConfig {
            nf_type: None,
            id: Uuid::from_u128(number),
            fqdn: format!("smf{number}.test"),
            listen: Some(([127, 0, 0, 1], 0).into()),
            token: None,
            upgraded: true,
        });
        config.instance = instances.collect();
        config
    }

    #[test]
    fn many_instances_want_as_many_descriptors_as_they_take() {
        assert!(require(&config(1000, true), 1512).is_ok());
        let refused = require(&config(1000, true), 1511).expect_err("one is missing");
        assert!(
            refused.to_string().starts_with(
                "1000 instances need 1512 file descriptors, and this process may have 1511: raise"
            ),
            "{refused}"
        );
        assert!(require(&config(1000, false), 1512).is_err(), "a port each");
        assert!(require(&config(256, false), 100).is_ok(), "few may try");
    }
}
