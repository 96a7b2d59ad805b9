//! Where another process listens: an address, or a name that a resolver knows.
//!
//! ```text
//!  "10.0.0.2:7777"                                  is where it is
//!  "nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7777" ─ DNS ─> first IPv4 address, believed for a few seconds
//! ```
//!
//! A container that was started again has another address under the same name, so nothing is resolved once for all.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mtc_web::Prefix;
use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;
use tokio::time::Instant;

/// How long an answer of the resolver is believed: a handshake does not wait for one, a restart is noticed soon.
const BELIEVED: Duration = Duration::from_secs(2);

/// `host:port`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(Kind);

#[derive(Clone)]
enum Kind {
    Socket(SocketAddr),
    Named {
        host: String,
        port: u16,
        resolved: Arc<Mutex<Option<(Instant, SocketAddr)>>>,
    },
}

/// The text is neither an IP address nor a host name with a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not host:port")]
pub struct NotAnAddress(pub String);

/// A name has no address now.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the address of {host}")]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// What the resolver says.
    pub source: io::Error,
}

impl Address {
    /// Its port.
    pub const fn port(&self) -> u16 {
        match &self.0 {
            Kind::Socket(addr) => addr.port(),
            Kind::Named { port, .. } => *port,
        }
    }

    /// Where it is now.
    ///
    /// # Errors
    /// The name has no address.
    pub async fn resolve(&self) -> Result<SocketAddr, ResolveError> {
        let (host, port, resolved) = match &self.0 {
            Kind::Socket(addr) => return Ok(*addr),
            Kind::Named {
                host,
                port,
                resolved,
            } => (host, *port, resolved),
        };
        let last = *resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, addr)) = last.filter(|(at, _)| at.elapsed() < BELIEVED) {
            tracing::trace!(host, %addr, age = ?at.elapsed(), "resolved before");
            return Ok(addr);
        }
        let addr = first(host, port).await.map_err(|source| ResolveError {
            host: host.clone(),
            source,
        })?;
        *resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), addr));
        Ok(addr)
    }

    /// Every address that the name has now, IPv4 only if it has any.
    ///
    /// # Errors
    /// The name has no address.
    pub async fn resolve_all(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        match &self.0 {
            Kind::Socket(addr) => Ok(vec![*addr]),
            Kind::Named { host, port, .. } => {
                all(host, *port).await.map_err(|source| ResolveError {
                    host: host.clone(),
                    source,
                })
            }
        }
    }
}

/// Which address of this machine others reach that `peer` reaches: where packets to it would leave. None is sent.
///
/// # Errors
/// There is no route.
pub fn own_address_towards(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

async fn first(host: &str, port: u16) -> io::Result<SocketAddr> {
    let all = all(host, port).await?;
    all.first()
        .copied()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))
}

async fn all(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    let v4: Vec<SocketAddr> = found.iter().copied().filter(SocketAddr::is_ipv4).collect();
    Ok(if v4.is_empty() { found } else { v4 })
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(addr) = text.parse() {
            return Ok(Self(Kind::Socket(addr)));
        }
        let fault = || NotAnAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host
                .split('.')
                .all(|label| !label.is_empty() && label.len() <= 63)
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !is_name {
            return Err(fault());
        }
        Ok(Self(Kind::Named {
            host: host.to_owned(),
            port: port.parse().map_err(|_| fault())?,
            resolved: Arc::default(),
        }))
    }
}

impl From<Address> for Prefix {
    /// What is served there in cleartext.
    fn from(address: Address) -> Self {
        let url = format!("http://{address}");
        url.parse().expect("host and port are an authority")
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self(Kind::Socket(addr))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Socket(addr) => addr.fmt(f),
            Kind::Named { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_written_as_they_are_read() {
        for text in [
            "10.0.0.2:7777",
            "[::1]:1",
            "nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7778",
            "nrf:1",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("nrf:7777".parse::<Address>().expect("a name").port(), 7777);
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "nrf",
            ":1",
            "nrf:",
            "nrf:65536",
            "n..rf:1",
            "a b:1",
            "nrf:1:2",
            "https://nrf:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        let long = format!("{}:1", ["a"; 128].join("."));
        assert!(long.parse::<Address>().is_err());
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_an_unknown_one_is_told() {
        let local: Address = "localhost:7".parse().expect("a name");
        let found = local.resolve().await.expect("localhost has an address");
        assert!(found.ip().is_loopback() && found.port() == 7, "{found}");
        assert_eq!(local.resolve().await.expect("believed"), found);
        let none: Address = "no-such-host.invalid:7".parse().expect("a name");
        let error = none.resolve().await.expect_err("no such host");
        assert_eq!(
            error.to_string(),
            "cannot find the address of no-such-host.invalid"
        );
    }

    #[test]
    fn the_own_address_towards_this_machine_is_its_loopback() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let own = own_address_towards(peer).expect("the loopback has a route");
        assert_eq!(own, IpAddr::from([127, 0, 0, 1]));
    }
}
