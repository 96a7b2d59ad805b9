//! A CMP client for what the real one cannot be made to send: every message to the letter, and wrong ones.

use aws_lc_rs::{hmac, pbkdf2};
use cmp::{Mac, Message};
use mtc_core::cosign::PublicKey;
use mtc_core::der::{self, Reader};
use mtc_core::time::UnixTime;
use mtc_core::x509::Certificate;
use mtc_tls::clock::Clock;
use mtc_tls::key::NfKey;
use std::num::NonZeroU32;
use uuid::Uuid;

const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 14];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const HMAC_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9];
const IMPLICIT_CONFIRM: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 4, 13];
const ITERATIONS: u32 = 500;
const SALT: &[u8] = b"a salt of a test";

pub(crate) const IR: u8 = 0;
pub(crate) const KUR: u8 = 7;
pub(crate) const RR: u8 = 11;
pub(crate) const CERT_CONF: u8 = 24;
pub(crate) const POLL_REQ: u8 = 25;

/// What protects a message.
pub(crate) enum Protection<'a> {
    /// PBMAC1.
    Secret {
        reference: &'a str,
        secret: &'a str,
    },
    /// A certificate and its key.
    Certificate {
        leaf: &'a [u8],
        key: &'a NfKey,
    },
    None,
}

/// A message, before it is one.
pub(crate) struct Draft<'a> {
    pub(crate) version: u64,
    pub(crate) protection: Protection<'a>,
    pub(crate) transaction: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) recipient_nonce: Option<Vec<u8>>,
    pub(crate) time: Option<UnixTime>,
    pub(crate) implicit_confirm: bool,
    pub(crate) body: Vec<u8>,
}

impl<'a> Draft<'a> {
    /// The first message of a transaction.
    pub(crate) fn new(protection: Protection<'a>, body: Vec<u8>) -> Self {
        Self {
            version: 2,
            protection,
            transaction: Uuid::new_v4().as_bytes().to_vec(),
            nonce: Uuid::new_v4().as_bytes().to_vec(),
            recipient_nonce: None,
            time: Some(Clock::default().now()),
            implicit_confirm: true,
            body,
        }
    }

