//! Building certificates from what they state (Section 6.3, step 5).
//!
//! ```text
//! CertificateFields --prepare--> PreparedCertificate --log_entry---> the log
//!                                        |                            | index, proof
//!                                        +-----certificate <----------+
//! ```
//!
//! Entry and certificate repeat each other, so what they share is encoded once; a certificate is written front to back
//! into a buffer of its size.

use alloc::vec::Vec;

use super::read::{Certificate, ParsedProof};
use super::{CertificateError, MTC_PROOF_ALGORITHM, VERSION_3};
use crate::cosign::Cosignature;
use crate::der;
use crate::entry::{self, EntryBody, EntryParts, MtcLogEntry};
use crate::id::{self, EntryIndex, IdError, LogNumber, TrustAnchorId};
use crate::time::UnixTime;
use crate::tree::{Hash, Subtree};
use crate::wire;

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

impl<'a> CertificateFields<'a> {
    /// Encodes what the log entry and the certificate have in common.
    ///
    /// # Errors
    /// Subject, key or extensions are not one SEQUENCE, or the key names no algorithm.
    pub fn prepare(&self) -> Result<PreparedCertificate<'a>, CertificateError> {
        der::only(self.subject, der::SEQUENCE)?;
        der::only(self.extensions, der::SEQUENCE)?;
        let mut spki = der::Reader::new(der::only(self.spki, der::SEQUENCE)?);
        let key_algorithm = spki.expect(der::SEQUENCE)?.whole;
        let validity = der::element(
            der::SEQUENCE,
            &[&self.not_before.to_der(), &self.not_after.to_der()],
        );
        Ok(PreparedCertificate {
            issuer_validity_subject: [&self.issuer.to_name(), &validity[..], self.subject].concat(),
            key_algorithm,
            spki: self.spki,
            after_spki: der::element(der::context(3), &[self.extensions]),
        })
    }

    /// The entry that states these fields in the log.
    ///
    /// # Errors
    /// As [`CertificateFields::prepare`].
    pub fn log_entry(&self) -> Result<MtcLogEntry, CertificateError> {
        Ok(self.prepare()?.log_entry())
    }

    /// The certificate for entry `index` of log `log`.
    ///
    /// # Errors
    /// As [`CertificateFields::prepare`] and [`PreparedCertificate::certificate`].
    pub fn certificate<'p>(
        &self,
        log: LogNumber,
        index: EntryIndex,
        proof: impl Into<ProofParts<'p>>,
    ) -> Result<Vec<u8>, CertificateError> {
        self.prepare()?.certificate(log, index, proof)
    }
}

/// A certificate that lacks its serial number and its proof: an index in the log makes the one, the log the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedCertificate<'a> {
    issuer_validity_subject: Vec<u8>,
    key_algorithm: &'a [u8],
    spki: &'a [u8],
    after_spki: Vec<u8>,
}

impl PreparedCertificate<'_> {
    /// The entry that states in the log what the certificate will. Hashes the key.
    pub fn log_entry(&self) -> MtcLogEntry {
        let parts = EntryParts {
            version: VERSION_3,
            issuer_validity_subject: &self.issuer_validity_subject,
            key_algorithm: self.key_algorithm,
            spki: self.spki,
            after_spki: &self.after_spki,
        };
        MtcLogEntry {
            extensions: Vec::new(),
            body: EntryBody::TbsCert(parts.entry_contents()),
        }
    }

    /// The certificate for entry `index` of log `log`.
    ///
    /// # Errors
    /// The index or the proof exceeds its bounds.
    pub fn certificate<'p>(
        &self,
        log: LogNumber,
        index: EntryIndex,
        proof: impl Into<ProofParts<'p>>,
    ) -> Result<Vec<u8>, CertificateError> {
        let contents: [&[u8]; 6] = [
            VERSION_3,
            &der::unsigned_integer(id::serial(log, index)?),
            MTC_PROOF_ALGORITHM,
            &self.issuer_validity_subject,
            self.spki,
            &self.after_spki,
        ];
        let length = contents.iter().map(|part| part.len()).sum();
        let mut header = Vec::new();
        der::put_header(&mut header, der::SEQUENCE, length);
        let [
            version,
            serial,
            algorithm,
            issuer_validity_subject,
            spki,
            after_spki,
        ] = contents;
        let tbs = [
            &header,
            version,
            serial,
            algorithm,
            issuer_validity_subject,
            spki,
            after_spki,
        ];
        assemble(&tbs, proof.into())
    }
}

