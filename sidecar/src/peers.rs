//! Whom the program means.
//!
//! ```text
//!  authority of a request, or of its apiRoot ──┬─ called so? ──────────> [[peer]]: address, and who must be there
//!  where a redirected connection went ─────────┘
//!                                              └─ a host of DNS? ──────> its address, and a certificate for that name
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;

use hyper::StatusCode;
use hyper::http::uri::Authority;
use mtc_tls::peer::ExpectedPeer;
use sbi::client::ClientError;
use sbi::config::ConfigError;
use sbi::problem::{Cause, Problem};

use crate::config::{OutboundConfig, PeerConfig};
use crate::program::Protocol;

/// A peer, and who must be there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    /// `host:port`.
    at: String,
    pub(crate) expected: ExpectedPeer,
}

impl Destination {
    /// Where it is now.
    ///
    /// # Errors
    /// Its name has no address.
    pub(crate) async fn resolve(&self) -> Result<SocketAddr, ClientError> {
        let address: sbi::address::Address = self.at.parse().map_err(|_| ClientError::Target {
            authority: self.at.clone(),
            path: String::new(),
        })?;
        Ok(address.resolve().await?)
    }
}

impl From<&PeerConfig> for Destination {
    fn from(config: &PeerConfig) -> Self {
        Self {
            at: config.address.clone().into(),
            expected: ExpectedPeer {
                fqdn: config.fqdn.clone(),
                instance_id: config.instance,
                nf_type: config.nf_type.clone(),
            },
        }
    }
}

/// Nobody is meant, or nobody known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    /// A request without an authority, on a connection that was not redirected.
    #[error("the request names no authority")]
    Nobody,
    /// No `[[peer]]` is called so, and it is not to be found by name.
    #[error("no [[peer]] is called {0}")]
    Name(String),
}

impl From<Unknown> for Problem {
    fn from(unknown: Unknown) -> Self {
        let (status, cause) = match unknown {
            Unknown::Nobody => (StatusCode::BAD_REQUEST, Cause::InvalidMsgFormat),
            Unknown::Name(_) => (StatusCode::GATEWAY_TIMEOUT, Cause::TargetNfNotReachable),
        };
        Self::with_cause(status, cause, unknown.to_string())
    }
}

/// Whom the program may mean at one port.
pub(crate) struct Peers {
    /// To whom everything goes.
    fixed: Option<Destination>,
    /// By what the program calls them, in lower case.
    called: HashMap<String, Destination>,
    by_name: bool,
    port: Option<u16>,
    default_port: Option<u16>,
}

impl Peers {
    /// Those of one port.
    ///
    /// # Errors
    /// Two peers are called the same.
    pub(crate) fn new(port: &OutboundConfig, peers: &[PeerConfig]) -> Result<Self, ConfigError> {
        let fixed = { port.peer.as_ref() }
            .and_then(|name| peers.iter().find(|peer| peer.name == *name))
            .map(Destination::from);
        let mut called = HashMap::new();
        for peer in peers {
            for name in &peer.called {
                if let Some(other) = called.insert(name.to_ascii_lowercase(), peer.into())
                    && other != Destination::from(peer)
                {
                    return Err(ConfigError::Rule {
                        key: "peer.called",
                        rule: format!("two peers are called {name}"),
                    });
                }
            }
        }
        Ok(Self {
            fixed,
            called,
            by_name: port.by_name,
            port: port.peer_port,
            default_port: (port.protocol == Protocol::Http).then_some(80),
        })
    }

