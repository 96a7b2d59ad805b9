//! The `3gpp-Sbi-*` headers that this project sets or reads, typed (TS 29.500 clause 5.2.3), and `User-Agent`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, USER_AGENT};
use hyper::http::HeaderValue;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::model::NfType;
use crate::uri::ApiRoot;

mod hop;
mod load;
mod routing;

pub use hop::remove_hop_by_hop;
pub use load::{LCI, LoadControl, OCI, OverloadControl};
pub use routing::{
    DISCOVERY, MAX_FORWARD_HOPS, MaxForwardHops, PRODUCER_ID, ProducerId, RETRY_INFO,
    ROUTING_BINDING, RoutingBinding, discovery_query, forbids_retries, has_passed, is_delegated,
    set_discovery,
};

/// How long the client waits, in milliseconds.
pub const MAX_RSP_TIME: HeaderName = HeaderName::from_static("3gpp-sbi-max-rsp-time");
/// When the request was sent.
pub const SENDER_TIMESTAMP: HeaderName = HeaderName::from_static("3gpp-sbi-sender-timestamp");
/// Whom the request is about: for tracing only, forwarded untouched.
pub const CORRELATION_INFO: HeaderName = HeaderName::from_static("3gpp-sbi-correlation-info");
/// Which notification a request is.
pub const CALLBACK: HeaderName = HeaderName::from_static("3gpp-sbi-callback");
/// Who the consumer is, in its own words: a client credentials assertion.
pub const CLIENT_CREDENTIALS: HeaderName = HeaderName::from_static("3gpp-sbi-client-credentials");
/// The producer an SCP shall forward to.
pub const TARGET_API_ROOT: HeaderName = HeaderName::from_static("3gpp-sbi-target-apiroot");

/// A header whose value breaks its grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {name} is not {grammar}")]
pub struct HeaderError {
    /// The header.
    pub name: HeaderName,
    /// What it should be.
    pub grammar: &'static str,
}

/// A header with a value of its own type.
pub trait TypedHeader: FromStr + fmt::Display {
    /// The header.
    const NAME: HeaderName;
    /// What its value is, for the error message.
    const GRAMMAR: &'static str;

    /// The value in `headers`, if the header is there.
    ///
    /// # Errors
    /// When there are several, or the value breaks the grammar.
    fn read(headers: &HeaderMap) -> Result<Option<Self>, HeaderError> {
        let error = || HeaderError {
            name: Self::NAME,
            grammar: Self::GRAMMAR,
        };
        let mut values = headers.get_all(Self::NAME).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(error());
        }
        let text = value.to_str().map_err(|_| error())?;
        text.trim().parse().map(Some).map_err(|_| error())
    }

    /// Sets the header.
    fn write(&self, headers: &mut HeaderMap) {
        let value = HeaderValue::from_str(&self.to_string())
            .expect("typed headers are written in visible ASCII");
        headers.insert(Self::NAME, value);
    }
}

/// A value that breaks its grammar; [`TypedHeader::read`] says which header it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value breaks the grammar of the header")]
pub struct InvalidValue;

/// `3gpp-Sbi-Max-Rsp-Time`: how long the client waits, up to 99,999 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxRspTime(u32);

impl MaxRspTime {
    /// The longest time the five digits can say.
    const MAX: u32 = 99_999;

    /// As much of `deadline` as the header can say.
    pub fn new(deadline: Duration) -> Self {
        let millis = u32::try_from(deadline.as_millis()).unwrap_or(Self::MAX);
        Self(millis.min(Self::MAX))
    }

    /// The time.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

impl TypedHeader for MaxRspTime {
    const NAME: HeaderName = MAX_RSP_TIME;
    const GRAMMAR: &'static str = "1 to 5 digits";
}

impl FromStr for MaxRspTime {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if !(1..=5).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidValue);
        }
        text.parse().map(Self).map_err(|_| InvalidValue)
    }
}

impl fmt::Display for MaxRspTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `3gpp-Sbi-Sender-Timestamp: Sun, 04 Aug 2019 08:49:37.845 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderTimestamp(pub OffsetDateTime);

const IMF_MILLIS: &[FormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second].[subsecond digits:3] GMT"
);
const IMF: &[FormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

impl TypedHeader for SenderTimestamp {
    const NAME: HeaderName = SENDER_TIMESTAMP;
    const GRAMMAR: &'static str = "an IMF-fixdate with milliseconds";
}

impl FromStr for SenderTimestamp {
    type Err = InvalidValue;

    /// Takes milliseconds or none.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        PrimitiveDateTime::parse(text, IMF_MILLIS)
            .or_else(|_| PrimitiveDateTime::parse(text, IMF))
            .map(|time| Self(time.assume_utc()))
            .map_err(|_| InvalidValue)
    }
}

impl fmt::Display for SenderTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.0.to_offset(time::UtcOffset::UTC);
        f.write_str(&utc.format(IMF_MILLIS).map_err(|_| fmt::Error)?)
    }
}

/// `3gpp-Sbi-Callback: Nsmf_PDUSession_StatusNotify; apiversion=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    name: String,
    api_version: Option<u8>,
}

