//! The headers of indirect communication: what a consumer tells an SCP, and what an SCP tells it back (TS 29.500 clauses 5.2.3.2
//! and 6.10).
//!
//! ```text
//!  consumer ── 3gpp-Sbi-Discovery-<parameter>, -Routing-Binding, -Max-Forward-Hops, Via ──> SCP ── the query ──> NRF
//!           <── 3gpp-Sbi-Producer-Id ─────────────────────────────────────────────────────
//! ```

use std::fmt;
use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, VIA};

use super::{HeaderError, InvalidValue, TypedHeader};
use crate::model::NfInstanceId;
use crate::uri::{self, Query};

/// Which instance or set the request is bound to.
pub const ROUTING_BINDING: HeaderName = HeaderName::from_static("3gpp-sbi-routing-binding");
/// The producer that an SCP chose.
pub const PRODUCER_ID: HeaderName = HeaderName::from_static("3gpp-sbi-producer-id");
/// How many more SCPs may forward the request.
pub const MAX_FORWARD_HOPS: HeaderName = HeaderName::from_static("3gpp-sbi-max-forward-hops");
/// Whether the request may be tried again.
pub const RETRY_INFO: HeaderName = HeaderName::from_static("3gpp-sbi-retry-info");
/// What the names of all discovery headers begin with; the rest is the name of the query parameter.
pub const DISCOVERY: &str = "3gpp-sbi-discovery-";

/// Characters of a discovery parameter that stand for themselves in a header.
const PLAIN: &[u8] = b"!#$&'*+-.^_`|~:,";

/// What the `3gpp-Sbi-Discovery-*` headers ask for, as the parameters of a discovery query. Values are percent-encoded or, if
/// they begin with a bracket or brace, raw JSON. Without such headers the query is empty.
///
/// # Errors
/// A value is not visible ASCII, or not percent-encoded UTF-8.
pub fn discovery_query(headers: &HeaderMap) -> Result<Query, HeaderError> {
    let mut query = Query::default();
    for (name, value) in headers {
        let Some(parameter) = name.as_str().strip_prefix(DISCOVERY) else {
            continue;
        };
        let error = || HeaderError {
            name: name.clone(),
            grammar: "visible ASCII, percent-encoded UTF-8 or raw JSON",
        };
        let text = value.to_str().map_err(|_| error())?.trim();
        let value = if text.starts_with(['{', '[']) {
            text.to_owned()
        } else {
            uri::decode(text, "header").map_err(|_| error())?
        };
        query.push(parameter, value);
    }
    Ok(query)
}

/// Whether a request leaves it to an SCP which producer it goes to: model D of TS 23.501 annex E.
pub fn is_delegated(headers: &HeaderMap) -> bool {
    let delegates = |name: &HeaderName| *name == ROUTING_BINDING || is_discovery(name);
    !headers.contains_key(super::TARGET_API_ROOT) && headers.keys().any(delegates)
}

fn is_discovery(name: &HeaderName) -> bool {
    name.as_str().starts_with(DISCOVERY)
}

/// Sets the discovery header of a query parameter. What is no token is percent-encoded.
///
/// # Errors
/// `parameter` cannot be part of a header's name.
pub fn set_discovery(
    headers: &mut HeaderMap,
    parameter: &str,
    value: &str,
) -> Result<(), InvalidValue> {
    let name = HeaderName::try_from(format!("{DISCOVERY}{parameter}"));
    let name = name.map_err(|_| InvalidValue)?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || PLAIN.contains(&b);
    let value = if value.bytes().all(is_plain) {
        HeaderValue::try_from(value)
    } else {
        HeaderValue::try_from(uri::encode(value))
    };
    headers.insert(name, value.map_err(|_| InvalidValue)?);
    Ok(())
}

/// Whether a request has passed the proxy that calls itself `name` in `Via` (RFC 9110 section 7.6.3).
pub fn has_passed(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(VIA).iter();
    let elements = values.flat_map(|value| value.as_bytes().split(|b| *b == b','));
    elements
        .filter_map(|element| std::str::from_utf8(element).ok())
        .filter_map(|element| element.split_ascii_whitespace().nth(1))
        .any(|received_by| received_by.eq_ignore_ascii_case(name))
}

/// Whether the consumer forbids that the request is tried again (`3gpp-Sbi-Retry-Info: no-retries`).
pub fn forbids_retries(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(RETRY_INFO).iter();
    values.any(|value| value.as_bytes().trim_ascii() == b"no-retries")
}

