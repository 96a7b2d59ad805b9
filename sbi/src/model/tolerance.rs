//! What real peers send in a profile against its schema and is put right before it is read, so that what is stored and
//! answered keeps to the schema. `docs/conformance.md` has the list; this is all of it.
//!
//! Only objects that this project knows are touched: what is within a member of a vendor's stays as it is.

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Map, Number, Value, json};

use super::shape::below;
use crate::uri::ApiRoot;

/// A kind of deviation that is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tolerance {
    /// A member is `null`: it is taken to be absent.
    NullMember,
    /// An integer is written with a fraction or exponent, as in `30.0`: JSON has but one kind of number.
    IntegralNumber,
    /// `apiPrefix` is a whole URI, as free5GC sends it: its path is the prefix, and if its host is an IP address and the service
    /// has no end points, that is one.
    ApiPrefixUri,
}

impl Tolerance {
    /// The label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NullMember => "null-member",
            Self::IntegralNumber => "integral-number",
            Self::ApiPrefixUri => "api-prefix-uri",
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A deviation that was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerated {
    /// What it is.
    pub kind: Tolerance,
    /// Where it was: a JSON Pointer.
    pub pointer: String,
}

/// Members that hold an object, or a list of objects, known to this project.
const OBJECTS: [&str; 21] = [
    "allowedNssais",
    "allowedPlmns",
    "amfInfo",
    "dnnSmfInfoList",
    "guamiList",
    "ipEndPoints",
    "nfServices",
    "plmnId",
    "plmnList",
    "sNssai",
    "sNssaiSmfInfoList",
    "sNssais",
    "scpInfo",
    "scpPorts",
    "sdRanges",
    "smfInfo",
    "tacRangeList",
    "taiList",
    "taiRangeList",
    "versions",
    "nfInstances",
];
/// Members that hold a map to such objects.
const MAPS: [&str; 4] = [
    "amfInfoList",
    "nfServiceList",
    "scpDomainInfoList",
    "smfInfoList",
];
/// Members that are integers.
const INTEGERS: [&str; 6] = [
    "capacity",
    "heartBeatTimer",
    "load",
    "port",
    "priority",
    "sst",
];
/// Integers up to here are the same as a floating-point number.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Puts `document`, a profile, right.
pub(super) fn tolerate(document: &mut Value) -> Vec<Tolerated> {
    let mut tolerated = Vec::new();
    visit(document, "", "", &mut tolerated);
    tolerated
}

/// `value` is an object or a list of objects in the member `name`, at JSON Pointer `at`.
fn visit(value: &mut Value, name: &str, at: &str, tolerated: &mut Vec<Tolerated>) {
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter_mut().enumerate() {
                visit(element, name, &format!("{at}/{index}"), tolerated);
            }
        }
        Value::Object(members) => visit_object(members, name, at, tolerated),
        _ => {}
    }
}

fn visit_object(
    members: &mut Map<String, Value>,
    object: &str,
    at: &str,
    tolerated: &mut Vec<Tolerated>,
) {
    drop_nulls(members, at, tolerated);
    for (name, value) in members.iter_mut() {
        let is_integer = INTEGERS.contains(&name.as_str()) || object == "scpPorts";
        if is_integer && let Some(integer) = integral(value) {
            *value = Value::Number(integer);
            tolerated.push(Tolerated {
                kind: Tolerance::IntegralNumber,
                pointer: below(at, name),
            });
        } else if OBJECTS.contains(&name.as_str()) {
            visit(value, name, &below(at, name), tolerated);
        } else if MAPS.contains(&name.as_str()) {
            visit_map(value, name, &below(at, name), tolerated);
        }
    }
    if split_api_prefix(members).is_some() {
        tolerated.push(Tolerated {
            kind: Tolerance::ApiPrefixUri,
            pointer: below(at, "apiPrefix"),
        });
    }
}

/// A map whose keys are data: its `null` members are absent, and nothing else in it has a meaning by its name.
fn visit_map(value: &mut Value, name: &str, at: &str, tolerated: &mut Vec<Tolerated>) {
    let Value::Object(members) = value else {
        return;
    };
    drop_nulls(members, at, tolerated);
    for (key, value) in members.iter_mut() {
        visit(value, name, &below(at, key), tolerated);
    }
}

/// A member that is `null` is absent.
fn drop_nulls(members: &mut Map<String, Value>, at: &str, tolerated: &mut Vec<Tolerated>) {
    members.retain(|name, value| {
        if value.is_null() {
            tolerated.push(Tolerated {
                kind: Tolerance::NullMember,
                pointer: below(at, name),
            });
        }
        !value.is_null()
    });
}

/// The integer that a number with a fraction of zero is.
fn integral(value: &Value) -> Option<Number> {
    let Value::Number(number) = value else {
        return None;
    };
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 || !(0.0..LARGEST_EXACT).contains(&float) {
        return None;
    }
    // Written without a fraction it reads as the integer; a cast would have to be argued for.
    format!("{float:.0}").parse::<u64>().ok().map(Number::from)
}

/// Replaces a URI in `apiPrefix` by its path. None if it is no URI.
fn split_api_prefix(members: &mut Map<String, Value>) -> Option<()> {
    let text = members.get("apiPrefix")?.as_str()?;
    let root: ApiRoot = text.strip_suffix('/').unwrap_or(text).parse().ok()?;
    if root.prefix().is_empty() {
        members.remove("apiPrefix");
    } else {
        members.insert("apiPrefix".to_owned(), root.prefix().into());
    }
    if !members.contains_key("ipEndPoints")
        && let Ok(addr) = root.authority().parse::<SocketAddr>()
    {
        let address = match addr {
            SocketAddr::V4(_) => "ipv4Address",
            SocketAddr::V6(_) => "ipv6Address",
        };
        let end_point = json!([{address: addr.ip(), "port": addr.port()}]);
        members.insert("ipEndPoints".to_owned(), end_point);
    }
    Some(())
}
