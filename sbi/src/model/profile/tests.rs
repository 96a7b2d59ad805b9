use serde_json::{Value, json};

use super::*;
use crate::model::document::Document;
use crate::model::tolerance::Tolerated;

/// The AMF profile of section 1.5, whole.
const AMF: &str = r#"{"nfInstanceId":"0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01","nfType":"AMF","nfStatus":"REGISTERED","heartBeatTimer":10,
 "plmnList":[{"mcc":"001","mnc":"01"}],"sNssais":[{"sst":1,"sd":"010203"}],"fqdn":"amf1.5gc.mnc001.mcc001.3gppnetwork.org",
 "ipv4Addresses":["127.0.0.11"],"priority":1,"capacity":100,"load":0,"locality":"zone-a","allowedNfTypes":["SMF","SCP"],
 "amfInfo":{"amfRegionId":"02","amfSetId":"001","guamiList":[{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"020040"}],
            "taiList":[{"plmnId":{"mcc":"001","mnc":"01"},"tac":"000001"}]},
 "nfServiceList":{"namf-comm-1":{"serviceInstanceId":"namf-comm-1","serviceName":"namf-comm","scheme":"https",
   "versions":[{"apiVersionInUri":"v1","apiFullVersion":"1.3.0"}],"nfServiceStatus":"REGISTERED","oauth2Required":true,
   "fqdn":"amf1.5gc.mnc001.mcc001.3gppnetwork.org","ipEndPoints":[{"ipv4Address":"127.0.0.11","port":7777}]}}}"#;

/// The AMF example with `members` put in or, where `null`, taken out.
fn amf_with(members: Value) -> Value {
    let mut profile: Value = serde_json::from_str(AMF).expect("example is JSON");
    let members = members.as_object().expect("members").clone();
    for (name, value) in members {
        if value.is_null() {
            profile.as_object_mut().expect("object").remove(&name);
        } else {
            profile[&name] = value;
        }
    }
    profile
}

fn examples() -> [Value; 4] {
    let service = |name: &str| {
        json!({format!("{name}-1"): {"serviceInstanceId": format!("{name}-1"), "serviceName": name, "scheme": "https",
            "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}], "nfServiceStatus": "REGISTERED"}})
    };
    [
        amf_with(json!({})),
        amf_with(
            json!({"nfType": "SMF", "amfInfo": null, "nfServiceList": service("nsmf-pdusession"),
            "smfInfo": {"sNssaiSmfInfoList": [{"sNssai": {"sst": 1, "sd": "010203"}, "dnnSmfInfoList": [{"dnn": "internet"}]}],
                "taiList": [{"plmnId": {"mcc": "001", "mnc": "01"}, "tac": "000001"}], "accessType": ["3GPP_ACCESS"]}}),
        ),
        amf_with(
            json!({"nfType": "SCP", "amfInfo": null, "nfServiceList": null, "scpDomains": ["lab"],
            "scpInfo": {"scpPorts": {"https": 7777}, "scpDomainInfoList": {"lab": {
                "scpFqdn": "scp1.5gc.mnc001.mcc001.3gppnetwork.org", "scpPorts": {"https": 7777}}}}}),
        ),
        amf_with(
            json!({"nfType": "AUSF", "amfInfo": null, "nfServiceList": service("nausf-auth"),
            "ausfInfo": {"supiRanges": [{"start": "001010000000000", "end": "001019999999999"}]}}),
        ),
    ]
}

/// What `NfProfile::from_value` says of a broken profile: the first parameter at fault.
fn broken(profile: Value) -> String {
    let problem = NfProfile::from_value(profile).expect_err("the profile is broken");
    problem.details.invalid_params[0].param.clone()
}

#[test]
fn the_examples_of_the_specification_round_trip() {
    for example in examples() {
        let profile = NfProfile::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(profile).unwrap(), example);
    }
}

/// Puts a member no release knows into every open object below `value`.
fn add_unknown_members(value: &mut Value, at: &str) {
    // Maps whose keys are data, and the one structured name that is closed here.
    const CLOSED: [&str; 5] = [
        "nfServiceList",
        "scpPorts",
        "scpDomainInfoList",
        "plmnId",
        "plmnList",
    ];
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                add_unknown_members(member, name);
            }
            if !CLOSED.contains(&at) {
                members.insert("vendorExtension".to_owned(), json!({"kept": [1, null]}));
            }
        }
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|element| add_unknown_members(element, at)),
        _ => {}
    }
}

#[test]
fn unknown_members_are_kept_at_every_level() {
    for mut example in examples() {
        add_unknown_members(&mut example, "");
        let profile = NfProfile::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(profile).unwrap(), example);
    }
}

#[test]
fn an_empty_service_map_passes_for_an_absent_one() {
    let profile =
        NfProfile::from_value(amf_with(json!({"nfServiceList": {}, "nfServices": []}))).unwrap();
    assert_eq!(profile.services().count(), 0);
}

