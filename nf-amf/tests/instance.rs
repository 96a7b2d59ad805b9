//! An AMF instance that has no certificate yet: what it says of itself, and how its operations fail without an NRF.

use std::net::SocketAddr;
use std::sync::Arc;

use nf_amf::config::AmfConfig;
use nf_amf::{Amf, ConnectionPool, ErrorClass, Reach};
use sbi::instance::Instance;
use sbi::model::{Document, NfProfile, NfType};
use sbi::nf::NetworkFunction;
use serde_json::json;
use test_support::nf::{closed_port, nrf};

const ID: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
const FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";

fn instance() -> Arc<Instance> {
    test_support::nf::instance(NfType::Amf, ID, FQDN)
}

#[tokio::test]
async fn the_profile_is_the_example_of_the_profile_document() {
    let instance = instance();
    let at = SocketAddr::from(([127, 0, 0, 11], 7777));
    let amf = Amf::new(Arc::new(AmfConfig::default()), instance.clone());
    let mut profile = serde_json::to_value(amf.profile(&instance, at)).unwrap();
    let recovery_time = profile["recoveryTime"].take();
    assert!(
        recovery_time.is_string(),
        "an SMF knows a restart by it: {recovery_time}"
    );
    let members = profile.as_object_mut().expect("an object");
    members.remove("recoveryTime");
    assert_eq!(
        profile,
        json!({"nfInstanceId": ID, "nfType": "AMF", "nfStatus": "REGISTERED",
            "plmnList": [{"mcc": "001", "mnc": "01"}], "sNssais": [{"sst": 1, "sd": "010203"}], "fqdn": FQDN,
            "ipv4Addresses": ["127.0.0.11"], "priority": 1, "capacity": 100, "load": 0, "allowedNfTypes": ["SMF", "SCP"],
            "amfInfo": {"amfRegionId": "02", "amfSetId": "001",
                "guamiList": [{"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"}],
                "taiList": [{"plmnId": {"mcc": "001", "mnc": "01"}, "tac": "000001"}]},
            "nfServiceList": {"namf-comm-1": {"serviceInstanceId": "namf-comm-1", "serviceName": "namf-comm",
                "scheme": "https", "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}],
                "nfServiceStatus": "REGISTERED", "fqdn": FQDN,
                "ipEndPoints": [{"ipv4Address": "127.0.0.11", "port": 7777}]}}})
    );
    assert!(NfProfile::from_value(profile).is_ok());
}

#[tokio::test]
async fn without_an_nrf_operations_fail_to_connect_and_no_handshake_is_counted() {
    let (_socket, closed) = closed_port();
    let nrf = nrf(closed);
    let amf = Amf::new(Arc::new(AmfConfig::default()), instance());
    let profile = "mtc-landmark/ml-dsa-65/X25519MLKEM768".parse().unwrap();
    let reach = Reach {
        nrf: &nrf,
        profile,
        pool: &ConnectionPool::new(10),
        procedure: None,
        via: None,
    };
    for attempt in [
        amf.establish_session(reach, 1).await,
        amf.discover_smfs(reach).await,
        amf.register_ue(reach, 1).await,
        amf.live_session(reach, 1).await,
        amf.shake_hands(&nrf, profile).await,
    ] {
        assert!(attempt.handshakes.is_empty());
        let error = attempt.result.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Connect);
        assert_eq!(
            error.cause(),
            "discover: cannot connect: connection refused"
        );
    }
}
