use super::*;

fn estate(lines: &str) -> Result<Estate, EstateError> {
    Estate::parse(&format!(
        "name = \"a\"\nrtt = \"10ms\"\ncertificate_lifetime = \"30d\"\nlandmark_interval = \"1h\"\n{lines}"
    ))
}

const AMF: &str = "[[nf]]\ntype = \"AMF\"\ncount = 10\nhandshakes_per_second = 2\n";

#[test]
fn every_preset_is_an_estate_that_says_what_it_assumes() {
    for (name, _) in PRESETS {
        let estate = Estate::preset(name).unwrap();
        assert_eq!(estate.name, name);
        assert!(!estate.assumptions.is_empty(), "{name}");
    }
    assert_eq!(Estate::preset("galaxy"), None);
}

#[test]
fn toml_and_json_say_the_same() {
    let read = estate(AMF).unwrap();
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(Estate::parse(&json).unwrap(), read);
    assert_eq!(read.handshakes_per_second(), 20.0);
}

#[test]
fn kept_connections_are_opened_anew_at_the_end_of_their_life() {
    let kept =
        estate("[[nf]]\ntype = \"SMF\"\ncount = 3\npeers = 60\nconnection_lifetime = \"1m\"\n");
    assert_eq!(kept.unwrap().handshakes_per_second(), 3.0);
}

#[test]
fn what_cannot_be_is_refused_by_key_and_rule() {
    for (lines, fault) in [
        ("", "missing field `nf`"),
        ("nf = []", "nf must have from 1"),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 0\nhandshakes_per_second = 1",
            "nf[0].count must be from 1",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = -1\nhandshakes_per_second = 1",
            "invalid value",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\nhandshakes_per_second = -1",
            "nf[0].handshakes_per_second must be from 0",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\nhandshakes_per_second = nan",
            "nf[0].handshakes_per_second must be from 0",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\nhandshakes_per_second = inf",
            "nf[0].handshakes_per_second must be from 0",
        ),
        ("[[nf]]\ntype = \"AMF\"\ncount = 1", "and not both"),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\npeers = 2",
            "and not both",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\npeers = 2\nconnection_lifetime = \"1m\"\nhandshakes_per_second = 1",
            "and not both",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\npeers = 2\nconnection_lifetime = \"0s\"",
            "nf[0].connection_lifetime must be",
        ),
        (
            "[[nf]]\ntype = \"AMF\"\ncount = 1\npeers = 2\nconnection_lifetime = \"x\"",
            "is not a duration",
        ),
        ("mss = 0", "mss must be"),
        ("initial_window = 0", "initial_window must be"),
        ("witnesses = nan", "witnesses must be"),
        (
            "replacements_per_day = -0.5",
            "replacements_per_day must be",
        ),
        ("trust_interval = \"0s\"", "trust_interval must be"),
        ("log_entries = 281474976710656", "more than 2^48 entries"),
        ("landmarks = 1", "unknown field `landmarks`"),
    ] {
        let text = if lines.starts_with("[[nf]]") || lines == "nf = []" || lines.is_empty() {
            lines.to_owned()
        } else {
            format!("{lines}\n{AMF}")
        };
        let error = estate(&text).unwrap_err();
        let told = mtc_core::causes::Causes(&error).to_string();
        assert!(told.contains(fault), "{lines}: {told}");
    }
}

#[test]
fn landmarks_must_fit_between_a_certificate_and_a_list() {
    let with = |lifetime: &str, interval: &str| {
        Estate::parse(&format!(
            "name = \"a\"\nrtt = \"1ms\"\ncertificate_lifetime = \"{lifetime}\"\nlandmark_interval = \"{interval}\"\n{AMF}"
        ))
    };
    assert!(with("1d", "1h").is_ok());
    assert!(matches!(
        with("1h", "1h"),
        Err(EstateError::LandmarkInterval)
    ));
    assert!(matches!(with("365d", "1m"), Err(EstateError::Landmarks(_))));
    assert!(with("0s", "1h").is_err());
}
