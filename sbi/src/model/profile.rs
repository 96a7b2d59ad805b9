//! The profile of an NF instance (TS 29.510 clause 6.1.6.2): the members that the lab uses; others are kept and forwarded.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::name::{NfInstanceId, NfServiceStatus, NfStatus, NfType, ServiceName};
use super::network::{ExtSnssai, Guami, PlmnId, Snssai, Tai, TaiRange};
use super::open::{Other, keyed, listed};
use crate::uri::Scheme;

/// What the NRF knows of an NF instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfProfile {
    /// Identifies the instance.
    pub nf_instance_id: NfInstanceId,
    /// Its kind; never changes.
    pub nf_type: NfType,
    /// Whether it is operative and may be discovered.
    pub nf_status: NfStatus,
    /// A label for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_instance_name: Option<String>,
    /// Interval between heartbeats in seconds, at least 1. The NF proposes, the NRF decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heart_beat_timer: Option<u32>,
    /// Networks it serves; none = those of the NRF.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub plmn_list: Vec<PlmnId>,
    /// Slices it serves; none = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub s_nssais: Vec<ExtSnssai>,
    /// Name under which it serves and which its certificate carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// Where to connect.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ipv4_addresses: Vec<Ipv4Addr>,
    /// Where to connect.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ipv6_addresses: Vec<Ipv6Addr>,
    /// NF types that may discover and use it; none = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_nf_types: Vec<NfType>,
    /// Networks that may; none = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_plmns: Vec<PlmnId>,
    /// Patterns of FQDNs that may; none = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_nf_domains: Vec<String>,
    /// Slices that may; none = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_nssais: Vec<ExtSnssai>,
    /// Lower is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Weight among instances of equal priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    /// Load in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<u8>,
    /// When `load` was measured, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_time_stamp: Option<String>,
    /// Where it is, matched by `preferred-locality`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// When it last restarted and lost its contexts, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_time: Option<String>,
    /// Its services by service instance id, the current form. Boxed, since a map has room for eleven values as soon as it has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nf_service_list: BTreeMap<String, Box<NfService>>,
    /// Its services as a list, the older form. Never both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nf_services: Vec<NfService>,
    /// SCP domains it belongs to; for an SCP, those it serves.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub scp_domains: Vec<String>,
    /// What is particular to an AMF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amf_info: Option<AmfInfo>,
    /// What is particular to an SMF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smf_info: Option<SmfInfo>,
    /// More of the same, by a key of its own choice.
    #[serde(
        default,
        deserialize_with = "keyed",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub amf_info_list: BTreeMap<String, AmfInfo>,
    /// More of `smf_info`, by a key of its own choice: Open5GS sends several blocks so, and then no `smf_info`.
    #[serde(
        default,
        deserialize_with = "keyed",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub smf_info_list: BTreeMap<String, SmfInfo>,
    /// What is particular to an SCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp_info: Option<ScpInfo>,
    /// In a PUT: the NF understands an answer with the changed members only. Not part of the stored profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_profile_changes_support_ind: Option<bool>,
    /// In the answer: only changed members are here. Not part of the stored profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_profile_changes_ind: Option<bool>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// The two ways a profile lists its services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceForm {
    /// `nfServiceList`: a map from service instance id, for peers with the Service-Map feature.
    Map,
    /// `nfServices`: the older array.
    Array,
}

impl NfProfile {
    /// A profile with the mandatory members and an FQDN.
    pub fn new(nf_instance_id: NfInstanceId, nf_type: NfType, fqdn: impl Into<String>) -> Self {
        Self {
            nf_instance_id,
            nf_type,
            nf_status: NfStatus::Registered,
            nf_instance_name: None,
            heart_beat_timer: None,
            plmn_list: Vec::new(),
            s_nssais: Vec::new(),
            fqdn: Some(fqdn.into()),
            ipv4_addresses: Vec::new(),
            ipv6_addresses: Vec::new(),
            allowed_nf_types: Vec::new(),
            allowed_plmns: Vec::new(),
            allowed_nf_domains: Vec::new(),
            allowed_nssais: Vec::new(),
            priority: None,
            capacity: None,
            load: None,
            load_time_stamp: None,
            locality: None,
            recovery_time: None,
            nf_service_list: BTreeMap::new(),
            nf_services: Vec::new(),
            scp_domains: Vec::new(),
            amf_info: None,
            smf_info: None,
            amf_info_list: BTreeMap::new(),
            smf_info_list: BTreeMap::new(),
            scp_info: None,
            nf_profile_changes_support_ind: None,
            nf_profile_changes_ind: None,
            other: Other::new(),
        }
    }

