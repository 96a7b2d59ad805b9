//! Checkpoints with the CA's signature on them, and the keys that sign.

use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, sign_subtree_line};
use mtc_core::cosign::{Cosignature, CosignedMessage, Cosigner, KeyError, SecretKey};
use mtc_core::id::{LogId, TreeSize, TrustAnchorId};
use mtc_core::note::{NoteSignature, SignedNote};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};

/// A cosigner's private key, with the ID and public key that others know it by.
pub struct CosigningKey {
    cosigner: Cosigner,
    secret: SecretKey,
}

impl CosigningKey {
    /// The key of the cosigner `id`.
    ///
    /// # Errors
    /// The key has no public key that can be used.
    pub fn new(id: TrustAnchorId, secret: SecretKey) -> Result<Self, KeyError> {
        let key = secret.public_key()?;
        Ok(Self {
            cosigner: Cosigner { id, key },
            secret,
        })
    }

    /// Whose key it is, and how to verify what it signs.
    pub const fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// A cosignature of a subtree, with timestamp 0 as certificates have it.
    pub(crate) fn cosign(
        &self,
        log: &LogId,
        subtree: Subtree,
        hash: &Hash,
    ) -> Result<Cosignature, KeyError> {
        let message = CosignedMessage {
            cosigner: &self.cosigner.id,
            log,
            timestamp: UnixTime(0),
            subtree,
            hash,
        };
        message.sign(&self.secret)
    }

    /// A cosignature as a line for a note.
    pub(crate) fn cosign_line(
        &self,
        log: &LogId,
        timestamp: UnixTime,
        subtree: Subtree,
        hash: &Hash,
    ) -> Result<NoteSignature, CheckpointError> {
        sign_subtree_line(
            log,
            &self.cosigner.id,
            &self.secret,
            timestamp,
            subtree,
            hash,
        )
    }
}

/// A checkpoint whose signature by the log's CA has been verified, or just been made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCheckpoint {
    signed: SignedCheckpoint,
    signed_at: UnixTime,
}

impl CaCheckpoint {
    pub(crate) fn sign(
        key: &CosigningKey,
        log: &LogId,
        size: TreeSize,
        root: Hash,
        now: UnixTime,
    ) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint {
            origin: log.origin(),
            size,
            root,
        };
        let line = key.cosign_line(log, now, Subtree::whole(size), &root)?;
        let note = SignedNote {
            text: checkpoint.to_text(),
            signatures: vec![line],
        };
        Ok(Self {
            signed: SignedCheckpoint { checkpoint, note },
            signed_at: now,
        })
    }

    /// Reads a checkpoint note of `log` and verifies the signature of its CA.
    ///
    /// # Errors
    /// Not a checkpoint of this log, or not signed by `ca`.
    pub fn verify(note: &[u8], log: &LogId, ca: &Cosigner) -> Result<Self, CheckpointError> {
        let signed = SignedCheckpoint::parse(note, log)?;
        let signed_at = signed.verify(log, ca)?;
        Ok(Self { signed, signed_at })
    }

    /// This checkpoint with more signature lines.
    pub(crate) fn with_lines(mut self, lines: impl IntoIterator<Item = NoteSignature>) -> Self {
        self.signed.note.signatures.extend(lines);
        self
    }

    /// Drops the signature lines that `keep` does not want.
    pub(crate) fn retain_lines(&mut self, keep: impl FnMut(&NoteSignature) -> bool) {
        self.signed.note.signatures.retain(keep);
    }

    /// Number of entries.
    pub const fn size(&self) -> TreeSize {
        self.signed.checkpoint.size
    }

    /// Root hash of the tree of that size.
    pub const fn root(&self) -> Hash {
        self.signed.checkpoint.root
    }

    /// When the CA signed, by its own clock.
    pub const fn signed_at(&self) -> UnixTime {
        self.signed_at
    }

    /// The checkpoint and its note, whose other signatures have not been verified here.
    pub const fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// The note as it is stored and served.
    pub fn to_note(&self) -> Vec<u8> {
        self.signed.note.encode().into_bytes()
    }
}
