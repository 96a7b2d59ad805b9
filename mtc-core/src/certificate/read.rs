//! Reading certificates in place (Sections 6.2 and 7.2).

use super::{CertificateError, MTC_PROOF_ALGORITHM, VERSION_3};
use crate::der;
use crate::entry::{self, EntryBody, EntryParts, MtcLogEntry};
use crate::id::{self, EntryIndex, IdError, LogNumber, TrustAnchorId};
use crate::oid;
use crate::tree::{HASH_SIZE, Hash, Subtree};
use crate::wire::Reader;

/// An MTCProof as it stands in a certificate, well formed throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedProof<'a> {
    /// Entry extensions, without the length prefix.
    pub(crate) extensions: &'a [u8],
    /// The subtree in which inclusion is proven.
    pub subtree: Subtree,
    /// The inclusion proof, leaf's sibling first.
    pub inclusion_proof: &'a [Hash],
    signatures: &'a [u8],
}

impl<'a> ParsedProof<'a> {
    /// Reads a proof strictly.
    ///
    /// # Errors
    /// Anything but the one encoding that Section 6.2 gives.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CertificateError> {
        let mut reader = Reader::new(bytes);
        let extensions = reader.vector(2)?;
        let (start, end) = (reader.uint48()?, reader.uint48()?);
        let hashes = reader.vector(2)?;
        let signatures = reader.vector(3)?;
        reader.finish()?;
        entry::check_extensions(extensions)?;
        let (inclusion_proof, rest) = hashes.as_chunks::<HASH_SIZE>();
        if !rest.is_empty() {
            return Err(CertificateError::HashLength(hashes.len()));
        }
        let mut previous = None;
        let mut reader = Reader::new(signatures);
        while !reader.is_empty() {
            let (cosigner, _) = read_cosignature(&mut reader)?;
            if previous.is_some_and(|previous| previous >= cosigner) {
                return Err(CertificateError::CosignerOrder(cosigner));
            }
            previous = Some(cosigner);
        }
        Ok(Self {
            extensions,
            subtree: Subtree::new(start, end)?,
            inclusion_proof,
            signatures,
        })
    }

    /// The cosignatures: who, and the bare signature.
    pub fn signatures(&self) -> impl Iterator<Item = (TrustAnchorId, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.signatures);
        core::iter::from_fn(move || read_cosignature(&mut reader).ok())
    }

    /// The entry extensions: their types, and what they hold.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.extensions);
        core::iter::from_fn(move || Some((reader.uint16().ok()?, reader.vector(2).ok()?)))
    }

    /// Whether there are no cosignatures, as in a landmark-relative certificate.
    pub const fn is_unsigned(&self) -> bool {
        self.signatures.is_empty()
    }
}

fn read_cosignature<'a>(
    reader: &mut Reader<'a>,
) -> Result<(TrustAnchorId, &'a [u8]), CertificateError> {
    let cosigner = TrustAnchorId::from_bytes(reader.vector(1)?)?;
    Ok((cosigner, reader.vector(2)?))
}

/// A Merkle Tree Certificate, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// The serial number, positive.
    pub serial: u64,
    /// Contents octets of the serial number, by which revocation goes.
    pub serial_octets: &'a [u8],
    /// DER of the issuer's name.
    pub issuer: &'a [u8],
    /// Contents octets of the validity, which nothing here looks into.
    pub validity: &'a [u8],
    /// DER of the SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// DER of `Extensions`, the SEQUENCE, if there are any; nothing here looks into them.
    pub extensions: Option<&'a [u8]>,
    /// The proof.
    pub proof: ParsedProof<'a>,
    pub(super) tbs_der: &'a [u8],
    pub(super) entry_parts: EntryParts<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Not DER, not an MTC, a malformed proof, or an entry that no log can hold.
    #[inline]
    pub fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut fields = der::Reader::new(der::only(der, der::SEQUENCE)?);
        let tbs = fields.expect(der::SEQUENCE)?;
        read_algorithm(&mut fields)?;
        let proof = der::whole_octets(fields.contents(der::BIT_STRING)?)?;
        fields.finish()?;
        let TbsCertificate {
            serial,
            serial_octets,
            issuer,
            validity,
            extensions,
            entry_parts,
        } = TbsCertificate::parse(tbs.contents)?;
        let proof = ParsedProof::parse(proof)?;
        entry_parts.check_length(proof.extensions)?;
        Ok(Self {
            serial,
            serial_octets,
            issuer,
            validity,
            spki: entry_parts.spki,
            extensions,
            proof,
            tbs_der: tbs.whole,
            entry_parts,
        })
    }

    /// The log number and entry index that the serial number says.
    ///
    /// # Errors
    /// The log number is 0.
    pub fn entry(&self) -> Result<(LogNumber, EntryIndex), IdError> {
        id::split_serial(self.serial)
    }

    /// Whether it has no cosignature of its CA, which every policy requires: nothing but a trusted subtree can make it acceptable.
    /// Cosignatures of others say nothing: a later draft lets landmark-relative certificates carry some that nobody knows (GREASE).
    pub fn is_landmark_relative(&self) -> bool {
        if self.proof.is_unsigned() {
            return true;
        }
        let Ok(ca) = TrustAnchorId::from_name(self.issuer) else {
            return true;
        };
        !self.proof.signatures().any(|(cosigner, _)| cosigner == ca)
    }

    /// The leaf hash of the log entry that this certificate states.
    pub fn leaf_hash(&self) -> Hash {
        self.entry_parts.leaf_hash(self.proof.extensions)
    }

    /// The log entry that this certificate states.
    ///
    /// # Errors
    /// None for a certificate that was parsed; the extensions are checked then.
    pub fn log_entry(&self) -> Result<MtcLogEntry, CertificateError> {
        Ok(MtcLogEntry {
            extensions: entry::decode_extensions(self.proof.extensions)?,
            body: EntryBody::TbsCert(self.entry_parts.entry_contents()),
        })
    }
}

