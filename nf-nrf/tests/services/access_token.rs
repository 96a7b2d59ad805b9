//! Nnrf_AccessToken over real HTTP/2.

use hyper::Method;
use hyper::http::HeaderValue;
use jose::{Jws, KeySet};
use nf_nrf::access_token::AccessTokenReq;
use proptest::prelude::*;
use sbi::model::{AccessTokenClaims, AccessTokenErr, AccessTokenRsp, Audience, NfType};
use sbi::response::{FORM, Response};
use serde_json::{Value, json};

use crate::nrf::{AMF_FQDN, AMF_ID, Client, NRF_ID, Nrf, profile, request};

const SMF_ID: &str = "5b1d9a77-0000-4000-8000-000000000001";
const GRANT: &str =
    "grant_type=client_credentials&nfInstanceId=0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";

/// An NRF with an SMF that has these members, and a registered AMF.
async fn nrf_with(members: Value) -> (Nrf, Client) {
    let nrf = Nrf::start();
    let smf = nrf.connect("SMF", SMF_ID, "smf1.example.org").await;
    let of_smf = profile(
        "SMF",
        SMF_ID,
        "smf1.example.org",
        "nsmf-pdusession",
        members,
    );
    assert_eq!(smf.put(&of_smf).await.status, 201);
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    let of_amf = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", json!({}));
    assert_eq!(amf.put(&of_amf).await.status, 201);
    (nrf, amf)
}

async fn ask(client: &Client, form: &str) -> Response {
    let request = request(Method::POST, "/oauth2/token");
    let response = client
        .send(request.body(HeaderValue::from_static(FORM), form.to_owned()))
        .await;
    assert_eq!(response.headers["cache-control"], "no-store");
    assert_eq!(response.headers["pragma"], "no-cache");
    assert_eq!(response.headers["content-type"], "application/json");
    response
}

/// The claims of a token that the NRF's keys verify.
fn claims(keys: &KeySet, response: &Response) -> AccessTokenClaims {
    assert_eq!(response.status, 200, "{:?}", response.body);
    let answer: AccessTokenRsp = response.read_json().expect("a token");
    assert_eq!(
        (answer.token_type.as_str(), answer.expires_in),
        ("Bearer", Some(3600))
    );
    let jws = Jws::parse(&answer.access_token).expect("a JWS");
    let verified = keys.verify(jws).expect("signed by the NRF");
    verified.claims().expect("claims")
}

fn error(response: &Response) -> String {
    assert_eq!(response.status, 400);
    let refusal: AccessTokenErr = response.read_json().expect("AccessTokenErr");
    refusal.error
}

#[tokio::test]
async fn a_registered_consumer_gets_a_token_for_a_type_or_an_instance() {
    let (nrf, amf) = nrf_with(json!({})).await;
    let form = format!("{GRANT}&nfType=AMF&targetNfType=SMF&scope=nsmf-pdusession");
    let of_type = claims(&nrf.token_keys, &ask(&amf, &form).await);
    assert_eq!(of_type.iss.to_string(), NRF_ID);
    assert_eq!(of_type.sub.to_string(), AMF_ID);
    assert_eq!(of_type.aud, Audience::Type(NfType::Smf));
    assert_eq!(of_type.scope, "nsmf-pdusession");

    let form = format!("{GRANT}&targetNfInstanceId={SMF_ID}&scope=nsmf-pdusession&future=1");
    let of_instance = claims(&nrf.token_keys, &ask(&amf, &form).await);
    assert_eq!(
        of_instance.aud,
        Audience::Instances(vec![SMF_ID.parse().unwrap()])
    );

    // The NRF's own services need no registration of a producer; a plus is a space in a form.
    let form = format!("{GRANT}&targetNfType=NRF&scope=nnrf-disc+nnrf-nfm");
    let own = claims(&nrf.token_keys, &ask(&amf, &form).await);
    assert_eq!(own.scope, "nnrf-disc nnrf-nfm");
}

#[tokio::test]
async fn a_finer_scope_is_for_whom_it_is_meant() {
    let (_nrf, amf) = nrf_with(json!({})).await;
    for (scope, expected) in [
        (
            "nnrf-nfm:subscriptions:subs-complete-profile",
            "unauthorized_client",
        ),
        ("nnrf-nfm:nf-instances:read", "invalid_scope"),
    ] {
        let form = format!("{GRANT}&targetNfType=NRF&scope={scope}");
        assert_eq!(error(&ask(&amf, &form).await), expected, "{scope}");
    }
}

