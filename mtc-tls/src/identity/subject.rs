//! What an issuer puts into an NF's certificate: the same bytes for an MTC leaf and for an X.509 leaf.

use mtc_core::der;
use mtc_core::oid;
use mtc_core::x509::extension;
use uuid::Uuid;

use super::alt_names::{AltNames, MAX_FQDNS};
use super::nf_types::{self, MAX_NF_TYPE_LENGTH, MAX_NF_TYPES};

/// Longest domain name in text form (RFC 1035 Section 2.3.4).
const MAX_FQDN_LENGTH: usize = 253;
const MAX_LABEL_LENGTH: usize = 63;

/// Why an NF cannot be the subject of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// Not two upper-case letters.
    #[error("country {0:?} is not two upper-case letters")]
    Country(String),
    /// The organization is not a domain name.
    #[error("organization {0:?} is not a home domain such as 5gc.mnc001.mcc001.3gppnetwork.org")]
    Organization(String),
    /// No NF type, too many, or the same one twice.
    #[error("{0} NF types; a certificate has 1 to {MAX_NF_TYPES} different ones")]
    NfTypeCount(usize),
    /// Not 1 to 32 of the characters that TS 29.510 uses.
    #[error(
        "NF type {0:?} is not 1 to {MAX_NF_TYPE_LENGTH} upper-case letters, digits and underscores"
    )]
    NfType(String),
    /// No FQDN, or too many.
    #[error("{0} FQDNs; a certificate has 1 to {MAX_FQDNS}")]
    FqdnCount(usize),
    /// Not an FQDN by the rules of TS 29.571: a dot, LDH labels, the last one letters only.
    #[error(
        "{0:?} is not an FQDN: at least two labels of letters, digits and hyphens, the last one of 2 to 63 letters"
    )]
    Fqdn(String),
}

/// The checked subject of an NF certificate; what one can be made of is legal to issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfSubject {
    country: String,
    organization: String,
    instance_id: Uuid,
    nf_types: Vec<String>,
    fqdns: Vec<String>,
}

impl NfSubject {
    /// Checks every part; NF types are sorted as RFC 9310 asks, FQDNs keep their order.
    ///
    /// # Errors
    /// The first part that breaks its rule.
    pub fn new(
        country: &str,
        organization: &str,
        instance_id: Uuid,
        nf_types: &[String],
        fqdns: &[String],
    ) -> Result<Self, SubjectError> {
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(SubjectError::Country(country.to_owned()));
        }
        if !is_fqdn(organization) {
            return Err(SubjectError::Organization(organization.to_owned()));
        }
        if let Some(bad) = nf_types.iter().find(|nf_type| !is_nf_type(nf_type)) {
            return Err(SubjectError::NfType(bad.clone()));
        }
        let mut sorted = nf_types.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != nf_types.len() || !(1..=MAX_NF_TYPES).contains(&sorted.len()) {
            return Err(SubjectError::NfTypeCount(nf_types.len()));
        }
        if !(1..=MAX_FQDNS).contains(&fqdns.len()) {
            return Err(SubjectError::FqdnCount(fqdns.len()));
        }
        if let Some(bad) = fqdns.iter().find(|fqdn| !is_fqdn(fqdn)) {
            return Err(SubjectError::Fqdn(bad.clone()));
        }
        Ok(Self {
            country: country.to_owned(),
            organization: organization.to_owned(),
            instance_id,
            nf_types: sorted,
            fqdns: fqdns.to_vec(),
        })
    }

    /// The NF instance.
    pub const fn instance_id(&self) -> Uuid {
        self.instance_id
    }

    /// The NF types, sorted.
    pub fn nf_types(&self) -> &[String] {
        &self.nf_types
    }

    /// The FQDNs under which the NF serves.
    pub fn fqdns(&self) -> &[String] {
        &self.fqdns
    }

    /// DER of the subject Name: `C=<country>, O=<home domain>`.
    pub fn name_der(&self) -> Vec<u8> {
        let attribute = |oid: &[u8], value: &str| {
            let attribute = der::element(
                der::SEQUENCE,
                &[
                    &der::element(der::OID, &[oid]),
                    &der::element(der::PRINTABLE_STRING, &[value.as_bytes()]),
                ],
            );
            der::element(der::SET, &[&attribute])
        };
        der::element(
            der::SEQUENCE,
            &[
                &attribute(oid::COUNTRY_NAME, &self.country),
                &attribute(oid::ORGANIZATION_NAME, &self.organization),
            ],
        )
    }

    /// DER of `Extensions`, the SEQUENCE: keyUsage (critical), extKeyUsage, subjectAltName (critical), nfTypes.
    pub fn extensions_der(&self) -> Vec<u8> {
        let purposes = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::OID, &[oid::CLIENT_AUTH]),
                &der::element(der::OID, &[oid::SERVER_AUTH]),
            ],
        );
        der::element(
            der::SEQUENCE,
            &[
                &extension(oid::KEY_USAGE, true, &DIGITAL_SIGNATURE),
                &extension(oid::EXT_KEY_USAGE, false, &purposes),
                &AltNames::extension_der(self.instance_id, &self.fqdns),
                &nf_types::extension_der(&self.nf_types),
            ],
        )
    }
}

/// `BIT STRING '1'B`: seven unused bits, bit 0 set.
const DIGITAL_SIGNATURE: [u8; 4] = [der::BIT_STRING, 2, 7, 0x80];

fn is_nf_type(text: &str) -> bool {
    (1..=MAX_NF_TYPE_LENGTH).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_fqdn(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once('.') else {
        return false;
    };
    text.len() <= MAX_FQDN_LENGTH
        && text.split('.').all(is_label)
        && last.len() >= 2
        && last.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LENGTH).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
