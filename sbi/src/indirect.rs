//! Indirect communication as a consumer (TS 29.500 clause 6.10): requests that go through an SCP.
//!
//! ```text
//!  Scp::discover ── nnrf-disc: SCPs ──> Scp      towards: the producer is known (model C)     ─┐
//!                                                delegating: the SCP finds one (model D)       ─┴─> the request for the SCP
//! ```

use std::net::{IpAddr, SocketAddr};

use mtc_tls::peer::ExpectedPeer;

use crate::client::{ClientError, Connection, Request};
use crate::header::{TARGET_API_ROOT, set_discovery};
use crate::instance::Instance;
use crate::model::{NfInstanceId, NfProfile, NfType};
use crate::nnrf::{Discover, Nrf};
use crate::uri::{ApiRoot, Query};

/// The scheme whose port of an SCP is taken.
const SCHEME: &str = "https";

/// An SCP that requests can go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scp {
    /// Its instance.
    pub id: NfInstanceId,
    /// Where to connect.
    pub addr: SocketAddr,
    fqdn: String,
}

impl Scp {
    /// The SCP `id`, or any without one, as the NRF says on `connection` to `instance`; none if there is none that says where it
    /// is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn discover(
        nrf: &Nrf,
        connection: &Connection,
        instance: &Instance,
        id: Option<NfInstanceId>,
    ) -> Result<Option<Self>, ClientError> {
        let mut query = Query::default();
        query.push("target-nf-type", NfType::Scp.as_str());
        query.push("requester-nf-type", instance.nf_type.as_str());
        if let Some(id) = id {
            query.push("target-nf-instance-id", id.to_string());
        }
        let found = nrf.search(connection, &query, None).await?;
        Ok(found.nf_instances.iter().find_map(Self::of))
    }

    /// The SCP with this profile; none if it does not say where it is.
    pub fn of(profile: &NfProfile) -> Option<Self> {
        let ports = &profile.scp_info.as_ref()?.scp_ports;
        let v4 = profile.ipv4_addresses.first().copied().map(IpAddr::V4);
        let v6 = profile.ipv6_addresses.first().copied().map(IpAddr::V6);
        Some(Self {
            id: profile.nf_instance_id,
            addr: SocketAddr::new(v4.or(v6)?, *ports.get(SCHEME)?),
            fqdn: profile.fqdn.clone()?,
        })
    }

    /// Who must be there.
    pub fn expected(&self) -> ExpectedPeer {
        ExpectedPeer {
            fqdn: self.fqdn.clone(),
            instance_id: Some(self.id.uuid()),
            nf_type: Some(NfType::Scp.as_str().to_owned()),
        }
    }

    /// `request` to the producer at `root`, as it goes through this SCP.
    pub fn towards(&self, request: Request, root: &ApiRoot) -> Request {
        // The prefix travels in the root.
        let below = request.path.strip_prefix(root.prefix());
        let path = below.unwrap_or(&request.path).to_owned();
        self.addressed(Request { path, ..request }).header(root)
    }

    /// `request` to whatever producer `wanted` finds for a consumer of type `requester`, as it goes through this SCP.
    pub fn delegating(
        &self,
        request: Request,
        requester: &NfType,
        wanted: &Discover<'_>,
    ) -> Request {
        let mut request = self.addressed(request);
        request.headers.remove(TARGET_API_ROOT);
        let fixed = [
            ("target-nf-type", wanted.nf_type.as_str()),
            ("requester-nf-type", requester.as_str()),
            ("service-names", wanted.service.as_str()),
        ];
        let filters = wanted.filters.iter();
        let filters = filters.map(|(name, value)| (*name, value.as_str()));
        for (name, value) in fixed.into_iter().chain(filters) {
            set_discovery(&mut request.headers, name, value)
                .expect("names of parameters are parts of names of headers");
        }
        request
    }

    fn addressed(&self, request: Request) -> Request {
        let authority = format!("{}:{}", self.fqdn, self.addr.port());
        Request {
            authority,
            ..request
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use uuid::Uuid;

    use super::*;
    use crate::header::TypedHeader as _;
    use crate::model::ScpInfo;

    fn profile() -> NfProfile {
        let id = Uuid::from_u128(1).into();
        let mut profile = NfProfile::new(id, NfType::Scp, "scp1.example.org");
        profile.ipv4_addresses = vec![[127, 0, 0, 9].into()];
        profile.scp_info = Some(ScpInfo {
            scp_ports: [("https".to_owned(), 7777)].into(),
            ..ScpInfo::default()
        });
        profile
    }

    #[test]
    fn the_profile_says_where_the_scp_is() {
        let scp = Scp::of(&profile()).unwrap();
        assert_eq!(scp.addr, SocketAddr::from(([127, 0, 0, 9], 7777)));
        assert_eq!(scp.expected().fqdn, "scp1.example.org");
        let mut without = profile();
        without.ipv4_addresses.clear();
        assert_eq!(Scp::of(&without), None);
    }

    #[test]
    fn a_request_to_a_known_producer_names_its_root_and_leaves_its_prefix_out_of_the_path() {
        let scp = Scp::of(&profile()).unwrap();
        let root: ApiRoot = "https://smf1.example.org:1/edge".parse().unwrap();
        let request = Request::new(
            Method::POST,
            root.authority(),
            "/edge/nsmf-pdusession/v1/x?y",
        );
        let through = scp.towards(request, &root);
        assert_eq!(through.authority, "scp1.example.org:7777");
        assert_eq!(through.path, "/nsmf-pdusession/v1/x?y");
        assert_eq!(ApiRoot::read(&through.headers), Ok(Some(root)));
    }
}
