//! Nnrf_NFDiscovery over real HTTP/2.

use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::IF_NONE_MATCH;
use nf_nrf::discovery::{DiscoveryQuery, search};
use proptest::prelude::*;
use sbi::model::{Document, NfProfile};
use sbi::uri::Query;
use serde_json::{Value, json};

use crate::nrf::{AMF_FQDN, AMF_ID, Client, Nrf, profile, refusal, request};

const SMF_QUERY: &str = "target-nf-type=SMF&requester-nf-type=AMF";

fn smf_id(n: u8) -> String {
    format!("5b1d9a77-0000-4000-8000-0000000000{n:02}")
}

/// An NRF with an SMF for each of `members`, which are put into its profile, and an AMF connected to it.
async fn nrf_with(members: impl IntoIterator<Item = Value>) -> (Nrf, Client) {
    let nrf = Nrf::start();
    for (n, members) in (1..).zip(members) {
        let id = smf_id(n);
        let fqdn = format!("smf{n}.example.org");
        let smf = nrf.connect("SMF", &id, &fqdn).await;
        let response = smf
            .put(&profile("SMF", &id, &fqdn, "nsmf-pdusession", members))
            .await;
        assert_eq!(response.status, 201, "{:?}", response.body);
    }
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    (nrf, amf)
}

async fn discover(client: &Client, query: &str) -> Value {
    let response = client
        .get(&format!("/nnrf-disc/v1/nf-instances?{query}"))
        .await;
    assert_eq!(response.status, 200, "{:?}", response.body);
    response.read_json().expect("search result")
}

/// The numbers of the SMFs found, in order.
async fn found(client: &Client, query: &str) -> Vec<u8> {
    let result = discover(client, &format!("{SMF_QUERY}&{query}")).await;
    let instances = result["nfInstances"].as_array().expect("instances");
    let number = |instance: &Value| {
        let id = instance["nfInstanceId"].as_str().expect("id");
        id[id.len() - 2..].parse().expect("test ids end in digits")
    };
    instances.iter().map(number).collect()
}

fn encoded(name: &str, value: Value) -> String {
    let mut query = Query::default();
    query.push(name, value.to_string());
    query.to_string()
}

fn slice(sst: u8, dnn: &str) -> Value {
    json!({"sNssai": {"sst": sst}, "dnnSmfInfoList": [{"dnn": dnn}]})
}

#[tokio::test]
async fn no_match_is_an_empty_result() {
    let (_nrf, amf) = nrf_with([]).await;
    let result = discover(&amf, SMF_QUERY).await;
    assert_eq!(result, json!({"validityPeriod": 60, "nfInstances": []}));
}

#[tokio::test]
async fn a_result_keeps_unknown_members_and_strips_internal_ones() {
    let (_nrf, amf) = nrf_with([
        json!({"allowedNfTypes": ["AMF", "SCP"], "allowedPlmns": [{"mcc": "001", "mnc": "01"}],
        "allowedRuleSet": {"a": {}}, "vendor": {"kept": true}}),
    ])
    .await;
    let result = discover(&amf, SMF_QUERY).await;
    let service = json!({"serviceInstanceId": "nsmf-pdusession-1", "serviceName": "nsmf-pdusession", "scheme": "https",
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}], "nfServiceStatus": "REGISTERED", "vendorService": [1]});
    assert_eq!(
        result["nfInstances"],
        json!([{"nfInstanceId": smf_id(1), "nfType": "SMF", "nfStatus": "REGISTERED",
        "fqdn": "smf1.example.org", "ipv4Addresses": ["127.0.0.11"], "load": 0, "vendor": {"kept": true}, "nfServices": [service]}])
    );
}

#[tokio::test]
async fn the_service_map_is_for_those_who_know_it() {
    let (_nrf, amf) = nrf_with([json!({})]).await;
    for (features, form) in [
        ("20", "nfServiceList"),
        ("0020", "nfServiceList"),
        ("1", "nfServices"),
    ] {
        let result = discover(&amf, &format!("{SMF_QUERY}&requester-features={features}")).await;
        assert!(!result["nfInstances"][0][form].is_null(), "{features}");
    }
}

