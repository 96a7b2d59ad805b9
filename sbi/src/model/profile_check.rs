//! Schema rules of a profile that its types do not express (TS 29.510 clause 6.1.6.2.2, TS 29.571 clause 5.2.2).

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::Document;
use super::network::is_hex;
use super::profile::{AmfInfo, NfProfile, NfService};
use super::profile_shape;
use super::shape::Nested;
use super::tolerance::{self, Tolerated};
use crate::problem::InvalidParam;

impl Document for NfProfile {
    const SMALLEST: &'static str = r#"{"nfInstanceId":"00000000-0000-4000-8000-000000000000","nfType":"NRF","nfStatus":"REGISTERED"}"#;

    const MEMBERS: &'static [(&'static str, Nested)] = profile_shape::MEMBERS;

    fn tolerate(document: &mut Value) -> Vec<Tolerated> {
        tolerance::tolerate(document)
    }

    fn missing(&self) -> Vec<InvalidParam> {
        missing(self)
    }

    fn check(&self) -> Result<(), Vec<InvalidParam>> {
        check(self)
    }
}

/// The name or address, of which a profile has at least one: each of the three is conditional on the lack of the others.
fn missing(profile: &NfProfile) -> Vec<InvalidParam> {
    let is_there = profile.fqdn.is_some()
        || !profile.ipv4_addresses.is_empty()
        || !profile.ipv6_addresses.is_empty();
    if is_there {
        return Vec::new();
    }
    let reason = "one of fqdn, ipv4Addresses and ipv6Addresses must be present";
    vec![InvalidParam::new("/fqdn", reason)]
}

/// Every rule that `profile` breaks.
fn check(profile: &NfProfile) -> Result<(), Vec<InvalidParam>> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, pointer: &str, reason: &str| {
        if !holds {
            broken.push(InvalidParam::new(pointer, reason));
        }
    };
    rule(is_absent_or_fqdn(&profile.fqdn), "/fqdn", NOT_FQDN);
    rule(
        profile.heart_beat_timer != Some(0),
        "/heartBeatTimer",
        "is less than 1",
    );
    rule(
        profile.load.is_none_or(|load| load <= 100),
        "/load",
        NOT_PERCENT,
    );
    rule(
        profile.nf_service_list.is_empty() || profile.nf_services.is_empty(),
        "/nfServices",
        "both nfServiceList and nfServices are present",
    );
    if let Some(amf_info) = &profile.amf_info {
        check_amf_info(amf_info, "/amfInfo", &mut rule);
    }
    for (key, amf_info) in &profile.amf_info_list {
        check_amf_info(
            amf_info,
            &format!("/amfInfoList/{}", escaped(key)),
            &mut rule,
        );
    }
    for (key, service) in &profile.nf_service_list {
        let pointer = format!("/nfServiceList/{}", escaped(key));
        rule(
            *key == service.service_instance_id,
            &pointer,
            "key is not the serviceInstanceId",
        );
        check_service(service, &pointer, &mut rule);
    }
    let mut ids = BTreeSet::new();
    for (index, service) in profile.nf_services.iter().enumerate() {
        let pointer = format!("/nfServices/{index}");
        rule(
            ids.insert(&service.service_instance_id),
            &pointer,
            "serviceInstanceId is not unique",
        );
        check_service(service, &pointer, &mut rule);
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken)
    }
}

/// A reference token of a JSON Pointer (RFC 6901).
fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn check_amf_info(info: &AmfInfo, at: &str, rule: &mut impl FnMut(bool, &str, &str)) {
    rule(
        is_hex(&info.amf_region_id, &[2]),
        &format!("{at}/amfRegionId"),
        "is not 2 hex digits",
    );
    rule(
        is_hex(&info.amf_set_id, &[3]) && info.amf_set_id.starts_with(['0', '1', '2', '3']),
        &format!("{at}/amfSetId"),
        "is not 3 hex digits, the first of them 0 to 3",
    );
}

fn check_service(service: &NfService, at: &str, rule: &mut impl FnMut(bool, &str, &str)) {
    rule(
        is_absent_or_fqdn(&service.fqdn),
        &format!("{at}/fqdn"),
        NOT_FQDN,
    );
    rule(
        service.load.is_none_or(|load| load <= 100),
        &format!("{at}/load"),
        NOT_PERCENT,
    );
    rule(
        service.api_prefix.as_deref().is_none_or(is_path),
        &format!("{at}/apiPrefix"),
        "is not a path without trailing slash",
    );
    for (index, end_point) in service.ip_end_points.iter().enumerate() {
        rule(
            end_point.ipv4_address.is_none() || end_point.ipv6_address.is_none(),
            &format!("{at}/ipEndPoints/{index}"),
            "both ipv4Address and ipv6Address are present",
        );
    }
}

const NOT_FQDN: &str = "is not a fully qualified domain name with at least one dot";
const NOT_PERCENT: &str = "is more than 100";

fn is_absent_or_fqdn(fqdn: &Option<String>) -> bool {
    fqdn.as_deref().is_none_or(is_fqdn)
}

/// The `Fqdn` pattern of TS 29.571: two labels at least, the last of letters only; a final dot is allowed.
fn is_fqdn(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let Some((front, last)) = name.rsplit_once('.') else {
        return false;
    };
    (4..=253).contains(&text.len())
        && (2..=63).contains(&last.len())
        && last.bytes().all(|b| b.is_ascii_alphabetic())
        && front.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// An empty prefix, or `/a/b`: never a URI (see [`super::tolerance`] for those that send one).
fn is_path(prefix: &str) -> bool {
    prefix.is_empty()
        || (prefix.starts_with('/')
            && !prefix.ends_with('/')
            && !prefix.contains(['?', '#'])
            && prefix.bytes().all(|b| b.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::is_fqdn;

    #[test]
    fn fqdns_have_a_dot_and_a_last_label_of_letters() {
        for good in [
            "amf1.5gc.mnc001.mcc001.3gppnetwork.org",
            "a.bc",
            "a-b.example.",
            "1.example",
        ] {
            assert!(is_fqdn(good), "{good}");
        }
        for bad in [
            "localhost",
            "nrf",
            "nrf.lab1",
            "127.0.0.1",
            "",
            ".",
            "a.b",
            ".org",
            "-a.org",
            "a_b.org",
            "a..org",
        ] {
            assert!(!is_fqdn(bad), "{bad}");
        }
        assert!(!is_fqdn(&format!("{}.org", "a".repeat(64))));
        assert!(!is_fqdn(&format!("{}org", "a.".repeat(126))));
    }
}