impl Callback {
    /// The notification `name` of letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// If it has other characters.
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        name.parse()
    }

    /// Which notification.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TypedHeader for Callback {
    const NAME: HeaderName = CALLBACK;
    const GRAMMAR: &'static str = "a notification name, optionally with apiversion";
}

impl FromStr for Callback {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (name, version) = match text.split_once(';') {
            Some((name, version)) => (name.trim_end(), Some(version.trim_start())),
            None => (text, None),
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(InvalidValue);
        }
        let api_version = version
            .map(|version| {
                let digits = version.strip_prefix("apiversion=").ok_or(InvalidValue)?;
                digits.parse().map_err(|_| InvalidValue)
            })
            .transpose()?;
        Ok(Self {
            name: name.to_owned(),
            api_version,
        })
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.api_version {
            Some(version) => write!(f, "; apiversion={version}"),
            None => Ok(()),
        }
    }
}

/// `3gpp-Sbi-Correlation-Info: imsi-001010000000001; ...`, not interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelationInfo(String);

impl TypedHeader for CorrelationInfo {
    const NAME: HeaderName = CORRELATION_INFO;
    const GRAMMAR: &'static str = "visible ASCII";
}

impl FromStr for CorrelationInfo {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let visible = |b: u8| b.is_ascii_graphic() || b == b' ';
        if text.is_empty() || !text.bytes().all(visible) {
            return Err(InvalidValue);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CorrelationInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `User-Agent: AMF` or `AMF-<anything>`: which NF type sends the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent {
    text: String,
}

impl UserAgent {
    /// `<nf_type>-<fqdn>`.
    ///
    /// # Errors
    /// If they are not visible ASCII.
    pub fn new(nf_type: &NfType, fqdn: &str) -> Result<Self, InvalidValue> {
        format!("{nf_type}-{fqdn}").parse()
    }

    /// The text up to the first `-`.
    pub fn nf_type(&self) -> NfType {
        let (nf_type, _) = self.text.split_once('-').unwrap_or((&self.text, ""));
        NfType::from(nf_type)
    }
}

impl TypedHeader for UserAgent {
    const NAME: HeaderName = USER_AGENT;
    const GRAMMAR: &'static str = "an NF type, optionally followed by a hyphen and text";
}

impl FromStr for UserAgent {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let CorrelationInfo(text) = text.parse()?;
        Ok(Self { text })
    }
}

impl fmt::Display for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TypedHeader for ApiRoot {
    const NAME: HeaderName = TARGET_API_ROOT;
    const GRAMMAR: &'static str = "an apiRoot";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).expect("test value");
        HeaderMap::from_iter([(name, value)])
    }

    #[test]
    fn max_rsp_time_is_five_digits_of_milliseconds() {
        let read = |value| MaxRspTime::read(&headers(MAX_RSP_TIME, value));
        assert_eq!(
            read("10000"),
            Ok(Some(MaxRspTime::new(Duration::from_secs(10))))
        );
        for bad in ["", "123456", "-1", "+5", "1.5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            MaxRspTime::new(Duration::from_secs(1000)).to_string(),
            "99999"
        );
    }

    #[test]
    fn sender_timestamp_has_milliseconds_out_and_may_lack_them_in() {
        let text = "Sun, 04 Aug 2019 08:49:37.845 GMT";
        let timestamp: SenderTimestamp = text.parse().unwrap();
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(
            timestamp.0.unix_timestamp_nanos(),
            1_564_908_577_845_000_000
        );
        assert!(
            "Sun, 04 Aug 2019 08:49:37 GMT"
                .parse::<SenderTimestamp>()
                .is_ok()
        );
        assert!("2019-08-04T08:49:37Z".parse::<SenderTimestamp>().is_err());
    }

    #[test]
    fn callback_round_trips() {
        for text in [
            "Nsmf_PDUSession_StatusNotify",
            "Nnrf_NFManagement_NFStatusNotify; apiversion=1",
        ] {
            assert_eq!(text.parse::<Callback>().unwrap().to_string(), text);
        }
        for bad in ["", "a b", "a; version=1", "a; apiversion=x"] {
            assert!(bad.parse::<Callback>().is_err(), "{bad}");
        }
    }

    #[test]
    fn user_agent_starts_with_the_nf_type() {
        for (text, nf_type) in [("AMF", NfType::Amf), ("SMF-smf1.example.org", NfType::Smf)] {
            assert_eq!(text.parse::<UserAgent>().unwrap().nf_type(), nf_type);
        }
    }

    #[test]
    fn repeated_single_valued_headers_are_refused() {
        let mut twice = headers(MAX_RSP_TIME, "1");
        twice.append(MAX_RSP_TIME, HeaderValue::from_static("2"));
        assert!(MaxRspTime::read(&twice).is_err());
        assert_eq!(MaxRspTime::read(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn written_headers_are_read_back() {
        let root: ApiRoot = "https://smf1.example.org:7777/edge".parse().unwrap();
        let mut headers = HeaderMap::new();
        root.write(&mut headers);
        assert_eq!(ApiRoot::read(&headers), Ok(Some(root)));
    }
}
