//! The `3gpp-Sbi-*` headers: what is read is written as a value that reads as the same, and a header that stands twice is
//! refused (TS 29.500 clause 5.2.3).

use std::fmt::Debug;

use hyper::HeaderMap;
use hyper::header::{HeaderName, VIA};
use hyper::http::HeaderValue;
use sbi::header::{
    Callback, CorrelationInfo, LCI, LoadControl, MaxForwardHops, MaxRspTime, OCI, OverloadControl,
    ProducerId, RoutingBinding, SenderTimestamp, TypedHeader, UserAgent, discovery_query,
    has_passed, set_discovery,
};
use sbi::uri::ApiRoot;

use crate::Verdict;

/// Reads one value as each of the headers.
///
/// # Panics
/// An invariant does not hold.
pub fn sbi_headers(data: &[u8]) -> Verdict {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return Verdict::Refused;
    };
    let read = [
        check::<MaxRspTime>(&value),
        check::<SenderTimestamp>(&value),
        check::<Callback>(&value),
        check::<ApiRoot>(&value),
        check::<ProducerId>(&value),
        check::<MaxForwardHops>(&value),
        check::<RoutingBinding>(&value),
        discovery(&value),
        load(&value),
        check::<UserAgent>(&value),
        // Takes whatever can be seen, so that it says nothing of an input.
        check::<CorrelationInfo>(&value),
    ];
    Verdict::of(read[..9].contains(&true))
}

/// A discovery parameter that is set is read as the same. None is found in other headers.
fn discovery(value: &HeaderValue) -> bool {
    let name = HeaderName::from_static("3gpp-sbi-discovery-dnn");
    let headers = HeaderMap::from_iter([(name, value.clone()), (VIA, value.clone())]);
    let _ = has_passed(&headers, "SCP-scp1.5gc.test");
    let Ok(query) = discovery_query(&headers) else {
        return false;
    };
    let values: Vec<_> = query.values("dnn").collect();
    assert_eq!(values.len(), 1);
    let mut written = HeaderMap::new();
    set_discovery(&mut written, "dnn", values[0]).expect("every text can be percent-encoded");
    assert_eq!(discovery_query(&written), Ok(query));
    true
}

/// What is said of load or overload is about percents of instances, and what is said twice is the same twice.
fn load(value: &HeaderValue) -> bool {
    let mut headers = HeaderMap::from_iter([(LCI, value.clone()), (OCI, value.clone())]);
    let (loads, overloads) = (
        LoadControl::read_all(&headers),
        OverloadControl::read_all(&headers),
    );
    let percents = loads.iter().flatten().map(|load| load.load);
    let reductions = overloads.iter().flatten().map(|one| one.reduction);
    assert!(percents.chain(reductions).all(|percent| percent <= 100));
    headers.append(LCI, value.clone());
    if let (Ok(once), Ok(twice)) = (&loads, LoadControl::read_all(&headers)) {
        assert_eq!([&once[..], &once[..]].concat(), twice);
    }
    loads.is_ok() || overloads.is_ok()
}

fn check<T: TypedHeader + PartialEq + Debug>(value: &HeaderValue) -> bool {
    let mut headers = HeaderMap::from_iter([(T::NAME, value.clone())]);
    let Ok(Some(read)) = T::read(&headers) else {
        return false;
    };
    let mut written = HeaderMap::new();
    read.write(&mut written);
    assert_eq!(T::read(&written), Ok(Some(read)));
    headers.append(T::NAME, value.clone());
    assert!(T::read(&headers).is_err(), "twice");
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "10000",
        "Sun, 04 Aug 2019 08:49:37.845 GMT",
        "Nsmf_PDUSession_StatusNotify; apiversion=1",
        "https://smf1.5gc.test:7777/edge",
        "http://[::1]:80/a/b",
        "nfinst=5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01",
        "5; nodetype=scp",
        "Timestamp: \"Tue, 04 Feb 2020 08:49:37 GMT\"; Load-Metric: 25%; NF-Instance: 5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01",
        "Timestamp: \"Tue, 04 Feb 2020 08:49:37 GMT\"; Period-of-Validity: 75s; Overload-Reduction-Metric: 50%; SCP-FQDN: a",
        "bl=nf-set; nfset=set1.smfset.5gc.mnc001.mcc001",
        "%5B%7B%22sst%22%3A1%7D%5D",
    ]
    .map(|value| value.as_bytes().to_vec())
    .into()
}
