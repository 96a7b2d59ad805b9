//! Nnrf_Bootstrapping.

use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, IF_NONE_MATCH};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method};
use nf_nrf::bootstrapping::Bootstrapping;
use sbi::server::{Peer, Request};
use serde_json::{Value, json};

use crate::nrf::{AMF_ID, NRF_ROOT, api_root};

fn request(method: Method, headers: HeaderMap) -> Request {
    Request {
        method,
        path: "/bootstrapping".to_owned(),
        query: String::new(),
        headers,
        body: Default::default(),
        peer: Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
    }
}

#[test]
fn anybody_is_told_where_the_services_are_and_once_is_enough() {
    let bootstrapping = Bootstrapping::new(AMF_ID.parse().unwrap(), &api_root(), false);
    let first = bootstrapping
        .handle(&request(Method::GET, HeaderMap::new()))
        .unwrap();
    let href = |path: &str| json!({"href": format!("{NRF_ROOT}{path}")});
    assert_eq!(
        first.read_json::<Value>().unwrap(),
        json!({"status": "OPERATIVE", "nrfInstanceId": AMF_ID, "_links": {"self": href("/bootstrapping"),
            "manage": href("/nnrf-nfm/v1/nf-instances"), "subscribe": href("/nnrf-nfm/v1/subscriptions"),
            "discover": href("/nnrf-disc/v1/nf-instances")},
            "nrfFeatures": {"nnrf-nfm": "1", "nnrf-disc": "20"}, "oauth2Required": {"nnrf-nfm": false, "nnrf-disc": false}})
    );
    assert_eq!(first.headers["content-type"], "application/3gppHal+json");
    assert_eq!(
        first.headers[CACHE_CONTROL],
        HeaderValue::from_static("max-age=3600")
    );
    let known = HeaderMap::from_iter([(IF_NONE_MATCH, first.headers["etag"].clone())]);
    let again = bootstrapping.handle(&request(Method::GET, known)).unwrap();
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let issuing = Bootstrapping::new(AMF_ID.parse().unwrap(), &api_root(), true);
    let answer = issuing.handle(&request(Method::GET, HeaderMap::new()));
    let info: Value = answer.unwrap().read_json().unwrap();
    assert_eq!(info["_links"]["authorize"], href("/oauth2/token"));
    let posted = bootstrapping.handle(&request(Method::POST, HeaderMap::new()));
    assert_eq!(posted.unwrap_err().status, 405);
}