#[tokio::test]
async fn the_consumer_chooses_what_signs_its_token() {
    let (nrf, amf) = nrf_with(json!({})).await;
    for (alg, least, most) in [
        ("ES256", 300, 600),
        ("ML-DSA-44", 3400, 3900),
        ("ML-DSA-65", 4600, 5100),
    ] {
        let form = format!("{GRANT}&targetNfType=SMF&scope=nsmf-pdusession&mtc5g-alg={alg}");
        let response = ask(&amf, &form).await;
        claims(&nrf.token_keys, &response);
        let answer: AccessTokenRsp = response.read_json().unwrap();
        let jws = Jws::parse(&answer.access_token).unwrap();
        assert_eq!(jose::alg(jws.header.algorithm), alg);
        let octets = answer.access_token.len();
        assert!((least..most).contains(&octets), "{alg}: {octets}");
    }
    for unknown in ["none", "HS256", "ML-DSA-87"] {
        let form = format!("{GRANT}&targetNfType=SMF&scope=nsmf-pdusession&mtc5g-alg={unknown}");
        assert_eq!(
            error(&ask(&amf, &form).await),
            "invalid_request",
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn slices_and_networks_stand_in_the_claims() {
    let (nrf, amf) =
        nrf_with(json!({"sNssais": [{"sst": 1}], "allowedNssais": [{"sst": 7}]})).await;
    let slices = |of: &str, sst: u8| format!("&{of}=%5B%7B%22sst%22%3A{sst}%7D%5D");
    let form = format!("{GRANT}&targetNfType=SMF&scope=nsmf-pdusession");
    let plmn = "&requesterPlmn=%7B%22mcc%22%3A%22001%22%2C%22mnc%22%3A%2201%22%7D";
    let good = format!(
        "{form}{}{}{plmn}",
        slices("targetSnssaiList", 1),
        slices("requesterSnssaiList", 7)
    );
    let found = claims(&nrf.token_keys, &ask(&amf, &good).await);
    assert_eq!(
        serde_json::to_value(&found.producer_snssai_list).unwrap(),
        json!([{"sst": 1}])
    );
    assert!(found.consumer_plmn_id.is_some());
    for wrong in [
        slices("targetSnssaiList", 2),
        slices("requesterSnssaiList", 1),
    ] {
        let refused = ask(&amf, &format!("{form}{wrong}")).await;
        assert_eq!(error(&refused), "unauthorized_client", "{wrong}");
    }
    let foreign = plmn.replace("%2201%22", "%2202%22");
    assert_eq!(
        error(&ask(&amf, &format!("{form}{foreign}")).await),
        "invalid_request"
    );
}

#[tokio::test]
async fn who_asks_must_be_who_the_certificate_says_and_registered() {
    let (nrf, amf) = nrf_with(json!({})).await;
    let form = "targetNfType=SMF&scope=nsmf-pdusession";
    let other = format!("grant_type=client_credentials&nfInstanceId={SMF_ID}&{form}");
    assert_eq!(error(&ask(&amf, &other).await), "invalid_client");
    let wrong_type = format!("{GRANT}&nfType=SMF&{form}");
    assert_eq!(error(&ask(&amf, &wrong_type).await), "invalid_client");
    let nobody = nrf.connect_as(None).await;
    assert_eq!(
        error(&ask(&nobody, &format!("{GRANT}&{form}")).await),
        "invalid_client"
    );
    let id = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a02";
    let stranger = nrf.connect("AMF", id, "amf2.example.org").await;
    let unknown = format!("grant_type=client_credentials&nfInstanceId={id}&{form}");
    assert_eq!(error(&ask(&stranger, &unknown).await), "invalid_client");
}

#[tokio::test]
async fn producers_say_who_may_use_their_services() {
    let form = format!("{GRANT}&targetNfType=SMF&scope=nsmf-pdusession");
    let (_nrf, amf) = nrf_with(json!({"allowedNfTypes": ["PCF"]})).await;
    assert_eq!(error(&ask(&amf, &form).await), "unauthorized_client");
    let (nrf, amf) = nrf_with(json!({"allowedNfTypes": ["AMF"]})).await;
    claims(&nrf.token_keys, &ask(&amf, &form).await);
    for (target, scope) in [
        ("SMF", "namf-comm"),
        ("UDM", "nudm-sdm"),
        ("NRF", "nnrf-cm"),
    ] {
        let form = format!("{GRANT}&targetNfType={target}&scope={scope}");
        assert_eq!(
            error(&ask(&amf, &form).await),
            "invalid_scope",
            "{target} {scope}"
        );
    }
    let both = format!("{GRANT}&targetNfType=SMF&scope=nsmf-pdusession%20nsmf-x");
    assert_eq!(error(&ask(&amf, &both).await), "invalid_scope");
}

#[tokio::test]
async fn a_token_is_for_those_alone_that_allow_the_consumer_where_others_do_not() {
    let (nrf, amf) = nrf_with(json!({"allowedNfTypes": ["AMF"]})).await;
    let other = "5b1d9a77-0000-4000-8000-000000000002";
    let client = nrf.connect("SMF", other, "smf2.example.org").await;
    let of_other = |members| profile("SMF", other, "smf2.example.org", "nsmf-pdusession", members);
    let form = format!("{GRANT}&targetNfType=SMF&scope=nsmf-pdusession");
    for (members, audience) in [
        (
            json!({"allowedNfTypes": ["PCF"]}),
            Audience::Instances(vec![SMF_ID.parse().unwrap()]),
        ),
        (
            json!({"nfStatus": "SUSPENDED"}),
            Audience::Type(NfType::Smf),
        ),
        (json!({}), Audience::Type(NfType::Smf)),
    ] {
        assert!(client.put(&of_other(members)).await.status.is_success());
        assert_eq!(
            claims(&nrf.token_keys, &ask(&amf, &form).await).aud,
            audience
        );
    }
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused() {
    let (_nrf, amf) = nrf_with(json!({})).await;
    let target = "targetNfType=SMF&scope=nsmf-pdusession";
    for (form, code) in [
        (String::new(), "invalid_request"),
        ("%zz".to_owned(), "invalid_request"),
        (format!("{GRANT}&scope=nsmf-pdusession"), "invalid_request"),
        (format!("{GRANT}&targetNfType=SMF"), "invalid_request"),
        (
            format!("{GRANT}&{target}&scope=namf-comm"),
            "invalid_request",
        ),
        (
            format!("{GRANT}&targetNfType=SMF&scope=a%20%20b"),
            "invalid_request",
        ),
        (
            format!("{GRANT}&targetNfType=SMF&scope=%22"),
            "invalid_request",
        ),
        (
            format!("{GRANT}&{target}&targetSnssaiList=x"),
            "invalid_request",
        ),
        (
            format!("{GRANT}&{target}&targetNfSetId=x"),
            "invalid_request",
        ),
        (
            format!("{GRANT}&{target}&targetNfInstanceId=x"),
            "invalid_request",
        ),
        (
            format!("{GRANT}&{target}&targetNfInstanceId={AMF_ID}"),
            "invalid_request",
        ),
        (
            format!("grant_type=password&{target}"),
            "unsupported_grant_type",
        ),
        (
            format!("grant_type=client_credentials&nfInstanceId=x&{target}"),
            "invalid_request",
        ),
    ] {
        assert_eq!(error(&ask(&amf, &form).await), code, "{form}");
    }
    let wrong_method = amf.get("/oauth2/token").await;
    assert_eq!(wrong_method.status, 405);
    let json = request(Method::POST, "/oauth2/token").json(&json!({}));
    assert_eq!(amf.send(json).await.status, 415);
}

proptest! {
    #[test]
    fn any_form_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = AccessTokenReq::parse(&body);
    }

    #[test]
    fn what_is_read_is_what_was_written(scope in "[a-z]{1,8}(-[a-z0-9]{1,8})?( [a-z]{1,8}){0,3}", target in "[A-Z]{2,8}") {
        let mut form = sbi::uri::Query::default();
        form.push("grant_type", "client_credentials");
        form.push("nfInstanceId", AMF_ID);
        form.push("targetNfType", target.as_str());
        form.push("scope", scope.as_str());
        let read = AccessTokenReq::parse(form.to_string().as_bytes()).unwrap();
        let services: Vec<_> = read.scope.iter().map(|service| service.to_string()).collect();
        prop_assert_eq!(services.join(" "), scope);
        prop_assert_eq!(read.target_type.unwrap().to_string(), target);
    }
}
