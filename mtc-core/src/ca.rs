//! The CA certificate (Section 5.5): how relying parties are told of an MTCA. Unsigned (RFC 9925).
//!
//! ```text
//! subject     the CA's trust anchor name        SPKI   the CA cosigner's key
//! issuer      one RDN, id-rdna-unsigned, ""     signatureAlgorithm  id-alg-unsigned, empty signature
//! extensions  keyUsage keyCertSign, basicConstraints cA TRUE, and critical
//!             id-pe-mtcCertificationAuthority-SHA256 = SEQUENCE { sigAlg, minSerial INTEGER, maxSerial INTEGER }
//! ```

use std::collections::BTreeSet;

use thiserror::Error;

use crate::cosign::{Cosigner, KeyError, PublicKey};
use crate::der::{self, DerError};
use crate::id::{IdError, TrustAnchorId};
use crate::oid;
use crate::time::UnixTime;
use crate::x509::{self, Extension, extension};

const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
/// `id-alg-unsigned`, 1.3.6.1.5.5.7.6.36.
const UNSIGNED_ALGORITHM: &[u8] = &[0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 6, 36];
/// One RDN of `id-rdna-unsigned`, 1.3.6.1.5.5.7.25.1, with an empty UTF8String.
const UNSIGNED_NAME: &[u8] = &[
    0x30, 0x10, 0x31, 0x0e, 0x30, 0x0c, 6, 8, 0x2b, 6, 1, 5, 5, 7, 25, 1, 0x0c, 0,
];
const TRUE: &[u8] = &[der::BOOLEAN, 1, 0xff];
/// KeyUsage bit 5, keyCertSign, in its first octet.
const KEY_CERT_SIGN: u8 = 0x04;

