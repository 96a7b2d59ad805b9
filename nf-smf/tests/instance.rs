//! An SMF instance that has no certificate yet: what it says of itself, and what becomes of a transfer that cannot be made.

use std::net::SocketAddr;
use std::sync::Arc;

use nf_smf::config::SmfConfig;
use nf_smf::n1n2::{Transfer, TransferCounts, Transfers};
use nf_smf::serving_amf::ServingAmfs;
use nf_smf::sm_context::{PduSession, SmContextRef};
use nf_smf::{Smf, Watching};
use procedures::caller::Came;
use sbi::instance::Instance;
use sbi::model::{Document, NfProfile, NfType, Snssai};
use sbi::nf::NetworkFunction;
use serde_json::json;
use test_support::nf::{closed_port, nrf};
use tokio::sync::Semaphore;

const ID: &str = "5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01";
const FQDN: &str = "smf1.5gc.mnc001.mcc001.3gppnetwork.org";

fn instance() -> Arc<Instance> {
    test_support::nf::instance(NfType::Smf, ID, FQDN)
}

#[tokio::test]
async fn the_profile_says_what_is_served_and_where() {
    let instance = instance();
    let at = SocketAddr::from(([127, 0, 0, 12], 7777));
    let smf = Smf::new(
        Arc::new(SmfConfig::default()),
        instance.clone(),
        nrf(at),
        Watching::Always,
    );
    let profile = serde_json::to_value(smf.profile(&instance, at)).unwrap();
    assert_eq!(
        profile,
        json!({"nfInstanceId": ID, "nfType": "SMF", "nfStatus": "REGISTERED",
            "plmnList": [{"mcc": "001", "mnc": "01"}], "sNssais": [{"sst": 1, "sd": "010203"}], "fqdn": FQDN,
            "ipv4Addresses": ["127.0.0.12"], "priority": 1, "capacity": 100, "load": 0, "allowedNfTypes": ["AMF", "SCP"],
            "smfInfo": {"sNssaiSmfInfoList": [{"sNssai": {"sst": 1, "sd": "010203"}, "dnnSmfInfoList": [{"dnn": "internet"}]}],
                "taiList": [{"plmnId": {"mcc": "001", "mnc": "01"}, "tac": "000001"}], "accessType": ["3GPP_ACCESS"]},
            "nfServiceList": {"nsmf-pdusession-1": {"serviceInstanceId": "nsmf-pdusession-1",
                "serviceName": "nsmf-pdusession", "scheme": "https", "nfServiceStatus": "REGISTERED",
                "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}],
                "fqdn": FQDN, "ipEndPoints": [{"ipv4Address": "127.0.0.12", "port": 7777}]}}})
    );
    assert!(NfProfile::from_value(profile).is_ok());
}

#[tokio::test]
async fn a_transfer_that_cannot_be_made_is_counted_and_gives_its_place_back() {
    let (_socket, closed) = closed_port();
    let instance = instance();
    let transfers = Transfers::new(
        instance.clone(),
        Arc::new(ServingAmfs::new(instance, nrf(closed))),
    );
    let places = Arc::new(Semaphore::new(1));
    transfers
        .carry_out(Transfer {
            context: SmContextRef(uuid::Uuid::nil()),
            session: PduSession {
                supi: "imsi-001010000000001".to_owned(),
                id: 5,
            },
            slice: Snssai::new(1, Some("010203")).unwrap(),
            amf: ID.parse().unwrap(),
            came: Came::default(),
            place: places.clone().try_acquire_owned().unwrap(),
        })
        .await;
    let counts = TransferCounts {
        delivered: 0,
        failed: 1,
    };
    assert_eq!(transfers.counts(), counts);
    assert_eq!(places.available_permits(), 1);
}