    /// What is particular to it as an AMF. `amfInfo` and `amfInfoList` may both be there: it is all of them (TS 29.510 table
    /// 6.1.6.2.2-1).
    pub fn amf_infos(&self) -> impl Iterator<Item = &AmfInfo> {
        self.amf_info.iter().chain(self.amf_info_list.values())
    }

    /// What is particular to it as an SMF, from `smfInfo` and `smfInfoList` together.
    pub fn smf_infos(&self) -> impl Iterator<Item = &SmfInfo> {
        self.smf_info.iter().chain(self.smf_info_list.values())
    }

    /// Its services, in whichever form.
    pub fn services(&self) -> impl Iterator<Item = &NfService> {
        let listed = self.nf_service_list.values().map(Box::as_ref);
        listed.chain(&self.nf_services)
    }

    /// Its first service `name` that is in operation.
    pub fn service(&self, name: &ServiceName) -> Option<&NfService> {
        self.services().find(|service| {
            service.service_name == *name && service.nf_service_status == NfStatus::Registered
        })
    }

    /// Drops the services that `keep` refuses.
    pub fn retain_services(&mut self, mut keep: impl FnMut(&NfService) -> bool) {
        self.nf_service_list.retain(|_, service| keep(service));
        self.nf_services.retain(keep);
    }

    /// Turns the services into `form`, and leaves none in the other.
    pub fn convert_services(&mut self, form: ServiceForm) {
        match form {
            ServiceForm::Map => {
                let services = std::mem::take(&mut self.nf_services).into_iter();
                let keyed = services
                    .map(|service| (service.service_instance_id.clone(), Box::new(service)));
                self.nf_service_list.extend(keyed);
            }
            ServiceForm::Array => {
                let services = std::mem::take(&mut self.nf_service_list).into_values();
                self.nf_services.extend(services.map(|service| *service));
            }
        }
    }
}

/// One service of an NF instance. Members that are absent are those of the profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfService {
    /// Identifies the service within its instance.
    pub service_instance_id: String,
    /// Which API it is.
    pub service_name: ServiceName,
    /// API versions it speaks, at least one.
    #[serde(deserialize_with = "listed")]
    pub versions: Vec<NfServiceVersion>,
    /// With TLS or without.
    pub scheme: Scheme,
    /// Whether it is operative.
    pub nf_service_status: NfServiceStatus,
    /// Name under which it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// Where to connect.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ip_end_points: Vec<IpEndPoint>,
    /// Path in front of the API name, such as `/core`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_prefix: Option<String>,
    /// NF types that may use it.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_nf_types: Vec<NfType>,
    /// Networks that may.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_plmns: Vec<PlmnId>,
    /// Patterns of FQDNs that may.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_nf_domains: Vec<String>,
    /// Slices that may.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_nssais: Vec<ExtSnssai>,
    /// Lower is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Weight among services of equal priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    /// Load in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<u8>,
    /// Whether it wants access tokens.
    #[serde(
        default,
        rename = "oauth2Required",
        skip_serializing_if = "Option::is_none"
    )]
    pub oauth2_required: Option<bool>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl NfService {
    /// Service `name` in its only version of Release 18 over TLS, in operation, with the instance id `<name>-1`.
    pub fn new(name: ServiceName) -> Self {
        let (in_uri, full) = match name {
            ServiceName::NudmSdm => ("v2", "2.3.0"),
            _ => ("v1", "1.3.0"),
        };
        Self {
            service_instance_id: format!("{name}-1"),
            service_name: name,
            versions: vec![NfServiceVersion {
                api_version_in_uri: in_uri.to_owned(),
                api_full_version: full.to_owned(),
                other: Other::new(),
            }],
            scheme: Scheme::Https,
            nf_service_status: NfStatus::Registered,
            fqdn: None,
            ip_end_points: Vec::new(),
            api_prefix: None,
            allowed_nf_types: Vec::new(),
            allowed_plmns: Vec::new(),
            allowed_nf_domains: Vec::new(),
            allowed_nssais: Vec::new(),
            priority: None,
            capacity: None,
            load: None,
            oauth2_required: None,
            other: Other::new(),
        }
    }
}