/// Why bytes are not a CA certificate that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaError {
    /// It is PEM text around what is wanted.
    #[error("this is PEM; DER is wanted: decode the base64 between its BEGIN and END lines first")]
    Pem,
    /// The certificate's ASN.1 is malformed.
    #[error("malformed CA certificate")]
    Der(#[from] DerError),
    /// The subject is not a trust anchor name.
    #[error("the subject of the CA certificate")]
    Subject(#[from] IdError),
    /// The key is not a cosigner's.
    #[error("the key of the CA certificate")]
    Key(#[from] KeyError),
    /// A field or extension is missing or has a value that Section 5.5 does not allow.
    #[error("CA certificate: {0}")]
    Profile(&'static str),
}

/// What a CA certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    /// The CA cosigner: the CA's ID and key.
    pub cosigner: Cosigner,
    /// The lowest serial number that relying parties accept.
    pub min_serial: u64,
    /// The highest serial number that relying parties accept.
    pub max_serial: u64,
    /// Where the CA's logs are served.
    pub prefix_url: Option<String>,
}

impl CaCertificate {
    /// Encodes an unsigned certificate of this CA.
    pub fn to_der(&self, not_before: UnixTime, not_after: UnixTime) -> Vec<u8> {
        let validity = der::element(der::SEQUENCE, &[&not_before.to_der(), &not_after.to_der()]);
        let tbs = der::element(
            der::SEQUENCE,
            &[
                VERSION_3,
                &der::unsigned_integer(1),
                UNSIGNED_ALGORITHM,
                UNSIGNED_NAME,
                &validity,
                &self.cosigner.id.to_name(),
                &self.cosigner.key.to_spki(),
                &der::element(
                    der::context(3),
                    &[&der::element(der::SEQUENCE, &[&self.extensions()])],
                ),
            ],
        );
        der::element(
            der::SEQUENCE,
            &[&tbs, UNSIGNED_ALGORITHM, &der::bit_string(&[])],
        )
    }

    fn extensions(&self) -> Vec<u8> {
        let key_usage = der::element(der::BIT_STRING, &[&[2, KEY_CERT_SIGN]]);
        let mtc_ca = der::element(
            der::SEQUENCE,
            &[
                &self
                    .cosigner
                    .key
                    .algorithm()
                    .signature_algorithm_identifier(),
                &der::unsigned_integer(self.min_serial),
                &der::unsigned_integer(self.max_serial),
            ],
        );
        let mut extensions = extension(oid::KEY_USAGE, true, &key_usage);
        extensions.extend(extension(
            oid::BASIC_CONSTRAINTS,
            true,
            &der::element(der::SEQUENCE, &[TRUE]),
        ));
        extensions.extend(extension(oid::MTC_CA, true, &mtc_ca));
        if let Some(url) = &self.prefix_url {
            extensions.extend(extension(
                oid::TLOG_PREFIX_URL,
                false,
                &der::element(der::IA5_STRING, &[url.as_bytes()]),
            ));
        }
        extensions
    }

    /// Reads a CA certificate in DER.
    ///
    /// # Errors
    /// PEM, malformed, signed, or not of the profile of Section 5.5.
    pub fn parse(der: &[u8]) -> Result<Self, CaError> {
        if der.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(CaError::Pem);
        }
        let mut fields = der::Reader::new(der::only(der, der::SEQUENCE)?);
        let tbs = fields.contents(der::SEQUENCE)?;
        let algorithm = fields.expect(der::SEQUENCE)?.whole;
        let signature = der::whole_octets(fields.contents(der::BIT_STRING)?)?;
        fields.finish()?;
        if algorithm != UNSIGNED_ALGORITHM || !signature.is_empty() {
            return Err(CaError::Profile("not unsigned as in RFC 9925"));
        }
        let mut tbs = der::Reader::new(tbs);
        if tbs.expect(der::context(0))?.whole != VERSION_3 {
            return Err(CaError::Profile("not version 3"));
        }
        tbs.expect(der::INTEGER)?;
        if tbs.expect(der::SEQUENCE)?.whole != UNSIGNED_ALGORITHM {
            return Err(CaError::Profile(
                "inner and outer signature algorithms differ",
            ));
        }
        tbs.expect(der::SEQUENCE)?; // issuer: nobody
        tbs.expect(der::SEQUENCE)?; // validity: whoever configures the CA decides
        let id = TrustAnchorId::from_name(tbs.expect(der::SEQUENCE)?.whole)?;
        let key = PublicKey::from_spki(tbs.expect(der::SEQUENCE)?.whole)?;
        let extensions = der::only(tbs.contents(der::context(3))?, der::SEQUENCE)?;
        tbs.finish()?;
        Self::from_extensions(Cosigner { id, key }, extensions)
    }

    fn from_extensions(cosigner: Cosigner, extensions: &[u8]) -> Result<Self, CaError> {
        let mut list = der::Reader::new(extensions);
        let (mut is_ca, mut signs_certificates, mut serials, mut prefix_url) =
            (false, false, None, None);
        let mut seen = BTreeSet::new();
        while !list.is_empty() {
            let Extension {
                oid,
                critical,
                value,
            } = Extension::read(&mut list)?;
            if !seen.insert(oid) {
                return Err(CaError::Profile("an extension occurs twice"));
            }
            match oid {
                oid::BASIC_CONSTRAINTS => is_ca = x509::is_ca(value)?,
                oid::KEY_USAGE => {
                    signs_certificates = matches!(der::only(value, der::BIT_STRING)?, [0..=7, bits, ..] if bits & KEY_CERT_SIGN != 0);
                }
                oid::MTC_CA if critical => serials = Some(Self::parse_serials(value, &cosigner)?),
                oid::TLOG_PREFIX_URL => {
                    let url = der::only(value, der::IA5_STRING)?;
                    prefix_url = std::str::from_utf8(url)
                        .ok()
                        .filter(|url| url.is_ascii())
                        .map(str::to_owned);
                }
                _ if critical => return Err(CaError::Profile("unknown critical extension")),
                _ => {}
            }
        }
        if !is_ca {
            return Err(CaError::Profile("basicConstraints lacks cA"));
        }
        if !signs_certificates {
            return Err(CaError::Profile("keyUsage lacks keyCertSign"));
        }
        let (min_serial, max_serial) = serials.ok_or(CaError::Profile(
            "no critical id-pe-mtcCertificationAuthority-SHA256",
        ))?;
        Ok(Self {
            cosigner,
            min_serial,
            max_serial,
            prefix_url,
        })
    }

    fn parse_serials(value: &[u8], cosigner: &Cosigner) -> Result<(u64, u64), CaError> {
        let mut fields = der::Reader::new(der::only(value, der::SEQUENCE)?);
        if fields.expect(der::SEQUENCE)?.whole
            != cosigner.key.algorithm().signature_algorithm_identifier()
        {
            return Err(CaError::Profile("sigAlg is not the algorithm of the key"));
        }
        let min_serial = der::unsigned(fields.contents(der::INTEGER)?)?;
        let max_serial = der::unsigned(fields.contents(der::INTEGER)?)?;
        fields.finish()?;
        if min_serial > max_serial {
            return Err(CaError::Profile("minSerial exceeds maxSerial"));
        }
        Ok((min_serial, max_serial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::{SecretKey, SignatureAlgorithm};

    fn certificate() -> CaCertificate {
        let key = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        CaCertificate {
            cosigner: Cosigner {
                id: "32473.1".parse().expect("an ID"),
                key: key.public_key().expect("a key"),
            },
            min_serial: 1 << 48,
            max_serial: u64::MAX,
            prefix_url: Some("http://127.0.0.1:8080".to_owned()),
        }
    }

    #[test]
    fn ca_certificates_round_trip() {
        let certificate = certificate();
        assert_eq!(
            CaCertificate::parse(&certificate.to_der(UnixTime(0), UnixTime(1))),
            Ok(certificate)
        );
    }

    #[test]
    fn pem_is_told_that_der_is_wanted() {
        let pem = b"\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert_eq!(CaCertificate::parse(pem), Err(CaError::Pem));
    }

    #[test]
    fn no_damaged_byte_outside_ignored_fields_goes_unnoticed() {
        let original = certificate();
        let der = original.to_der(UnixTime(0), UnixTime(1));
        let mut unnoticed = 0;
        for position in 0..der.len() {
            let mut damaged = der.clone();
            damaged[position] ^= 1;
            unnoticed += usize::from(CaCertificate::parse(&damaged) == Ok(original.clone()));
        }
        // Serial number, issuer, validity, path length and unused bits say nothing to a relying party.
        assert!(unnoticed < 64, "{unnoticed}");
    }

    /// [`certificate`] with other extensions.
    fn with_extensions(extensions: &[u8]) -> Vec<u8> {
        let der = certificate().to_der(UnixTime(0), UnixTime(1));
        let mut fields = der::Reader::new(der::only(&der, der::SEQUENCE).expect("our own"));
        let mut tbs = der::Reader::new(fields.contents(der::SEQUENCE).expect("our own"));
        let mut kept = Vec::new();
        while tbs.peek_tag() != Some(der::context(3)) {
            kept.extend_from_slice(tbs.element().expect("our own").whole);
        }
        let extensions = der::element(der::SEQUENCE, &[extensions]);
        kept.extend(der::element(der::context(3), &[&extensions]));
        let tbs = der::element(der::SEQUENCE, &[&kept]);
        der::element(der::SEQUENCE, &[&tbs, fields.rest()])
    }

    #[test]
    fn an_extension_that_occurs_twice_is_rejected() {
        let extensions = certificate().extensions();
        assert!(CaCertificate::parse(&with_extensions(&extensions)).is_ok());
        let key_usage = extension(
            oid::KEY_USAGE,
            true,
            &[der::BIT_STRING, 2, 2, KEY_CERT_SIGN],
        );
        let twice = [extensions, key_usage].concat();
        assert_eq!(
            CaCertificate::parse(&with_extensions(&twice)),
            Err(CaError::Profile("an extension occurs twice"))
        );
    }

    #[test]
    fn an_inverted_serial_range_is_rejected() {
        let certificate = CaCertificate {
            min_serial: 9,
            max_serial: 8,
            ..certificate()
        };
        let der = certificate.to_der(UnixTime(0), UnixTime(1));
        assert_eq!(
            CaCertificate::parse(&der),
            Err(CaError::Profile("minSerial exceeds maxSerial"))
        );
    }
}
