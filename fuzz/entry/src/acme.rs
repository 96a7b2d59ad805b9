//! ACME requests: nobody signs one, or binds a key to an external account, who has neither the account's key nor its MAC key.
//!
//! Whoever mutates bytes has neither, so what is signed, and what is bound, is what the seeds say.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use acme::{
    AccountKey, Binding, By, Finalize, Identifier, MAX_REQUEST, NewAccount, NewOrder,
    RevokeCertificate, Signed,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Verdict;
use crate::fixture;

const URL: &str = "https://nrf1.test:7781/acme/new-account";
const MAC_KEY: &[u8] = b"a MAC key of the fixture";
/// Octets of a block of SHA-256.
const BLOCK: usize = 64;

struct Fixture {
    secret: SecretKey,
    key: AccountKey,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let secret = fixture::secret(SignatureAlgorithm::Ed25519, "an account");
    let key = AccountKey::of(secret.public_key().expect("a public half"));
    Fixture { secret, key }
});

/// What the seeds sign: protected header and payload of each.
static SIGNED: LazyLock<BTreeSet<[String; 2]>> =
    LazyLock::new(|| seeds().iter().map(|seed| signed(seed)).collect());

/// Reads a request.
///
/// # Panics
/// An invariant does not hold.
pub fn acme(data: &[u8]) -> Verdict {
    let Ok(request) = Signed::parse(data) else {
        return Verdict::Refused;
    };
    assert!(data.len() <= MAX_REQUEST);
    if let By::Key(key) = &request.header.by {
        let again = AccountKey::from_jwk(&key.to_jwk()).expect("a key that was read");
        assert_eq!(again, *key);
        // Whoever brings a key along may have made it.
        let _ = request.clone().verify(key);
    }
    let Ok(payload) = request.verify(&FIXTURE.key) else {
        return Verdict::Refused;
    };
    assert!(SIGNED.contains(&signed(data)), "forged");
    let binding = payload.read::<NewAccount>().ok();
    let binding = binding.and_then(|account| account.external_account_binding);
    if let Some(Ok(binding)) = binding.as_ref().map(Binding::parse) {
        assert!(binding.verify(MAC_KEY, URL, &FIXTURE.key).is_ok());
        assert!(binding.verify(MAC_KEY, "", &FIXTURE.key).is_err());
        assert!(binding.verify(b"another", URL, &FIXTURE.key).is_err());
    }
    let _ = payload.read::<NewOrder>();
    let _ = payload.read::<Finalize>();
    let _ = payload.read::<RevokeCertificate>();
    let _ = payload.inner();
    Verdict::Accepted
}

/// The parts of a request that are signed.
fn signed(request: &[u8]) -> [String; 2] {
    let request: Value = serde_json::from_slice(request).expect("parsed before");
    ["protected", "payload"].map(|part| request[part].as_str().expect("parsed before").to_owned())
}

fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// A binding of the fixture's key.
fn binding() -> Value {
    let header = json!({"alg": "HS256", "kid": "amf1", "url": URL});
    let jwk = FIXTURE.key.to_jwk();
    let (protected, payload) = (encode(header.to_string()), encode(jwk.to_string()));
    let mac = mac(format!("{protected}.{payload}").as_bytes());
    json!({"protected": protected, "payload": payload, "signature": encode(mac)})
}

/// HMAC-SHA-256 by the fixture's key, as RFC 2104 writes it.
fn mac(message: &[u8]) -> Vec<u8> {
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK];
        let key = block.iter_mut().zip(MAC_KEY);
        key.for_each(|(octet, key)| *octet ^= key);
        block
    };
    let inner = Sha256::new_with_prefix(padded(0x36)).chain_update(message);
    let outer = Sha256::new_with_prefix(padded(0x5c)).chain_update(inner.finalize());
    outer.finalize().to_vec()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let secret = &FIXTURE.secret;
    let sign = |by: (&str, Value), payload: String| {
        let (member, by) = by;
        let header = json!({"alg": "EdDSA", "nonce": "AAAA", "url": URL, member: by});
        let (protected, payload) = (encode(header.to_string()), encode(payload));
        let signature = secret.sign(format!("{protected}.{payload}").as_bytes());
        let signature = encode(signature.expect("a key that signs"));
        json!({"protected": protected, "payload": payload, "signature": signature}).to_string()
    };
    let key = || ("jwk", FIXTURE.key.to_jwk());
    let account = || ("kid", json!("https://nrf1.test:7781/acme/account/1"));
    let dns = Identifier {
        kind: "dns".to_owned(),
        value: "amf1.test".to_owned(),
    };
    let bound = json!({"externalAccountBinding": binding(), "contact": ["mailto:noc@amf1.test"]});
    let inner = sign(key(), json!({"account": "1", "oldKey": {}}).to_string());
    let requests = [
        sign(key(), bound.to_string()),
        sign(account(), String::new()),
        sign(
            account(),
            json!({"identifiers": [dns], "profile": "mtc"}).to_string(),
        ),
        sign(account(), json!({"csr": encode([0x30; 99])}).to_string()),
        sign(
            key(),
            json!({"certificate": encode([0x30; 99]), "reason": 1}).to_string(),
        ),
        sign(account(), inner.clone()),
        inner,
    ];
    requests.into_iter().map(String::into_bytes).collect()
}
