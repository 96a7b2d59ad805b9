//! Checkpoints (c2sp.org/tlog-checkpoint) and the cosignature lines on them (c2sp.org/tlog-cosignature, ML-DSA-44).
//!
//! ```text
//! oid/1.3.6.1.4.1.32473.1.0.1         origin
//! 1027                                tree size
//! qg0Kk9...=                          base64 of the root hash
//!
//! — oid/1.3.6.1.4.1.32473.1 base64(key ID || uint64 timestamp || 2420-byte signature)
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cosign::{CosignedMessage, Cosigner, KeyError, SecretKey, SignatureAlgorithm};
pub use crate::decimal::parse_decimal;
use crate::id::{LogId, TreeSize, TrustAnchorId};
use crate::note::{NoteError, NoteSignature, SignedNote};
use crate::time::UnixTime;
use crate::tree::{Hash, Subtree};

/// Signature type of ML-DSA-44 cosignatures in key IDs.
pub(crate) const ML_DSA_44_COSIGNATURE: u8 = 0x06;
const TIMESTAMP: usize = 8;

/// Why a checkpoint, or a signature on one, is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// The text is not origin, size and root.
    #[error("malformed checkpoint text: {0}")]
    Text(&'static str),
    /// The checkpoint of another log.
    #[error("checkpoint of {found}, expected {expected}")]
    Origin {
        /// The log that was asked for.
        expected: String,
        /// The log whose checkpoint it is.
        found: String,
    },
    /// A signature with a known name and key ID does not verify, which condemns the note.
    #[error("the signature of {0} does not verify")]
    BadSignature(TrustAnchorId),
    /// Nobody whose signature is needed signed.
    #[error("no signature of {0}")]
    NotSigned(TrustAnchorId),
    /// Checkpoint cosignatures are defined for ML-DSA-44 keys here.
    #[error("checkpoint cosignatures need an ml-dsa-44 key, this one is {0}")]
    UnsupportedKey(SignatureAlgorithm),
    /// The key could not sign.
    #[error("the checkpoint could not be signed")]
    Key(#[from] KeyError),
}

/// A view of a log: its size and root hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin.
    pub origin: String,
    /// Number of entries.
    pub size: TreeSize,
    /// Root hash of the tree of that size.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a checkpoint note.
    ///
    /// Deviation: extension lines, which c2sp.org/tlog-checkpoint allows and mtc-tlog does not use, are refused.
    ///
    /// # Errors
    /// Not three lines of the canonical form.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Text("no newline at the end"))?
            .split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Text("not three lines"));
        };
        if origin.is_empty() {
            return Err(CheckpointError::Text("empty origin"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: parse_decimal(size)
                .map(TreeSize)
                .ok_or(CheckpointError::Text("size is not a decimal number"))?,
            root: parse_hash(root)
                .ok_or(CheckpointError::Text("root is not the base64 of 32 bytes"))?,
        })
    }

    /// The text of the note.
    pub fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root)
        )
    }

    /// The cosignature line of `cosigner` on this checkpoint.
    ///
    /// # Errors
    /// Not an ML-DSA-44 key, not this log's checkpoint, or the key cannot sign.
    pub fn cosign(
        &self,
        log: &LogId,
        cosigner: &TrustAnchorId,
        key: &SecretKey,
        timestamp: UnixTime,
    ) -> Result<NoteSignature, CheckpointError> {
        sign_subtree_line(
            log,
            cosigner,
            key,
            timestamp,
            Subtree::whole(self.size),
            &self.root,
        )
    }
}

/// A cosignature line for any subtree: with timestamp 0 it is what `sign-subtree` answers (c2sp.org/tlog-witness).
///
/// # Errors
/// Not an ML-DSA-44 key, or the key cannot sign.
pub fn sign_subtree_line(
    log: &LogId,
    cosigner: &TrustAnchorId,
    key: &SecretKey,
    timestamp: UnixTime,
    subtree: Subtree,
    hash: &Hash,
) -> Result<NoteSignature, CheckpointError> {
    let key_id = key_id(&Cosigner {
        id: *cosigner,
        key: key.public_key()?,
    })?;
    let cosignature = CosignedMessage {
        cosigner,
        log,
        timestamp,
        subtree,
        hash,
    }
    .sign(key)?;
    let mut signature = timestamp.0.to_be_bytes().to_vec();
    signature.extend_from_slice(&cosignature.signature);
    Ok(NoteSignature {
        name: cosigner.signed_text_name(),
        key_id,
        signature,
    })
}

/// Finds and verifies `cosigner`'s line about a subtree among signature lines; the timestamp and the bare signature.
///
/// Lines of others are ignored.
///
/// # Errors
/// [`CheckpointError::NotSigned`] without such a line, [`CheckpointError::BadSignature`] if one does not verify.
pub fn verify_subtree_line(
    signatures: &[NoteSignature],
    cosigner: &Cosigner,
    log: &LogId,
    subtree: Subtree,
    hash: &Hash,
) -> Result<(UnixTime, Vec<u8>), CheckpointError> {
    let name = cosigner.id.signed_text_name();
    let key_id = key_id(cosigner)?;
    let mut verified = None;
    for line in signatures
        .iter()
        .filter(|line| line.name == name && line.key_id == key_id)
    {
        let bad = CheckpointError::BadSignature(cosigner.id);
        let Some((timestamp, signature)) = line.signature.split_first_chunk::<TIMESTAMP>() else {
            return Err(bad);
        };
        let timestamp = UnixTime(u64::from_be_bytes(*timestamp));
        let message = CosignedMessage {
            cosigner: &cosigner.id,
            log,
            timestamp,
            subtree,
            hash,
        };
        if !cosigner.key.verifies(&message.encode(), signature) {
            return Err(bad);
        }
        verified = Some((timestamp, signature.to_vec()));
    }
    verified.ok_or(CheckpointError::NotSigned(cosigner.id))
}

