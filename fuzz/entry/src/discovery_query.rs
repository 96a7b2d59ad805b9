//! Queries of discovery: within their bounds, and encoded again they ask for the same.

use nf_nrf::discovery::DiscoveryQuery;
use sbi::uri::{MAX_QUERY_PARAMS, Query};

use crate::Verdict;

/// Reads the query of a discovery request.
///
/// # Panics
/// An invariant does not hold.
pub fn discovery_query(data: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(data) else {
        return Verdict::Refused;
    };
    let Ok(query) = Query::parse(text) else {
        return Verdict::Refused;
    };
    assert!(query.names().count() <= MAX_QUERY_PARAMS);
    let encoded = query.to_string();
    assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(Query::parse(&encoded), Ok(query), "encoded as {encoded}");
    let read = DiscoveryQuery::parse(text).ok();
    assert_eq!(DiscoveryQuery::parse(&encoded).ok(), read);
    Verdict::of(read.is_some())
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "target-nf-type=SMF&requester-nf-type=AMF",
        "target-nf-type=SMF&requester-nf-type=AMF&service-names=nsmf-pdusession,nsmf-event-exposure&dnn=internet\
         &snssais=%5B%7B%22sst%22%3A1%2C%22sd%22%3A%22010203%22%7D%5D&limit=3&preferred-locality=east",
        "requester-nf-type=SMF&target-nf-type=AMF&target-nf-instance-id=5b1d0000-0000-4000-8000-000000000002\
         &requester-plmn-list=%5B%7B%22mcc%22%3A%22001%22%2C%22mnc%22%3A%2201%22%7D%5D&requester-features=4\
         &max-payload-size=124&requester-nf-instance-id=5b1d0000-0000-4000-8000-000000000001",
    ]
    .map(|query| query.as_bytes().to_vec())
    .into()
}
