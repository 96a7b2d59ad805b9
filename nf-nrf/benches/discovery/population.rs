//! Who is registered: two SMFs that a query finds, and any number that it does not.

use sbi::uri::encode;
use serde_json::{Value, json};
use uuid::Uuid;

/// The SMFs that [`query`] finds.
pub(crate) const WANTED: usize = 2;
const WANTED_SD: &str = "010203";
const OTHER_SD: &str = "0a0b0c";

/// What an AMF asks when a session is to be set up, as path and query.
pub(crate) fn query() -> String {
    of_slice(WANTED_SD)
}

/// A query that finds nobody.
pub(crate) fn of_nobody() -> String {
    of_slice("0d0e0f")
}

fn of_slice(sd: &str) -> String {
    let snssais = json!([{"sst": 1, "sd": sd}]).to_string();
    any() + "&service-names=nsmf-pdusession&dnn=internet&snssais=" + &encode(&snssais)
}

/// What an AMF asks that wants any SMF.
pub(crate) fn any() -> String {
    "/nnrf-disc/v1/nf-instances?target-nf-type=SMF&requester-nf-type=AMF".to_owned()
}

/// The instance `number`.
pub(crate) fn id(number: usize) -> Uuid {
    Uuid::from_u128(0x5f00_0000_0000_4000_8000_0000_0000_0000 + number as u128)
}

/// Where the instance `number` is registered.
pub(crate) fn path(number: usize) -> String {
    format!("/nnrf-nfm/v1/nf-instances/{}", id(number))
}

/// The profile of the SMF `number`: the first [`WANTED`] are in one slice, the others in another. It sends no heartbeats for an hour if
/// the NRF lets it.
pub(crate) fn smf(number: usize) -> Value {
    let id = id(number);
    let sd = if number < WANTED { WANTED_SD } else { OTHER_SD };
    let snssai = json!({"sst": 1, "sd": sd});
    json!({
        "nfInstanceId": id, "nfType": "SMF", "nfStatus": "REGISTERED", "heartBeatTimer": 3600, "load": 0, "capacity": 100, "priority": 1,
        "fqdn": format!("smf-{}.5gc.mnc001.mcc001.3gppnetwork.org", id.simple()),
        "ipv4Addresses": ["127.0.0.11"], "sNssais": [snssai], "plmnList": [{"mcc": "001", "mnc": "01"}],
        "smfInfo": {"sNssaiSmfInfoList": [{"sNssai": snssai, "dnnSmfInfoList": [{"dnn": "internet"}]}]},
        "nfServiceList": {"nsmf-pdusession-1": {
            "serviceInstanceId": "nsmf-pdusession-1", "serviceName": "nsmf-pdusession", "scheme": "http", "nfServiceStatus": "REGISTERED",
            "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}], "ipEndPoints": [{"ipv4Address": "127.0.0.11", "port": 7777}],
            "allowedNfTypes": ["AMF", "SCP"],
        }},
    })
}
