//! PKCS#10 certification requests (RFC 2986): how an NF asks for a certificate and proves that it holds the key.
//!
//! ```text
//! CertificationRequest ::= SEQUENCE {
//!     SEQUENCE { version 0, subject Name, subjectPKInfo, attributes [0] { extensionRequest { subjectAltName } } },
//!     signatureAlgorithm, signature BIT STRING }          -- by the key in subjectPKInfo
//! ```
//!
//! A request proves possession of a key and nothing about names: what it asks for is compared with what the token or
//! the old certificate allows, and never copied.

use std::fmt;

use mtc_core::cosign::{self, PublicKey};
use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid;
use mtc_core::x509::{Extension, is_ca, key_usages};
use uuid::Uuid;

use crate::identity::{AltNames, AltNamesError, NfTypesError, nf_types};
use crate::key::{KeyAlgorithm, NfKey, NfKeyError};

/// Longest request that is read. An ML-DSA-87 request with its 2592-byte key and 4627-byte signature has 7.5 kB.
pub const MAX_CSR: usize = 16 * 1024;

/// `INTEGER 0`: the version of PKCS#10 requests.
const VERSION: [u8; 3] = [der::INTEGER, 1, 0];
const EMPTY_NAME: [u8; 2] = [der::SEQUENCE, 0];
/// Key usages of CAs.
const CA_USAGES: [&str; 2] = ["keyCertSign", "cRLSign"];

/// Why a certification request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Longer than [`MAX_CSR`].
    #[error("certification request: {0} bytes; at most {MAX_CSR} are allowed")]
    TooLong(usize),
    /// A field is not the DER that belongs there.
    #[error("certification request: {field} is malformed")]
    Malformed {
        /// The name of the field in RFC 2986.
        field: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
    /// Not version 0.
    #[error("certification request: version is not 0")]
    Version,
    /// More than one extensionRequest, or more than one subjectAltName in it.
    #[error("certification request: {0} occurs twice")]
    Duplicate(&'static str),
    /// The names that it asks for cannot be read.
    #[error("certification request names no NF instance")]
    AltNames(#[from] AltNamesError),
    /// The NF types that it asks for cannot be read.
    #[error("certification request names no NF types")]
    NfTypes(#[from] NfTypesError),
    /// The key is of none of the six algorithms, or is no key.
    #[error("certification request: subjectPKInfo is unusable")]
    PublicKey(#[source] cosign::KeyError),
    /// The signature is not of the algorithm that belongs to the key.
    #[error("certification request: signatureAlgorithm does not fit a {0} key")]
    SignatureAlgorithm(KeyAlgorithm),
    /// The signature does not verify: the requester does not hold the key, or the request was changed.
    #[error("certification request: signature by the requested key does not verify")]
    BadSignature,
}

/// Makes a request for a certificate with these names, signed by `key`. The subject is empty: it is the issuer's.
///
/// # Errors
/// [`NfKeyError::Backend`] if signing fails.
pub fn create(key: &NfKey, instance_id: Uuid, fqdns: &[String]) -> Result<Vec<u8>, NfKeyError> {
    let extensions = der::element(
        der::SEQUENCE,
        &[&AltNames::extension_der(instance_id, fqdns)],
    );
    let request = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OID, &[oid::EXTENSION_REQUEST]),
            &der::element(der::SET, &[&extensions]),
        ],
    );
    let attributes = der::element(der::context(0), &[&request]);
    let info = der::element(
        der::SEQUENCE,
        &[&VERSION, &EMPTY_NAME, key.spki_der(), &attributes],
    );
    let signature = key.sign(&info)?;
    Ok(der::element(
        der::SEQUENCE,
        &[
            &info,
            &key.algorithm().signature_algorithm_identifier(),
            &der::bit_string(&signature),
        ],
    ))
}

/// A request whose signature by the requested key has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    /// The key to certify: DER SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// The NF instance that the request names, if any: a wish, not a proof.
    pub instance_id: Option<Uuid>,
    /// The FQDNs that the request names: a wish, not a proof.
    pub fqdns: Vec<String>,
    /// The NF types that the request names: a wish, not a proof.
    pub nf_types: Vec<String>,
    /// What it asks for that no NF's certificate has.
    pub privileges: Vec<Privilege>,
}

/// Something that only other certificates than those of NFs allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// To be a CA: basicConstraints with cA, or a keyUsage of CAs.
    Authority {
        /// The extension that asks for it.
        member: &'static str,
        /// The member of its value.
        usage: &'static str,
    },
    /// A purpose other than client and server authentication in TLS.
    Purpose(String),
}

