//! The OpenAPI document of the NRF's own services against what it serves: neither has anything that the other lacks.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{ALLOW, CONTENT_TYPE, IF_NONE_MATCH};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method};
use mtc_tls::csr;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use nf_nrf::certificate_management::Resource;
use nf_nrf::openapi::{DOCUMENT, PATH};
use sbi::admin::Admin;
use sbi::client::Request;
use sbi::enrolment::{CERTIFICATES, CertificateRequest, MTC_PROFILE};
use sbi::response::Response;
use sbi::server::{self, Handler as _, Peer};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::counting::Scene;
use crate::nrf::{AMF_FQDN, AMF_ID, request};

const BELOW_NNRF_CM: &str = "/nnrf-cm/v1/";

fn document() -> Value {
    serde_json::from_str(DOCUMENT).expect("the document is JSON")
}

/// Path and method of each operation in the document whose path is one that is `wanted`.
fn operations(wanted: impl Fn(&str, &Value) -> bool) -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let wanted = paths.iter().filter(|(path, item)| wanted(path, item));
    wanted
        .flat_map(|(path, item)| {
            let members = item.as_object().expect("an object").keys();
            let methods =
                members.filter(|name| !["servers", "parameters"].contains(&name.as_str()));
            methods.map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect()
}

/// What the document says of an answer with this status.
fn described(path: &str, method: &str, status: u16) -> Value {
    let document = document();
    let answer = &document["paths"][path][method.to_lowercase()]["responses"][status.to_string()];
    let answer = match answer["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("it is there"),
        None => answer,
    };
    answer.clone()
}

/// Holds an answer against the document: status, media type, headers, and the members of its body.
fn check(path: &str, method: &str, response: &Response) {
    let status = response.status.as_u16();
    let described = described(path, method, status);
    assert!(
        !described.is_null(),
        "{method} {path}: {status} is not described"
    );
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        let is_there = response.headers.contains_key(name.as_str());
        assert!(
            is_there || header["required"] == false,
            "{method} {path}: {status} lacks {name}"
        );
    }
    let Some(content) = described["content"].as_object() else {
        assert!(
            response.body.is_empty(),
            "{method} {path}: {status} has a body"
        );
        return;
    };
    let media_type = response.header(&CONTENT_TYPE).expect("it has a body");
    let media_type = media_type.split(';').next().expect("a first part");
    let content = content.get(media_type);
    let content =
        content.unwrap_or_else(|| panic!("{method} {path}: {media_type} is not described"));
    let Some(reference) = content["schema"]["$ref"].as_str() else {
        return;
    };
    let schema = document()
        .pointer(&reference[1..])
        .expect("it is there")
        .clone();
    let body: Value = response.read_json().expect("JSON");
    let body = body.as_object().expect("an object");
    for (member, value) in body {
        let described = &schema["properties"][member]["type"];
        let is = match value {
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            _ => "integer",
        };
        assert_eq!(described, is, "{method} {path}: {status}: {member}");
    }
    for member in schema["required"].as_array().into_iter().flatten() {
        let member = member.as_str().expect("a name");
        assert!(
            body.contains_key(member),
            "{method} {path}: {status} lacks {member}"
        );
    }
}

fn certificate_request() -> CertificateRequest {
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let id = AMF_ID.parse().expect("an id");
    let csr = csr::create(&key, id, &[AMF_FQDN.to_owned()]).expect("a key that signs");
    CertificateRequest {
        csr: STANDARD.encode(csr),
        profile: MTC_PROFILE.to_owned(),
    }
}

#[test]
fn the_document_has_the_resources_of_nnrf_cm_and_no_others() {
    let served = Resource::ALL.map(|resource| {
        let path = format!("{BELOW_NNRF_CM}{}", resource.template());
        (path, resource.method().to_owned())
    });
    let described = operations(|path, _| path.starts_with(BELOW_NNRF_CM));
    assert_eq!(described, BTreeSet::from(served));
}