/// The certificate `certificate` with another proof: how a landmark-relative certificate is made of a standalone one.
///
/// # Errors
/// Not a Merkle Tree Certificate, or the proof exceeds its bounds.
pub fn with_proof<'p>(
    certificate: &[u8],
    proof: impl Into<ProofParts<'p>>,
) -> Result<Vec<u8>, CertificateError> {
    let certificate = Certificate::parse(certificate)?;
    assemble(&[certificate.tbs_der], proof.into())
}

/// A certificate of a TBSCertificate, given in pieces, and a proof.
fn assemble(tbs: &[&[u8]], proof: ProofParts<'_>) -> Result<Vec<u8>, CertificateError> {
    let proof = ProofEncoder::new(proof)?;
    let tbs_length: usize = tbs.iter().map(|part| part.len()).sum();
    let signature = 1 + proof.length;
    let length = tbs_length + MTC_PROOF_ALGORITHM.len() + der::element_length(signature);
    let mut out = Vec::with_capacity(der::element_length(length));
    der::put_header(&mut out, der::SEQUENCE, length);
    tbs.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(MTC_PROOF_ALGORITHM);
    der::put_header(&mut out, der::BIT_STRING, signature);
    out.push(0); // unused bits
    proof.put(&mut out)?;
    Ok(out)
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
        let proof = ProofEncoder::new(self.into())?;
        let mut out = Vec::with_capacity(proof.length);
        proof.put(&mut out)?;
        Ok(out)
    }
}

impl From<ParsedProof<'_>> for MtcProof {
    /// What a certificate's proof says, to be changed and put into another one of the same entry.
    fn from(parsed: ParsedProof<'_>) -> Self {
        Self {
            extensions: parsed
                .extensions()
                .map(|(kind, data)| (kind, data.to_vec()))
                .collect(),
            subtree: parsed.subtree,
            inclusion_proof: parsed.inclusion_proof.to_vec(),
            signatures: parsed
                .signatures()
                .map(|(cosigner_id, signature)| Cosignature {
                    cosigner_id,
                    signature: signature.to_vec(),
                })
                .collect(),
        }
    }
}

/// An [`MtcProof`] whose parts are elsewhere: thousands of certificates share the cosignatures of one subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofParts<'a> {
    /// The log entry's extensions, repeated.
    pub extensions: &'a [(u16, Vec<u8>)],
    /// The subtree in which inclusion is proven.
    pub subtree: Subtree,
    /// The inclusion proof, leaf's sibling first.
    pub inclusion_proof: &'a [Hash],
    /// The cosignatures; encoded in the order of their cosigners' IDs whatever the order here.
    pub signatures: &'a [Cosignature],
}

impl<'a> From<&'a MtcProof> for ProofParts<'a> {
    fn from(proof: &'a MtcProof) -> Self {
        let MtcProof {
            extensions,
            subtree,
            inclusion_proof,
            signatures,
        } = proof;
        Self {
            extensions,
            subtree: *subtree,
            inclusion_proof,
            signatures,
        }
    }
}

/// A proof that can be written, and how long it gets.
struct ProofEncoder<'a> {
    /// Without the length prefix.
    extensions: Vec<u8>,
    subtree: Subtree,
    inclusion_proof: &'a [u8],
    /// In the order of their cosigners' IDs, no two of one.
    signatures: Vec<&'a Cosignature>,
    signatures_length: usize,
    length: usize,
}