#[tokio::test]
async fn services_are_trimmed_to_those_asked_for() {
    let service = |name: &str, status: &str| {
        json!({"serviceInstanceId": name, "serviceName": name, "scheme": "https",
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}], "nfServiceStatus": status})
    };
    let three = json!({"a": service("a", "REGISTERED"), "b": service("b", "REGISTERED"), "c": service("c", "SUSPENDED")});
    let (_nrf, amf) = nrf_with([
        json!({"nfServiceList": {}}),
        json!({"nfServiceList": three}),
    ])
    .await;
    for (query, names) in [
        ("a", vec!["a"]),
        ("a,x", vec!["a"]),
        ("a%2Cb", vec!["a", "b"]),
        ("a&service-names=b", vec!["a", "b"]),
    ] {
        let result = discover(&amf, &format!("{SMF_QUERY}&service-names={query}")).await;
        let services = result["nfInstances"][0]["nfServices"]
            .as_array()
            .unwrap()
            .clone();
        let found: Vec<_> = services
            .iter()
            .map(|service| service["serviceName"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{query}");
    }
    assert_eq!(found(&amf, "service-names=a").await, [2]);
    assert_eq!(found(&amf, "service-names=c").await, [0; 0]);
    assert_eq!(found(&amf, "").await, [1, 2]);
}

#[tokio::test]
async fn slices_and_data_networks_match_together() {
    let info = |list: Value| json!({"smfInfo": {"sNssaiSmfInfoList": list}});
    let (_nrf, amf) = nrf_with([
        info(json!([slice(1, "internet"), slice(2, "ims")])),
        info(json!([slice(1, "*")])),
        json!({}),
        json!({"sNssais": [{"sst": 2}]}),
    ])
    .await;
    let snssais = |list: Value| encoded("snssais", list);
    let sst1 = snssais(json!([{"sst": 1, "sd": "FFFFFF"}]));
    assert_eq!(found(&amf, &sst1).await, [1, 2, 3]);
    assert_eq!(
        found(&amf, &format!("{sst1}&dnn=INTERNET")).await,
        [1, 2, 3]
    );
    assert_eq!(found(&amf, &format!("{sst1}&dnn=ims")).await, [2, 3]);
    assert_eq!(found(&amf, "dnn=ims").await, [1, 2, 3, 4]);
    assert_eq!(
        found(&amf, &snssais(json!([{"sst": 2}, {"sst": 9}]))).await,
        [1, 3, 4]
    );
}

#[tokio::test]
async fn one_instance_can_be_asked_for() {
    let (_nrf, amf) = nrf_with([json!({}), json!({})]).await;
    let id = smf_id(2);
    for spelling in [id.clone(), id.to_uppercase(), format!("nfinst%3D{id}")] {
        assert_eq!(
            found(&amf, &format!("target-nf-instance-id={spelling}")).await,
            [2]
        );
    }
    assert_eq!(
        found(&amf, &format!("target-nf-instance-id={AMF_ID}")).await,
        [0; 0]
    );
}

#[tokio::test]
async fn order_is_locality_then_priority_then_capacity() {
    let (_nrf, amf) = nrf_with([
        json!({"priority": 5, "locality": "b"}),
        json!({"priority": 1, "capacity": 10, "locality": "a"}),
        json!({"priority": 1, "capacity": 90, "locality": "a"}),
        json!({}),
    ])
    .await;
    assert_eq!(found(&amf, "").await, [3, 2, 1, 4]);
    assert_eq!(found(&amf, "preferred-locality=b").await, [1, 3, 2, 4]);
    assert_eq!(found(&amf, "preferred-locality=z").await, [3, 2, 1, 4]);
    assert_eq!(found(&amf, "preferred-locality=b&limit=2").await, [1, 3]);
}

#[tokio::test]
async fn those_of_other_domains_see_nothing() {
    let (nrf, amf) = nrf_with([
        json!({"allowedNfDomains": ["\\.mnc002\\."]}),
        json!({"allowedNfDomains": ["\\.mnc002\\.", "^amf1\\.5gc\\.mnc001\\."]}),
        json!({"allowedNfDomains": ["("]}),
    ])
    .await;
    assert_eq!(found(&amf, "").await, [2]);
    let own = format!("requester-nf-instance-fqdn={AMF_FQDN}");
    assert_eq!(found(&amf, &own).await, [2]);
    let other = "requester-nf-instance-fqdn=amf1.5gc.mnc002.mcc001.3gppnetwork.org";
    let path = format!("/nnrf-disc/v1/nf-instances?{SMF_QUERY}&{other}");
    assert_eq!(amf.get(&path).await.status, 403);
    let scp = nrf.connect("SCP", AMF_ID, AMF_FQDN).await;
    assert_eq!(found(&scp, other).await, [1, 2]);
}

#[tokio::test]
async fn those_not_allowed_see_nothing() {
    let (nrf, amf) = nrf_with([
        json!({"allowedNfTypes": ["PCF"]}),
        json!({"allowedNfTypes": ["PCF", "AMF"]}),
        json!({"allowedNssais": [{"sst": 7}]}),
        json!({"allowedPlmns": [{"mcc": "999", "mnc": "99"}]}),
    ])
    .await;
    assert_eq!(found(&amf, "").await, [2, 3, 4]);
    assert_eq!(
        found(&amf, &encoded("requester-snssais", json!([{"sst": 1}]))).await,
        [2, 4]
    );
    assert_eq!(
        found(
            &amf,
            &encoded("requester-plmn-list", json!([{"mcc": "001", "mnc": "01"}]))
        )
        .await,
        [2, 3]
    );
    drop(nrf);
}

#[tokio::test]
async fn a_services_allow_list_overrides_the_profiles() {
    let service = |allowed: Value| {
        json!({"nfServiceList": {"s": {"serviceInstanceId": "s", "serviceName": "s", "scheme": "https",
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}], "nfServiceStatus": "REGISTERED", "allowedNfTypes": allowed}},
        "allowedNfTypes": ["PCF"]})
    };
    let (_nrf, amf) = nrf_with([service(json!(["AMF"])), service(json!(["UDM"]))]).await;
    assert_eq!(found(&amf, "").await, [1]);
    assert!(
        discover(&amf, SMF_QUERY).await["nfInstances"][0]["nfServices"][0]
            .get("allowedNfTypes")
            .is_none()
    );
}

