//! Merkle Tree Certificates: building them from a logged entry and reading them in place (Section 6.2).
//!
//! ```text
//! Certificate
//!   tbsCertificate   version, serial = log number << 48 | index, id-alg-mtcProof, issuer = CA, validity, subject, SPKI, ...
//!   signatureAlgorithm = id-alg-mtcProof
//!   signatureValue = MTCProof
//!
//! struct { opaque cosigner_id<1..32>; opaque signature<0..2^16-1>; } Cosignature;
//! struct {
//!     MTCLogEntryExtension extensions<0..2^16-1>;
//!     uint48 start;
//!     uint48 end;
//!     opaque inclusion_proof<0..2^16-1>;        32-byte hashes
//!     Cosignature signatures<0..2^24-1>;        unique and ordered by cosigner_id
//! } MTCProof;
//! ```
//!
//! A *standalone* certificate carries cosignatures; a *landmark-relative* one carries none and proves inclusion in a
//! landmark's subtree.

use thiserror::Error;

use crate::cosign::Cosignature;
use crate::der::{self, DerError};
use crate::entry::{self, EntryBody, EntryError, EntryParts, MtcLogEntry};
use crate::id::{self, IdError, LogNumber, TrustAnchorId};
use crate::time::UnixTime;
use crate::tree::{HASH_SIZE, Hash, ProofError, Subtree};
use crate::wire::{self, Reader, WireError};

/// DER of the AlgorithmIdentifier `id-alg-mtcProof`, 1.3.6.1.5.5.7.6.67, without parameters.
const MTC_PROOF_ALGORITHM: &[u8] = &[0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 6, 67];
/// Contents octets of the arc 1.3.6.1.4.1.44363.47 of earlier experiments.
const EXPERIMENTAL_ARC: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0xda, 0x4b, 47];
/// DER of `[0] EXPLICIT Version` v3.
const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];

/// Why bytes are not a Merkle Tree Certificate, or one cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The certificate's ASN.1 is malformed.
    #[error("malformed certificate")]
    Der(#[from] DerError),
    /// The signature algorithm is another one.
    #[error("not a Merkle Tree Certificate: the signature algorithm is not id-alg-mtcProof")]
    NotMtc,
    /// The signature algorithm is one of the arc 1.3.6.1.4.1.44363.47.
    #[error(
        "a certificate of an early MTC experiment (arc 1.3.6.1.4.1.44363.47), which is not supported"
    )]
    Experimental,
    /// The version is not v3.
    #[error("certificate version is not v3")]
    Version,
    /// The serial number is not positive or exceeds 64 bits.
    #[error("serial number is not between 1 and 2^64 - 1")]
    SerialRange,
    /// The serial number, or an identifier, breaks its rule.
    #[error("identifier breaks its rule")]
    Id(#[from] IdError),
    /// The MTCProof is malformed.
    #[error("malformed MTCProof")]
    Proof(#[from] WireError),
    /// The entry extensions are malformed or out of order.
    #[error("malformed entry extensions")]
    Extensions(#[from] EntryError),
    /// The proof's interval is not a valid subtree.
    #[error("the MTCProof's interval is not a valid subtree")]
    Subtree(#[from] ProofError),
    /// The inclusion proof is not a whole number of hashes.
    #[error("inclusion proof of {0} bytes is not a whole number of 32-byte hashes")]
    HashLength(usize),
    /// Cosignatures are not unique or not in order.
    #[error("cosignature of {0} is a duplicate or out of order")]
    CosignerOrder(TrustAnchorId),
}

/// What a certificate says about its subject, issued or to be issued. All slices are DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateFields<'a> {
    /// The CA.
    pub issuer: &'a TrustAnchorId,
    /// First second of validity.
    pub not_before: UnixTime,
    /// Last second of validity.
    pub not_after: UnixTime,
    /// `Name` of the subject.
    pub subject: &'a [u8],
    /// `SubjectPublicKeyInfo`.
    pub spki: &'a [u8],
    /// `Extensions`: the SEQUENCE, without the `[3]` around it.
    pub extensions: &'a [u8],
}

impl CertificateFields<'_> {
    /// The entry that states these fields in the log.
    ///
    /// # Errors
    /// The key is not a SubjectPublicKeyInfo.
    pub fn log_entry(&self) -> Result<MtcLogEntry, CertificateError> {
        let tbs = self.tbs_certificate(1)?;
        let parts = TbsCertificate::parse(&tbs)?.entry_parts;
        Ok(MtcLogEntry {
            extensions: Vec::new(),
            body: EntryBody::TbsCert(parts.entry_contents()),
        })
    }

    /// The certificate for entry `index` of log `log`.
    ///
    /// # Errors
    /// The index or the proof exceeds its bounds, or the key is not a SubjectPublicKeyInfo.
    pub fn certificate(
        &self,
        log: LogNumber,
        index: u64,
        proof: &MtcProof,
    ) -> Result<Vec<u8>, CertificateError> {
        assemble(&self.tbs_certificate(id::serial(log, index)?)?, proof)
    }

    fn tbs_certificate(&self, serial: u64) -> Result<Vec<u8>, CertificateError> {
        let validity = der::element(
            der::SEQUENCE,
            &[&self.not_before.to_der(), &self.not_after.to_der()],
        );
        der::only(self.spki, der::SEQUENCE)?;
        Ok(der::element(
            der::SEQUENCE,
            &[
                VERSION_3,
                &der::unsigned_integer(serial),
                MTC_PROOF_ALGORITHM,
                &self.issuer.to_name(),
                &validity,
                self.subject,
                self.spki,
                &der::element(der::context(3), &[self.extensions]),
            ],
        ))
    }
}

/// The certificate `certificate` with another proof: how a landmark-relative certificate is made of a standalone one.
///
/// # Errors
/// Not a Merkle Tree Certificate, or the proof exceeds its bounds.
pub fn with_proof(certificate: &[u8], proof: &MtcProof) -> Result<Vec<u8>, CertificateError> {
    let certificate = Certificate::parse(certificate)?;
    assemble(certificate.tbs_der, proof)
}

fn assemble(tbs: &[u8], proof: &MtcProof) -> Result<Vec<u8>, CertificateError> {
    Ok(der::element(
        der::SEQUENCE,
        &[tbs, MTC_PROOF_ALGORITHM, &der::bit_string(&proof.encode()?)],
    ))
}

/// An MTCProof to put in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtcProof {
    /// The log entry's extensions, repeated.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// The subtree in which inclusion is proven.
    pub subtree: Subtree,
    /// The inclusion proof, leaf's sibling first.
    pub inclusion_proof: Vec<Hash>,
    /// The cosignatures; encoded in the order of their cosigners' IDs whatever the order here.
    pub signatures: Vec<Cosignature>,
}

