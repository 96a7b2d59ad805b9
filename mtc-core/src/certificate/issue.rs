//! Building certificates from what they state (Section 6.3, step 5).

use super::read::{Certificate, TbsCertificate};
use super::{CertificateError, MTC_PROOF_ALGORITHM, VERSION_3};
use crate::cosign::Cosignature;
use crate::der;
use crate::entry::{self, EntryBody, MtcLogEntry};
use crate::id::{self, IdError, LogNumber, TrustAnchorId};
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