/// Whether a certificate of any kind says that it is an MTC: its signature algorithm is `id-alg-mtcProof`.
pub fn is_mtc(der: &[u8]) -> bool {
    let algorithm = || {
        let mut fields = der::Reader::new(der::only(der, der::SEQUENCE)?);
        fields.expect(der::SEQUENCE)?;
        fields.expect(der::SEQUENCE)
    };
    algorithm().is_ok_and(|algorithm| algorithm.whole == MTC_PROOF_ALGORITHM)
}

pub(super) struct TbsCertificate<'a> {
    serial: u64,
    serial_octets: &'a [u8],
    issuer: &'a [u8],
    validity: &'a [u8],
    extensions: Option<&'a [u8]>,
    pub(super) entry_parts: EntryParts<'a>,
}

impl<'a> TbsCertificate<'a> {
    #[inline]
    pub(super) fn parse(tbs_contents: &'a [u8]) -> Result<Self, CertificateError> {
        let mut fields = der::Reader::new(tbs_contents);
        let version = fields.rest().get(..VERSION_3.len()).unwrap_or_default();
        if !fields.known(VERSION_3) {
            fields.expect(der::context(0))?;
            return Err(CertificateError::Version);
        }
        let serial_octets = fields.contents(der::INTEGER)?;
        let serial = der::unsigned(serial_octets).map_err(|_| CertificateError::SerialRange)?;
        if serial == 0 {
            return Err(CertificateError::SerialRange);
        }
        read_algorithm(&mut fields)?;
        let before_issuer = fields.rest();
        let issuer = fields.expect(der::SEQUENCE)?.whole;
        let validity = fields.contents(der::SEQUENCE)?; // checked with the rest of X.509
        fields.expect(der::SEQUENCE)?; // subject: likewise
        let issuer_validity_subject = &before_issuer[..before_issuer.len() - fields.rest().len()];
        let spki = fields.expect(der::SEQUENCE)?;
        let key_algorithm = der::Reader::new(spki.contents).expect(der::SEQUENCE)?.whole;
        let after_spki = fields.rest();
        fields.optional(der::context_primitive(1))?;
        fields.optional(der::context_primitive(2))?;
        let extensions = fields.optional(der::context(3))?;
        fields.finish()?;
        let entry_parts = EntryParts {
            version,
            issuer_validity_subject,
            key_algorithm,
            spki: spki.whole,
            after_spki,
        };
        Ok(Self {
            serial,
            serial_octets,
            issuer,
            validity,
            extensions: extensions.map(|extensions| extensions.contents),
            entry_parts,
        })
    }
}

#[inline]
fn read_algorithm(fields: &mut der::Reader<'_>) -> Result<(), CertificateError> {
    if fields.known(MTC_PROOF_ALGORITHM) {
        Ok(())
    } else {
        Err(other_algorithm(fields))
    }
}

/// What is wrong with an AlgorithmIdentifier that is not `id-alg-mtcProof`.
#[cold]
fn other_algorithm(fields: &mut der::Reader<'_>) -> CertificateError {
    let oid = fields
        .contents(der::SEQUENCE)
        .and_then(|contents| der::Reader::new(contents).contents(der::OID));
    match oid {
        Ok(oid) if oid.starts_with(oid::EXPERIMENTAL_ARC) => CertificateError::Experimental,
        Ok(_) => CertificateError::NotMtc,
        Err(malformed) => malformed.into(),
    }
}