#[tokio::test]
async fn every_resource_on_the_sbi_takes_the_methods_of_the_document_and_no_others() {
    let scene = Scene::new().await;
    let on_the_sbi = operations(|_, item| item.get("servers").is_none());
    assert_eq!(on_the_sbi.len(), Resource::ALL.len() + 1);
    for (path, method) in on_the_sbi {
        let target = path.replace("{certificateId}", "1");
        let answer = scene.answer(request(Method::TRACE, &target)).await;
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.header(&ALLOW).expect("what is allowed");
        let allowed = allowed.split(", ").filter(|allowed| *allowed != "HEAD");
        assert_eq!(allowed.collect::<Vec<_>>(), [method], "{path}");
    }
}

#[tokio::test]
async fn answers_of_nnrf_cm_are_as_the_document_says() {
    let scene = Scene::new().await;
    let enrolling = |body: &Value| request(Method::POST, CERTIFICATES).json(body);
    let valid = serde_json::to_value(certificate_request()).expect("JSON");
    let mut ids = Vec::new();
    for (body, status) in [
        (valid.clone(), 201),
        (json!({"csr": "AA==", "profile": "mtc"}), 400),
        (json!({"csr": valid["csr"], "profile": "x509-none"}), 400),
        (json!({}), 400),
    ] {
        let answer = scene.answer(enrolling(&body)).await;
        assert_eq!(answer.status, status, "{body}");
        check(CERTIFICATES, "POST", &answer);
        let issued: Value = answer.read_json().expect("JSON");
        ids.extend(issued["certificateId"].as_str().map(str::to_owned));
    }
    let with_token = |token: &'static str| {
        let mut request = enrolling(&valid);
        let token = HeaderValue::from_static(token);
        request.headers.insert("authorization", token);
        request
    };
    let text = HeaderValue::from_static("text/plain");
    let as_text = request(Method::POST, CERTIFICATES).body(text, valid.to_string());
    for (request, status) in [(with_token("Bearer x"), 401), (as_text, 415)] {
        let answer = scene.answer(request).await;
        assert_eq!(answer.status, status);
        check(CERTIFICATES, "POST", &answer);
    }
    let [id] = &ids[..] else {
        panic!("one certificate was issued: {ids:?}");
    };
    for resource in [Resource::Certificate, Resource::LandmarkRelative] {
        let path = format!("{BELOW_NNRF_CM}{}", resource.template());
        for (id, statuses) in [
            (id.as_str(), [200, 202]),
            ("1", [404, 404]),
            ("01", [404, 404]),
        ] {
            let target = path.replace("{certificateId}", id);
            let answer = scene.answer(request(Method::GET, &target)).await;
            assert!(
                statuses.contains(&answer.status.as_u16()),
                "{target}: {}",
                answer.status
            );
            check(&path, "GET", &answer);
        }
    }
}

#[tokio::test]
async fn anybody_is_given_the_document_and_once_is_enough() {
    let scene = Scene::new().await;
    let first = scene.answer(request(Method::GET, PATH)).await;
    assert_eq!(first.body, DOCUMENT);
    check(PATH, "GET", &first);
    let mut again: Request = request(Method::GET, PATH);
    again
        .headers
        .insert(IF_NONE_MATCH, first.headers["etag"].clone());
    let again = scene.answer(again).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    check(PATH, "GET", &again);
    let head = scene.answer(request(Method::HEAD, PATH)).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn the_admin_port_has_the_paths_of_the_document_and_no_others() {
    let (_missing, missing) = watch::channel(String::new());
    let ledger = Arc::default();
    let admin = Admin {
        missing,
        ledger,
        commands: Default::default(),
    };
    let send = async |path: &str| {
        let request = server::Request {
            method: Method::GET,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Default::default(),
            peer: Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
        };
        admin.handle(request).await
    };
    let described = operations(|_, item| {
        let server = &item["servers"][0]["url"];
        server == "{adminRoot}"
    });
    for (path, method) in &described {
        assert_eq!(method, "GET");
        check(path, method, &send(path).await.expect("an answer"));
    }
    let unknown = send("/unknown").await.expect_err("there is no such path");
    let served = unknown.details.detail.expect("what there is");
    let served: BTreeSet<_> = served
        .split([' ', ','])
        .filter(|word| word.starts_with('/'))
        .collect();
    let described: BTreeSet<_> = described.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(described, served);
}
