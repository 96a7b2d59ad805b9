//! Where the NRF may call: a notification URI is an order to send a request somewhere, and whoever can subscribe could give it.
//!
//! ```text
//!   URI: https, a host, a path; nothing else
//!   host: a name of the subscriber's certificate, or an address of its registered profile
//!   connection: to an address of that profile, or the one from which it subscribed; none that is special ([`Reach`])
//!   request: only after the peer has proved by its certificate that it is the subscriber
//! ```
//!
//! In cleartext nothing proves who a subscriber is but that it was reached at its address, so nothing else is called:
//!
//! ```text
//!   URI: http, an address, a path
//!   address: the one from which the subscriber subscribed; loopback if that is loopback too, none that is special
//! ```

use std::net::IpAddr;

use sbi::model::{IpEndPoint, NfProfile};
use sbi::uri::{ApiRoot, Scheme, UriError};

/// Most octets of a notification URI.
pub const MAX_URI: usize = 2048;

/// A notification URI that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    scheme: Scheme,
    authority: String,
    host: Host,
    port: u16,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why the NRF does not call a URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// Longer than [`MAX_URI`].
    #[error("is longer than {MAX_URI} octets")]
    TooLong,
    /// It is no absolute URI.
    #[error("{0}")]
    Uri(#[from] UriError),
    /// Notifications go over mutual TLS.
    #[error("scheme is not https")]
    Cleartext,
    /// Notifications to who subscribed in cleartext go in cleartext.
    #[error("scheme is not http")]
    NotCleartext,
    /// The root of a host is nobody's callback.
    #[error("has no path")]
    NoPath,
    /// It contains what a request target may not.
    #[error("path or port is not one")]
    Malformed,
    /// The host is not the subscriber's.
    #[error(
        "host {0} is not the subscriber's, as its certificate, its registered profile or its connection shows it"
    )]
    Foreign(String),
    /// The host is an address that is not called.
    #[error("address {0} is not one that the NRF calls")]
    Unreachable(IpAddr),
}

impl Callback {
    /// Reads a notification URI of a subscriber that has the names `fqdns` and, if it is registered, a `profile`.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn read(
        uri: &str,
        fqdns: &[String],
        profile: Option<&NfProfile>,
        reach: Reach,
    ) -> Result<Self, CallbackError> {
        let callback = Self::parse(uri)?;
        if callback.scheme != Scheme::Https {
            return Err(CallbackError::Cleartext);
        }
        match &callback.host {
            Host::Name(name) if fqdns.iter().any(|fqdn| bare(fqdn) == bare(name)) => Ok(callback),
            Host::Address(address) if addresses(profile, None).any(|own| own == *address) => {
                if reach.includes(*address) {
                    Ok(callback)
                } else {
                    Err(CallbackError::Unreachable(*address))
                }
            }
            Host::Name(_) | Host::Address(_) => {
                Err(CallbackError::Foreign(callback.host_text().to_owned()))
            }
        }
    }

    /// Reads a notification URI of somebody without a certificate who is at the address `from`.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn read_cleartext(uri: &str, from: IpAddr, reach: Reach) -> Result<Self, CallbackError> {
        let callback = Self::parse(uri)?;
        if callback.scheme != Scheme::Http {
            return Err(CallbackError::NotCleartext);
        }
        let Host::Address(address) = callback.host else {
            return Err(CallbackError::Foreign(callback.host_text().to_owned()));
        };
        let (own, from) = (address.to_canonical(), from.to_canonical());
        if own != from && !(own.is_loopback() && from.is_loopback()) {
            return Err(CallbackError::Foreign(callback.host_text().to_owned()));
        }
        if !reach.includes(address) {
            return Err(CallbackError::Unreachable(address));
        }
        Ok(callback)
    }

    /// Takes a notification URI apart, whosever it is: of one that was read before.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn parse(uri: &str) -> Result<Self, CallbackError> {
        if uri.len() > MAX_URI {
            return Err(CallbackError::TooLong);
        }
        let (root, path) = ApiRoot::split(uri)?;
        if path == "/" || !path.starts_with('/') {
            return Err(CallbackError::NoPath);
        }
        if !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(CallbackError::Malformed);
        }
        let authority = root.authority();
        let (host, port) = split_port(authority).ok_or(CallbackError::Malformed)?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bracketed.unwrap_or(host).parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(host.to_owned()),
        };
        Ok(Self {
            scheme: root.scheme(),
            authority: authority.to_owned(),
            host,
            port: port.unwrap_or_else(|| root.scheme().default_port()),
            path: path.to_owned(),
        })
    }

    /// `host[:port]`, for `:authority`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Port to connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name that the certificate of the subscriber must have; none if the URI has an address instead.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name.strip_suffix('.').unwrap_or(name)),
            Host::Address(_) => None,
        }
    }

    /// Where to connect: to the address in the URI, an address of the subscriber's `profile`, or, while it is not registered,
    /// the one `from` which it subscribed.
    pub fn address(
        &self,
        profile: Option<&NfProfile>,
        from: IpAddr,
        reach: Reach,
    ) -> Option<IpAddr> {
        match self.host {
            Host::Address(address) => Some(address).filter(|address| reach.includes(*address)),
            Host::Name(_) => addresses(profile, self.name())
                .chain([from.to_canonical()])
                .find(|address| reach.includes(*address)),
        }
    }

    fn host_text(&self) -> &str {
        let (host, _) = split_port(&self.authority).unwrap_or((&self.authority, None));
        host
    }
}

