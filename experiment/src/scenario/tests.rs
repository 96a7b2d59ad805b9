use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::profile::TrustDomain;
use mtc_tls::provider::KeyExchange;

use super::*;

const MINIMAL: &str = r#"
[scenario]
name = "minimal"
[lab]
[[variant]]
name = "only"
auth = "mtc-landmark"
[load]
operation = "handshake"
stages = [{ rate = 10, duration = "1s" }]
"#;

fn faults(text: &str) -> Vec<String> {
    match Scenario::parse(text) {
        Ok(_) => Vec::new(),
        Err(ScenarioFaults(faults)) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn one_fault(from: &str, to: &str) -> String {
    assert!(
        MINIMAL.contains(from),
        "{from:?} is not in the minimal scenario"
    );
    let faults = faults(&MINIMAL.replacen(from, to, 1));
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.into_iter().next().expect("one fault")
}

#[test]
fn who_wants_too_many_instances_is_told_what_to_do() {
    assert_eq!(
        one_fault("[lab]", "[lab]\namf = 1000"),
        format!("line 5, column 7: lab.amf must be from 1 to 256, is 1000 ({MORE_INSTANCES})")
    );
    assert_eq!(
        one_fault("[lab]", "[lab]\nsmf = 10001"),
        format!("line 5, column 7: lab.smf must be from 1 to 10000, is 10001 ({MORE_INSTANCES})")
    );
}

#[test]
fn quick_scenario_is_the_comparison_it_promises() {
    let scenario = Scenario::parse(include_str!("../../../scenarios/quick.toml")).unwrap();
    let kinds: Vec<_> = scenario
        .variants
        .iter()
        .map(|v| (v.name.as_str(), v.authentication))
        .collect();
    let x509 = |intermediates, ca_signature| {
        TrustDomain::X509(X509Profile {
            ca_signature,
            intermediates,
            revocation: X509Revocation::None,
        })
    };
    assert_eq!(
        kinds,
        [
            (
                "x509-p256",
                x509(Intermediates::One, KeyAlgorithm::EcdsaP256)
            ),
            (
                "x509-p256-hybrid",
                x509(Intermediates::One, KeyAlgorithm::EcdsaP256)
            ),
            (
                "x509-mldsa65",
                x509(Intermediates::One, KeyAlgorithm::MlDsa65)
            ),
            (
                "x509-mldsa65-direct",
                x509(Intermediates::None, KeyAlgorithm::MlDsa65)
            ),
            ("mtc-standalone", TrustDomain::MtcStandalone),
            ("mtc-landmark", TrustDomain::MtcLandmark),
        ]
    );
    assert!(
        scenario.variants[2..]
            .iter()
            .all(|v| v.leaf_key == KeyAlgorithm::MlDsa65)
    );
    // Today's key exchange, and from its own step on the hybrid one.
    let (today, later) = scenario.variants.split_first().unwrap();
    assert_eq!(today.key_exchange, KeyExchange::X25519);
    assert!(
        later
            .iter()
            .all(|v| v.key_exchange == KeyExchange::X25519MlKem768)
    );
    assert!(scenario.load.duration() < Duration::from_secs(60));
}

#[test]
fn defaults_fill_what_is_left_out() {
    let scenario = Scenario::parse(MINIMAL).unwrap();
    assert_eq!(scenario.seed, 1);
    assert_eq!(
        (scenario.lab.amf, scenario.lab.smf, scenario.lab.preload),
        (2, 2, 0)
    );
    assert_eq!(scenario.variants[0].leaf_key, KeyAlgorithm::MlDsa65);
    assert_eq!(
        scenario.variants[0].key_exchange,
        KeyExchange::X25519MlKem768
    );
    assert_eq!(scenario.load.arrivals, ArrivalProcess::Constant);
    assert_eq!(scenario.load.max_in_flight, 256);
    assert_eq!(scenario.text(), MINIMAL);
}

#[test]
fn more_than_half_of_the_witnesses_must_cosign_unless_the_scenario_says_otherwise() {
    let read = |keys: &str| {
        let text = MINIMAL.replace("[lab]", &format!("[lab]\n{keys}"));
        Scenario::parse(&text).map(|scenario| (scenario.lab.witnesses, scenario.lab.require))
    };
    for (keys, witnesses, require) in [
        ("", 1, 1),
        ("witnesses = 2", 2, 2),
        ("witnesses = 3", 3, 2),
        ("witnesses = 4", 4, 3),
        ("witnesses = 5", 5, 3),
        ("witnesses = 3\nrequire = 1", 3, 1),
        ("witnesses = 3\nrequire = 3", 3, 3),
    ] {
        assert_eq!(read(keys).unwrap(), (witnesses, require), "{keys}");
    }
    for (keys, fault) in [
        ("witnesses = 0", "lab.witnesses must be from 1 to 5, is 0"),
        ("witnesses = 6", "lab.witnesses must be from 1 to 5, is 6"),
        (
            "witnesses = 3\nrequire = 4",
            "lab.require must be from 1 to 3, is 4",
        ),
        ("require = 2", "lab.require must be from 1 to 1, is 2"),
        (
            "witnesses = 3\nrequire = 0",
            "lab.require must be from 1 to 3, is 0",
        ),
    ] {
        let faults = read(keys).unwrap_err().to_string();
        assert!(faults.contains(fault), "{faults}");
    }
}

#[test]
fn ca_signature_defaults_to_the_leaf_key() {
    let text = MINIMAL.replace(
        "auth = \"mtc-landmark\"",
        "auth = \"x509\"\nleaf_key = \"ecdsa-p384\"",
    );
    let expected = TrustDomain::X509(X509Profile {
        ca_signature: KeyAlgorithm::EcdsaP384,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    });
    assert_eq!(
        Scenario::parse(&text).unwrap().variants[0].authentication,
        expected
    );
}

#[test]
fn all_faults_are_reported_together_by_line() {
    let text = r#"[scenario]
name = "two words"
sead = 7
[lab]
amf = 0
landmark_interval = "fast"
[[variant]]
name = "a"
auth = "mtc-landmrk"
[load]
operation = "session"
stages = [{ rate = "60" }]
"#;
    assert_eq!(
        faults(text),
        [
            "line 2, column 8: scenario.name is \"two words\"; a name starts with a letter or digit and has letters, digits, '.', '_', '-'",
            "line 3, column 1: scenario.sead is not a known key (did you mean \"seed\"?)",
            "line 5, column 7: lab.amf must be from 1 to 256, is 0",
            "line 6, column 21: lab.landmark_interval \"fast\" is not a duration: a number and one of us, ms, s, m, h, d, as in \"200ms\" or \"1.5h\"",
            "line 9, column 8: variant[0].auth is \"mtc-landmrk\", which is not a known value (did you mean \"mtc-landmark\"?)",
            "line 12, column 11: load.stages[0].duration is missing",
            "line 12, column 20: load.stages[0].rate must be a number, is of type string",
        ]
    );
}

#[test]
fn missing_sections_are_each_named() {
    assert_eq!(
        faults(""),
        ["scenario", "lab", "load", "variant"]
            .map(|key| format!("line 1, column 1: {key} is missing"))
    );
}

#[test]
fn syntax_errors_have_a_line() {
    let fault = one_fault("operation = \"handshake\"", "operation = handshake");
    assert!(fault.starts_with("line 9, column 13: "), "{fault}");
}

#[test]
fn a_repeated_key_is_refused() {
    let faults = faults(&MINIMAL.replace("auth =", "name = \"again\"\nauth ="));
    assert!(
        faults.iter().any(|fault| fault.contains("duplicate")),
        "{faults:?}"
    );
}

#[test]
fn a_single_variant_table_is_told_to_be_an_array() {
    let fault = one_fault("[[variant]]", "[variant]");
    assert!(
        fault.contains("must be an array of tables") && fault.contains("write [[variant]]"),
        "{fault}"
    );
}

#[test]
fn equal_names_are_refused() {
    let fault = one_fault(
        "[load]",
        "[[variant]]\nname = \"only\"\nauth = \"mtc-standalone\"\n[load]",
    );
    assert!(
        fault.contains("variant[1].name \"only\" is already the name of variant[0]"),
        "{fault}"
    );
}

#[test]
fn variants_that_servers_cannot_tell_apart_are_refused() {
    let fault = one_fault(
        "[load]",
        "[[variant]]\nname = \"other\"\nauth = \"mtc-landmark\"\n[load]",
    );
    assert!(
        fault.contains("variant[1].auth is the same as variant[0]"),
        "{fault}"
    );
}

#[test]
fn keys_of_the_other_kind_are_refused() {
    let fault = one_fault(
        "auth = \"mtc-landmark\"",
        "auth = \"mtc-landmark\"\nchain = 0",
    );
    assert!(
        fault.contains("variant[0].chain is for auth = \"x509\" only"),
        "{fault}"
    );
    let fault = one_fault(
        "auth = \"mtc-landmark\"",
        "auth = \"x509\"\ncosigners = [\"ca\", \"witness\"]",
    );
    assert!(
        fault.contains("variant[0].cosigners is for the mtc kinds only"),
        "{fault}"
    );
}

#[test]
fn landmarks_must_outpace_expiry_but_not_checkpoints() {
    let fault = one_fault(
        "[lab]",
        "[lab]\ncertificate_lifetime = \"60s\"\nlandmark_interval = \"60s\"",
    );
    assert!(
        fault.contains("must be shorter than certificate_lifetime"),
        "{fault}"
    );
    let fault = one_fault("[lab]", "[lab]\ncheckpoint_interval = \"10s\"");
    assert!(
        fault.contains("must not be shorter than checkpoint_interval"),
        "{fault}"
    );
    let fault = one_fault(
        "[lab]",
        "[lab]\ncertificate_lifetime = \"7d\"\nlandmark_interval = \"1s\"",
    );
    assert!(fault.contains("more than 4095 landmarks active"), "{fault}");
}

#[test]
fn a_run_has_a_bounded_number_of_arrivals() {
    let fault = one_fault(
        "rate = 10, duration = \"1s\"",
        "rate = 100000, duration = \"1d\"",
    );
    assert!(
        fault.contains("load.stages make 8640000000 arrivals"),
        "{fault}"
    );
}

#[test]
fn rates_that_are_not_finite_are_refused() {
    for rate in ["0", "-1", "inf", "nan"] {
        let fault = one_fault("rate = 10,", &format!("rate = {rate},"));
        assert!(
            fault.contains("load.stages[0].rate must be from 0.01 to 100000"),
            "{fault}"
        );
    }
}

#[test]
fn a_load_plan_survives_the_way_to_the_generator() {
    let plan = Scenario::parse(MINIMAL).unwrap().load;
    let sent = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<LoadPlan>(&sent).unwrap(), plan);
}

/// The peers of a lab with these keys in `[lab]`, for this operation.
fn peers(lab: &str, operation: &str) -> Result<(u16, u16, u16), String> {
    let text = format!(
        "[scenario]\nname = \"peers\"\n[lab]\n{lab}\n[[variant]]\nname = \"only\"\nauth = \"mtc-landmark\"\n[load]\noperation = \"{operation}\"\n\
         stages = [{{ rate = 1, duration = \"2s\" }}]\n"
    );
    match Scenario::parse(&text) {
        Ok(Scenario { lab, .. }) => Ok((lab.ausf, lab.udm, lab.pcf)),
        Err(faults) => Err(faults.to_string()),
    }
}

#[test]
fn a_lab_has_the_peers_that_its_operation_needs_or_that_it_names() {
    assert_eq!(peers("", "session"), Ok((0, 0, 0)));
    assert_eq!(peers("", "registration"), Ok((1, 1, 1)));
    assert_eq!(peers("", "pdu-session"), Ok((0, 1, 1)));
    assert_eq!(peers("udm = 3", "session"), Ok((0, 3, 0)));
    let none = peers("udm = 0", "registration").unwrap_err();
    assert!(none.contains("lab.udm must be from 1 to 64"), "{none}");
}
