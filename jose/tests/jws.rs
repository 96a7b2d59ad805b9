//! What is signed is read again, and nothing else is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::{Header, Jwk, JwkSet, Jws, JwsError, KeySet, KeySetError, MAX_JWS, sign, thumbprint};
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A key of each algorithm, and the set of their public halves.
fn keys() -> (Vec<SecretKey>, KeySet) {
    let keys = SignatureAlgorithm::ALL.map(|of| SecretKey::generate(of).expect("a key"));
    let set = KeySet::of(keys.iter().map(|key| key.public_key().expect("a key")));
    (keys.into(), set)
}

fn signed(key: &SecretKey) -> String {
    let name = thumbprint(&key.public_key().expect("a key"));
    let header = Header::of_key(key.algorithm(), name);
    sign(&header, &json!({"sub": "amf"}), key).expect("keys sign")
}

fn verified(set: &KeySet, text: &str) -> Result<Value, JwsError> {
    set.verify(Jws::parse(text)?)?.claims()
}

#[test]
fn every_algorithm_signs_what_its_key_in_a_set_verifies() {
    let (keys, set) = keys();
    let json = serde_json::to_vec(&set.to_jwk_set()).unwrap();
    let read = KeySet::parse(&json).unwrap();
    assert_eq!(read, set);
    for key in &keys {
        let claims = verified(&read, &signed(key)).unwrap();
        assert_eq!(claims, json!({"sub": "amf"}), "{}", key.algorithm());
    }
}

#[test]
fn a_set_keeps_the_names_of_its_keys() {
    let (_, set) = keys();
    let mut json = serde_json::to_value(set.to_jwk_set()).unwrap();
    for (number, key) in json["keys"].as_array_mut().unwrap().iter_mut().enumerate() {
        key["kid"] = json!(format!("2026-{number}"));
    }
    let read = KeySet::parse(json.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(read.to_jwk_set()).unwrap(), json);
}

#[test]
fn every_damage_is_refused() {
    let (keys, set) = keys();
    for key in &keys {
        let token = signed(key);
        let step = token.len() / 40;
        for at in (0..token.len())
            .step_by(step)
            .filter(|at| token.as_bytes()[*at] != b'.')
        {
            let mut damaged = token.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(
                verified(&set, &damaged).is_err(),
                "{} at {at}",
                key.algorithm()
            );
        }
    }
}

#[test]
fn a_key_verifies_its_own_algorithm_alone() {
    let (keys, set) = keys();
    let p256 = keys[1].public_key().unwrap();
    let name = thumbprint(&p256);
    // Signed with another trusted key under the name of this one.
    let header = Header::of_key(SignatureAlgorithm::Ed25519, name);
    let token = sign(&header, &json!({}), &keys[0]).unwrap();
    assert!(matches!(
        verified(&set, &token),
        Err(JwsError::UnknownKey { .. })
    ));
    assert!(matches!(
        Jws::parse(&token).unwrap().verify(&p256),
        Err(JwsError::Signature)
    ));
}

#[test]
fn keys_of_others_are_unknown() {
    let (keys, _) = keys();
    let (_, others) = self::keys();
    assert!(matches!(
        verified(&others, &signed(&keys[3])),
        Err(JwsError::UnknownKey { .. })
    ));
    let unnamed = Header {
        key_id: None,
        ..Header::of_key(SignatureAlgorithm::MlDsa44, "")
    };
    let unnamed = sign(&unnamed, &json!({}), &keys[3]).unwrap();
    assert!(matches!(
        verified(&others, &unnamed),
        Err(JwsError::Signature)
    ));
}

#[test]
fn none_and_symmetric_algorithms_do_not_exist() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for alg in ["none", "HS256", "RS512", "es256", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let token = format!("{}.{}.", part(&header), part("{}"));
        let refused = Jws::parse(&token);
        assert!(matches!(refused, Err(JwsError::Algorithm(_))), "{alg}");
    }
    let critical = r#"{"alg":"ES256","crit":["b64"],"b64":false}"#;
    let token = format!("{}.{}.", part(critical), part("{}"));
    assert!(matches!(Jws::parse(&token), Err(JwsError::Critical)));
}

#[test]
fn what_is_no_jws_is_refused() {
    for text in ["", "a.b", "a.b.c.d", "a..b.c"] {
        assert!(Jws::parse(text).is_err(), "{text:?}");
    }
    let long = "a".repeat(MAX_JWS + 1);
    assert!(matches!(Jws::parse(&long), Err(JwsError::TooLong(_))));
}

#[test]
fn chains_travel_in_the_header() {
    let key = SecretKey::generate(SignatureAlgorithm::EcdsaP256).unwrap();
    let header = Header::of_chain(key.algorithm(), vec![vec![1, 2], vec![3]]);
    let token = sign(&header, &json!({}), &key).unwrap();
    let read = Jws::parse(&token).unwrap();
    assert_eq!(read.header, header);
    assert!(read.verify(&key.public_key().unwrap()).is_ok());
}

// RFC 7515 appendix A.3.
#[test]
fn the_example_of_the_specification_verifies() {
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "a",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]});
    let set = KeySet::parse(&serde_json::to_vec(&set).unwrap()).unwrap();
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let claims = verified(&set, token).unwrap();
    assert_eq!(claims["iss"], "joe");
}

#[test]
fn sets_that_are_none_are_refused() {
    let set = |keys: Value| KeySet::parse(&serde_json::to_vec(&json!({"keys": keys})).unwrap());
    assert!(matches!(set(json!([])), Err(KeySetError::Count(0))));
    let key = SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
    let jwk = serde_json::to_value(Jwk::of(&key.public_key().unwrap())).unwrap();
    assert!(set(json!([jwk])).is_ok());
    assert!(matches!(set(json!([jwk, jwk])), Err(KeySetError::Twice(_))));
    let with = |name: &str, value: Value| {
        let mut changed = jwk.clone();
        changed[name] = value;
        set(json!([changed]))
    };
    assert!(matches!(with("kid", Value::Null), Err(KeySetError::NoName)));
    assert!(matches!(
        with("crv", json!("X25519")),
        Err(KeySetError::Curve(_))
    ));
    assert!(matches!(with("x", json!("*")), Err(KeySetError::Base64(_))));
    assert!(matches!(with("x", json!("AAAA")), Err(KeySetError::Key(_))));
    assert!(matches!(
        with("kty", json!("RSA")),
        Err(KeySetError::Json(_))
    ));
    let many = JwkSet {
        keys: vec![Jwk::of(&key.public_key().unwrap()); 17],
    };
    let many = KeySet::parse(&serde_json::to_vec(&many).unwrap());
    assert!(matches!(many, Err(KeySetError::Count(17))));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[A-Za-z0-9_.-]{0,200}") {
        let _ = Jws::parse(&text);
    }
}
