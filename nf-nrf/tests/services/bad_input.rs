//! What no peer should send to the NRF and some do, a line for each: which answer it gets.

use hyper::Method;
use proptest::prelude::*;
use serde_json::json;

use crate::nrf::{AMF_FQDN, AMF_ID, Nrf, instance, profile, refusal, request};

#[tokio::test]
async fn dot_segments_are_names_like_others_and_lead_nowhere_else() {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    let own = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", json!({}));
    assert_eq!(amf.put(&own).await.status, 201);
    for (path, status, cause) in [
        (
            "/nnrf-nfm/v1/nf-instances/..",
            400,
            "MANDATORY_IE_INCORRECT",
        ),
        (
            "/nnrf-nfm/v1/nf-instances/%2e%2e",
            400,
            "MANDATORY_IE_INCORRECT",
        ),
        ("/nnrf-disc/v1/../../nnrf-nfm/v1/nf-instances", 404, ""),
        ("/./nnrf-nfm/v1/nf-instances", 400, "INVALID_API"),
        ("/nnrf-disc/../nnrf-nfm/v1/nf-instances", 400, "INVALID_API"),
        ("//nnrf-nfm/v1/nf-instances", 400, "INVALID_API"),
    ] {
        let answer = amf.get(path).await;
        let found = refusal(&answer);
        assert_eq!((found.0, found.1.as_str()), (status, cause), "{path}");
    }
    let elsewhere = format!("{}/../{AMF_ID}", instance(AMF_ID));
    let deleted = amf.send(request(Method::DELETE, &elsewhere)).await;
    assert_eq!(refusal(&deleted).1, "RESOURCE_URI_STRUCTURE_NOT_FOUND");
    assert_eq!(amf.get(&instance(AMF_ID)).await.status, 200);
}

#[tokio::test]
async fn a_parameter_that_is_given_twice_is_named() {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    let query = "target-nf-type=SMF&requester-nf-type=AMF";
    for parameter in [
        "dnn=internet",
        "limit=1",
        "tai=%7B%22plmnId%22%3A%7B%22mcc%22%3A%22001%22%2C%22mnc%22%3A%2201%22%7D%2C%22tac%22%3A%22000001%22%7D",
        "snssais=%5B%7B%22sst%22%3A1%7D%5D",
        "target-nf-instance-id=0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01",
        "requester-features=1",
    ] {
        let once = format!("/nnrf-disc/v1/nf-instances?{query}&{parameter}");
        assert_eq!(amf.get(&once).await.status, 200, "{parameter}");
        // Spelt another way, it is the same parameter.
        let (name, value) = parameter.split_once('=').expect("a value");
        let respelt = format!("%{:02x}{}={value}", name.as_bytes()[0], &name[1..]);
        for again in [parameter, &respelt] {
            let answer = amf.get(&format!("{once}&{again}")).await;
            let expected = (
                400,
                "OPTIONAL_QUERY_PARAM_INCORRECT".to_owned(),
                format!("query {name}"),
            );
            assert_eq!(refusal(&answer), expected, "{again}");
        }
    }
}

#[tokio::test]
async fn a_profile_with_an_empty_list_of_services_is_one_without_services() {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    let minimal = json!({"nfInstanceId": AMF_ID, "nfType": "AMF", "nfStatus": "REGISTERED", "fqdn": AMF_FQDN});
    for (member, empty) in [("nfServiceList", json!({})), ("nfServices", json!([]))] {
        let mut body = minimal.clone();
        body[member] = empty;
        let answer = amf.put(&body).await;
        assert!(answer.status.is_success(), "{member}");
        let stored: serde_json::Value = answer.read_json().expect("a profile");
        assert_eq!(stored.get(member), None);
    }
    let found = amf
        .get("/nnrf-disc/v1/nf-instances?target-nf-type=AMF&requester-nf-type=AMF")
        .await;
    let found: serde_json::Value = found.read_json().expect("a result");
    assert_eq!(found["nfInstances"][0]["nfInstanceId"], AMF_ID);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_by_every_operation_that_takes_one() {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    let own = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", json!({}));
    assert_eq!(amf.put(&own).await.status, 201);
    let resource = instance(AMF_ID);
    for (method, path, media_type) in [
        (Method::PUT, resource.as_str(), "application/json"),
        (Method::PATCH, &resource, "application/json-patch+json"),
        (
            Method::POST,
            "/nnrf-nfm/v1/subscriptions",
            "application/json",
        ),
    ] {
        for body in ["", "{", "nul", "\u{feff}{}", "[[[[", "{\"a\":1}x"] {
            let media_type = hyper::http::HeaderValue::from_static(media_type);
            let request = request(method.clone(), path).body(media_type, body);
            let answer = amf.send(request).await;
            let (status, cause, _) = refusal(&answer);
            assert_eq!(
                (status, cause.as_str()),
                (400, "INVALID_MSG_FORMAT"),
                "{method} {body:?}"
            );
        }
    }
    assert_eq!(amf.get(&resource).await.status, 200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_arbitrary_path_and_query_get_an_answer(
        path in "(/(nnrf-nfm|nnrf-disc|v1|nf-instances|subscriptions|[.]{1,2}|%2[ef]|%[0-9a-f]{2}|%|[a-z]{0,3})){0,6}",
        query in "([a-z-]{0,12}(=|%3d)?(%[0-9a-fA-F]{2}|[a-z0-9,]|%){0,6}&?){0,4}",
        method in prop::sample::select(vec![Method::GET, Method::PUT, Method::DELETE, Method::POST, Method::OPTIONS]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let status = runtime.block_on(async {
            let nrf = Nrf::start();
            let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
            amf.send(request(method, &format!("/{path}?{query}"))).await.status
        });
        prop_assert!(!status.is_server_error(), "{status}");
    }
}
