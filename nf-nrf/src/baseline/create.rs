//! Making a new baseline CA: root, and the intermediates of its profile.

use mtc_core::der;
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::extension;
use mtc_tls::key::{NfKey, NfKeyError, X509Profile, X509Revocation};
use mtc_tls::pem;
use mtc_tls::revocation::crl::List;
use mtc_tls::revocation::ocsp::key_identifier;
use zeroize::Zeroizing;

use super::BaselineError;
use super::write::{Tbs, authority_key_identifier, random_serial};

/// `BIT STRING '000001'B`: keyCertSign.
const KEY_CERT_SIGN: [u8; 4] = [der::BIT_STRING, 2, 2, 0x04];
/// `BIT STRING '0000011'B`: cRLSign too.
const KEY_CERT_AND_CRL_SIGN: [u8; 4] = [der::BIT_STRING, 2, 1, 0x06];
/// `BIT STRING '1000011'B`: digitalSignature too, for OCSP responses.
const STATUS_SIGN: [u8; 4] = [der::BIT_STRING, 2, 1, 0x86];
/// `BOOLEAN TRUE`
const TRUE: [u8; 3] = [der::BOOLEAN, 1, 0xff];

/// Key and certificate of one CA as PEM texts. Holds a secret, hence no `Debug`.
pub struct CaPem {
    /// PKCS#8 private key.
    pub key: Zeroizing<String>,
    /// Certificate.
    pub certificate: String,
    /// The list of a CA above the issuer of leaves: that no CA is revoked, until the CAs end. The key of such a CA is where no NRF reads it,
    /// so it signs its list when it is made. None of the issuer of leaves, whose list the NRF signs, and none where nobody asks for lists.
    pub crl: Option<String>,
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
    let issuer = cas.len() - 1;
    let mut texts = Vec::with_capacity(cas.len());
    for ((level, ca), certificate) in cas.into_iter().enumerate().zip(&certificates) {
        let has_list = level < issuer && profile.revocation != X509Revocation::None;
        let crl = has_list.then(|| ca.first_list(validity)).transpose()?;
        texts.push(ca.into_pem(certificate, crl)?);
    }
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
    /// The name says no more than it must: a long one would add bytes to every baseline leaf and to every peer's hints. Those of profiles
    /// that differ in revocation differ in one character, so that it costs what it costs and not a longer name.
    fn generate(profile: X509Profile, part: &str) -> Result<Self, BaselineError> {
        let separator = match profile.revocation {
            X509Revocation::None => ' ',
            X509Revocation::Crl => '+',
            X509Revocation::OcspStapled => ':',
        };
        let chain = X509Profile {
            revocation: X509Revocation::None,
            ..profile
        };
        let key = NfKey::generate(profile.ca_signature)
            .map_err(|source| BaselineError::Key { profile, source })?;
        Ok(Self {
            profile,
            name: common_name(&format!("{chain}{separator}{part}")),
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
        let usage = match profile.revocation {
            X509Revocation::None => &KEY_CERT_SIGN,
            X509Revocation::Crl => &KEY_CERT_AND_CRL_SIGN,
            X509Revocation::OcspStapled => &STATUS_SIGN,
        };
        let identifier = der::element(der::OCTET_STRING, &[&identifier_of(&subject.key)]);
        let tbs = Tbs {
            serial: random_serial().map_err(|_| BaselineError::NoRandomness(profile))?,
            issuer: &self.name,
            not_before,
            not_after,
            subject: &subject.name,
            spki: subject.key.spki_der(),
            extensions: &[
                &extension(oid::KEY_USAGE, true, usage),
                &extension(oid::BASIC_CONSTRAINTS, true, &constraints),
                &extension(oid::SUBJECT_KEY_IDENTIFIER, false, &identifier),
                &authority_key_identifier(&identifier_of(&self.key)),
            ],
        };
        tbs.sign(&self.key)
            .map_err(|source| BaselineError::Key { profile, source })
    }

    /// That nothing is revoked, for as long as the CA is valid.
    fn first_list(
        &self,
        (not_before, not_after): (UnixTime, UnixTime),
    ) -> Result<Vec<u8>, BaselineError> {
        let list = List {
            issuer: &self.name,
            key_identifier: &identifier_of(&self.key),
            number: 1,
            this_update: not_before,
            next_update: not_after,
            revoked: &[],
        };
        list.sign(&self.key).map_err(|source| BaselineError::Key {
            profile: self.profile,
            source,
        })
    }

    fn into_pem(self, certificate: &[u8], crl: Option<Vec<u8>>) -> Result<CaPem, BaselineError> {
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
            crl: crl.map(|crl| pem::encode(pem::X509_CRL, &crl)),
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

/// As TS 33.310 asks for it.
fn identifier_of(key: &NfKey) -> [u8; 20] {
    key_identifier(key.spki_der()).expect("NfKey's SPKI is well-formed")
}