#[test]
fn an_empty_allow_list_does_not_pass_for_an_absent_one() {
    assert_eq!(
        broken(amf_with(json!({"allowedNfTypes": []}))),
        "/allowedNfTypes"
    );
}

#[test]
fn every_schema_rule_is_checked() {
    let service = |member: &str, value: Value| {
        let mut profile = amf_with(json!({}));
        profile["nfServiceList"]["namf-comm-1"][member] = value;
        profile
    };
    let both_forms =
        amf_with(json!({"nfServices": [amf_with(json!({}))["nfServiceList"]["namf-comm-1"]]}));
    for (profile, param) in [
        (
            amf_with(json!({"fqdn": null, "ipv4Addresses": null})),
            "/fqdn",
        ),
        (amf_with(json!({"fqdn": "localhost"})), "/fqdn"),
        (amf_with(json!({"heartBeatTimer": 0})), "/heartBeatTimer"),
        (amf_with(json!({"load": 101})), "/load"),
        (amf_with(json!({"priority": 65536})), "/priority"),
        (
            amf_with(json!({"ipv4Addresses": ["1.2.3"]})),
            "/ipv4Addresses/0",
        ),
        (amf_with(json!({"nfInstanceId": "1"})), "/nfInstanceId"),
        (
            amf_with(json!({"amfInfo": {"amfRegionId": "02", "amfSetId": "401",
            "guamiList": [{"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"}]}})),
            "/amfInfo/amfSetId",
        ),
        (amf_with(json!({"amfInfo": {}})), "/amfInfo/amfRegionId"),
        (both_forms, "/nfServices"),
        (
            service("serviceInstanceId", json!("other")),
            "/nfServiceList/namf-comm-1",
        ),
        (
            service("versions", json!([])),
            "/nfServiceList/namf-comm-1/versions",
        ),
        (
            service("fqdn", json!("x")),
            "/nfServiceList/namf-comm-1/fqdn",
        ),
        (
            service("load", json!(101)),
            "/nfServiceList/namf-comm-1/load",
        ),
        (
            service("apiPrefix", json!("ftp://a.bc/core")),
            "/nfServiceList/namf-comm-1/apiPrefix",
        ),
        (
            service(
                "ipEndPoints",
                json!([{"ipv4Address": "127.0.0.1", "ipv6Address": "::1"}]),
            ),
            "/nfServiceList/namf-comm-1/ipEndPoints/0",
        ),
    ] {
        assert_eq!(broken(profile), param);
    }
}

#[test]
fn the_innermost_member_at_fault_is_named() {
    let amf_info =
        |guami: Value| json!({"amfRegionId": "02", "amfSetId": "001", "guamiList": [guami]});
    let plmn = |mcc: &str| json!({"mcc": mcc, "mnc": "01"});
    let good = amf_info(json!({"plmnId": plmn("001"), "amfId": "020040"}));
    for (members, cause, param) in [
        (
            json!({"amfInfo": amf_info(json!({"plmnId": plmn("1"), "amfId": "020040"}))}),
            "OPTIONAL_IE_INCORRECT",
            "/amfInfo/guamiList/0/plmnId/mcc",
        ),
        (
            json!({"amfInfo": amf_info(json!({"plmnId": plmn("001")}))}),
            "MANDATORY_IE_MISSING",
            "/amfInfo/guamiList/0/amfId",
        ),
        (
            json!({"amfInfoList": {"a": good, "b/c": amf_info(json!({"plmnId": plmn("001"), "amfId": "x"}))}}),
            "OPTIONAL_IE_INCORRECT",
            "/amfInfoList/b~1c/guamiList/0/amfId",
        ),
        (
            json!({"sNssais": [{"sst": 1}, {"sst": 1, "sdRanges": [{"start": "000000", "end": "x"}]}]}),
            "OPTIONAL_IE_INCORRECT",
            "/sNssais/1/sdRanges/0/end",
        ),
        (
            json!({"smfInfo": {"sNssaiSmfInfoList": [{"sNssai": {"sst": 1}, "dnnSmfInfoList": [{"dnn": "a"}, {}]}]}}),
            "MANDATORY_IE_MISSING",
            "/smfInfo/sNssaiSmfInfoList/0/dnnSmfInfoList/1/dnn",
        ),
        (
            json!({"plmnList": [7]}),
            "OPTIONAL_IE_INCORRECT",
            "/plmnList/0",
        ),
        (
            json!({"fqdn": null, "ipv4Addresses": null}),
            "MANDATORY_IE_MISSING",
            "/fqdn",
        ),
    ] {
        let problem = NfProfile::from_value(amf_with(members)).expect_err(param);
        let details = &problem.details;
        assert_eq!(details.cause.as_deref(), Some(cause), "{param}");
        assert_eq!(details.invalid_params[0].param, param);
    }
}

