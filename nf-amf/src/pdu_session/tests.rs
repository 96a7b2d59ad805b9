use procedures::route::Route;
use sbi::client::Connection;
use sbi::model::{Document, Snssai};
use sbi::uri::Scheme;

use crate::test_smf::smf;

use super::*;

const SUPI: &str = "imsi-001010000000001";

fn requester<'a>(config: &'a AmfConfig, api_root: &'a ApiRoot) -> Requester<'a> {
    Requester {
        id: "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01"
            .parse()
            .expect("a UUID"),
        api_root,
        config,
    }
}

fn api_root() -> ApiRoot {
    let root = "https://amf1.5gc.mnc001.mcc001.3gppnetwork.org:7777";
    root.parse().expect("an apiRoot")
}

fn wanted() -> Wanted<'static> {
    Wanted {
        supi: SUPI,
        pdu_session_id: 5,
        now: OffsetDateTime::UNIX_EPOCH,
    }
}

#[test]
fn the_request_is_the_one_of_the_profile() {
    let (config, api_root) = (AmfConfig::default(), api_root());
    let document = requester(&config, &api_root).document(wanted());
    let expected: serde_json::Value = serde_json::from_str(
        r#"{"supi":"imsi-001010000000001","pduSessionId":5,"dnn":"internet","selectedDnn":"internet",
        "sNssai":{"sst":1,"sd":"010203"},"servingNfId":"0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01",
        "guami":{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"020040"},"servingNetwork":{"mcc":"001","mnc":"01"},
        "requestType":"INITIAL_REQUEST","n1SmMsg":{"contentId":"n1-sm"},"anType":"3GPP_ACCESS","ratType":"NR",
        "ueLocation":{"nrLocation":{"tai":{"plmnId":{"mcc":"001","mnc":"01"},"tac":"000001"},
        "ncgi":{"plmnId":{"mcc":"001","mnc":"01"},"nrCellId":"000000010"},"ueLocationTimestamp":"1970-01-01T00:00:00Z"}},
        "ueTimeZone":"+00:00","smContextStatusUri":"https://amf1.5gc.mnc001.mcc001.3gppnetwork.org:7777/namf-callback/v1/imsi-001010000000001/sm-context-status/5"}"#,
    )
    .unwrap();
    assert_eq!(serde_json::to_value(document).unwrap(), expected);
}

#[test]
fn the_request_is_complete_and_short_enough_for_strict_peers() {
    let config = AmfConfig {
        dnn: "d".repeat(100),
        slice: Snssai::new(255, Some("ffffff")).unwrap(),
        ..AmfConfig::default()
    };
    let api_root = api_root();
    let document = requester(&config, &api_root).document(wanted());
    let json = serde_json::to_vec(&document).unwrap();
    assert!(json.len() < 1400, "{} octets", json.len());
    let read = SmContextCreateData::read(&json).unwrap();
    assert!(read.check_ordinary().is_ok());
    assert!((8..=60).contains(&nas_request(5).len()));
}

/// What becomes of a `Location` of the SMF.
async fn located(location: &str) -> Result<Resource, SessionError> {
    let (io, _peer) = tokio::io::duplex(1024);
    let connection = Connection::handshake(io, Scheme::Https).await;
    let connection = connection.expect("http/2");
    let route = Route::direct(smf());
    let exchange = Exchange::new(&connection, &route, None);
    Ok(exchange.resource(location)?)
}

#[tokio::test]
async fn the_context_is_where_location_says_at_the_smf_that_was_asked() {
    let uri = "https://SMF1.example.org:7777/nsmf-pdusession/v1/sm-contexts/7";
    let path = "/nsmf-pdusession/v1/sm-contexts/7".to_owned();
    assert_eq!(located(uri).await.unwrap().path, path);
}

#[tokio::test]
async fn a_location_elsewhere_is_refused() {
    let relative = located("/nsmf-pdusession/v1/sm-contexts/7").await;
    assert!(matches!(relative, Err(SessionError::Location(_))));
    for foreign in [
        "https://smf2.example.org:7777/nsmf-pdusession/v1/sm-contexts/7",
        "https://smf1.example.org/nsmf-pdusession/v1/sm-contexts/7",
        "http://smf1.example.org:7777/nsmf-pdusession/v1/sm-contexts/7",
    ] {
        let refused = located(foreign).await;
        assert!(
            matches!(refused, Err(SessionError::ForeignLocation(_))),
            "{foreign}"
        );
    }
}
