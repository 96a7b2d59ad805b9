//! Whose the connections at a port are: one instance's, or each the instance's whose name the client asks for.

use std::collections::HashMap;
use std::sync::Arc;

use mtc_tls::endpoint::Endpoint;

/// An instance at a port.
#[derive(Debug)]
pub struct Host<H> {
    /// Who it is.
    pub endpoint: Endpoint,
    /// What answers its requests.
    pub handler: Arc<H>,
}

/// The instances at a port.
#[derive(Debug)]
pub enum Hosts<H> {
    /// One, which is meant whatever the client asks for: a wrong name is the client's to find out.
    One(Host<H>),
    /// Several, by FQDN in lower case. The server name in ClientHello says which is meant.
    Named(HashMap<String, Host<H>>),
}

impl<H> Hosts<H> {
    /// Several instances at one port, each with its FQDN.
    pub fn named(hosts: impl IntoIterator<Item = (String, Host<H>)>) -> Self {
        let named = hosts.into_iter();
        Self::Named(
            named
                .map(|(fqdn, host)| (fqdn.to_ascii_lowercase(), host))
                .collect(),
        )
    }

    /// The instance that a client means that asks for `server_name`.
    pub(super) fn of(&self, server_name: Option<&str>) -> Option<&Host<H>> {
        match self {
            Self::One(host) => Some(host),
            // rustls gives names in lower case.
            Self::Named(hosts) => hosts.get(server_name?),
        }
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::ca::CaCertificate;
    use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
    use mtc_core::verify::CaTrust;
    use mtc_tls::clock::Clock;
    use mtc_tls::credentials::{CredentialSet, MtcTrust, Store};

    use super::*;

    fn host(number: u32) -> Host<u32> {
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("a key");
        let trust = CaTrust::ca_alone(&CaCertificate {
            cosigner: Cosigner {
                id: "32473.1".parse().expect("an ID"),
                key: key.public_key().expect("its public key"),
            },
            min_serial: 0,
            max_serial: u64::MAX,
            prefix_url: None,
        });
        let store = Store::new(CredentialSet::new(MtcTrust::new(trust), Vec::new()));
        Host {
            endpoint: Endpoint::new(store.receiver(), Clock::default()),
            handler: Arc::new(number),
        }
    }

    fn found(hosts: &Hosts<u32>, name: Option<&str>) -> Option<u32> {
        hosts.of(name).map(|host| *host.handler)
    }

    #[test]
    fn a_client_finds_whom_it_names_and_one_that_is_alone_whatever_it_names() {
        let several = [("SMF1.test", 1), ("smf2.test", 2)];
        let several = several.map(|(name, number)| (name.to_owned(), host(number)));
        let several = Hosts::named(several);
        assert_eq!(found(&several, Some("smf1.test")), Some(1));
        assert_eq!(found(&several, Some("smf2.test")), Some(2));
        assert_eq!(found(&several, Some("smf3.test")), None);
        assert_eq!(found(&several, None), None);
        let one = Hosts::One(host(7));
        assert_eq!(found(&one, None), Some(7));
        assert_eq!(found(&one, Some("other.test")), Some(7));
    }
}
