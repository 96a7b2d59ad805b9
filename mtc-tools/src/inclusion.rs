//! Inclusion proofs made from a public log and checked up to its checkpoint; landmark-relative certificates made of
//! standalone ones.

use mtc_core::certificate::{Certificate, CertificateError, MtcProof, with_proof};
use mtc_core::id::EntryIndex;
use mtc_core::landmark::Landmark;
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, ProofError, Subtree, evaluate_inclusion, leaf_hash, verify_consistency,
};
use mtc_log::{TreeError, TreeReader};
use thiserror::Error;

use crate::entry::EntrySummary;
use crate::public_log::{LandmarksError, Observed, PublicLog};

/// Why there is no proof.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The log's tree cannot be read, or is not the checkpoint's.
    #[error("the log's tree")]
    Tree(#[from] TreeError),
    /// What was read does not prove what it should.
    #[error("the proof does not hold")]
    Proof(#[from] ProofError),
    /// The certificate cannot be read.
    #[error("the certificate")]
    Certificate(#[from] CertificateError),
    /// The certificate is one of another log or CA.
    #[error("the certificate is from log {log} of {issuer}, not from {origin}")]
    OtherLog {
        /// Its log's number.
        log: u16,
        /// Its issuer.
        issuer: String,
        /// The log that was read.
        origin: String,
    },
    /// The log's entry at the certificate's index is another one.
    #[error(
        "the certificate does not match entry {index} of the log: its leaf hash is {certificate}, the log's is {log}"
    )]
    OtherEntry {
        /// The index.
        index: EntryIndex,
        /// The leaf hash of the certificate's entry.
        certificate: String,
        /// The leaf hash in the log.
        log: String,
    },
    /// The landmarks cannot be used.
    #[error(transparent)]
    Landmarks(#[from] LandmarksError),
    /// No active landmark holds the entry.
    #[error(
        "no active landmark covers entry {0}: none has been allocated since it was logged, or its landmark has expired"
    )]
    NoLandmark(EntryIndex),
}

/// A proof that an entry is in a log.
#[derive(Clone, Debug)]
pub struct Inclusion {
    /// The entry.
    pub entry: EntrySummary,
    /// Its hash.
    pub leaf_hash: Hash,
    /// The subtree in which it is.
    pub subtree: Subtree,
    /// The subtree's hash, to which the proof leads.
    pub subtree_hash: Hash,
    /// The proof, leaf's sibling first.
    pub proof: Vec<Hash>,
    /// The proof that the subtree is part of the checkpoint's tree; empty when it is that tree.
    pub consistency_proof: Vec<Hash>,
}

/// Proves an entry in a subtree of the checkpoint's tree, or in the whole tree, and checks the proof.
///
/// # Errors
/// The entry or the subtree is not in the tree, or the log cannot be read or is damaged.
pub fn prove(
    tree: &TreeReader,
    index: EntryIndex,
    subtree: Option<Subtree>,
) -> Result<Inclusion, ProveError> {
    let subtree = subtree.unwrap_or_else(|| Subtree::whole(tree.size()));
    let entry = tree.entry(index)?;
    let proof = tree.inclusion_proof(index, subtree)?;
    let subtree_hash = tree.subtree_hash(subtree)?;
    let consistency_proof = tree.consistency_proof(subtree)?;
    let leaf_hash = leaf_hash(&entry);
    if evaluate_inclusion(index, subtree, leaf_hash, &proof)? != subtree_hash {
        return Err(ProofError::HashMismatch.into());
    }
    verify_consistency(
        subtree,
        tree.size(),
        &subtree_hash,
        &tree.root(),
        &consistency_proof,
    )?;
    Ok(Inclusion {
        entry: EntrySummary::of(index, &entry),
        leaf_hash,
        subtree,
        subtree_hash,
        proof,
        consistency_proof,
    })
}

/// The index of a certificate's entry in the log of a checkpoint.
///
/// # Errors
/// Not an MTC, or one of another log.
pub fn index_of(certificate: &[u8], observed: &Observed) -> Result<EntryIndex, ProveError> {
    let certificate = Certificate::parse(certificate)?;
    let (log, index) = certificate.entry().map_err(CertificateError::from)?;
    if log != observed.log.number() || certificate.issuer != observed.log.ca().to_name() {
        return Err(ProveError::OtherLog {
            log: log.get(),
            issuer: mtc_core::x509::distinguished_name(certificate.issuer)
                .unwrap_or_else(|_| "an unreadable issuer".to_owned()),
            origin: observed.log.origin(),
        });
    }
    Ok(index)
}

/// Requires that a certificate states the entry that was proven.
///
/// # Errors
/// It states another one.
pub fn check_states(certificate: &[u8], inclusion: &Inclusion) -> Result<(), ProveError> {
    let stated = Certificate::parse(certificate)?.leaf_hash();
    if stated == inclusion.leaf_hash {
        return Ok(());
    }
    Err(ProveError::OtherEntry {
        index: inclusion.entry.index,
        certificate: mtc_core::hex::encode(&stated),
        log: mtc_core::hex::encode(&inclusion.leaf_hash),
    })
}

/// The landmark-relative certificate of a certificate whose entry was proven, and its landmark.
///
/// # Errors
/// No active landmark holds the entry, or the log cannot be read.
pub fn landmark_certificate(
    certificate: &[u8],
    log: &PublicLog,
    tree: &TreeReader,
    now: UnixTime,
) -> Result<(Vec<u8>, Landmark), ProveError> {
    let parsed = Certificate::parse(certificate)?;
    let (_, index) = parsed.entry().map_err(CertificateError::from)?;
    let landmarks = log.landmarks(now)?;
    let (landmark, subtree) = landmarks
        .and_then(|landmarks| landmarks.for_entry(index, now))
        .and_then(|found| Some((found.landmark, found.holding(index)?)))
        .ok_or(ProveError::NoLandmark(index))?;
    let proof = MtcProof {
        extensions: parsed.log_entry()?.extensions,
        subtree,
        inclusion_proof: tree.inclusion_proof(index, subtree)?,
        signatures: Vec::new(),
    };
    Ok((with_proof(certificate, &proof)?, landmark))
}
