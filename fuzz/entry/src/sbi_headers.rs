//! The `3gpp-Sbi-*` headers: what is read is written as a value that reads as the same, and a header that stands twice is
//! refused (TS 29.500 clause 5.2.3).

use std::fmt::Debug;

use hyper::HeaderMap;
use hyper::http::HeaderValue;
use sbi::header::{Callback, CorrelationInfo, MaxRspTime, SenderTimestamp, TypedHeader, UserAgent};
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
        check::<UserAgent>(&value),
        // Takes whatever can be seen, so that it says nothing of an input.
        check::<CorrelationInfo>(&value),
    ];
    Verdict::of(read[..4].contains(&true))
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
    ]
    .map(|value| value.as_bytes().to_vec())
    .into()
}
