//! Artefacts whose digests are in a notary's log, as somebody checks them who has neither the log nor a network.
//!
//! ```text
//!  artefact ──SHA-256──> ArtefactDigest ──entry──> leaf ──inclusion proof──> root == the checkpoint's
//!                                                                              └── signed by the notary, cosigned to policy
//! ```
//!
//! An entry of a notary's log states no certificate, and has the digest as an extension (Section 5.2.1), so that whoever can read an
//! issuance log can read this one. What an artefact is called is nobody's business but its owner's:
//!
//! ```text
//! 00 24  ff 00  00 20  <32 bytes of SHA-256>  00 00        extensions: one of type 0xff00; null_entry
//! ```

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use mtc_core::entry::{EntryBody, MtcLogEntry};
use mtc_core::hex;
use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tlog_proof::{TlogProof, TlogProofError};
use mtc_core::tree::{Hash, ProofError, Subtree, evaluate_inclusion, leaf_hash};
use mtc_core::verify::CaTrust;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::public_log::{CheckpointSignature, Observed, ObservedError};

const PREFIX: &str = "sha256:";
/// Type of the extension. The draft has assigned none, and nobody else reads a notary's log as one of certificates.
const ARTEFACT: u16 = 0xff00;
/// Octets that are read at once.
const CHUNK: usize = 64 * 1024;

/// Text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not sha256: and 64 lower-case hexadecimal digits")]
pub struct DigestTextError;

/// The SHA-256 of an artefact. In text, as image registries write it: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtefactDigest(Hash);

impl ArtefactDigest {
    /// Reads an artefact to its end, a piece at a time. Blocks.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(mut artefact: impl Read) -> io::Result<Self> {
        let mut digest = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match artefact.read(&mut chunk) {
                Ok(0) => return Ok(Self(digest.finalize().into())),
                Ok(length) => digest.update(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The entry of a notary's log.
    pub fn entry(&self) -> Vec<u8> {
        let entry = MtcLogEntry {
            extensions: vec![(ARTEFACT, self.0.to_vec())],
            body: EntryBody::Null,
        };
        entry.encode().expect("one short extension fits")
    }
}

impl fmt::Display for ArtefactDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(&self.0))
    }
}

impl FromStr for ArtefactDigest {
    type Err = DigestTextError;

    fn from_str(text: &str) -> Result<Self, DigestTextError> {
        let digits = text.strip_prefix(PREFIX).ok_or(DigestTextError)?;
        let octets = hex::decode(digits).and_then(|octets| octets.try_into().ok());
        let digest = Self(octets.ok_or(DigestTextError)?);
        // Others would be other entries.
        if digest.to_string() == text {
            Ok(digest)
        } else {
            Err(DigestTextError)
        }
    }
}

/// Why a proof proves nothing about an artefact.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtefactError {
    /// The proof cannot be read.
    #[error("the proof")]
    Form(#[from] TlogProofError),
    /// Its checkpoint cannot be used, or is not signed by whom it must be.
    #[error(transparent)]
    Checkpoint(#[from] ObservedError),
    /// Its inclusion proof is not one of an entry at this index of a log of this size.
    #[error("the inclusion proof")]
    Proof(#[source] ProofError),
    /// It is the proof of another artefact, or of one that was changed.
    #[error(
        "the log has another digest than {digest} at index {index}: the artefact was changed, or the proof is of another one"
    )]
    OtherArtefact {
        /// The artefact's.
        digest: ArtefactDigest,
        /// Where the proof says that it is.
        index: EntryIndex,
    },
}

/// An artefact that was in a log when its checkpoint was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notarised {
    /// Where in the log.
    pub index: EntryIndex,
    /// The log's origin.
    pub origin: String,
    /// Entries of the log at that time.
    pub size: TreeSize,
    /// Who signed, and when: at the latest at these times the artefact was there.
    pub signatures: Vec<CheckpointSignature>,
}

/// Checks that the log's checkpoint holds an artefact, and is signed as `trust` asks.
///
/// # Errors
/// The proof is malformed, of another artefact or log, or its checkpoint is not cosigned to policy.
pub fn verify(
    digest: ArtefactDigest,
    proof: &[u8],
    trust: &CaTrust,
) -> Result<Notarised, ArtefactError> {
    let proof = TlogProof::parse(proof)?;
    let observed = Observed::parse(proof.checkpoint.as_bytes())?;
    let signatures = observed.signatures(Some(trust))?;
    let Observed {
        log, checkpoint, ..
    } = observed;
    let leaf = leaf_hash(&digest.entry());
    let tree = Subtree::whole(checkpoint.size);
    let root = evaluate_inclusion(proof.index, tree, leaf, &proof.inclusion_proof)
        .map_err(ArtefactError::Proof)?;
    if root != checkpoint.root {
        return Err(ArtefactError::OtherArtefact {
            digest,
            index: proof.index,
        });
    }
    Ok(Notarised {
        index: proof.index,
        origin: log.origin(),
        size: checkpoint.size,
        signatures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_sha256sum_and_reads_what_it_writes() {
        // FIPS 180-2, appendix B.1.
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = ArtefactDigest::of(&b"abc"[..]).unwrap();
        assert_eq!(digest.to_string(), abc);
        assert_eq!(abc.parse(), Ok(digest));
        let entry = format!("0024ff000020{}0000", &abc[7..]);
        assert_eq!(hex::encode(&digest.entry()), entry);
        for text in [
            "",
            "sha256:",
            &abc[7..],
            &abc.to_uppercase(),
            &abc.replace("ba78", "BA78"),
            &format!("{abc}00"),
            &abc[..abc.len() - 1],
        ] {
            assert_eq!(
                text.parse::<ArtefactDigest>(),
                Err(DigestTextError),
                "{text}"
            );
        }
    }

    #[test]
    fn a_long_artefact_is_read_in_pieces() {
        let long = vec![7; 3 * CHUNK + 1];
        let whole: Hash = Sha256::digest(&long).into();
        assert_eq!(
            ArtefactDigest::of(&long[..]).unwrap(),
            ArtefactDigest(whole)
        );
    }
}
