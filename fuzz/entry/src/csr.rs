//! Certification requests: nobody proves possession of a key that is not theirs, and the names that are read are those of
//! an NF.
//!
//! Whoever mutates bytes cannot sign, so every input is read twice: as a request, and as the attributes of a request that is
//! then signed by a key of the fixture. What is accepted of the second kind has one extensionRequest with one
//! subjectAltName at most, the names in it are those that were read, and it asks for the same names after it has been written by
//! `create`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::der::{self, DerError};
use mtc_core::oid;
use mtc_core::x509::Extension;
use mtc_tls::csr::{self, Csr, CsrError, MAX_CSR};
use mtc_tls::identity::MAX_FQDNS;
use mtc_tls::key::NfKey;
use uuid::Uuid;

use crate::Verdict;
use crate::fixture;

const INSTANCE: Uuid = Uuid::from_u128(0x5b1d_0000_0000_4000_8000_0000_0000_0001);

/// Algorithms of the keys that have signed requests.
const ALGORITHMS: [SignatureAlgorithm; 3] = [
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::EcdsaP256,
    SignatureAlgorithm::MlDsa44,
];

static KEY: LazyLock<NfKey> = LazyLock::new(|| key(SignatureAlgorithm::Ed25519));

/// What has been signed by the keys of the fixture: the certificationRequestInfo of every seed.
static SIGNED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
    requests()
        .iter()
        .map(|request| info_of(request).to_vec())
        .collect()
});

/// Reads a certification request.
///
/// # Panics
/// An invariant does not hold.
pub fn csr(data: &[u8]) -> Verdict {
    if check_attributes(data) {
        return Verdict::Accepted;
    }
    let Ok(csr) = Csr::parse_and_verify(data) else {
        return Verdict::Refused;
    };
    assert!(data.len() <= MAX_CSR);
    assert!(SIGNED.contains(info_of(data)), "forged");
    check_names(&csr);
    Verdict::Accepted
}

/// A request with these attributes, signed as it should be; whether it is accepted.
fn check_attributes(attributes: &[u8]) -> bool {
    let info = der::element(
        der::SEQUENCE,
        &[
            &der::unsigned_integer(0),
            &der::element(der::SEQUENCE, &[]),
            KEY.spki_der(),
            &der::element(der::context(0), &[attributes]),
        ],
    );
    let signature = KEY.sign(&info).expect("a key that signs");
    let request = der::element(
        der::SEQUENCE,
        &[
            &info,
            &KEY.algorithm().signature_algorithm_identifier(),
            &der::bit_string(&signature),
        ],
    );
    let Ok(csr) = Csr::parse_and_verify(&request) else {
        return false;
    };
    assert_eq!(csr.spki_der, KEY.spki_der());
    check_names(&csr);
    check_read(attributes, &csr).expect("accepted");
    let instance = csr.instance_id.unwrap_or(INSTANCE);
    let written = csr::create(&KEY, instance, &csr.fqdns).expect("a key that signs");
    let expected = if written.len() > MAX_CSR {
        // The instance ID that was not there before takes room, too.
        Err(CsrError::TooLong(written.len()))
    } else {
        Ok(Csr {
            instance_id: Some(instance),
            nf_types: Vec::new(),
            privileges: Vec::new(),
            ..csr
        })
    };
    assert_eq!(Csr::parse_and_verify(&written), expected);
    true
}

/// The names are those of the one subjectAltName in the one extensionRequest.
fn check_read(attributes: &[u8], csr: &Csr) -> Result<(), DerError> {
    let mut requested = Vec::new();
    let mut attributes = der::Reader::new(attributes);
    while !attributes.is_empty() {
        let mut attribute = der::Reader::new(attributes.contents(der::SEQUENCE)?);
        if attribute.contents(der::OID)? == oid::EXTENSION_REQUEST {
            requested.push(der::only(attribute.contents(der::SET)?, der::SEQUENCE)?);
        }
    }
    assert!(requested.len() <= 1, "two extensionRequests");
    let mut names = Vec::new();
    for extensions in requested {
        let mut extensions = der::Reader::new(extensions);
        while !extensions.is_empty() {
            let extension = Extension::read(&mut extensions)?;
            if extension.oid == oid::SUBJECT_ALT_NAME {
                names.push(der::only(extension.value, der::SEQUENCE)?);
            }
        }
    }
    assert!(names.len() <= 1, "two subjectAltNames");
    let (mut fqdns, mut instance_ids) = (Vec::new(), 0);
    let mut names = der::Reader::new(names.first().copied().unwrap_or_default());
    while !names.is_empty() {
        let name = names.element()?;
        if name.tag == der::context_primitive(2) {
            fqdns.push(name.contents);
        }
        let starts_urn = name.contents.get(..9).map(<[u8]>::to_ascii_lowercase);
        if name.tag == der::context_primitive(6) && starts_urn.as_deref() == Some(b"urn:uuid:") {
            let uuid = str::from_utf8(&name.contents[9..]).expect("a UUID");
            assert_eq!(Uuid::try_parse(uuid).ok(), csr.instance_id);
            instance_ids += 1;
        }
    }
    assert!(csr.fqdns.iter().map(String::as_bytes).eq(fqdns));
    assert_eq!(instance_ids, usize::from(csr.instance_id.is_some()));
    Ok(())
}

fn check_names(csr: &Csr) {
    assert!(csr.fqdns.len() <= MAX_FQDNS);
    for fqdn in &csr.fqdns {
        assert!(!fqdn.is_empty() && fqdn.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

fn key(algorithm: SignatureAlgorithm) -> NfKey {
    NfKey::from_pkcs8(&fixture::pkcs8(algorithm, "an NF")).expect("a key")
}

/// The certificationRequestInfo of a request.
fn info_of(request: &[u8]) -> &[u8] {
    let contents = der::only(request, der::SEQUENCE).expect("parsed before");
    let mut fields = der::Reader::new(contents);
    fields.expect(der::SEQUENCE).expect("parsed before").whole
}

/// The attributes of a request.
fn attributes_of(request: &[u8]) -> Result<&[u8], DerError> {
    let mut info = der::Reader::new(der::only(info_of(request), der::SEQUENCE)?);
    info.expect(der::INTEGER)?;
    info.expect(der::SEQUENCE)?;
    info.expect(der::SEQUENCE)?;
    info.contents(der::context(0))
}

fn requests() -> Vec<Vec<u8>> {
    let fqdns = ["amf1.5gc.mnc001.mcc001.3gppnetwork.org", "amf1.test"].map(str::to_owned);
    let requests = ALGORITHMS
        .iter()
        .zip([0, 1, 2])
        .map(|(algorithm, names)| csr::create(&key(*algorithm), INSTANCE, &fqdns[..names]));
    requests.collect::<Result<_, _>>().expect("keys that sign")
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = requests();
    let attributes = attributes_of(&seeds[2]).expect("parsed before").to_vec();
    seeds.push(attributes);
    seeds
}
