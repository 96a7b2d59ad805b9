//! A network of two hosts, where the machine allows one.

use std::io::{Write, stderr};

use link::{LinkError, LinkSettings, Network};

/// Hosts `client` and `server`; `None`, said on standard error, where privileges or devices are missing.
pub(crate) fn two_hosts(test: &str, settings: &LinkSettings) -> Option<Network> {
    match Network::new(&["client", "server"], settings, 1) {
        Ok(network) => Some(network),
        Err(error @ (LinkError::Privileges(_) | LinkError::Tun(_) | LinkError::NoIpCommand(_))) => {
            // Past the test harness, which would hide it.
            let _ = writeln!(stderr(), "SKIPPED {test}: {error}");
            None
        }
        Err(error) => panic!("{test}: {error}: {:?}", std::error::Error::source(&error)),
    }
}