impl MtcProof {
    /// Encodes the proof.
    ///
    /// # Errors
    /// A cosigner signed twice, or something is too long for its length prefix.
    pub fn encode(&self) -> Result<Vec<u8>, CertificateError> {
        let mut ordered: Vec<&Cosignature> = self.signatures.iter().collect();
        ordered.sort_by_key(|signature| signature.cosigner_id);
        if let Some(pair) = ordered
            .windows(2)
            .find(|pair| pair[0].cosigner_id == pair[1].cosigner_id)
        {
            return Err(CertificateError::CosignerOrder(pair[0].cosigner_id));
        }
        let mut signatures = Vec::new();
        for Cosignature {
            cosigner_id,
            signature,
        } in ordered
        {
            wire::put_vector(&mut signatures, cosigner_id.as_bytes(), 1, "cosigner ID")?;
            wire::put_vector(&mut signatures, signature, 2, "cosignature")?;
        }
        if self.subtree.end() >> id::INDEX_BITS != 0 {
            return Err(IdError::EntryIndex(self.subtree.end()).into());
        }
        let mut out = Vec::new();
        wire::put_vector(
            &mut out,
            &entry::encode_extensions(&self.extensions)?,
            2,
            "entry extensions",
        )?;
        wire::put_uint(&mut out, self.subtree.start(), 6);
        wire::put_uint(&mut out, self.subtree.end(), 6);
        wire::put_vector(
            &mut out,
            self.inclusion_proof.as_flattened(),
            2,
            "inclusion proof",
        )?;
        wire::put_vector(&mut out, &signatures, 3, "cosignatures")?;
        Ok(out)
    }
}

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
        std::iter::from_fn(move || read_cosignature(&mut reader).ok())
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
    /// DER of the issuer's name.
    pub issuer: &'a [u8],
    /// The proof.
    pub proof: ParsedProof<'a>,
    tbs_der: &'a [u8],
    entry_parts: EntryParts<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Not DER, not an MTC, or a malformed proof.
    pub fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut fields = der::Reader::new(der::only(der, der::SEQUENCE)?);
        let tbs_der = fields.expect(der::SEQUENCE)?.whole;
        check_algorithm(fields.expect(der::SEQUENCE)?.whole)?;
        let proof = der::whole_octets(fields.contents(der::BIT_STRING)?)?;
        fields.finish()?;
        let TbsCertificate {
            serial,
            issuer,
            entry_parts,
        } = TbsCertificate::parse(tbs_der)?;
        Ok(Self {
            serial,
            issuer,
            proof: ParsedProof::parse(proof)?,
            tbs_der,
            entry_parts,
        })
    }

    /// The log number and entry index that the serial number says.
    ///
    /// # Errors
    /// The log number is 0.
    pub fn entry(&self) -> Result<(LogNumber, u64), IdError> {
        id::split_serial(self.serial)
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

struct TbsCertificate<'a> {
    serial: u64,
    issuer: &'a [u8],
    entry_parts: EntryParts<'a>,
}

