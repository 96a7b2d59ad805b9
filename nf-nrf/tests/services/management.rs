//! Nnrf_NFManagement over real HTTP/2.

use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::{IF_MATCH, IF_NONE_MATCH};
use hyper::http::HeaderValue;
use nf_nrf::registry::Change;
use proptest::prelude::*;
use sbi::client::Request;
use sbi::model::{NfProfile, NfType};
use sbi::response::JSON_PATCH;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::nrf::{
    AMF_FQDN, AMF_ID, Client, NRF_ROOT, Nrf, arbitrary_json, instance, profile, refusal, request,
};

const OTHER_ID: &str = "5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c02";
const MISMATCH: &str = "MTC5G_CERTIFICATE_MISMATCH";

async fn nrf_and_amf() -> (Nrf, Client) {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    (nrf, amf)
}

fn amf_profile(members: Value) -> Value {
    profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", members)
}

fn patch(operations: &Value) -> Request {
    request(Method::PATCH, &instance(AMF_ID)).json_as(JSON_PATCH, operations)
}

fn heartbeat(load: u8) -> Request {
    patch(
        &json!([{"op": "replace", "path": "/nfStatus", "value": "REGISTERED"}, {"op": "replace", "path": "/load", "value": load}]),
    )
}

#[tokio::test]
async fn registration_answers_with_the_stored_profile() {
    let (nrf, amf) = nrf_and_amf().await;
    let sent =
        amf_profile(json!({"vendorExtension": {"a": null}, "nfProfileChangesSupportInd": true}));
    let response = amf.put(&sent).await;
    assert_eq!(response.status, 201);
    assert_eq!(
        response.headers["location"],
        format!("{NRF_ROOT}{}", instance(AMF_ID))
    );
    assert!(response.headers.contains_key("etag"));
    let mut stored = sent;
    stored["heartBeatTimer"] = json!(10);
    stored
        .as_object_mut()
        .unwrap()
        .remove("nfProfileChangesSupportInd");
    assert_eq!(response.read_json::<Value>().unwrap(), stored);
    assert_eq!(
        amf.get(&instance(AMF_ID))
            .await
            .read_json::<Value>()
            .unwrap(),
        stored
    );
    assert!(matches!(
        &nrf.changes.lock().unwrap()[..],
        [Change::Registered(_)]
    ));
}

#[tokio::test]
async fn registering_again_is_200_and_a_replacement() {
    let (_nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({"locality": "a"}))).await;
    let response = amf.put(&amf_profile(json!({"heartBeatTimer": 1}))).await;
    assert_eq!(response.status, 200);
    let stored = response.read_json::<Value>().unwrap();
    assert_eq!(
        (&stored["locality"], &stored["heartBeatTimer"]),
        (&Value::Null, &json!(5))
    );
}

#[tokio::test]
async fn instance_ids_are_matched_without_case() {
    let (_nrf, amf) = nrf_and_amf().await;
    let upper = AMF_ID.to_uppercase();
    let response = amf.put(&amf_profile(json!({"nfInstanceId": upper}))).await;
    assert_eq!(response.status, 201);
    assert_eq!(
        response.headers["location"],
        format!("{NRF_ROOT}{}", instance(AMF_ID))
    );
}

#[tokio::test]
async fn the_certificate_must_agree_with_path_type_and_names() {
    let nrf = Nrf::start();
    let (fqdn, other_fqdn) = (AMF_FQDN, "amf2.5gc.mnc001.mcc001.3gppnetwork.org");
    for (nf_type, id, certified, detail) in [
        (
            "AMF",
            OTHER_ID,
            fqdn,
            format!("certificate is of instance {OTHER_ID}, path is of {AMF_ID}"),
        ),
        (
            "SMF",
            AMF_ID,
            fqdn,
            "certificate is for nfType SMF, profile has AMF".to_owned(),
        ),
        (
            "AMF",
            AMF_ID,
            other_fqdn,
            format!("certificate is for fqdn {other_fqdn}, profile has {fqdn}"),
        ),
    ] {
        let client = nrf.connect(nf_type, id, certified).await;
        let response = client.put(&amf_profile(json!({}))).await;
        assert_eq!(
            refusal(&response),
            (403, MISMATCH.to_owned(), String::new())
        );
        assert_eq!(response.read_json::<Value>().unwrap()["detail"], detail);
    }
    let amf = nrf.connect("AMF", AMF_ID, &fqdn.to_uppercase()).await;
    let mut foreign_service = amf_profile(json!({}));
    foreign_service["nfServiceList"]["namf-comm-1"]["fqdn"] = json!(other_fqdn);
    assert_eq!(amf.put(&foreign_service).await.status, 403);
    assert_eq!(amf.put(&amf_profile(json!({}))).await.status, 201);
}