#[test]
fn what_real_peers_send_is_put_right_and_told() {
    let service = json!({"serviceInstanceId": "1", "serviceName": "namf-comm", "scheme": "http", "fqdn": null,
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0", "expiry": null}], "nfServiceStatus": "REGISTERED",
        "apiPrefix": "http://127.0.0.1:8000", "priority": 1e1});
    let mut sent = amf_with(
        json!({"nfServices": [service], "nfServiceList": {}, "heartBeatTimer": 30.0,
        "vendor": {"kept": [null, {"a": null, "port": 1.0}]}}),
    );
    sent["nfServiceList"] = Value::Null;
    sent["plmnList"] = Value::Null;
    sent["vendorNothing"] = Value::Null;
    let (profile, tolerated) = NfProfile::from_value_tolerantly(sent).unwrap();
    let put_right = json!({"serviceInstanceId": "1", "serviceName": "namf-comm", "scheme": "http",
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}], "nfServiceStatus": "REGISTERED",
        "ipEndPoints": [{"ipv4Address": "127.0.0.1", "port": 8000}], "priority": 10});
    let expected = amf_with(
        json!({"nfServices": [put_right], "nfServiceList": null, "heartBeatTimer": 30, "plmnList": null,
        "vendor": {"kept": [null, {"a": null, "port": 1.0}]}}),
    );
    assert_eq!(serde_json::to_value(profile).unwrap(), expected);
    let mut tolerated: Vec<_> = tolerated
        .iter()
        .map(|Tolerated { kind, pointer }| format!("{kind} {pointer}"))
        .collect();
    tolerated.sort();
    assert_eq!(
        tolerated,
        [
            "api-prefix-uri /nfServices/0/apiPrefix",
            "integral-number /heartBeatTimer",
            "integral-number /nfServices/0/priority",
            "null-member /nfServiceList",
            "null-member /nfServices/0/fqdn",
            "null-member /nfServices/0/versions/0/expiry",
            "null-member /plmnList",
            "null-member /vendorNothing",
        ]
    );
    let mut null = amf_with(json!({}));
    null["nfType"] = Value::Null;
    let problem = NfProfile::from_value(null).expect_err("a mandatory member is null");
    assert_eq!(
        problem.details.cause.as_deref(),
        Some("MANDATORY_IE_MISSING")
    );
    for timer in [json!(30.5), json!(-1.0), json!(1e30)] {
        assert_eq!(
            broken(amf_with(json!({"heartBeatTimer": timer}))),
            "/heartBeatTimer"
        );
    }
    let prefixed = amf_with(
        json!({"nfServices": [{"serviceInstanceId": "1", "serviceName": "a", "scheme": "http",
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}], "nfServiceStatus": "REGISTERED",
        "apiPrefix": "https://amf.example.org/core/"}], "nfServiceList": null}),
    );
    let profile = NfProfile::from_value(prefixed).unwrap();
    assert_eq!(profile.nf_services[0].api_prefix.as_deref(), Some("/core"));
}

#[test]
fn duplicate_service_instances_in_the_array_are_refused() {
    let service = amf_with(json!({}))["nfServiceList"]["namf-comm-1"].clone();
    let profile = amf_with(json!({"nfServiceList": null, "nfServices": [service, service]}));
    assert_eq!(broken(profile), "/nfServices/1");
}

#[test]
fn service_forms_convert_both_ways() {
    let original = NfProfile::from_value(amf_with(json!({}))).unwrap();
    let mut profile = original.clone();
    profile.convert_services(ServiceForm::Array);
    assert!(profile.nf_service_list.is_empty());
    assert_eq!(profile.nf_services.len(), 1);
    profile.convert_services(ServiceForm::Map);
    assert_eq!(profile, original);
}

#[test]
fn a_dnn_counts_only_inside_a_matching_slice() {
    let info: SmfInfo = serde_json::from_value(json!({"sNssaiSmfInfoList": [
        {"sNssai": {"sst": 1}, "dnnSmfInfoList": [{"dnn": "internet"}]},
        {"sNssai": {"sst": 2}, "dnnSmfInfoList": [{"dnn": "ims"}]},
        {"sNssai": {"sst": 3}, "dnnSmfInfoList": [{"dnn": "*"}]}]}))
    .unwrap();
    let slice = |sst| Snssai::new(sst, None).unwrap();
    assert!(info.serves(Some(&slice(1)), Some("Internet")));
    assert!(!info.serves(Some(&slice(1)), Some("ims")));
    assert!(info.serves(Some(&slice(3)), Some("ims")));
    assert!(info.serves(None, Some("ims")));
    assert!(!info.serves(Some(&slice(4)), None));
}