/// The addresses of an instance; those of services that have the name `first` come first.
fn addresses<'a>(
    profile: Option<&'a NfProfile>,
    first: Option<&'a str>,
) -> impl Iterator<Item = IpAddr> {
    let services = || profile.into_iter().flat_map(NfProfile::services);
    let named = services().filter(move |service| {
        let fqdn = service.fqdn.as_deref();
        first
            .zip(fqdn)
            .is_some_and(|(name, fqdn)| bare(name) == bare(fqdn))
    });
    let of_profile = profile.into_iter().flat_map(|profile| {
        let v4 = profile.ipv4_addresses.iter().copied().map(IpAddr::V4);
        v4.chain(profile.ipv6_addresses.iter().copied().map(IpAddr::V6))
    });
    let end_points = |service: &'a sbi::model::NfService| service.ip_end_points.iter();
    named
        .flat_map(end_points)
        .filter_map(of_end_point)
        .chain(of_profile)
        .chain(services().flat_map(end_points).filter_map(of_end_point))
}

fn of_end_point(end_point: &IpEndPoint) -> Option<IpAddr> {
    let v4 = end_point.ipv4_address.map(IpAddr::V4);
    v4.or_else(|| end_point.ipv6_address.map(IpAddr::V6))
}

/// Host, in brackets if it is an IPv6 address, and port if there is one.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after_host..].find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            let port = port[":".len()..].parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
    }
}

/// A name as it is compared: without case and final dot.
fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Which addresses the NRF connects to. None that leads to something else than another machine's NF: unspecified, multicast,
/// broadcast and link-local addresses (where clouds have their metadata), and loopback unless the NRF itself serves there, as in
/// a lab on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    loopback: bool,
}

impl Reach {
    /// The reach of an NRF that serves at `own`.
    pub const fn of(own: IpAddr) -> Self {
        Self {
            loopback: own.is_loopback(),
        }
    }