    /// The message that follows an answer.
    pub(crate) fn after(answer: &[u8], protection: Protection<'a>, body: Vec<u8>) -> Self {
        let answer = Message::parse(answer).expect("an answer");
        let header = answer.header;
        Self {
            transaction: header.transaction_id.expect("an ID").to_vec(),
            recipient_nonce: header.sender_nonce.map(<[u8]>::to_vec),
            ..Self::new(protection, body)
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let octets = |tag, value: Option<&[u8]>| match value {
            Some(value) => der::element(
                der::context(tag),
                &[&der::element(der::OCTET_STRING, &[value])],
            ),
            None => Vec::new(),
        };
        let (algorithm, key_id) = match &self.protection {
            Protection::Secret { reference, .. } => (pbmac1(), Some(reference.as_bytes())),
            Protection::Certificate { key, .. } => {
                (key.algorithm().signature_algorithm_identifier(), None)
            }
            Protection::None => (Vec::new(), None),
        };
        let algorithm = if algorithm.is_empty() {
            algorithm
        } else {
            der::element(der::context(1), &[&algorithm])
        };
        let time = self.time.map(|time| {
            let digits = time.to_string().replace(['-', ':', 'T'], "");
            let time = der::element(der::GENERALIZED_TIME, &[digits.as_bytes()]);
            der::element(der::context(0), &[&time])
        });
        let info = if self.implicit_confirm {
            let info = sequence(&[&oid(IMPLICIT_CONFIRM), &[der::NULL, 0]]);
            der::element(der::context(8), &[&sequence(&[&info])])
        } else {
            Vec::new()
        };
        let nobody = der::element(der::context(4), &[&sequence(&[])]);
        let header = sequence(&[
            &der::unsigned_integer(self.version),
            &nobody,
            &nobody,
            &time.unwrap_or_default(),
            &algorithm,
            &octets(2, key_id),
            &octets(4, Some(&self.transaction)),
            &octets(5, Some(&self.nonce)),
            &octets(6, self.recipient_nonce.as_deref()),
            &info,
        ]);
        let protected = sequence(&[&header, &self.body]);
        let (protection, extra_certs) = match &self.protection {
            Protection::Secret { secret, .. } => (mac(secret, &protected), Vec::new()),
            Protection::Certificate { leaf, key } => {
                let certs = der::element(der::context(1), &[&sequence(&[leaf])]);
                (key.sign(&protected).expect("a key that signs"), certs)
            }
            Protection::None => return sequence(&[&header, &self.body]),
        };
        let protection = der::element(der::context(0), &[&der::bit_string(&protection)]);
        sequence(&[&header, &self.body, &protection, &extra_certs])
    }
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der::element(der::SEQUENCE, parts)
}

fn oid(contents: &[u8]) -> Vec<u8> {
    der::element(der::OID, &[contents])
}

fn pbmac1() -> Vec<u8> {
    let hmac = sequence(&[&oid(HMAC_WITH_SHA256), &[der::NULL, 0]]);
    let derivation = sequence(&[
        &der::element(der::OCTET_STRING, &[SALT]),
        &der::unsigned_integer(ITERATIONS.into()),
        &der::unsigned_integer(32),
        &hmac,
    ]);
    let derivation = sequence(&[&oid(PBKDF2), &derivation]);
    sequence(&[&oid(PBMAC1), &sequence(&[&derivation, &hmac])])
}

fn mac(secret: &str, message: &[u8]) -> Vec<u8> {
    let mut key = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        NonZeroU32::new(ITERATIONS).expect("not 0"),
        SALT,
        secret.as_bytes(),
        &mut key,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// ir, cr or kur for a key, of which possession is proven with `prover`.
pub(crate) fn request(kind: u8, key: &NfKey, prover: &NfKey, extensions: &[u8]) -> Vec<u8> {
    request_with(kind, (key, prover), extensions, &[])
}

/// kur for a key in place of the certificate with this issuer (DER of its Name) and serial number.
pub(crate) fn update(key: &NfKey, issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    // id-regCtrl-oldCertID, 1.3.6.1.5.5.7.5.1.5.
    let name = oid(&[0x2b, 6, 1, 5, 5, 7, 5, 1, 5]);
    let issuer = der::element(der::context(4), &[issuer]);
    let old = sequence(&[&issuer, &der::element(der::INTEGER, &[serial])]);
    request_with(
        KUR,
        (key, key),
        &[],
        &sequence(&[&sequence(&[&name, &old])]),
    )
}

fn request_with(
    kind: u8,
    (key, prover): (&NfKey, &NfKey),
    extensions: &[u8],
    controls: &[u8],
) -> Vec<u8> {
    let spki = der::only(key.spki_der(), der::SEQUENCE).expect("an SPKI");
    let extensions = if extensions.is_empty() {
        Vec::new()
    } else {
        der::element(der::context(9), &[extensions])
    };
    let template = sequence(&[&der::element(der::context(6), &[spki]), &extensions]);
    let request = sequence(&[&der::unsigned_integer(0), &template, controls]);
    let signature = prover.sign(&request).expect("a key that signs");
    let identifier = prover.algorithm().signature_algorithm_identifier();
    let proof = der::element(
        der::context(1),
        &[&identifier, &der::bit_string(&signature)],
    );
    let messages = sequence(&[&sequence(&[&request, &proof])]);
    der::element(der::context(kind), &[&messages])
}

/// rr for the certificate with this serial number, of the issuer of `leaf`.
pub(crate) fn revocation(leaf: &[u8], serial: &[u8]) -> Vec<u8> {
    let leaf = Certificate::parse(leaf).expect("a certificate");
    let template = sequence(&[
        &der::element(der::context_primitive(1), &[serial]),
        &der::element(der::context(3), &[leaf.statement.issuer]),
    ]);
    let details = sequence(&[&sequence(&[&template])]);
    der::element(der::context(RR), &[&details])
}

/// certConf that rejects whatever was issued.
pub(crate) fn rejection() -> Vec<u8> {
    der::element(der::context(CERT_CONF), &[&sequence(&[])])
}

/// certConf for a certificate with this hash.
pub(crate) fn confirmation(hash: &[u8]) -> Vec<u8> {
    confirmation_of(hash, 0)
}

/// The same for the request with this ID.
pub(crate) fn confirmation_of(hash: &[u8], id: u64) -> Vec<u8> {
    let status = sequence(&[
        &der::element(der::OCTET_STRING, &[hash]),
        &der::unsigned_integer(id),
    ]);
    der::element(der::context(CERT_CONF), &[&sequence(&[&status])])
}

/// pollReq for the request with ID 0.
pub(crate) fn poll() -> Vec<u8> {
    let entry = sequence(&[&der::unsigned_integer(0)]);
    der::element(der::context(POLL_REQ), &[&sequence(&[&entry])])
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Number of the body in PKIBody.
    pub(crate) body: u8,
    /// PKIStatus, if the body has one.
    pub(crate) status: Option<u64>,
    /// statusString.
    pub(crate) text: String,
    /// The first bit of PKIFailureInfo.
    pub(crate) failure: Option<u32>,
    /// The certificate.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let message = Message::parse(bytes).expect("an answer is a message");
        let body = message.body.tag & 0x1f;
        let mut answer = Self {
            body,
            status: None,
            text: String::new(),
            failure: None,
            certificate: None,
        };
        let mut fields = Reader::new(message.body.contents);
        match body {
            // ip, cp, kup
            1 | 3 | 8 => {
                let mut message = Reader::new(fields.contents(der::SEQUENCE).expect("DER"));
                message.optional(der::context(1)).expect("DER");
                let mut list = Reader::new(message.contents(der::SEQUENCE).expect("DER"));
                let mut response = Reader::new(list.contents(der::SEQUENCE).expect("one"));
                response.contents(der::INTEGER).expect("certReqId");
                answer.read_status(response.contents(der::SEQUENCE).expect("a status"));
                if let Some(pair) = response.optional(der::SEQUENCE).expect("DER") {
                    let mut pair = Reader::new(pair.contents);
                    let certificate = pair.contents(der::context(0)).expect("a certificate");
                    answer.certificate = Some(certificate.to_vec());
                }
            }
            // rp
            12 => {
                let mut content = Reader::new(fields.contents(der::SEQUENCE).expect("DER"));
                let mut list = Reader::new(content.contents(der::SEQUENCE).expect("DER"));
                answer.read_status(list.contents(der::SEQUENCE).expect("a status"));
            }
            // error
            23 => {
                let mut content = Reader::new(fields.contents(der::SEQUENCE).expect("DER"));
                answer.read_status(content.contents(der::SEQUENCE).expect("a status"));
            }
            _ => {}
        }
        answer
    }

    fn read_status(&mut self, contents: &[u8]) {
        let mut fields = Reader::new(contents);
        let status = fields.contents(der::INTEGER).expect("a status");
        self.status = Some(der::unsigned(status).expect("small"));
        if let Some(texts) = fields.optional(der::SEQUENCE).expect("DER") {
            let text = der::only(texts.contents, der::UTF8_STRING).expect("one text");
            self.text = String::from_utf8(text.to_vec()).expect("UTF-8");
        }
        if let Some(bits) = fields.optional(der::BIT_STRING).expect("DER") {
            let octets = bits.contents.iter().skip(1).zip(0_u32..);
            let mut set = octets.filter(|(octet, _)| **octet != 0);
            let first = set.next().map(|(octet, at)| 8 * at + octet.leading_zeros());
            self.failure = first;
        }
    }
}

/// Whether an answer is protected by this secret.
pub(crate) fn is_by_secret(bytes: &[u8], secret: &str) -> bool {
    let message = Message::parse(bytes).expect("an answer");
    let identifier = message.header.protection.map(|named| named.whole);
    let mac = Mac::of(identifier.unwrap_or_default(), secret.as_bytes());
    mac.is_ok_and(|mac| message.mac_protects(&mac))
}

/// The certificate that has signed an answer.
pub(crate) fn signer_of(bytes: &[u8]) -> Vec<u8> {
    let message = Message::parse(bytes).expect("an answer");
    let leaf = *message.extra_certs.first().expect("its signer's");
    let certificate = Certificate::parse(leaf).expect("a certificate");
    let key = PublicKey::from_spki(certificate.spki).expect("a known algorithm");
    message.is_signed_by(&key).expect("signed by it");
    leaf.to_vec()
}