impl Privilege {
    /// The extension that asks for it, by its name in RFC 5280.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::Authority { member, .. } => member,
            Self::Purpose(_) => "extKeyUsage",
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority { usage, .. } => write!(f, "{usage} is for CAs, not for NFs"),
            Self::Purpose(purpose) => {
                write!(f, "{purpose} is not among clientAuth and serverAuth")
            }
        }
    }
}

impl Csr {
    /// What is asked for with a key whose possession was proven in another way than by a PKCS#10 request: `extensions` are the
    /// contents of the wished `Extensions`, empty if there are none.
    ///
    /// # Errors
    /// The key is none of the six algorithms', or the extensions cannot be read.
    pub fn of_proven_key(spki_der: &[u8], extensions: &[u8]) -> Result<Self, CsrError> {
        let key = PublicKey::from_spki(spki_der).map_err(CsrError::PublicKey)?;
        Ok(Self::new(
            spki_der,
            key.algorithm(),
            Wishes::read(extensions)?,
        ))
    }

    fn new(spki_der: &[u8], algorithm: KeyAlgorithm, wishes: Wishes) -> Self {
        let Wishes {
            names: AltNames { instance_id, fqdns },
            nf_types,
            privileges,
        } = wishes;
        Self {
            spki_der: spki_der.to_vec(),
            algorithm,
            instance_id,
            fqdns,
            nf_types,
            privileges,
        }
    }

    /// Reads a DER request and verifies the proof of possession. Attributes and requested extensions that ask neither for a name
    /// nor for a privilege are passed over, and so is the subject.
    ///
    /// # Errors
    /// Every rule has its variant in [`CsrError`].
    pub fn parse_and_verify(request: &[u8]) -> Result<Self, CsrError> {
        if request.len() > MAX_CSR {
            return Err(CsrError::TooLong(request.len()));
        }
        let contents =
            der::only(request, der::SEQUENCE).map_err(in_field("CertificationRequest"))?;
        let mut reader = Reader::new(contents);
        let info = reader
            .expect(der::SEQUENCE)
            .map_err(in_field("certificationRequestInfo"))?;
        let signature_identifier = reader
            .expect(der::SEQUENCE)
            .map_err(in_field("signatureAlgorithm"))?
            .whole;
        let signature = reader
            .contents(der::BIT_STRING)
            .map_err(in_field("signature"))?;
        let signature = der::whole_octets(signature).map_err(in_field("signature"))?;
        reader.finish().map_err(in_field("CertificationRequest"))?;

        let RequestInfo { spki_der, wishes } = RequestInfo::parse(info.contents)?;
        let key = PublicKey::from_spki(spki_der).map_err(CsrError::PublicKey)?;
        let algorithm = key.algorithm();
        if signature_identifier != algorithm.signature_algorithm_identifier() {
            return Err(CsrError::SignatureAlgorithm(algorithm));
        }
        if !key.verifies(info.whole, signature) {
            return Err(CsrError::BadSignature);
        }
        Ok(Self::new(spki_der, algorithm, wishes))
    }
}

struct RequestInfo<'a> {
    spki_der: &'a [u8],
    wishes: Wishes,
}

impl<'a> RequestInfo<'a> {
    fn parse(contents: &'a [u8]) -> Result<Self, CsrError> {
        let mut info = Reader::new(contents);
        if info
            .expect(der::INTEGER)
            .map_err(in_field("version"))?
            .whole
            != VERSION
        {
            return Err(CsrError::Version);
        }
        info.expect(der::SEQUENCE).map_err(in_field("subject"))?;
        let spki_der = info
            .expect(der::SEQUENCE)
            .map_err(in_field("subjectPKInfo"))?
            .whole;
        let attributes = info
            .contents(der::context(0))
            .map_err(in_field("attributes"))?;
        info.finish()
            .map_err(in_field("certificationRequestInfo"))?;
        let extensions = requested_extensions(attributes)?;
        let wishes = Wishes::read(extensions.unwrap_or_default())?;
        Ok(Self { spki_der, wishes })
    }
}

/// The contents of `Extensions` in the extensionRequest attribute, if there is one.
fn requested_extensions(attributes: &[u8]) -> Result<Option<&[u8]>, CsrError> {
    let malformed = in_field("attributes");
    let mut attributes = Reader::new(attributes);
    let mut found = None;
    while !attributes.is_empty() {
        let mut attribute = Reader::new(attributes.contents(der::SEQUENCE).map_err(&malformed)?);
        let oid = attribute.contents(der::OID).map_err(&malformed)?;
        let values = attribute.contents(der::SET).map_err(&malformed)?;
        attribute.finish().map_err(&malformed)?;
        if oid != oid::EXTENSION_REQUEST {
            continue;
        }
        let extensions = der::only(values, der::SEQUENCE).map_err(in_field("extensionRequest"))?;
        if found.replace(extensions).is_some() {
            return Err(CsrError::Duplicate("extensionRequest"));
        }
    }
    Ok(found)
}