impl<'a> ProofEncoder<'a> {
    fn new(proof: ProofParts<'a>) -> Result<Self, CertificateError> {
        if proof.subtree.end() >> id::INDEX_BITS != 0 {
            return Err(IdError::EntryIndex(EntryIndex(proof.subtree.end())).into());
        }
        let mut signatures: Vec<_> = proof.signatures.iter().collect();
        signatures.sort_by_key(|signature| signature.cosigner_id);
        if let Some(pair) = signatures
            .windows(2)
            .find(|pair| pair[0].cosigner_id == pair[1].cosigner_id)
        {
            return Err(CertificateError::CosignerOrder(pair[0].cosigner_id));
        }
        let extensions = entry::encode_extensions(proof.extensions)?;
        let inclusion_proof = proof.inclusion_proof.as_flattened();
        let signature_length = |signature: &&Cosignature| {
            1 + signature.cosigner_id.as_bytes().len() + 2 + signature.signature.len()
        };
        let signatures_length = signatures.iter().map(signature_length).sum();
        Ok(Self {
            length: 2
                + extensions.len()
                + 2 * 6
                + 2
                + inclusion_proof.len()
                + 3
                + signatures_length,
            extensions,
            subtree: proof.subtree,
            inclusion_proof,
            signatures,
            signatures_length,
        })
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), CertificateError> {
        wire::put_vector(out, &self.extensions, 2, "entry extensions")?;
        wire::put_uint(out, self.subtree.start(), 6);
        wire::put_uint(out, self.subtree.end(), 6);
        wire::put_vector(out, self.inclusion_proof, 2, "inclusion proof")?;
        wire::put_length(out, self.signatures_length, 3, "cosignatures")?;
        for Cosignature {
            cosigner_id,
            signature,
        } in &self.signatures
        {
            wire::put_vector(out, cosigner_id.as_bytes(), 1, "cosigner ID")?;
            wire::put_vector(out, signature, 2, "cosignature")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::DerError;
    use crate::entry::EntryError;
    use crate::id::TreeSize;
    use crate::tree::leaf_hash;

    const SPKI: [u8; 14] = [0x30, 12, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 3, 0, 1, 2];

    fn fields<'a>(issuer: &'a TrustAnchorId, extensions: &'a [u8]) -> CertificateFields<'a> {
        CertificateFields {
            issuer,
            not_before: UnixTime(1_795_305_600),
            not_after: UnixTime(4_000_000_000), // in GeneralizedTime
            subject: &[0x30, 0],
            spki: &SPKI,
            extensions,
        }
    }

    fn proof(signatures: &[Cosignature]) -> ProofParts<'_> {
        ProofParts {
            extensions: &[],
            subtree: Subtree::whole(TreeSize(9)),
            inclusion_proof: &[[1; 32], [2; 32]],
            signatures,
        }
    }

    /// A certificate whose entry no tile can hold was accepted once: monitors could not have seen it.
    #[test]
    fn a_certificate_has_an_entry_that_a_log_can_hold() {
        let issuer: TrustAnchorId = "32473.1".parse().unwrap();
        let extensions = [0x30, 0];
        let with_subject = |length: usize| {
            let subject = der::element(der::SEQUENCE, &[&vec![5; length]]);
            let fields = CertificateFields {
                subject: &subject,
                ..fields(&issuer, &extensions)
            };
            let certificate = fields
                .certificate(LogNumber::FIRST, EntryIndex(3), proof(&[]))
                .unwrap();
            let read = Certificate::parse(&certificate).map(|read| read.leaf_hash());
            (fields.log_entry().unwrap().encode(), read)
        };
        let overhead = with_subject(60_000).0.unwrap().len() - 60_000;
        let (entry, read) = with_subject(entry::MAX_ENTRY - overhead);
        assert_eq!(read, Ok(leaf_hash(&entry.unwrap())));
        let (entry, read) = with_subject(entry::MAX_ENTRY - overhead + 1);
        let too_long = EntryError::TooLong(entry::MAX_ENTRY + 1);
        assert_eq!(entry, Err(too_long.clone()));
        assert_eq!(read, Err(too_long.into()));
    }

    #[test]
    fn an_entry_and_its_certificate_state_the_same_at_every_length() {
        let issuer = "32473.1".parse().unwrap();
        for length in [0, 40, 100, 200, 300, 60_000] {
            let extensions = der::element(der::SEQUENCE, &[&vec![5; length]]);
            let signature = Cosignature {
                cosigner_id: issuer,
                signature: vec![7; length],
            };
            let prepared = fields(&issuer, &extensions).prepare().unwrap();
            let certificate = prepared
                .certificate(LogNumber::FIRST, EntryIndex(8), proof(&[signature]))
                .unwrap();
            assert_eq!(certificate.len(), certificate.capacity(), "length {length}");
            let parsed = Certificate::parse(&certificate).unwrap();
            let entry = prepared.log_entry();
            assert_eq!(parsed.log_entry(), Ok(entry.clone()));
            assert_eq!(parsed.leaf_hash(), leaf_hash(&entry.encode().unwrap()));
            assert_eq!(parsed.serial, (1 << 48) + 8);
            assert!(!parsed.proof.is_unsigned());
            let unsigned = with_proof(&certificate, proof(&[])).unwrap();
            assert!(Certificate::parse(&unsigned).unwrap().proof.is_unsigned());
            assert_eq!(parsed.issuer, issuer.to_name());
        }
    }

    #[test]
    fn a_proof_that_was_read_makes_the_same_certificate_again_and_one_with_fewer_cosignatures() {
        let [issuer, witness] = ["32473.1", "32473.2"].map(|id| id.parse().unwrap());
        let signatures = [issuer, witness].map(|cosigner_id| Cosignature {
            cosigner_id,
            signature: vec![7; 9],
        });
        let prepared = fields(&issuer, &[0x30, 0]).prepare().unwrap();
        let extensions = [(3, vec![1, 2]), (4, Vec::new())];
        let parts = ProofParts {
            extensions: &extensions,
            ..proof(&signatures)
        };
        let certificate = prepared
            .certificate(LogNumber::FIRST, EntryIndex(8), parts)
            .unwrap();

        let mut read = MtcProof::from(Certificate::parse(&certificate).unwrap().proof);
        assert_eq!(ProofParts::from(&read), parts);
        assert_eq!(with_proof(&certificate, &read), Ok(certificate.clone()));

        read.signatures.pop();
        let shorter = with_proof(&certificate, &read).unwrap();
        let alone = ProofParts {
            signatures: &signatures[..1],
            ..parts
        };
        assert_eq!(
            Ok(shorter),
            prepared.certificate(LogNumber::FIRST, EntryIndex(8), alone)
        );
    }

    #[test]
    fn fields_that_are_not_one_sequence_are_rejected() {
        let issuer = "32473.1".parse().unwrap();
        let good = fields(&issuer, &[0x30, 0]);
        assert!(good.prepare().is_ok());
        for bad in [
            CertificateFields {
                subject: &[0x31, 0],
                ..good
            },
            CertificateFields {
                subject: &[0x30, 0, 0x30, 0],
                ..good
            },
            CertificateFields { spki: &[], ..good },
            CertificateFields {
                spki: &[0x30, 0],
                ..good
            },
            CertificateFields {
                extensions: &[0x30, 1],
                ..good
            },
        ] {
            assert!(
                matches!(bad.prepare(), Err(CertificateError::Der(_))),
                "{bad:?}"
            );
        }
        assert_eq!(
            CertificateFields {
                spki: &[0x30, 0],
                ..good
            }
            .prepare(),
            Err(CertificateError::Der(DerError::Truncated))
        );
    }

    #[test]
    fn what_exceeds_its_bounds_is_refused() {
        let issuer: TrustAnchorId = "32473.1".parse().unwrap();
        let prepared = fields(&issuer, &[0x30, 0]).prepare().unwrap();
        let certificate = |index, proof| prepared.certificate(LogNumber::FIRST, index, proof);
        assert!(certificate(EntryIndex((1 << 48) - 2), proof(&[])).is_ok());
        assert_eq!(
            certificate(EntryIndex(1 << 48), proof(&[])),
            Err(CertificateError::Id(IdError::EntryIndex(EntryIndex(
                1 << 48
            ))))
        );
        let beyond = ProofParts {
            subtree: Subtree::whole(TreeSize(1 << 48)),
            ..proof(&[])
        };
        assert_eq!(
            certificate(EntryIndex(1), beyond),
            Err(CertificateError::Id(IdError::EntryIndex(EntryIndex(
                1 << 48
            ))))
        );
        let long = ProofParts {
            inclusion_proof: &[[0; 32]; 2048],
            ..proof(&[])
        };
        assert_eq!(
            certificate(EntryIndex(1), long),
            Err(CertificateError::Proof(wire::WireError::TooLong(
                "inclusion proof"
            )))
        );
        let signature = Cosignature {
            cosigner_id: issuer,
            signature: vec![0; 65_536],
        };
        assert_eq!(
            certificate(EntryIndex(1), proof(std::slice::from_ref(&signature))),
            Err(CertificateError::Proof(wire::WireError::TooLong(
                "cosignature"
            )))
        );
        // 257 cosignatures of 65,535 bytes do not fit into 24 bits.
        let signatures: Vec<_> = (0..257)
            .map(|number| Cosignature {
                cosigner_id: issuer.child(&[number]).unwrap(),
                signature: vec![0; 65_535],
            })
            .collect();
        assert_eq!(
            certificate(EntryIndex(1), proof(&signatures)),
            Err(CertificateError::Proof(wire::WireError::TooLong(
                "cosignatures"
            )))
        );
    }
}
