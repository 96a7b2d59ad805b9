//! Where and under which name to reach a service of a profile ("Building the target URI from a profile", section 1.5).

use std::net::{IpAddr, SocketAddr};

use super::profile::{IpEndPoint, NfProfile, NfService};
use crate::uri::{ApiRoot, Scheme, UriError};

/// How to reach a producer. With `https` the name goes into SNI and `:authority` while the connection goes to `addr`: a lab
/// needs no name service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// With TLS or without.
    pub scheme: Scheme,
    /// FQDN, or for `http` possibly an IP address.
    pub server_name: String,
    /// Where to connect without asking DNS; none if the profile gives no address.
    pub addr: Option<SocketAddr>,
    /// Port of the service.
    pub port: u16,
    /// Empty, or a path such as `/core` in front of the API name.
    pub api_prefix: String,
}

/// A profile that does not say how to reach its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// `https` needs a name that the certificate can be checked against.
    #[error("scheme is https but neither service nor profile has an fqdn")]
    NoServerName,
    /// Neither name nor address.
    #[error("neither service nor profile has an fqdn or an address")]
    NoAddress,
}

impl Endpoint {
    /// The endpoint of `service`, which is one of `profile`.
    ///
    /// # Errors
    /// When they do not say where it is.
    pub fn of(profile: &NfProfile, service: &NfService) -> Result<Self, EndpointError> {
        let end_point = service.ip_end_points.first();
        let port = end_point
            .and_then(|end_point| end_point.port)
            .unwrap_or_else(|| service.scheme.default_port());
        let ip = end_point
            .and_then(ip_of)
            .or_else(|| profile.ipv4_addresses.first().copied().map(IpAddr::V4))
            .or_else(|| profile.ipv6_addresses.first().copied().map(IpAddr::V6));
        let fqdn = service.fqdn.as_deref().or(profile.fqdn.as_deref());
        let server_name = match (fqdn, service.scheme, ip) {
            // A final dot is legal in an FQDN and illegal in SNI.
            (Some(fqdn), _, _) => fqdn.strip_suffix('.').unwrap_or(fqdn).to_owned(),
            (None, Scheme::Https, _) => return Err(EndpointError::NoServerName),
            (None, Scheme::Http, Some(ip)) => ip.to_string(),
            (None, Scheme::Http, None) => return Err(EndpointError::NoAddress),
        };
        Ok(Self {
            scheme: service.scheme,
            server_name,
            addr: ip.map(|ip| SocketAddr::new(ip, port)),
            port,
            api_prefix: service.api_prefix.clone().unwrap_or_default(),
        })
    }

    /// Its apiRoot.
    ///
    /// # Errors
    /// Name or prefix are not parts of one.
    pub fn root(&self) -> Result<ApiRoot, UriError> {
        format!("{}://{}{}", self.scheme, self.authority(), self.api_prefix).parse()
    }

    /// `host:port`, as it belongs in `:authority`.
    pub fn authority(&self) -> String {
        if self.server_name.contains(':') {
            format!("[{}]:{}", self.server_name, self.port)
        } else {
            format!("{}:{}", self.server_name, self.port)
        }
    }
}

fn ip_of(end_point: &IpEndPoint) -> Option<IpAddr> {
    let v4 = end_point.ipv4_address.map(IpAddr::V4);
    v4.or_else(|| end_point.ipv6_address.map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use crate::model::{NfInstanceId, NfType, ServiceName};

    use super::*;

    fn profile() -> NfProfile {
        NfProfile::new(NfInstanceId::random(), NfType::Smf, "smf1.example.org")
    }

    fn service() -> NfService {
        let mut service = NfService::new(ServiceName::NsmfPdusession);
        service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, 12], 7777)).into()];
        service
    }

    #[test]
    fn name_comes_from_the_fqdn_and_address_from_the_end_point() {
        let endpoint = Endpoint::of(&profile(), &service()).unwrap();
        assert_eq!(endpoint.authority(), "smf1.example.org:7777");
        assert_eq!(
            endpoint.addr,
            Some(SocketAddr::from(([127, 0, 0, 12], 7777)))
        );
    }

    #[test]
    fn the_services_fqdn_overrides_the_profiles() {
        let mut service = service();
        service.fqdn = Some("pdu.example.org.".to_owned());
        let endpoint = Endpoint::of(&profile(), &service).unwrap();
        assert_eq!(endpoint.server_name, "pdu.example.org");
    }

    #[test]
    fn a_port_alone_applies_to_the_profiles_address() {
        let mut profile = profile();
        profile.ipv4_addresses = vec![[127, 0, 0, 13].into()];
        let mut service = service();
        service.ip_end_points = vec![IpEndPoint {
            port: Some(1),
            ..IpEndPoint::default()
        }];
        let endpoint = Endpoint::of(&profile, &service).unwrap();
        assert_eq!(endpoint.addr, Some(SocketAddr::from(([127, 0, 0, 13], 1))));
    }

    #[test]
    fn the_default_port_is_the_schemes() {
        let mut service = service();
        service.ip_end_points.clear();
        let endpoint = Endpoint::of(&profile(), &service).unwrap();
        assert_eq!((endpoint.port, endpoint.addr), (443, None));
    }

    #[test]
    fn https_needs_a_name_and_http_can_do_with_an_address() {
        let mut profile = profile();
        profile.fqdn = None;
        let mut service = service();
        assert_eq!(
            Endpoint::of(&profile, &service),
            Err(EndpointError::NoServerName)
        );
        service.scheme = Scheme::Http;
        let endpoint = Endpoint::of(&profile, &service).unwrap();
        assert_eq!(endpoint.authority(), "127.0.0.12:7777");
        service.ip_end_points.clear();
        assert_eq!(
            Endpoint::of(&profile, &service),
            Err(EndpointError::NoAddress)
        );
    }
}