/// What the wished extensions ask for.
#[derive(Default)]
struct Wishes {
    names: AltNames,
    nf_types: Vec<String>,
    privileges: Vec<Privilege>,
}

impl Wishes {
    /// Reads the contents of `Extensions`.
    fn read(extensions: &[u8]) -> Result<Self, CsrError> {
        let malformed = in_field("extensionRequest");
        let mut extensions = Reader::new(extensions);
        let (mut names, mut nf_types, mut privileges) = (None, None, Vec::new());
        while !extensions.is_empty() {
            let Extension { oid, value, .. } =
                Extension::read(&mut extensions).map_err(&malformed)?;
            match oid {
                oid::SUBJECT_ALT_NAME => {
                    once(&mut names, AltNames::parse(value)?, "subjectAltName")?;
                }
                oid::NF_TYPES => once(&mut nf_types, nf_types::parse(value)?, "nfTypes")?,
                oid::BASIC_CONSTRAINTS => {
                    let authority = Privilege::Authority {
                        member: "basicConstraints",
                        usage: "cA",
                    };
                    let is_ca = is_ca(value).map_err(&malformed)?;
                    privileges.extend(is_ca.then_some(authority));
                }
                oid::KEY_USAGE => {
                    let usages = key_usages(value).map_err(&malformed)?;
                    let of_authorities =
                        usages.into_iter().filter(|usage| CA_USAGES.contains(usage));
                    privileges.extend(of_authorities.map(|usage| Privilege::Authority {
                        member: "keyUsage",
                        usage,
                    }));
                }
                oid::EXT_KEY_USAGE => {
                    privileges.extend(other_purposes(value).map_err(&malformed)?);
                }
                _ => {}
            }
        }
        Ok(Self {
            names: names.unwrap_or_default(),
            nf_types: nf_types.unwrap_or_default(),
            privileges,
        })
    }
}

/// Takes what may be there once.
fn once<T>(place: &mut Option<T>, value: T, extension: &'static str) -> Result<(), CsrError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CsrError::Duplicate(extension)),
    }
}

/// Purposes other than those of NFs in the value of an extKeyUsage extension.
fn other_purposes(value: &[u8]) -> Result<Vec<Privilege>, DerError> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut others = Vec::new();
    while !list.is_empty() {
        let purpose = list.contents(der::OID)?;
        if ![oid::CLIENT_AUTH, oid::SERVER_AUTH].contains(&purpose) {
            others.push(Privilege::Purpose(oid::name(purpose)));
        }
    }
    Ok(others)
}

fn in_field(field: &'static str) -> impl Fn(DerError) -> CsrError {
    move |source| CsrError::Malformed { field, source }
}

#[cfg(test)]
mod tests {
    use mtc_core::x509::extension;

    use super::*;

    const INSTANCE: Uuid = Uuid::from_u128(0x5b1d_0000_0000_4000_8000_0000_0000_0001);

    fn fqdns() -> Vec<String> {
        vec!["amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned()]
    }

    fn request(algorithm: KeyAlgorithm) -> (NfKey, Vec<u8>) {
        let key = NfKey::generate(algorithm).expect("key generation works");
        let request = create(&key, INSTANCE, &fqdns()).expect("signing works");
        (key, request)
    }

    #[test]
    fn what_is_created_verifies_for_every_algorithm() {
        for algorithm in KeyAlgorithm::ALL {
            let (key, request) = request(algorithm);
            let csr = Csr::parse_and_verify(&request).unwrap();
            assert_eq!(
                csr,
                Csr {
                    spki_der: key.spki_der().to_vec(),
                    algorithm,
                    instance_id: Some(INSTANCE),
                    fqdns: fqdns(),
                    nf_types: Vec::new(),
                    privileges: Vec::new()
                }
            );
        }
    }

    #[test]
    fn reads_what_rcgen_writes() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let request = rcgen::CertificateParams::new(fqdns())
            .unwrap()
            .serialize_request(&key)
            .unwrap();
        let csr = Csr::parse_and_verify(request.der()).unwrap();
        assert_eq!(
            (csr.algorithm, csr.instance_id),
            (KeyAlgorithm::EcdsaP256, None)
        );
        assert_eq!(csr.fqdns, fqdns());
    }

