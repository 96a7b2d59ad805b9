//! CMP messages: nobody protects one, or proves possession of a key, who has neither the secret nor the key.
//!
//! Whoever mutates bytes has neither, so what is protected, and what possession is proven for, is what the seeds say.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cmp::reply;
use cmp::{Body, Failure, MAX_MESSAGE, Mac, Message, Reply};
use mtc_core::cosign::{PublicKey, SecretKey, SignatureAlgorithm};
use mtc_core::der::{self, Reader};
use mtc_core::time::UnixTime;

use crate::Verdict;
use crate::fixture;

const SECRET: &[u8] = b"a secret of the fixture";
/// Body of an `ir`, `kur` and `p10cr`.
const BODIES: [u8; 3] = [0, 7, 4];

struct Fixture {
    secret: SecretKey,
    key: PublicKey,
    mac: Mac,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let secret = fixture::secret(SignatureAlgorithm::Ed25519, "an NF");
    Fixture {
        key: secret.public_key().expect("a public half"),
        secret,
        mac: Mac::of(&pbm(), SECRET).expect("a MAC"),
    }
});

/// What the seeds protect: header and body of each.
static PROTECTED: LazyLock<BTreeSet<Vec<u8>>> =
    LazyLock::new(|| seeds().iter().map(|seed| protected(seed)).collect());

/// Reads a CMP message.
///
/// # Panics
/// An invariant does not hold.
pub fn cmp(data: &[u8]) -> Verdict {
    let Ok(message) = Message::parse(data) else {
        return Verdict::Refused;
    };
    assert!(data.len() <= MAX_MESSAGE);
    let mac = message
        .header
        .protection
        .map(|named| Mac::of(named.whole, SECRET));
    let is_known = match mac {
        Some(Ok(mac)) => message.mac_protects(&mac),
        _ => message.is_signed_by(&FIXTURE.key).is_ok(),
    };
    if is_known {
        assert!(PROTECTED.contains(&protected(data)), "forged");
    }
    let Ok(body) = Body::parse(message.body) else {
        return Verdict::Refused;
    };
    if let Body::Request(_, request) = &body
        && let Ok(key) = request.proven_key()
    {
        assert_eq!(key, FIXTURE.key.to_spki(), "forged");
        assert_eq!(request.template_der, template(), "forged");
    }
    Verdict::Accepted
}

/// Header and body of a message.
fn protected(message: &[u8]) -> Vec<u8> {
    let mut fields = Reader::new(der::only(message, der::SEQUENCE).expect("parsed before"));
    let parts = [0, 1].map(|_| fields.element().expect("parsed before").whole);
    parts.concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der::element(der::SEQUENCE, parts)
}

/// A password-based MAC: SHA-256, 100 iterations, HMAC with SHA-256.
fn pbm() -> Vec<u8> {
    let oid = |contents: &[u8]| sequence(&[&der::element(der::OID, &[contents])]);
    let parameters = sequence(&[
        &der::element(der::OCTET_STRING, &[b"salt"]),
        &oid(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]),
        &der::unsigned_integer(100),
        &oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9]),
    ]);
    let name = der::element(
        der::OID,
        &[&[0x2a, 0x86, 0x48, 0x86, 0xf6, 0x7d, 7, 66, 13]],
    );
    sequence(&[&name, &parameters])
}

fn template() -> Vec<u8> {
    let spki = FIXTURE.key.to_spki();
    let key = der::only(&spki, der::SEQUENCE).expect("an SPKI");
    sequence(&[&der::element(der::context(6), &[key])])
}

/// An ir, a kur, and a p10cr that is one by its outer form.
fn request(body: u8) -> Vec<u8> {
    let algorithm = SignatureAlgorithm::Ed25519.signature_algorithm_identifier();
    let request = sequence(&[&der::unsigned_integer(0), &template()]);
    let signature = FIXTURE.secret.sign(&request).expect("a key that signs");
    let proof = der::element(der::context(1), &[&algorithm, &der::bit_string(&signature)]);
    let messages = sequence(&[&sequence(&[&request, &proof])]);
    der::element(der::context(body), &[&messages])
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let Fixture { secret, mac, .. } = &*FIXTURE;
    let nobody = reply::directory_name(&sequence(&[]));
    let message = |body: &[u8]| {
        let reply = Reply {
            version: 2,
            sender: &nobody,
            recipient: &nobody,
            time: UnixTime(1_800_000_000),
            key_id: Some(b"reference"),
            transaction_id: Some(&[1; 16]),
            nonce: &[2; 16],
            recipient_nonce: Some(&[3; 16]),
            implicit_confirm: true,
            body,
        };
        let signed = reply.signed(SignatureAlgorithm::Ed25519, secret, &[&nobody_cert()]);
        [reply.with_mac(mac, &[]), signed.expect("a key that signs")]
    };
    let confirmation = sequence(&[
        &der::element(der::OCTET_STRING, &[&[7; 32]]),
        &der::unsigned_integer(0),
    ]);
    let poll = sequence(&[&sequence(&[&der::unsigned_integer(0)])]);
    let mut bodies = BODIES.map(request).to_vec();
    bodies.push(der::element(
        der::context(24),
        &[&sequence(&[&confirmation])],
    ));
    bodies.push(der::element(der::context(25), &[&poll]));
    bodies.push(reply::error(Failure::BadRequest, "a text"));
    bodies.iter().flat_map(|body| message(body)).collect()
}

/// What stands in extraCerts is not looked into.
fn nobody_cert() -> Vec<u8> {
    sequence(&[])
}
