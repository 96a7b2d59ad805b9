//! Profiles that network functions register: what is accepted is written out as a profile that reads as the same, and
//! nothing that this project does not model is lost or changed on the way (TS 29.501 clause 5.3).

use sbi::model::{Document, NfProfile, NfService, NfType, ServiceForm, ServiceName};
use serde_json::Value;

use crate::Verdict;

/// Reads the body of a registration.
///
/// # Panics
/// An invariant does not hold.
pub fn nf_profile(data: &[u8]) -> Verdict {
    let Ok(profile) = NfProfile::read(data) else {
        return Verdict::Refused;
    };
    let read: Value = serde_json::from_slice(data).expect("an accepted profile is JSON");
    let written = serde_json::to_value(&profile).expect("a profile has string keys");
    for (member, value) in &profile.other {
        assert_eq!(read.get(member), Some(value), "{member} was changed");
        assert_eq!(written.get(member), Some(value), "{member} was lost");
    }
    let again = NfProfile::from_value(written).expect("what was written is a profile");
    assert_eq!(again, profile);
    check_forms(&profile);
    Verdict::Accepted
}

/// Both forms of a profile's services tell of the same ones.
fn check_forms(profile: &NfProfile) {
    let ids = |profile: &NfProfile| -> Vec<String> {
        let mut ids: Vec<_> = profile
            .services()
            .map(|service| service.service_instance_id.clone())
            .collect();
        ids.sort_unstable();
        ids
    };
    let mut converted = profile.clone();
    for form in [ServiceForm::Map, ServiceForm::Array, ServiceForm::Map] {
        converted.convert_services(form);
        assert_eq!(ids(&converted), ids(profile), "{form:?}");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let id = "5b1d0000-0000-4000-8000-000000000001"
        .parse()
        .expect("an NF instance id");
    let mut smf = NfProfile::new(id, NfType::Smf, "smf1.5gc.test");
    let service = NfService::new(ServiceName::NsmfPdusession);
    smf.nf_service_list = [(service.service_instance_id.clone(), Box::new(service))].into();
    let smf = serde_json::to_vec(&smf).expect("a profile has string keys");
    let foreign = br#"{"nfInstanceId":"5b1d0000-0000-4000-8000-000000000002","nfType":"AMF","nfStatus":"REGISTERED",
        "heartBeatTimer":10,"plmnList":[{"mcc":"001","mnc":"01"}],"sNssais":[{"sst":1,"sd":"010203"}],"fqdn":"amf1.5gc.test",
        "ipv4Addresses":["127.0.0.5"],"allowedNfTypes":["SMF"],"priority":0,"capacity":100,"load":5,
        "amfInfo":{"amfSetId":"001","amfRegionId":"01","guamiList":[{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"020040"}],
        "vendor":{"x":[1,null]}},"customInfo":{"a":null}}"#;
    vec![smf, foreign.to_vec()]
}