#[tokio::test]
async fn without_a_certificate_nothing_is_done() {
    let nrf = Nrf::start();
    let client = nrf.connect_as(None).await;
    assert_eq!(client.put(&amf_profile(json!({}))).await.status, 403);
    assert_eq!(client.get("/nnrf-nfm/v1/nf-instances").await.status, 403);
    assert!(nrf.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn another_instance_can_neither_update_nor_remove() {
    let (nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    let other = nrf.connect("AMF", OTHER_ID, AMF_FQDN).await;
    assert_eq!(other.send(heartbeat(1)).await.status, 403);
    assert_eq!(
        other
            .send(request(Method::DELETE, &instance(AMF_ID)))
            .await
            .status,
        403
    );
    assert_eq!(amf.get(&instance(AMF_ID)).await.status, 200);
}

/// 650 octets of copies made 410 MB of a profile of 200 kB.
#[tokio::test]
async fn a_patch_cannot_multiply_a_profile() {
    let (nrf, amf) = nrf_and_amf().await;
    let text = "x".repeat(200_000);
    assert_eq!(
        amf.put(&amf_profile(json!({"vendor": {"text": text}})))
            .await
            .status,
        201
    );
    let copy = json!({"op": "copy", "from": "/vendor", "path": "/vendor/more"});
    let response = amf.send(patch(&Value::Array(vec![copy; 14]))).await;
    assert_eq!(
        refusal(&response),
        (400, "MANDATORY_IE_INCORRECT".to_owned(), "/0".to_owned())
    );
    let stored = amf.get(&instance(AMF_ID)).await;
    assert!(stored.body.len() < 201_000);
    assert_eq!(nrf.changes.lock().unwrap().len(), 1);
    assert_eq!(amf.send(heartbeat(7)).await.status, 204);
}

#[tokio::test]
async fn a_list_of_instances_is_not_asked_for_what_it_does_not_do() {
    let (_nrf, amf) = nrf_and_amf().await;
    for (query, cause) in [
        ("limit=0", "OPTIONAL_QUERY_PARAM_INCORRECT"),
        ("page-size=0", "OPTIONAL_QUERY_PARAM_INCORRECT"),
        ("nf-types=AMF", "INVALID_QUERY_PARAM"),
    ] {
        let response = amf.get(&format!("/nnrf-nfm/v1/nf-instances?{query}")).await;
        let (status, found, _) = refusal(&response);
        assert_eq!((status, found.as_str()), (400, cause), "{query}");
    }
}

#[tokio::test]
async fn malformed_registrations_name_the_member() {
    let (_nrf, amf) = nrf_and_amf().await;
    let put = |body: Value| amf.send(request(Method::PUT, &instance(AMF_ID)).json(&body));
    for (body, cause, param) in [
        (
            json!({"nfInstanceId": AMF_ID, "nfStatus": "REGISTERED"}),
            "MANDATORY_IE_MISSING",
            "/nfType",
        ),
        (
            amf_profile(json!({"nfInstanceId": OTHER_ID})),
            "MANDATORY_IE_INCORRECT",
            "/nfInstanceId",
        ),
        (
            amf_profile(json!({"load": 101})),
            "OPTIONAL_IE_INCORRECT",
            "/load",
        ),
        (json!([]), "INVALID_MSG_FORMAT", ""),
    ] {
        assert_eq!(
            refusal(&put(body).await),
            (400, cause.to_owned(), param.to_owned())
        );
    }
    let text = HeaderValue::from_static("text/plain");
    let response = amf
        .send(request(Method::PUT, &instance(AMF_ID)).body(text, "{}"))
        .await;
    assert_eq!(response.status, 415);
    assert_eq!(
        refusal(
            &amf.send(request(Method::PUT, &instance("x")).json(&json!({})))
                .await
        )
        .2,
        "{nfInstanceID}"
    );
}

#[tokio::test]
async fn a_heartbeat_is_204_and_no_change() {
    let (nrf, amf) = nrf_and_amf().await;
    let registered = amf.put(&amf_profile(json!({}))).await;
    let response = amf.send(heartbeat(17)).await;
    assert_eq!((response.status.as_u16(), response.body.len()), (204, 0));
    let stored = amf.get(&instance(AMF_ID)).await;
    assert_eq!(stored.read_json::<Value>().unwrap()["load"], 17);
    assert_eq!(stored.headers["etag"], registered.headers["etag"]);
    assert_eq!(nrf.changes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_heartbeat_of_an_unknown_instance_is_404() {
    let (_nrf, amf) = nrf_and_amf().await;
    assert_eq!(amf.send(heartbeat(0)).await.status, 404);
}

#[tokio::test]
async fn a_suspended_instance_comes_back_with_its_heartbeat() {
    let (nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    nrf.registry
        .update(|registry| registry.expire(Instant::now() + Duration::from_secs(20)));
    let status = async || {
        amf.get(&instance(AMF_ID))
            .await
            .read_json::<Value>()
            .unwrap()["nfStatus"]
            .clone()
    };
    assert_eq!(status().await, "SUSPENDED");
    assert_eq!(amf.send(heartbeat(0)).await.status, 204);
    assert_eq!(status().await, "REGISTERED");
    assert_eq!(nrf.changes.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_overridden_timer_is_told_in_a_200() {
    let (_nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    let response = amf
        .send(patch(
            &json!([{"op": "replace", "path": "/heartBeatTimer", "value": 3600}]),
        ))
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(response.read_json::<Value>().unwrap()["heartBeatTimer"], 30);
}

#[tokio::test]
async fn a_failing_operation_fails_the_patch_and_is_named() {
    let (_nrf, amf) = nrf_and_amf().await;
    let mut without_load = amf_profile(json!({}));
    without_load.as_object_mut().unwrap().remove("load");
    let before = amf.put(&without_load).await.body;
    let response = amf.send(heartbeat(17)).await;
    assert_eq!(
        refusal(&response),
        (400, "MANDATORY_IE_INCORRECT".to_owned(), "/1".to_owned())
    );
    assert_eq!(amf.get(&instance(AMF_ID)).await.body, before);
}

#[tokio::test]
async fn patches_are_checked_like_registrations() {
    let (_nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    for (operations, expected) in [
        (
            json!([{"op": "replace", "path": "/nfType", "value": "SMF"}]),
            (403, "MODIFICATION_NOT_ALLOWED", "/nfType"),
        ),
        (
            json!([{"op": "replace", "path": "/fqdn", "value": "amf2.example.org"}]),
            (403, MISMATCH, ""),
        ),
        (
            json!([{"op": "remove", "path": "/nfStatus"}]),
            (400, "MANDATORY_IE_MISSING", "/nfStatus"),
        ),
        (
            json!([{"op": "add", "path": "/load", "value": 101}]),
            (400, "OPTIONAL_IE_INCORRECT", "/load"),
        ),
        (json!([]), (400, "INVALID_MSG_FORMAT", "")),
        (
            json!([{"op": "REPLACE", "path": "/load", "value": 1}]),
            (400, "INVALID_MSG_FORMAT", ""),
        ),
    ] {
        let (status, cause, param) = refusal(&amf.send(patch(&operations)).await);
        assert_eq!(
            (status, cause.as_str(), param.as_str()),
            expected,
            "{operations}"
        );
    }
    assert_eq!(
        amf.send(request(Method::PATCH, &instance(AMF_ID)).json(&json!([])))
            .await
            .status,
        415
    );
}

#[tokio::test]
async fn if_match_guards_a_patch() {
    let (_nrf, amf) = nrf_and_amf().await;
    let etag = amf.put(&amf_profile(json!({}))).await.headers["etag"].clone();
    let guarded = |etag: &HeaderValue| {
        let mut request = patch(&json!([{"op": "add", "path": "/locality", "value": "b"}]));
        request.headers.insert(IF_MATCH, etag.clone());
        request
    };
    assert_eq!(
        amf.send(guarded(&HeaderValue::from_static("\"x\"")))
            .await
            .status,
        412
    );
    assert_eq!(amf.send(guarded(&etag)).await.status, 204);
    assert_eq!(amf.send(guarded(&etag)).await.status, 412);
}

#[tokio::test]
async fn deregistration_removes_the_profile() {
    let (nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    assert_eq!(
        amf.send(request(Method::DELETE, &instance(AMF_ID)))
            .await
            .status,
        204
    );
    assert_eq!(amf.get(&instance(AMF_ID)).await.status, 404);
    assert_eq!(
        amf.send(request(Method::DELETE, &instance(AMF_ID)))
            .await
            .status,
        404
    );
    let changes = nrf.changes.lock().unwrap();
    assert!(
        matches!(&changes[..], [Change::Registered(_), Change::Deregistered(last)] if last.nf_instance_id.to_string() == AMF_ID)
    );
}

#[tokio::test]
async fn a_profile_is_read_in_the_service_form_the_reader_knows() {
    let (_nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    let read = async |query: &str| {
        let profile: Value = amf
            .get(&(instance(AMF_ID) + query))
            .await
            .read_json()
            .expect("profile");
        (
            profile.get("nfServiceList").is_some(),
            profile.get("nfServices").is_some(),
        )
    };
    assert_eq!(read("").await, (true, false));
    assert_eq!(read("?requester-features=1").await, (true, false));
    assert_eq!(read("?requester-features=0").await, (false, true));
}

#[tokio::test]
async fn the_list_is_hal_and_can_be_filtered_and_paged() {
    let (nrf, amf) = nrf_and_amf().await;
    amf.put(&amf_profile(json!({}))).await;
    let smf = nrf.connect("SMF", OTHER_ID, "smf1.example.org").await;
    smf.put(&profile(
        "SMF",
        OTHER_ID,
        "smf1.example.org",
        "nsmf-pdusession",
        json!({}),
    ))
    .await;
    let list = async |query: &str| {
        let response = amf.get(&format!("/nnrf-nfm/v1/nf-instances{query}")).await;
        assert_eq!(response.headers["content-type"], "application/3gppHal+json");
        let list: Value = response.read_json().expect("list");
        let items = list["_links"]["item"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        (list["totalItemCount"].as_u64(), items)
    };
    let href = |id: &str| json!({"href": format!("{NRF_ROOT}{}", instance(id))});
    assert_eq!(
        list("").await,
        (Some(2), vec![href(AMF_ID), href(OTHER_ID)])
    );
    assert_eq!(list("?nf-type=SMF").await, (Some(1), vec![href(OTHER_ID)]));
    assert_eq!(list("?limit=1").await, (Some(2), vec![href(AMF_ID)]));
    assert_eq!(
        list("?page-size=1&page-number=2").await,
        (Some(2), vec![href(OTHER_ID)])
    );
    assert_eq!(list("?nf-type=UDM").await, (Some(0), vec![]));
}

#[tokio::test]
async fn a_list_is_no_longer_than_a_page_whatever_is_asked() {
    let (nrf, amf) = nrf_and_amf().await;
    for number in 0..1002 {
        let id = Uuid::from_u128(number).into();
        let profile = NfProfile::new(id, NfType::Smf, "smf1.example.org");
        let registered = nrf.registry.update(|r| r.register(profile, Instant::now()));
        registered.expect("there is a place");
    }
    let list = async |query: &str| {
        let response = amf.get(&format!("/nnrf-nfm/v1/nf-instances{query}")).await;
        let list: Value = response.read_json().expect("list");
        let total = list["totalItemCount"].as_u64();
        (total, list["_links"]["item"].as_array().map_or(0, Vec::len))
    };
    for query in ["", "?nf-type=SMF", "?limit=5000", "?page-size=5000"] {
        assert_eq!(list(query).await, (Some(1002), 1000), "{query}");
    }
    // Pages of that size follow each other without a gap.
    for query in ["?page-number=2", "?page-size=5000&page-number=2"] {
        assert_eq!(list(query).await, (Some(1002), 2), "{query}");
    }
}

#[tokio::test]
async fn who_has_a_profile_or_list_already_is_not_sent_it_again() {
    let (_nrf, amf) = nrf_and_amf().await;
    let registered = amf.put(&amf_profile(json!({}))).await;
    let known = async |path: &str, etag: &HeaderValue| {
        let mut request = request(Method::GET, path);
        request.headers.insert(IF_NONE_MATCH, etag.clone());
        let answer = amf.send(request).await;
        (answer.status.as_u16(), answer.body.is_empty())
    };
    let list = "/nnrf-nfm/v1/nf-instances";
    let of_list = amf.get(list).await.headers["etag"].clone();
    let of_profile = registered.headers["etag"].clone();
    assert_eq!(known(&instance(AMF_ID), &of_profile).await, (304, true));
    assert_eq!(known(list, &of_list).await, (304, true));
    amf.put(&amf_profile(json!({"locality": "zone-a"}))).await;
    assert_eq!(known(&instance(AMF_ID), &of_profile).await, (200, false));
    assert_eq!(known(list, &of_list).await, (304, true));
    amf.send(request(Method::DELETE, &instance(AMF_ID))).await;
    assert_eq!(known(list, &of_list).await, (200, false));
}

#[tokio::test]
async fn options_tells_the_features() {
    let (_nrf, amf) = nrf_and_amf().await;
    let response = amf
        .send(request(Method::OPTIONS, "/nnrf-nfm/v1/nf-instances"))
        .await;
    assert_eq!(
        response.read_json::<Value>().unwrap(),
        json!({"supportedFeatures": "1"})
    );
}

#[tokio::test]
async fn wrong_resources_and_methods_are_told_apart() {
    let (_nrf, amf) = nrf_and_amf().await;
    let response = amf.send(request(Method::POST, &instance(AMF_ID))).await;
    assert_eq!(
        (response.status.as_u16(), &response.headers["allow"]),
        (405, &HeaderValue::from_static("GET, PUT, PATCH, DELETE"))
    );
    let below = amf.get(&format!("{}/x", instance(AMF_ID))).await;
    assert_eq!(refusal(&below).1, "RESOURCE_URI_STRUCTURE_NOT_FOUND");
    let fixed = amf.get("/nnrf-nfm/v1/x").await;
    assert_eq!(refusal(&fixed), (404, String::new(), String::new()));
    assert_eq!(
        refusal(&amf.get("/nnrf-nfm/v2/nf-instances").await).1,
        "INVALID_API"
    );
    assert_eq!(
        refusal(&amf.get("/nnrf-nfm/v1/nf-instances?limit=x").await).2,
        "query limit"
    );
    assert_eq!(amf.get("/nnrf-nfm/v1/%ff").await.status, 400);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_arbitrary_member_is_stored_as_sent_or_refused(
        member in prop::sample::select(vec!["nfServices", "nfServiceList", "smfInfo", "amfInfo", "scpInfo", "plmnList", "sNssais",
            "heartBeatTimer", "priority", "locality", "nfStatus", "fqdn", "ipv6Addresses", "allowedNssais", "vendor"]),
        value in arbitrary_json(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let status = runtime.block_on(async {
            let (_nrf, amf) = nrf_and_amf().await;
            amf.put(&amf_profile(json!({member: value}))).await.status.as_u16()
        });
        prop_assert!(matches!(status, 201 | 400 | 403), "{status}");
    }
}