/// A checkpoint and the note that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What the text says.
    pub checkpoint: Checkpoint,
    /// The note: text and signature lines.
    pub note: SignedNote,
}

impl SignedCheckpoint {
    /// Reads a checkpoint note of `log`; its signatures are verified by [`Self::verify`].
    ///
    /// # Errors
    /// Not a note, not a checkpoint, or one of another log.
    pub fn parse(bytes: &[u8], log: &LogId) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        if checkpoint.origin != log.origin() {
            return Err(CheckpointError::Origin {
                expected: log.origin(),
                found: checkpoint.origin,
            });
        }
        Ok(Self { checkpoint, note })
    }

    /// Requires a valid cosignature of `cosigner`, and returns its timestamp.
    ///
    /// # Errors
    /// There is none, or one that does not verify.
    pub fn verify(&self, log: &LogId, cosigner: &Cosigner) -> Result<UnixTime, CheckpointError> {
        let subtree = Subtree::whole(self.checkpoint.size);
        verify_subtree_line(
            &self.note.signatures,
            cosigner,
            log,
            subtree,
            &self.checkpoint.root,
        )
        .map(|(timestamp, _)| timestamp)
    }
}

/// Key ID of a cosigner: `H(name || "\n" || 0x06 || key)`, the first four bytes. With the name it tells whose line is meant.
///
/// # Errors
/// Not an ML-DSA-44 key.
pub fn key_id(cosigner: &Cosigner) -> Result<[u8; 4], CheckpointError> {
    if cosigner.key.algorithm() != SignatureAlgorithm::MlDsa44 {
        return Err(CheckpointError::UnsupportedKey(cosigner.key.algorithm()));
    }
    let digest = Sha256::new()
        .chain_update(cosigner.id.signed_text_name())
        .chain_update([b'\n', ML_DSA_44_COSIGNATURE])
        .chain_update(cosigner.key.raw())
        .finalize();
    Ok([digest[0], digest[1], digest[2], digest[3]])
}

/// A hash in padded base64.
pub fn parse_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LogNumber;

    fn setup() -> (LogId, SecretKey, Cosigner, Checkpoint) {
        let id: TrustAnchorId = "32473.1".parse().expect("an ID");
        let log = LogId::new(id, LogNumber::FIRST).expect("a short ID");
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        let cosigner = Cosigner {
            id,
            key: secret.public_key().expect("a key"),
        };
        (
            log,
            secret,
            cosigner,
            Checkpoint {
                origin: log.origin(),
                size: TreeSize(5),
                root: [7; 32],
            },
        )
    }

    #[test]
    fn a_signed_checkpoint_verifies_and_tells_its_time() {
        let (log, secret, cosigner, checkpoint) = setup();
        let line = checkpoint
            .cosign(&log, &cosigner.id, &secret, UnixTime(99))
            .unwrap();
        let note = SignedNote {
            text: checkpoint.to_text(),
            signatures: vec![line],
        };
        let signed = SignedCheckpoint::parse(note.encode().as_bytes(), &log).unwrap();
        assert_eq!(signed.checkpoint, checkpoint);
        assert_eq!(signed.verify(&log, &cosigner), Ok(UnixTime(99)));
    }

    #[test]
    fn a_damaged_known_signature_condemns_the_note_and_a_foreign_one_is_ignored() {
        let (log, secret, cosigner, checkpoint) = setup();
        let mut line = checkpoint
            .cosign(&log, &cosigner.id, &secret, UnixTime(99))
            .unwrap();
        let mut foreign = line.clone();
        foreign.key_id = [0; 4];
        let signed = |signatures| SignedCheckpoint {
            checkpoint: checkpoint.clone(),
            note: SignedNote {
                text: checkpoint.to_text(),
                signatures,
            },
        };
        assert_eq!(
            signed(vec![foreign.clone()]).verify(&log, &cosigner),
            Err(CheckpointError::NotSigned(cosigner.id))
        );
        assert!(
            signed(vec![foreign, line.clone()])
                .verify(&log, &cosigner)
                .is_ok()
        );
        line.signature[7] ^= 1;
        assert_eq!(
            signed(vec![line]).verify(&log, &cosigner),
            Err(CheckpointError::BadSignature(cosigner.id))
        );
    }

    #[test]
    fn malformed_texts_are_rejected() {
        let root = STANDARD.encode([7; 32]);
        assert!(Checkpoint::parse(&format!("o\n5\n{root}\n")).is_ok());
        for text in [
            format!("o\n5\n{root}"),
            format!("o\n05\n{root}\n"),
            format!("o\n+5\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("\n5\n{root}\n"),
            format!("o\n5\n{root}\nextension\n"),
            "o\n5\nAAAA\n".to_owned(),
        ] {
            assert!(
                matches!(Checkpoint::parse(&text), Err(CheckpointError::Text(_))),
                "{text:?}"
            );
        }
    }
}