    /// Whether it connects to `address`.
    pub fn includes(self, address: IpAddr) -> bool {
        let is_special = match address.to_canonical() {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
            IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local(),
        };
        let address = address.to_canonical();
        !is_special && !address.is_multicast() && (self.loopback || !address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::{NfInstanceId, NfService, NfType, ServiceName};

    use super::*;

    const FQDN: &str = "smf1.example.org";

    fn profile(address: &str) -> NfProfile {
        let mut profile = NfProfile::new(NfInstanceId::random(), NfType::Smf, FQDN);
        profile.ipv4_addresses = vec![address.parse().expect("an address")];
        profile
    }

    fn far() -> Reach {
        Reach::of(IpAddr::from([192, 0, 2, 1]))
    }

    fn near() -> Reach {
        Reach::of(IpAddr::from([127, 0, 0, 1]))
    }

    fn read(uri: &str, reach: Reach) -> Result<Callback, CallbackError> {
        Callback::read(
            uri,
            &[FQDN.to_owned()],
            Some(&profile("198.51.100.7")),
            reach,
        )
    }

    #[test]
    fn a_uri_of_the_subscriber_is_taken_apart() {
        let named = read("https://SMF1.example.org.:7777/cb?x=y", far()).unwrap();
        assert_eq!(named.authority(), "SMF1.example.org.:7777");
        assert_eq!((named.path(), named.port()), ("/cb?x=y", 7777));
        assert_eq!(named.name(), Some("SMF1.example.org"));
        let addressed = read("https://198.51.100.7/cb", far()).unwrap();
        assert_eq!((addressed.name(), addressed.port()), (None, 443));
    }

    #[test]
    fn nobody_else_is_called() {
        let foreign = |host: &str| CallbackError::Foreign(host.to_owned());
        for (uri, expected) in [
            ("https://smf2.example.org/cb", foreign("smf2.example.org")),
            (
                "https://smf1.example.org.evil.net/cb",
                foreign("smf1.example.org.evil.net"),
            ),
            ("https://198.51.100.8:1/cb", foreign("198.51.100.8")),
            ("https://[::1]:1/cb", foreign("[::1]")),
            ("http://smf1.example.org/cb", CallbackError::Cleartext),
            ("https://smf1.example.org", CallbackError::NoPath),
            ("https://smf1.example.org/", CallbackError::NoPath),
            ("https://smf1.example.org?x", CallbackError::NoPath),
            ("https://smf1.example.org:0/cb", CallbackError::Malformed),
            ("https://smf1.example.org/a b", CallbackError::Malformed),
        ] {
            assert_eq!(read(uri, far()), Err(expected), "{uri}");
        }
        for uri in [
            "/cb",
            "ftp://smf1.example.org/cb",
            "https://u@smf1.example.org/cb",
            "https://smf1.example.org/cb#f",
        ] {
            assert!(
                matches!(read(uri, far()), Err(CallbackError::Uri(_))),
                "{uri}"
            );
        }
        let long = format!("https://{FQDN}/{}", "a".repeat(MAX_URI));
        assert_eq!(read(&long, far()), Err(CallbackError::TooLong));
    }

    #[test]
    fn in_cleartext_only_the_address_of_the_subscriber_is_called() {
        let from = IpAddr::from([203, 0, 113, 5]);
        let read = |uri: &str, from, reach| Callback::read_cleartext(uri, from, reach);
        let own = read("http://203.0.113.5/cb", from, far()).unwrap();
        assert_eq!((own.port(), own.authority()), (80, "203.0.113.5"));
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(read("http://127.0.0.5:7777/cb", local, near()).is_ok());
        let foreign = |host: &str| CallbackError::Foreign(host.to_owned());
        for (uri, expected) in [
            ("https://203.0.113.5/cb", CallbackError::NotCleartext),
            ("http://203.0.113.5", CallbackError::NoPath),
            ("http://203.0.113.6/cb", foreign("203.0.113.6")),
            ("http://127.0.0.1:1/cb", foreign("127.0.0.1")),
            ("http://[::1]:1/cb", foreign("[::1]")),
            ("http://smf1.example.org/cb", foreign("smf1.example.org")),
        ] {
            assert_eq!(read(uri, from, far()), Err(expected), "{uri}");
        }
        assert_eq!(
            read("http://127.0.0.1:1/cb", local, far()),
            Err(CallbackError::Unreachable(local))
        );
    }

    #[test]
    fn addresses_that_are_no_other_machines_are_not_called() {
        for special in [
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let address: IpAddr = special.parse().unwrap();
            let profile = profile(special);
            let uri = format!("https://{special}:1/cb");
            assert_eq!(
                Callback::read(&uri, &[], Some(&profile), far()),
                Err(CallbackError::Unreachable(address))
            );
            assert_eq!(near().includes(address), special == "127.0.0.1");
        }
        for special in ["::", "::1", "::ffff:127.0.0.1", "fe80::1", "ff02::1"] {
            assert!(!far().includes(special.parse().unwrap()), "{special}");
        }
        assert!(far().includes("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn the_connection_goes_where_the_profile_says_or_whence_the_subscription_came() {
        let named = read("https://smf1.example.org:7777/cb", far()).unwrap();
        let from = IpAddr::from([203, 0, 113, 5]);
        let mut profile = profile("198.51.100.7");
        let address = |profile: Option<&NfProfile>| named.address(profile, from, far());
        assert_eq!(
            address(Some(&profile)),
            Some(IpAddr::from([198, 51, 100, 7]))
        );
        assert_eq!(address(None), Some(from));
        let mut service = NfService::new(ServiceName::NsmfPdusession);
        service.fqdn = Some(FQDN.to_owned());
        service.ip_end_points = vec![std::net::SocketAddr::from(([198, 51, 100, 9], 1)).into()];
        profile
            .nf_service_list
            .insert("a".to_owned(), Box::new(service));
        assert_eq!(
            address(Some(&profile)),
            Some(IpAddr::from([198, 51, 100, 9]))
        );
        assert_eq!(
            named.address(None, IpAddr::from([127, 0, 0, 1]), far()),
            None
        );
    }
}