    #[test]
    fn rejects_a_signature_by_another_key() {
        let (_, ours) = request(KeyAlgorithm::Ed25519);
        let (_, theirs) = request(KeyAlgorithm::Ed25519);
        let signature = 64;
        let mut spliced = ours[..ours.len() - signature].to_vec();
        spliced.extend_from_slice(&theirs[theirs.len() - signature..]);
        assert_eq!(Csr::parse_and_verify(&spliced), Err(CsrError::BadSignature));
    }

    #[test]
    fn rejects_every_changed_byte_and_every_truncation() {
        let (_, request) = request(KeyAlgorithm::EcdsaP256);
        for position in 0..request.len() {
            let mut damaged = request.clone();
            damaged[position] ^= 1;
            assert!(
                Csr::parse_and_verify(&damaged).is_err(),
                "changed at {position}"
            );
            assert!(
                Csr::parse_and_verify(&request[..position]).is_err(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn rejects_trailing_bytes_and_too_many() {
        let (_, mut request) = request(KeyAlgorithm::Ed25519);
        request.push(0);
        assert_eq!(
            Csr::parse_and_verify(&request),
            Err(CsrError::Malformed {
                field: "CertificationRequest",
                source: DerError::TrailingBytes(1)
            })
        );
        assert_eq!(
            Csr::parse_and_verify(&vec![0; MAX_CSR + 1]),
            Err(CsrError::TooLong(MAX_CSR + 1))
        );
    }

    #[test]
    fn rejects_keys_and_signatures_of_unknown_algorithms() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let request = rcgen::CertificateParams::new(fqdns())
            .unwrap()
            .serialize_request(&key)
            .unwrap();
        assert_eq!(
            Csr::parse_and_verify(request.der()),
            Err(CsrError::PublicKey(cosign::KeyError::UnsupportedAlgorithm))
        );

        let (_, request) = self::request(KeyAlgorithm::Ed25519);
        let identifier = KeyAlgorithm::Ed25519.signature_algorithm_identifier();
        let last = request
            .windows(identifier.len())
            .rposition(|window| window == identifier)
            .unwrap();
        let mut renamed = request;
        renamed[last + identifier.len() - 1] ^= 1;
        assert_eq!(
            Csr::parse_and_verify(&renamed),
            Err(CsrError::SignatureAlgorithm(KeyAlgorithm::Ed25519))
        );
    }

    #[test]
    fn tells_what_no_nf_may_have() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut wish = rcgen::CertificateParams::new(fqdns()).unwrap();
        wish.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        wish.key_usages = vec![
            rcgen::KeyUsagePurpose::DigitalSignature,
            rcgen::KeyUsagePurpose::KeyCertSign,
        ];
        wish.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
            rcgen::ExtendedKeyUsagePurpose::CodeSigning,
        ];
        let request = wish.serialize_request(&key).unwrap();
        let csr = Csr::parse_and_verify(request.der()).unwrap();
        let told: Vec<_> = csr
            .privileges
            .iter()
            .map(|privilege| format!("{}: {privilege}", privilege.member()))
            .collect();
        let purpose = "extKeyUsage: codeSigning is not among clientAuth and serverAuth";
        let mut expected = [
            "basicConstraints: cA is for CAs, not for NFs",
            "keyUsage: keyCertSign is for CAs, not for NFs",
            purpose,
        ];
        expected.sort_unstable();
        let mut told: Vec<_> = told.iter().map(String::as_str).collect();
        told.sort_unstable();
        assert_eq!(told, expected);
    }

    #[test]
    fn rejects_two_instance_ids() {
        let key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let names = AltNames::extension_der(INSTANCE, &[]);
        let doubled = {
            let mut reader = Reader::new(&names);
            let Extension {
                oid,
                critical,
                value,
            } = Extension::read(&mut reader).unwrap();
            let name = der::only(value, der::SEQUENCE).unwrap();
            let value = der::element(der::SEQUENCE, &[name, name]);
            extension(oid, critical, &value)
        };
        let request = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::OID, &[oid::EXTENSION_REQUEST]),
                &der::element(der::SET, &[&der::element(der::SEQUENCE, &[&doubled])]),
            ],
        );
        let info = der::element(
            der::SEQUENCE,
            &[
                &VERSION,
                &EMPTY_NAME,
                key.spki_der(),
                &der::element(der::context(0), &[&request]),
            ],
        );
        let signature = der::bit_string(&key.sign(&info).unwrap());
        let request = der::element(
            der::SEQUENCE,
            &[
                &info,
                &key.algorithm().signature_algorithm_identifier(),
                &signature,
            ],
        );
        assert_eq!(
            Csr::parse_and_verify(&request),
            Err(CsrError::AltNames(AltNamesError::SeveralInstanceIds))
        );
    }
}
