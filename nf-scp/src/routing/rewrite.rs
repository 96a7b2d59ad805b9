//! What an SCP changes in a request and its answer, which is as little as it may (TS 29.500 clause 6.10; RFC 9110 section 7.6).
//! Pure.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue, LOCATION, VIA};
use sbi::client;
use sbi::header::{
    DISCOVERY, MaxRspTime, ProducerId, ROUTING_BINDING, TARGET_API_ROOT, TypedHeader,
    remove_hop_by_hop,
};
use sbi::response::Response;
use sbi::selection::Candidate;
use sbi::server::Request;
use sbi::uri::ApiRoot;

use super::ask::Ask;

/// Which NRF the SCP should ask.
const NRF_URI: HeaderName = HeaderName::from_static("3gpp-sbi-nrf-uri");

/// The protocol in `Via`.
const PROTOCOL: &str = "2.0";

/// Where a request goes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop<'a> {
    /// For `:authority`.
    pub(super) authority: &'a str,
    /// What stands in front of the API's name there.
    pub(super) prefix: &'a str,
    /// The producer, if another SCP is on the way to it.
    pub(super) target: Option<&'a ApiRoot>,
}

/// `request` as it goes to `hop`, if so much of the consumer's time is `left`. Method, path and query
/// are the consumer's, byte for byte, and the body, which is not here, is so too.
pub(super) fn forwarded(
    request: &Request,
    ask: &Ask,
    hop: Hop<'_>,
    name: &str,
    left: Duration,
) -> client::Request {
    let mut path = format!("{}{}", hop.prefix, request.path);
    if !request.query.is_empty() {
        path.push('?');
        path.push_str(&request.query);
    }
    let mut headers = request.headers.clone();
    remove_hop_by_hop(&mut headers);
    for consumed in [TARGET_API_ROOT, ROUTING_BINDING, NRF_URI, HOST] {
        headers.remove(consumed);
    }
    let discovery: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(DISCOVERY))
        .cloned()
        .collect();
    for name in discovery {
        headers.remove(name);
    }
    if let Some(target) = hop.target {
        target.write(&mut headers);
    }
    if let Some(hops) = ask.hops {
        hops.write(&mut headers);
    }
    if ask.is_time_limited {
        MaxRspTime::new(left).write(&mut headers);
    }
    add_via(&mut headers, name);
    client::Request {
        method: request.method.clone(),
        authority: hop.authority.to_owned(),
        path,
        headers,
        body: Default::default(),
    }
}

/// A producer's answer as it goes to the consumer. `chosen` is the producer, if it is another than the consumer named: it is told
/// who that is, and where its next request goes if no `Location` says so.
pub(super) fn returned(
    mut response: Response,
    chosen: Option<(&Candidate, &ApiRoot)>,
    name: &str,
) -> Response {
    remove_hop_by_hop(&mut response.headers);
    if let Some((producer, root)) = chosen {
        ProducerId(producer.id).write(&mut response.headers);
        let location = response.header(&LOCATION);
        let is_located = location.is_some_and(|location| ApiRoot::split(location).is_ok());
        if response.status.is_success() && !is_located {
            root.write(&mut response.headers);
        }
    }
    // TS 29.500 clause 6.10.8: so that the consumer knows how far an error has come.
    if response.status.is_client_error() || response.status.is_server_error() {
        add_via(&mut response.headers, name);
    }
    response
}

fn add_via(headers: &mut HeaderMap, name: &str) {
    let via = HeaderValue::try_from(format!("{PROTOCOL} {name}"));
    headers.append(VIA, via.expect("an SCP's name is made of its FQDN"));
}
