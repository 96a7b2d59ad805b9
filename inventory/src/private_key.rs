//! Private keys: which algorithm, which public key, and whether something protects them. The secret part is read past.
//!
//! ```text
//! PRIVATE KEY              PKCS#8       SEQUENCE { INTEGER, AlgorithmIdentifier, OCTET STRING }
//! ENCRYPTED PRIVATE KEY    PKCS#8       SEQUENCE { AlgorithmIdentifier of the encryption, OCTET STRING }
//! RSA PRIVATE KEY          RFC 8017     SEQUENCE { 0, n, e, ... }
//! EC PRIVATE KEY           RFC 5915     SEQUENCE { 1, OCTET STRING, [0] curve, [1] public key }
//! ```

use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid::{EC_PUBLIC_KEY, RSA_ENCRYPTION};

use crate::algorithm::Algorithm;
use crate::model::Protection;

/// Contents octets of NULL, with its tag.
const NULL: &[u8] = &[5, 0];

/// A private key that was found.
pub(crate) struct PrivateKey {
    /// Its algorithm; none where that is encrypted too.
    pub(crate) algorithm: Option<Algorithm>,
    /// DER of its public key, where that can be told.
    pub(crate) spki: Option<Vec<u8>>,
    /// What protects it within its file.
    pub(crate) protection: Protection,
}

impl PrivateKey {
    /// One of which nothing is known but what protects it.
    pub(crate) const fn sealed(protection: Protection) -> Self {
        Self {
            algorithm: None,
            spki: None,
            protection,
        }
    }

    /// One that is protected, but whose certificate lies beside it: the algorithm is that of the certificate's key.
    pub(crate) fn sealed_of(protection: Protection, spki: Option<&[u8]>) -> Self {
        Self {
            algorithm: spki.map(Algorithm::of_key),
            spki: spki.map(<[u8]>::to_vec),
            protection,
        }
    }

    /// Reads the DER of a key of any of the forms above; none if it is of no such form.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        Self::pkcs8(der)
            .or_else(|_| Self::encrypted(der))
            .or_else(|_| Self::sec1(der, None))
            .or_else(|_| Self::rsa(der))
            .ok()
    }

    fn open(spki: Option<Vec<u8>>, algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(spki.as_deref().map_or(algorithm, Algorithm::of_key)),
            spki,
            protection: Protection::None,
        }
    }

    fn pkcs8(der: &[u8]) -> Result<Self, DerError> {
        let mut fields = Reader::new(der::only(der, der::SEQUENCE)?);
        let version = der::unsigned(fields.contents(der::INTEGER)?)?;
        if version > 1 {
            return Err(DerError::InvalidValue("version"));
        }
        let identifier = fields.contents(der::SEQUENCE)?;
        let key = fields.contents(der::OCTET_STRING)?;
        let mut parts = Reader::new(identifier);
        let (oid, parameters) = (parts.contents(der::OID)?, parts.rest());
        let spki = match oid {
            RSA_ENCRYPTION => Self::rsa(key).ok().and_then(|key| key.spki),
            EC_PUBLIC_KEY => Self::sec1(key, Some(parameters))
                .ok()
                .and_then(|key| key.spki),
            _ => None,
        };
        let algorithm = Algorithm::of_identifier(identifier);
        let spki = spki.or_else(|| derived(&algorithm.name, der));
        Ok(Self::open(spki, algorithm))
    }

    fn encrypted(der: &[u8]) -> Result<Self, DerError> {
        let mut fields = Reader::new(der::only(der, der::SEQUENCE)?);
        Reader::new(fields.contents(der::SEQUENCE)?).contents(der::OID)?;
        fields.contents(der::OCTET_STRING)?;
        fields.finish()?;
        Ok(Self::sealed(Protection::Encrypted))
    }

    fn rsa(der: &[u8]) -> Result<Self, DerError> {
        let mut fields = Reader::new(der::only(der, der::SEQUENCE)?);
        let _version = fields.contents(der::INTEGER)?;
        let public = [
            fields.expect(der::INTEGER)?.whole,
            fields.expect(der::INTEGER)?.whole,
        ];
        // d, p, q, dP, dQ, qInv: what else begins with integers, a DSA key, has fewer.
        for _ in 0..6 {
            fields.contents(der::INTEGER)?;
        }
        let key = der::element(der::SEQUENCE, &[public[0], public[1]]);
        let spki = spki(&[&der::element(der::OID, &[RSA_ENCRYPTION]), NULL], &key);
        let algorithm = Algorithm::of_key(&spki);
        Ok(Self::open(Some(spki), algorithm))
    }

    /// `parameters` are those of the document around it, which may then leave out its own.
    fn sec1(der: &[u8], parameters: Option<&[u8]>) -> Result<Self, DerError> {
        let mut fields = Reader::new(der::only(der, der::SEQUENCE)?);
        if der::unsigned(fields.contents(der::INTEGER)?)? != 1 {
            return Err(DerError::InvalidValue("version"));
        }
        fields.contents(der::OCTET_STRING)?;
        let own = fields.optional(der::context(0))?.map(|own| own.contents);
        let public = fields.optional(der::context(1))?;
        let parameters = parameters.or(own).ok_or(DerError::Truncated)?;
        let identifier = [&der::element(der::OID, &[EC_PUBLIC_KEY]), parameters];
        let algorithm = Algorithm::of_identifier(&identifier.concat());
        let key = public
            .and_then(|public| der::only(public.contents, der::BIT_STRING).ok())
            .and_then(|bits| der::whole_octets(bits).ok());
        Ok(Self::open(key.map(|key| spki(&identifier, key)), algorithm))
    }
}

/// The public key that follows from a private one, where cryptography that is here can tell.
fn derived(name: &str, pkcs8: &[u8]) -> Option<Vec<u8>> {
    let algorithm: SignatureAlgorithm = name.parse().ok()?;
    let secret = SecretKey::from_pkcs8(algorithm, pkcs8).ok()?;
    Some(secret.public_key().ok()?.to_spki())
}

fn spki(identifier: &[&[u8]], key: &[u8]) -> Vec<u8> {
    der::element(
        der::SEQUENCE,
        &[
            &der::element(der::SEQUENCE, identifier),
            &der::bit_string(key),
        ],
    )
}