/// `3gpp-Sbi-Producer-Id: nfinst=<uuid>`; other parameters are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerId(pub NfInstanceId);

impl TypedHeader for ProducerId {
    const NAME: HeaderName = PRODUCER_ID;
    const GRAMMAR: &'static str = "nfinst= and a UUID";
}

impl FromStr for ProducerId {
    type Err = InvalidValue;

    /// Takes a bare UUID too, which is what an SCP of Open5GS sends.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (first, _) = text.split_once(';').unwrap_or((text, ""));
        let first = first.trim_end();
        let id = first.strip_prefix("nfinst=").unwrap_or(first);
        id.parse().map(Self).map_err(|_| InvalidValue)
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nfinst={}", self.0)
    }
}

/// `3gpp-Sbi-Max-Forward-Hops: 5; nodetype=scp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxForwardHops(u8);

impl MaxForwardHops {
    /// Most hops that the two digits can say.
    const MAX: u8 = 99;

    /// So many, at most 99.
    pub fn new(hops: u8) -> Self {
        Self(hops.min(Self::MAX))
    }

    /// What is left after one hop; none if there was none left.
    pub fn after_one(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl TypedHeader for MaxForwardHops {
    const NAME: HeaderName = MAX_FORWARD_HOPS;
    const GRAMMAR: &'static str = "0 to 99; nodetype=scp";
}

impl FromStr for MaxForwardHops {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (hops, node_type) = text.split_once(';').ok_or(InvalidValue)?;
        let is_number = (1..=2).contains(&hops.len()) && hops.bytes().all(|b| b.is_ascii_digit());
        if !is_number || node_type.trim() != "nodetype=scp" {
            return Err(InvalidValue);
        }
        hops.parse().map(Self).map_err(|_| InvalidValue)
    }
}

impl fmt::Display for MaxForwardHops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; nodetype=scp", self.0)
    }
}

/// `3gpp-Sbi-Routing-Binding: bl=nf-instance; nfinst=<uuid>`: where later requests about a resource go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutingBinding {
    /// To an instance, or to one of its services.
    Instance {
        /// The instance.
        id: NfInstanceId,
        /// The set of which another will do if that one cannot be reached.
        set: Option<String>,
    },
    /// To any instance of a set.
    Set(String),
}

impl TypedHeader for RoutingBinding {
    const NAME: HeaderName = ROUTING_BINDING;
    const GRAMMAR: &'static str =
        "bl=nf-instance or bl=nfservice-instance with nfinst, or bl=nf-set with nfset";
}

impl FromStr for RoutingBinding {
    type Err = InvalidValue;

    /// Deviation: `bl=nfservice-set` is refused, for no NF of this project has service sets.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parameters = || {
            let parameters = text.split(';').map(str::trim);
            parameters.filter_map(|parameter| parameter.split_once('='))
        };
        let value = |name: &str| {
            let mut named = parameters().filter(|(key, _)| *key == name);
            let (_, value) = named.next().ok_or(InvalidValue)?;
            named.next().is_none().then_some(value).ok_or(InvalidValue)
        };
        match value("bl")? {
            "nf-instance" | "nfservice-instance" => {
                let id = value("nfinst")?.parse().map_err(|_| InvalidValue)?;
                let has_set = parameters().any(|(name, _)| name == "nfset");
                let set = has_set.then(|| set_in(value("nfset")?)).transpose()?;
                Ok(Self::Instance { id, set })
            }
            "nf-set" => set_in(value("nfset")?).map(Self::Set),
            _ => Err(InvalidValue),
        }
    }
}

/// The id of a set, which is a token.
fn set_in(text: &str) -> Result<String, InvalidValue> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_set = !text.is_empty() && text.bytes().all(is_token);
    is_set.then(|| text.to_owned()).ok_or(InvalidValue)
}

