//! Making a new baseline CA: root, and the intermediates of its profile.

use aws_lc_rs::digest;
use mtc_core::der::{self, Reader};
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::extension;
use mtc_tls::key::{NfKey, NfKeyError, X509Profile};
use mtc_tls::pem;
use zeroize::Zeroizing;

use super::BaselineError;
use super::write::{Tbs, authority_key_identifier, random_serial};

/// `BIT STRING '000001'B`: keyCertSign.
const KEY_CERT_SIGN: [u8; 4] = [der::BIT_STRING, 2, 2, 0x04];
/// `BOOLEAN TRUE`
const TRUE: [u8; 3] = [der::BOOLEAN, 1, 0xff];

/// Key and certificate of one CA as PEM texts. Holds a secret, hence no `Debug`.
pub struct CaPem {
    /// PKCS#8 private key.
    pub key: Zeroizing<String>,
    /// Certificate.
    pub certificate: String,
}

/// A new baseline CA as PEM texts.
pub struct BaselinePem {
    /// The trust anchor, self-signed.
    pub root: CaPem,
    /// The intermediates of the profile, each issued by the CA before it, the first by the root.
    pub intermediates: Vec<CaPem>,
}

/// Makes the keys and certificates of a CA. All certificates have the same validity, inclusive at both ends.
///
/// # Errors
/// [`BaselineError::Key`] or [`BaselineError::NoRandomness`] if a key, signature or serial number fails.
pub fn create(
    profile: X509Profile,
    not_before: UnixTime,
    not_after: UnixTime,
) -> Result<BaselinePem, BaselineError> {
    let validity = (not_before, not_after);
    let mut cas = vec![Ca::generate(profile, ROOT)?];
    let mut certificates = vec![cas[0].certificate(&cas[0], None, validity)?];
    let count = profile.intermediates.count();
    for (name, below) in INTERMEDIATES.into_iter().zip((0..count).rev()) {
        let ca = Ca::generate(profile, name)?;
        let issuer = cas.last().expect("there is the root");
        certificates.push(issuer.certificate(&ca, Some(below), validity)?);
        cas.push(ca);
    }
    let mut texts = cas
        .into_iter()
        .zip(&certificates)
        .map(|(ca, certificate)| ca.into_pem(certificate))
        .collect::<Result<Vec<_>, _>>()?;
    let intermediates = texts.split_off(1);
    Ok(BaselinePem {
        root: texts.remove(0),
        intermediates,
    })
}

/// What the common names end in, the same however deep a chain is, so that chains differ by whole certificates.
const ROOT: &str = "root";
/// Those of the intermediates; the profile's own name says that they are intermediates.
const INTERMEDIATES: [&str; 2] = ["issuing CA 1", "issuing CA 2"];

struct Ca {
    profile: X509Profile,
    name: Vec<u8>,
    key: NfKey,
}

impl Ca {
    /// The name says no more than it must: a long one would add bytes to every baseline leaf and to every peer's hints.
    fn generate(profile: X509Profile, part: &str) -> Result<Self, BaselineError> {
        let key = NfKey::generate(profile.ca_signature)
            .map_err(|source| BaselineError::Key { profile, source })?;
        Ok(Self {
            profile,
            name: common_name(&format!("{profile} {part}")),
            key,
        })
    }

    /// A CA certificate for `subject`, signed by this CA; `below` is how many CAs may stand between it and a leaf, none
    /// for any number.
    fn certificate(
        &self,
        subject: &Self,
        below: Option<u8>,
        (not_before, not_after): (UnixTime, UnixTime),
    ) -> Result<Vec<u8>, BaselineError> {
        let profile = self.profile;
        let constraints = match below {
            None => der::element(der::SEQUENCE, &[&TRUE]),
            Some(below) => der::element(
                der::SEQUENCE,
                &[&TRUE, &der::unsigned_integer(below.into())],
            ),
        };
        let identifier = der::element(
            der::OCTET_STRING,
            &[&key_identifier(subject.key.spki_der())],
        );
        let tbs = Tbs {
            serial: random_serial().map_err(|_| BaselineError::NoRandomness(profile))?,
            issuer: &self.name,
            not_before,
            not_after,
            subject: &subject.name,
            spki: subject.key.spki_der(),
            extensions: &[
                &extension(oid::KEY_USAGE, true, &KEY_CERT_SIGN),
                &extension(oid::BASIC_CONSTRAINTS, true, &constraints),
                &extension(oid::SUBJECT_KEY_IDENTIFIER, false, &identifier),
                &authority_key_identifier(&key_identifier(self.key.spki_der())),
            ],
        };
        tbs.sign(&self.key)
            .map_err(|source| BaselineError::Key { profile, source })
    }

    fn into_pem(self, certificate: &[u8]) -> Result<CaPem, BaselineError> {
        let key = self
            .key
            .to_pem()
            .map_err(|source: NfKeyError| BaselineError::Key {
                profile: self.profile,
                source,
            })?;
        Ok(CaPem {
            key,
            certificate: pem::encode(pem::CERTIFICATE, certificate),
        })
    }
}

fn common_name(text: &str) -> Vec<u8> {
    let attribute = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OID, &[oid::COMMON_NAME]),
            &der::element(der::PRINTABLE_STRING, &[text.as_bytes()]),
        ],
    );
    der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])])
}

/// SHA-1 of the public key's bits, as TS 33.310 asks (RFC 5280 Section 4.2.1.2, method 1): a label, not a protection.
fn key_identifier(spki: &[u8]) -> Vec<u8> {
    let key_bits = der::only(spki, der::SEQUENCE)
        .and_then(|contents| {
            let mut fields = Reader::new(contents);
            fields.expect(der::SEQUENCE)?;
            der::whole_octets(fields.contents(der::BIT_STRING)?)
        })
        .expect("NfKey's SPKI is well-formed");
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key_bits)
        .as_ref()
        .to_vec()
}