/// A version of an API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfServiceVersion {
    /// Major version as in URIs: `v1`.
    pub api_version_in_uri: String,
    /// Full version: `1.3.0`.
    pub api_full_version: String,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// Where a service listens: one address or none, and a port. Without an address the port applies to the FQDN or the profile's address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpEndPoint {
    /// IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<Ipv4Addr>,
    /// IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<Ipv6Addr>,
    /// Port; none = that of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Members without a field here, `transport` among them.
    #[serde(flatten)]
    pub other: Other,
}

impl From<std::net::SocketAddr> for IpEndPoint {
    fn from(addr: std::net::SocketAddr) -> Self {
        let mut end_point = Self {
            port: Some(addr.port()),
            ..Self::default()
        };
        match addr.ip() {
            std::net::IpAddr::V4(ip) => end_point.ipv4_address = Some(ip),
            std::net::IpAddr::V6(ip) => end_point.ipv6_address = Some(ip),
        }
        end_point
    }
}

/// What is particular to an AMF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AmfInfo {
    /// Region, 2 hex digits.
    pub amf_region_id: String,
    /// Set, 3 hex digits of which the first is 0 to 3.
    pub amf_set_id: String,
    /// GUAMIs it serves, at least one.
    #[serde(deserialize_with = "listed")]
    pub guami_list: Vec<Guami>,
    /// Tracking areas it serves; none, and no ranges = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tai_list: Vec<Tai>,
    /// Ranges of tracking areas that it serves besides.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tai_range_list: Vec<TaiRange>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// What is particular to an SMF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmfInfo {
    /// Slices and the data networks in each, at least one.
    #[serde(deserialize_with = "listed")]
    pub s_nssai_smf_info_list: Vec<SnssaiSmfInfo>,
    /// Tracking areas it serves; none, and no ranges = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tai_list: Vec<Tai>,
    /// Ranges of tracking areas that it serves besides.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tai_range_list: Vec<TaiRange>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl AmfInfo {
    /// Whether it serves `area`.
    pub fn serves_area(&self, area: &Tai) -> bool {
        serves_area(&self.tai_list, &self.tai_range_list, area)
    }
}

fn serves_area(areas: &[Tai], ranges: &[TaiRange], wanted: &Tai) -> bool {
    (areas.is_empty() && ranges.is_empty())
        || areas.iter().any(|area| area.is(wanted))
        || ranges.iter().any(|range| range.contains(wanted))
}

impl SmfInfo {
    /// Whether it serves `area`.
    pub fn serves_area(&self, area: &Tai) -> bool {
        serves_area(&self.tai_list, &self.tai_range_list, area)
    }

    /// Whether one slice serves both `snssai` and `dnn`. What is not asked for matches.
    pub fn serves(&self, snssai: Option<&Snssai>, dnn: Option<&str>) -> bool {
        self.s_nssai_smf_info_list.iter().any(|slice| {
            snssai.is_none_or(|wanted| slice.s_nssai.serves(wanted))
                && dnn.is_none_or(|wanted| slice.serves_dnn(wanted))
        })
    }
}

/// A slice and the data networks in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnssaiSmfInfo {
    /// The slice.
    pub s_nssai: ExtSnssai,
    /// Its data networks, at least one.
    #[serde(deserialize_with = "listed")]
    pub dnn_smf_info_list: Vec<DnnSmfInfo>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl SnssaiSmfInfo {
    fn serves_dnn(&self, wanted: &str) -> bool {
        let mut served = self.dnn_smf_info_list.iter().map(|info| &info.dnn);
        served.any(|dnn| dnn == "*" || dnn.eq_ignore_ascii_case(wanted))
    }
}

/// A data network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnnSmfInfo {
    /// Its name, or `*` for any; compared without regard to case.
    pub dnn: String,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// What is particular to an SCP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScpInfo {
    /// How to reach it in each of its domains.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scp_domain_info_list: BTreeMap<String, ScpDomainInfo>,
    /// Ports by scheme.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scp_ports: BTreeMap<String, u16>,
    /// Path in front of the API names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp_prefix: Option<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// How to reach an SCP in one domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScpDomainInfo {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp_fqdn: Option<String>,
    /// Ports by scheme.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scp_ports: BTreeMap<String, u16>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

#[cfg(test)]
mod tests;