impl fmt::Display for RoutingBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { id, set: None } => write!(f, "bl=nf-instance; nfinst={id}"),
            Self::Instance { id, set: Some(set) } => {
                write!(f, "bl=nf-instance; nfinst={id}; nfset={set}")
            }
            Self::Set(set) => write!(f, "bl=nf-set; nfset={set}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01";

    #[test]
    fn discovery_headers_are_the_parameters_of_the_query() {
        let mut headers = HeaderMap::new();
        for (parameter, value) in [
            ("target-nf-type", "SMF"),
            ("service-names", "nsmf-pdusession,nsmf-event-exposure"),
            ("snssais", r#"[{"sst":1,"sd":"010203"}]"#),
            ("dnn", "a b%c"),
        ] {
            set_discovery(&mut headers, parameter, value).unwrap();
        }
        assert_eq!(
            headers["3gpp-sbi-discovery-snssais"],
            "%5B%7B%22sst%22%3A1%2C%22sd%22%3A%22010203%22%7D%5D"
        );
        headers.insert("3gpp-sbi-target-apiroot", HeaderValue::from_static("x"));
        let query = discovery_query(&headers).unwrap();
        let values = |name| query.values(name).collect::<Vec<_>>();
        assert_eq!(values("snssais"), [r#"[{"sst":1,"sd":"010203"}]"#]);
        assert_eq!(
            values("service-names"),
            ["nsmf-pdusession,nsmf-event-exposure"]
        );
        assert_eq!(values("dnn"), ["a b%c"]);
        assert_eq!(query.names().count(), 4);
        assert!(set_discovery(&mut headers, "a b", "x").is_err());
    }

    #[test]
    fn raw_json_is_taken_as_it_is_and_a_bad_escape_is_refused() {
        let mut headers = HeaderMap::new();
        let name = "3gpp-sbi-discovery-guami";
        headers.insert(name, HeaderValue::from_static(r#"{"amfId":"%2"}"#));
        let query = discovery_query(&headers).unwrap();
        assert_eq!(
            query.values("guami").collect::<Vec<_>>(),
            [r#"{"amfId":"%2"}"#]
        );
        headers.insert(name, HeaderValue::from_static("%2"));
        let refused = discovery_query(&headers).expect_err("a bad escape");
        assert_eq!(refused.name, name);
    }

    #[test]
    fn a_proxy_finds_itself_in_via_and_nobody_else() {
        let mut headers = HeaderMap::new();
        headers.append(VIA, HeaderValue::from_static("2.0 SCP-a.example, 2.0 SEPP"));
        headers.append(
            VIA,
            HeaderValue::from_static("HTTP/2.0  scp-B.example (lab)"),
        );
        assert!(has_passed(&headers, "SCP-a.example"));
        assert!(has_passed(&headers, "SCP-b.example"));
        for other in ["SCP-a", "lab", "2.0"] {
            assert!(!has_passed(&headers, other), "{other}");
        }
    }

    #[test]
    fn hops_are_counted_down_to_nothing() {
        let hops: MaxForwardHops = "1; nodetype=scp".parse().unwrap();
        let last = hops.after_one().unwrap();
        assert_eq!(last.to_string(), "0; nodetype=scp");
        assert_eq!(last.after_one(), None);
        for bad in [
            "1",
            "100; nodetype=scp",
            "-1; nodetype=scp",
            "1; nodetype=sepp",
        ] {
            assert!(bad.parse::<MaxForwardHops>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_binding_names_an_instance_or_a_set() {
        let bound = |set: Option<&str>| RoutingBinding::Instance {
            id: ID.parse().unwrap(),
            set: set.map(str::to_owned),
        };
        let (instance, in_set) = (bound(None), bound(Some("a.smfset")));
        for (text, binding) in [
            (format!("bl=nf-instance; nfinst={ID}"), &instance),
            (
                format!("bl=nfservice-instance;nfinst={ID};nfservinst=x; servname=nsmf"),
                &instance,
            ),
            (
                format!("bl=nf-instance; nfinst={ID}; nfset=a.smfset"),
                &in_set,
            ),
            (
                "bl=nf-set; nfset=set1.smfset.5gc".to_owned(),
                &RoutingBinding::Set("set1.smfset.5gc".to_owned()),
            ),
        ] {
            assert_eq!(text.parse::<RoutingBinding>().as_ref(), Ok(binding));
        }
        for bad in [
            "bl=nf-instance",
            &format!("bl=nf-instance; nfinst={ID}; nfset=a b"),
            "bl=nf-set; nfset=",
            "bl=nf-set; nfset=a; nfset=b",
            "bl=nfservice-set; nfserviceset=a",
            "nfset=a",
        ] {
            assert!(bad.parse::<RoutingBinding>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_producer_id_is_read_with_and_without_its_parameter() {
        for text in [ID.to_owned(), format!("nfinst={ID}; nfset=a")] {
            let id: ProducerId = text.parse().unwrap();
            assert_eq!(id.to_string(), format!("nfinst={ID}"));
        }
    }
}