#[tokio::test]
async fn only_registered_instances_are_found() {
    let (nrf, amf) = nrf_with([
        json!({"nfStatus": "UNDISCOVERABLE"}),
        json!({"nfStatus": "CANARY_RELEASE"}),
        json!({}),
    ])
    .await;
    assert_eq!(found(&amf, "").await, [3]);
    nrf.registry
        .update(|registry| registry.expire(Instant::now() + Duration::from_secs(20)));
    assert_eq!(found(&amf, "").await, [0; 0]);
}

#[tokio::test]
async fn the_requester_is_the_one_of_the_certificate_or_an_scp() {
    let (nrf, amf) = nrf_with([json!({})]).await;
    let status = async |client: &Client, query: &str| {
        client
            .get(&format!("/nnrf-disc/v1/nf-instances?{query}"))
            .await
            .status
            .as_u16()
    };
    let as_smf = "target-nf-type=SMF&requester-nf-type=SMF";
    let with_id = |id: &str| format!("{SMF_QUERY}&requester-nf-instance-id={id}");
    assert_eq!(status(&amf, as_smf).await, 403);
    assert_eq!(status(&amf, &with_id(&smf_id(1))).await, 403);
    assert_eq!(status(&amf, &with_id(AMF_ID)).await, 200);
    let scp = nrf.connect("SCP", &smf_id(9), "scp1.example.org").await;
    assert_eq!(status(&scp, &with_id(AMF_ID)).await, 200);
    assert_eq!(status(&nrf.connect_as(None).await, SMF_QUERY).await, 403);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let (_nrf, amf) = nrf_with([]).await;
    for (query, cause, param) in [
        (
            "requester-nf-type=AMF".to_owned(),
            "MANDATORY_QUERY_PARAM_MISSING",
            "query target-nf-type",
        ),
        (
            "target-nf-type=SMF".to_owned(),
            "MANDATORY_QUERY_PARAM_MISSING",
            "query requester-nf-type",
        ),
        (
            "target-nf-type=&requester-nf-type=AMF".to_owned(),
            "MANDATORY_QUERY_PARAM_INCORRECT",
            "query target-nf-type",
        ),
        (
            format!("{SMF_QUERY}&target-nf-type=AMF"),
            "MANDATORY_QUERY_PARAM_INCORRECT",
            "query target-nf-type",
        ),
        (
            format!("{SMF_QUERY}&{}", encoded("snssais", json!({"sst": 1}))),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query snssais",
        ),
        (
            format!("{SMF_QUERY}&snssais=%5B%5D"),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query snssais",
        ),
        (
            format!("{SMF_QUERY}&service-names=a,"),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query service-names",
        ),
        (
            format!("{SMF_QUERY}&limit=-1"),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query limit",
        ),
        (
            format!("{SMF_QUERY}&target-nf-instance-id=x"),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query target-nf-instance-id",
        ),
        (
            format!("{SMF_QUERY}&limit=0"),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query limit",
        ),
        (
            format!("{SMF_QUERY}&tai=%7B%7D"),
            "OPTIONAL_QUERY_PARAM_INCORRECT",
            "query tai",
        ),
        (
            format!("{SMF_QUERY}&complex-query=%7B%7D"),
            "INVALID_QUERY_PARAM",
            "query complex-query",
        ),
        (
            format!("{SMF_QUERY}&snsais=%5B%5D"),
            "INVALID_QUERY_PARAM",
            "query snsais",
        ),
        (format!("{SMF_QUERY}&dnn=%zz"), "INVALID_QUERY_PARAM", ""),
        (
            format!("{SMF_QUERY}{}", "&a=b".repeat(64)),
            "INVALID_QUERY_PARAM",
            "",
        ),
    ] {
        let response = amf
            .get(&format!("/nnrf-disc/v1/nf-instances?{query}"))
            .await;
        assert_eq!(
            refusal(&response),
            (400, cause.to_owned(), param.to_owned()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn parameters_that_are_no_filter_are_ignored_and_listed() {
    let (_nrf, amf) = nrf_with([json!({})]).await;
    // Without the one service whose features they are, `supported-features` say nothing.
    let harmless = "preferred-tai=%7B%7D&preferences-precedence=a&supported-features=1";
    let result = discover(&amf, &format!("{SMF_QUERY}&{harmless}")).await;
    assert_eq!(
        result["ignoredQueryParams"],
        json!([
            "preferences-precedence",
            "preferred-tai",
            "supported-features"
        ])
    );
    assert_eq!(result["nfInstances"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_one_service_that_is_asked_for_has_the_features_that_are_asked_for() {
    let (_nrf, amf) = nrf_with([json!({})]).await;
    let with = |features: &str| {
        let query = format!("{SMF_QUERY}&service-names=nsmf-pdusession");
        format!("{query}&supported-features={features}")
    };
    let found = discover(&amf, &with("0")).await;
    assert_eq!(found["nfInstances"].as_array().unwrap().len(), 1);
    let found = discover(&amf, &with("1")).await;
    assert_eq!(found["nfInstances"], json!([]), "it says that it has none");
    assert!(found.get("ignoredQueryParams").is_none());
}

/// Every parameter of TS 29.510 that filters and is not applied here is refused, not passed over.
#[tokio::test]
async fn filters_that_are_not_applied_are_refused() {
    let (_nrf, amf) = nrf_with([json!({})]).await;
    for name in [
        "complex-query",
        "supi",
        "gpsi",
        "routing-indicator",
        "access-type",
        "target-nf-set-id",
        "required-features",
        "additional-snssais",
        "smf-serving-area",
        "exclude-nfinst-list",
        "hnrf-uri",
        "vendor",
    ] {
        let path = format!("/nnrf-disc/v1/nf-instances?{SMF_QUERY}&{name}=1");
        let refused = refusal(&amf.get(&path).await);
        let param = format!("query {name}");
        assert_eq!(refused, (400, "INVALID_QUERY_PARAM".to_owned(), param));
    }
}

/// Open5GS sends several blocks as `smfInfoList`, without `smfInfo`.
#[tokio::test]
async fn what_is_in_info_lists_filters_as_what_is_not() {
    let info = |slices: Value| json!({ "sNssaiSmfInfoList": slices });
    let (nrf, amf) = nrf_with([
        json!({"smfInfoList": {"1": info(json!([slice(1, "internet")])), "2": info(json!([slice(2, "ims")]))}}),
        json!({"smfInfoList": {"1": info(json!([slice(1, "internet")]))}, "smfInfo": info(json!([slice(3, "iot")]))}),
        json!({}),
    ])
    .await;
    let snssais = |sst: u8| encoded("snssais", json!([{"sst": sst}]));
    for (query, expected) in [
        ("dnn=nosuchdnn".to_owned(), vec![3]),
        (snssais(99), vec![3]),
        ("dnn=internet".to_owned(), vec![1, 2, 3]),
        ("dnn=iot".to_owned(), vec![2, 3]),
        (snssais(2), vec![1, 3]),
        (format!("{}&dnn=ims", snssais(2)), vec![1, 3]),
        (format!("{}&dnn=internet", snssais(2)), vec![3]),
    ] {
        assert_eq!(found(&amf, &query).await, expected, "{query}");
    }
    let smf = put_smf(&nrf, json!({"smfInfoList": {}})).await;
    assert_eq!(
        refusal(&smf),
        (
            400,
            "OPTIONAL_IE_INCORRECT".to_owned(),
            "/smfInfoList".to_owned()
        )
    );
}

async fn put_smf(nrf: &Nrf, members: Value) -> sbi::response::Response {
    let (id, fqdn) = (smf_id(9), "smf9.example.org");
    let smf = nrf.connect("SMF", &id, fqdn).await;
    smf.put(&profile("SMF", &id, fqdn, "nsmf-pdusession", members))
        .await
}

#[tokio::test]
async fn areas_networks_and_names_filter() {
    let plmn = |mnc: &str| json!({"mcc": "001", "mnc": mnc});
    let smf = |more: Value| {
        let mut info = json!({"sNssaiSmfInfoList": [slice(1, "internet")]});
        for (name, value) in more.as_object().unwrap() {
            info[name] = value.clone();
        }
        info
    };
    let range =
        json!([{"plmnId": plmn("01"), "tacRangeList": [{"start": "00000A", "end": "0000ff"}]}]);
    let (_nrf, amf) = nrf_with([
        json!({"smfInfo": smf(json!({"taiList": [{"plmnId": plmn("01"), "tac": "00000a"}]}))}),
        json!({"smfInfo": smf(json!({"taiRangeList": range}))}),
        json!({"plmnList": [plmn("02")]}),
    ])
    .await;
    let tai = |tac: &str| encoded("tai", json!({"plmnId": plmn("01"), "tac": tac}));
    assert_eq!(found(&amf, &tai("00000A")).await, [1, 2, 3]);
    assert_eq!(found(&amf, &tai("00000b")).await, [2, 3]);
    assert_eq!(found(&amf, &tai("000100")).await, [3]);
    let plmns = encoded("target-plmn-list", json!([plmn("01")]));
    assert_eq!(found(&amf, &plmns).await, [1, 2]);
    assert_eq!(found(&amf, "target-nf-fqdn=SMF2.example.org").await, [2]);
    let ids = format!("target-nf-instance-id-list={},{}", smf_id(1), smf_id(3));
    assert_eq!(found(&amf, &ids).await, [1, 3]);
}

#[tokio::test]
async fn amfs_are_found_by_guami_set_and_region() {
    let nrf = Nrf::start();
    let plmn = json!({"mcc": "001", "mnc": "01"});
    let info = |region: &str, set: &str, amf_id: &str| json!({"amfRegionId": region, "amfSetId": set, "guamiList": [{"plmnId": plmn, "amfId": amf_id}]});
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    let members = json!({"amfInfo": info("02", "001", "020040"), "amfInfoList": {"b": info("03", "3ff", "03ffff")}});
    let profile = profile("AMF", AMF_ID, AMF_FQDN, "namf-comm", members);
    assert_eq!(amf.put(&profile).await.status, 201);
    let guami = |amf_id: &str| encoded("guami", json!({"plmnId": plmn, "amfId": amf_id}));
    for (query, count) in [
        (guami("020040"), 1),
        (guami("03FFFF"), 1),
        (guami("020041"), 0),
        ("amf-region-id=03&amf-set-id=3FF".to_owned(), 1),
        ("amf-region-id=02&amf-set-id=3ff".to_owned(), 0),
    ] {
        let query = format!("target-nf-type=AMF&requester-nf-type=AMF&{query}");
        let result = discover(&amf, &query).await;
        let found = result["nfInstances"].as_array().unwrap().len();
        assert_eq!(found, count, "{query}");
    }
}

#[tokio::test]
async fn results_can_be_cached_and_revalidated() {
    let (_nrf, amf) = nrf_with([json!({})]).await;
    let path = format!("/nnrf-disc/v1/nf-instances?{SMF_QUERY}");
    let first = amf.get(&path).await;
    assert_eq!(first.headers["cache-control"], "max-age=60");
    let etag = &first.headers["etag"];
    let revalidate = |path: &str| {
        let mut request = request(Method::GET, path);
        request.headers.insert(IF_NONE_MATCH, etag.clone());
        amf.send(request)
    };
    let again = revalidate(&path).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.headers["cache-control"], "max-age=60");
    let other = format!("{path}&target-nf-instance-id={AMF_ID}");
    assert_eq!(revalidate(&other).await.status, 200);
}

#[tokio::test]
async fn discovering_changes_nothing() {
    let (nrf, amf) = nrf_with([json!({})]).await;
    let registered = nrf.changes.lock().unwrap().len();
    discover(&amf, SMF_QUERY).await;
    assert_eq!(nrf.changes.lock().unwrap().len(), registered);
}

#[tokio::test]
async fn a_result_fits_the_payload_asked_for() {
    let (_nrf, amf) = nrf_with((0..4).map(|_| json!({"vendor": "x".repeat(700)}))).await;
    assert_eq!(found(&amf, "max-payload-size=2").await, [1]);
    assert_eq!(found(&amf, "max-payload-size=3").await, [1, 2]);
    assert_eq!(found(&amf, "").await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn wrong_resources_and_methods_are_told_apart() {
    let (_nrf, amf) = nrf_with([]).await;
    let response = amf
        .send(request(Method::POST, "/nnrf-disc/v1/nf-instances"))
        .await;
    assert_eq!(
        (
            response.status.as_u16(),
            response.headers["allow"].to_str().unwrap()
        ),
        (405, "GET")
    );
    assert_eq!(amf.get("/nnrf-disc/v1/searches").await.status, 404);
}

proptest! {
    #[test]
    fn arbitrary_queries_never_panic(
        query in "((target-nf-type|requester-nf-type|snssais|service-names|limit|dnn|max-payload-size|requester-features|x)(=|)(AMF|SMF|\\[|\\{|%5B|%|,|[0-9]{1,20}|.)?&){0,6}"
    ) {
        if let Ok(query) = DiscoveryQuery::parse(&query) {
            let profile = NfProfile::from_value(profile("SMF", AMF_ID, AMF_FQDN, "a", json!({}))).expect("test profile");
            search(&query, std::iter::once(&profile), 1);
        }
    }

    #[test]
    fn preferences_order_and_never_filter(
        priorities in prop::collection::vec(prop::option::of(0_u16..3), 0..6),
        locality in "[ab]",
    ) {
        let profiles: Vec<_> = priorities.iter().map(|priority| {
            let mut profile = profile("SMF", AMF_ID, AMF_FQDN, "a", json!({"locality": "a"}));
            if let Some(priority) = priority {
                profile["priority"] = json!(priority);
            }
            NfProfile::from_value(profile).expect("test profile")
        }).collect();
        let query = DiscoveryQuery::parse(&format!("{SMF_QUERY}&preferred-locality={locality}")).expect("query");
        let found = search(&query, profiles.iter(), 1).nf_instances;
        prop_assert_eq!(found.len(), profiles.len());
        let order: Vec<_> = found.iter().map(|profile| profile.priority.unwrap_or(u16::MAX)).collect();
        prop_assert!(order.is_sorted());
    }
}