    /// Whom a request for `authority` means, on a connection that the program has opened to `redirected` if that is known.
    ///
    /// # Errors
    /// Nobody, or nobody known.
    pub(crate) fn find(
        &self,
        authority: Option<&str>,
        redirected: Option<SocketAddr>,
    ) -> Result<Destination, Unknown> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let redirected_to = redirected.map(|addr| addr.to_string());
        let meant = authority
            .or(redirected_to.as_deref())
            .ok_or(Unknown::Nobody)?;
        let unknown = || Unknown::Name(meant.to_owned());
        let meant_by_authority: Authority = meant.parse().map_err(|_| unknown())?;
        let known = self.called(&meant_by_authority).or_else(|| {
            let authority: Authority = redirected_to.as_deref()?.parse().ok()?;
            self.called(&authority)
        });
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let host = meant_by_authority.host();
        let is_name = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
        if !self.by_name || !is_name {
            return Err(unknown());
        }
        let named_port = meant_by_authority.port_u16().or(self.default_port);
        let port = self.port.or(named_port).ok_or_else(unknown)?;
        let at = match redirected {
            // The program has asked the resolver itself, and may know another.
            Some(addr) => {
                SocketAddr::new(addr.ip(), self.port.unwrap_or_else(|| addr.port())).to_string()
            }
            None => format!("{host}:{port}"),
        };
        Ok(Destination {
            at,
            expected: ExpectedPeer {
                fqdn: host.to_ascii_lowercase(),
                instance_id: None,
                nf_type: None,
            },
        })
    }

    /// Who is called so, with its port or at any.
    fn called(&self, authority: &Authority) -> Option<&Destination> {
        let whole = authority.as_str().to_ascii_lowercase();
        let host = authority.host().to_ascii_lowercase();
        self.called.get(&whole).or_else(|| self.called.get(&host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(port: &str) -> Peers {
        let port = toml::from_str(&format!("listen = '127.0.0.1:0'\n{port}")).expect("a port");
        let peer = |text: &str| toml::from_str(text).expect("a peer");
        let known = [
            peer(
                "name = 'nrf'\ncalled = ['NRF.open5gs', '10.0.0.1:7777']\naddress = '10.0.0.1:443'\nfqdn = 'nrf1.test'",
            ),
            peer(
                "name = 'db'\ncalled = ['db:5432']\naddress = 'db.test:6432'\nfqdn = 'db.test'\nnf_type = 'UDR'",
            ),
        ];
        Peers::new(&port, &known).expect("no name twice")
    }

    fn found(peers: &Peers, authority: &str, redirected: Option<&str>) -> String {
        let redirected = redirected.map(|addr| addr.parse().expect("an address"));
        let authority = Some(authority).filter(|authority| !authority.is_empty());
        match peers.find(authority, redirected) {
            Ok(to) => format!("{} at {}", to.expected.fqdn, to.at),
            Err(unknown) => unknown.to_string(),
        }
    }

    #[test]
    fn a_peer_is_found_by_what_it_is_called() {
        let peers = peers("");
        for (authority, redirected, whom) in [
            ("nrf.open5gs", None, "nrf1.test at 10.0.0.1:443"),
            ("NRF.Open5GS:80", None, "nrf1.test at 10.0.0.1:443"),
            ("10.0.0.1:7777", None, "nrf1.test at 10.0.0.1:443"),
            ("10.0.0.1:7778", None, "no [[peer]] is called 10.0.0.1:7778"),
            ("db:5432", None, "db.test at db.test:6432"),
            ("", Some("10.0.0.1:7777"), "nrf1.test at 10.0.0.1:443"),
            (
                "nrf.other",
                Some("10.0.0.1:7777"),
                "nrf1.test at 10.0.0.1:443",
            ),
            ("", None, "the request names no authority"),
        ] {
            assert_eq!(found(&peers, authority, redirected), whom);
        }
    }

    #[test]
    fn others_are_found_by_name_and_must_be_who_they_are_called() {
        let any = peers("");
        assert_eq!(found(&any, "smf1.Test", None), "smf1.test at smf1.Test:80");
        assert_eq!(
            found(&any, "smf1.test:8", Some("10.0.0.9:8")),
            "smf1.test at 10.0.0.9:8"
        );
        assert_eq!(
            found(&any, "10.0.0.9:8", None),
            "no [[peer]] is called 10.0.0.9:8"
        );
        assert_eq!(
            found(&any, "[::1]:8", None),
            "no [[peer]] is called [::1]:8"
        );
        let elsewhere = peers("peer_port = 7443");
        assert_eq!(
            found(&elsewhere, "smf1.test", None),
            "smf1.test at smf1.test:7443"
        );
        let known = peers("by_name = false");
        assert_eq!(
            found(&known, "smf1.test", None),
            "no [[peer]] is called smf1.test"
        );
        let fixed = peers("peer = 'db'");
        assert_eq!(found(&fixed, "smf1.test", None), "db.test at db.test:6432");
    }
}