impl<'a> TbsCertificate<'a> {
    fn parse(tbs: &'a [u8]) -> Result<Self, CertificateError> {
        let mut fields = der::Reader::new(der::only(tbs, der::SEQUENCE)?);
        let version = fields.expect(der::context(0))?.whole;
        if version != VERSION_3 {
            return Err(CertificateError::Version);
        }
        let serial = der::unsigned(fields.contents(der::INTEGER)?)
            .map_err(|_| CertificateError::SerialRange)?;
        if serial == 0 {
            return Err(CertificateError::SerialRange);
        }
        check_algorithm(fields.expect(der::SEQUENCE)?.whole)?;
        let before_issuer = fields.rest();
        let issuer = fields.expect(der::SEQUENCE)?.whole;
        fields.expect(der::SEQUENCE)?; // validity: checked with the rest of X.509
        fields.expect(der::SEQUENCE)?; // subject: likewise
        let issuer_validity_subject = &before_issuer[..before_issuer.len() - fields.rest().len()];
        let spki = fields.expect(der::SEQUENCE)?;
        let key_algorithm = der::Reader::new(spki.contents).expect(der::SEQUENCE)?.whole;
        let after_spki = fields.rest();
        fields.optional(der::context_primitive(1))?;
        fields.optional(der::context_primitive(2))?;
        fields.optional(der::context(3))?;
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
            issuer,
            entry_parts,
        })
    }
}

fn check_algorithm(identifier: &[u8]) -> Result<(), CertificateError> {
    if identifier == MTC_PROOF_ALGORITHM {
        return Ok(());
    }
    let mut fields = der::Reader::new(der::only(identifier, der::SEQUENCE)?);
    let experimental = fields.contents(der::OID)?.starts_with(EXPERIMENTAL_ARC);
    Err(if experimental {
        CertificateError::Experimental
    } else {
        CertificateError::NotMtc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> MtcProof {
        let signature = |id: &str| Cosignature {
            cosigner_id: id.parse().expect("an ID"),
            signature: vec![5; 3],
        };
        MtcProof {
            extensions: vec![(1, vec![2])],
            subtree: Subtree::new(8, 13).expect("valid"),
            inclusion_proof: vec![[1; 32], [2; 32]],
            signatures: vec![signature("300"), signature("2")],
        }
    }

    #[test]
    fn proofs_round_trip_with_cosigners_in_order() {
        let encoded = proof().encode().unwrap();
        let parsed = ParsedProof::parse(&encoded).unwrap();
        assert_eq!(
            (parsed.subtree, parsed.inclusion_proof),
            (proof().subtree, &proof().inclusion_proof[..])
        );
        let cosigners: Vec<_> = parsed.signatures().map(|(id, _)| id.to_string()).collect();
        assert_eq!(cosigners, ["2", "300"]);
    }

    #[test]
    fn every_truncation_and_a_trailing_byte_are_rejected() {
        let mut encoded = proof().encode().unwrap();
        for end in 0..encoded.len() {
            assert!(ParsedProof::parse(&encoded[..end]).is_err(), "cut at {end}");
        }
        encoded.push(0);
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::Proof(WireError::TrailingBytes(1)))
        );
    }

    #[test]
    fn duplicate_and_unordered_cosigners_are_rejected() {
        let mut twice = proof();
        twice.signatures[1].cosigner_id = twice.signatures[0].cosigner_id;
        assert_eq!(
            twice.encode(),
            Err(CertificateError::CosignerOrder("300".parse().unwrap()))
        );
        // Two cosignatures of one-byte IDs: 01 xx 00 03 ...; swap the IDs on the wire.
        let mut ordered = proof();
        ordered.signatures[0].cosigner_id = "3".parse().unwrap();
        let mut encoded = ordered.encode().unwrap();
        let last = encoded.len();
        encoded.swap(last - 14 + 1, last - 7 + 1);
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::CosignerOrder("2".parse().unwrap()))
        );
        encoded[last - 7 + 1] = 3;
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::CosignerOrder("3".parse().unwrap()))
        );
    }

    #[test]
    fn a_proof_of_half_a_hash_is_rejected() {
        let mut encoded = vec![0, 0];
        encoded.extend([0; 12]);
        encoded.extend([0, 16]);
        encoded.extend([7; 16]);
        encoded.extend([0, 0, 0]);
        assert_eq!(
            ParsedProof::parse(&encoded),
            Err(CertificateError::HashLength(16))
        );
    }
}
