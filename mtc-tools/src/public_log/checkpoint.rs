//! A checkpoint that somebody published, and what its signatures are worth to whoever trusts someone.

use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, key_id};
use mtc_core::cosign::Cosigner;
use mtc_core::id::{IdError, LogId, TrustAnchorId};
use mtc_core::note::{NoteSignature, SignedNote};
use mtc_core::time::UnixTime;
use mtc_core::verify::{CaTrust, PolicyError};
use serde::Serialize;
use thiserror::Error;

use super::ReadError;

/// Why a checkpoint cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObservedError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not a checkpoint, or a signature on it is wrong or missing.
    #[error("the checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// Its origin is not that of an MTCA's log.
    #[error(
        "the checkpoint's origin {origin:?} is not that of an issuance log (oid/1.3.6.1.4.1.<CA>.0.<number>)"
    )]
    Origin {
        /// The origin.
        origin: String,
        /// Why it names no log.
        source: IdError,
    },
    /// It is of another CA's log.
    #[error("the log belongs to CA {found}, but the trusted CA is {trusted}")]
    OtherCa {
        /// The CA whose log it is.
        found: TrustAnchorId,
        /// The CA that is trusted.
        trusted: TrustAnchorId,
    },
    /// Too few of the cosigners that must have signed it did.
    #[error("the checkpoint's cosignatures")]
    Policy(#[from] PolicyError),
    /// The log's ID is too long.
    #[error("the log's ID")]
    Id(#[from] IdError),
}

/// A checkpoint as it was published, and the log that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The log.
    pub log: LogId,
    /// Size and root hash.
    pub checkpoint: Checkpoint,
    /// The note, with all signature lines.
    pub note: SignedNote,
}

/// A signature line on a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointSignature {
    /// The key's name.
    pub name: String,
    /// What is known of it.
    pub state: SignatureState,
    /// When it was made, if that is known to be true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureState {
    /// It was verified.
    Verified,
    /// Nobody whose key is known here made it.
    Unknown,
    /// There is nobody to trust, so nothing was verified.
    NotChecked,
}

impl Observed {
    /// Reads a checkpoint note of any MTCA's log.
    ///
    /// # Errors
    /// Not a checkpoint, or of no log of an MTCA.
    pub fn parse(note: &[u8]) -> Result<Self, ObservedError> {
        let note = SignedNote::parse(note).map_err(CheckpointError::from)?;
        let Checkpoint { origin, .. } = Checkpoint::parse(&note.text)?;
        let log = LogId::from_origin(&origin)
            .map_err(|source| ObservedError::Origin { origin, source })?;
        let SignedCheckpoint { checkpoint, note } =
            SignedCheckpoint::parse(note.encode().as_bytes(), &log)?;
        Ok(Self {
            log,
            checkpoint,
            note,
        })
    }

    /// Whether the same tree is meant, whoever signed it when.
    pub fn is_same_tree(&self, other: &Self) -> bool {
        self.checkpoint == other.checkpoint
    }

    /// Verifies the signatures that the trust asks for: the CA's and the quorums'. Without trust tells who claims to have
    /// signed.
    ///
    /// # Errors
    /// Another CA's log, a signature of a known key that does not verify, or too few signatures.
    pub fn signatures(
        &self,
        trust: Option<&CaTrust>,
    ) -> Result<Vec<CheckpointSignature>, ObservedError> {
        let verified = trust.map(|trust| self.verify(trust)).transpose()?;
        let state = |line: &NoteSignature| match &verified {
            None => (SignatureState::NotChecked, None),
            Some(verified) => verified
                .iter()
                .find(|by| by.is_line(line))
                .map_or((SignatureState::Unknown, None), |by| {
                    (SignatureState::Verified, Some(by.time.to_string()))
                }),
        };
        let lines = self.note.signatures.iter().map(|line| {
            let (state, time) = state(line);
            CheckpointSignature {
                name: mtc_core::printable::printable(&line.name),
                state,
                time,
            }
        });
        Ok(lines.collect())
    }

    fn verify(&self, trust: &CaTrust) -> Result<Vec<Verified>, ObservedError> {
        if trust.id() != self.log.ca() {
            return Err(ObservedError::OtherCa {
                found: *self.log.ca(),
                trusted: *trust.id(),
            });
        }
        let signed = SignedCheckpoint {
            checkpoint: self.checkpoint.clone(),
            note: self.note.clone(),
        };
        let signed_at = signed.verify(&self.log, trust.cosigner())?;
        let mut verified = vec![Verified::new(trust.cosigner(), signed_at)?];
        for group in trust.groups() {
            let mut times = Vec::new();
            for member in group.members() {
                // A line of a known key that does not verify condemns the note (c2sp.org/signed-note).
                match signed.verify(&self.log, member) {
                    Ok(time) => times.push(Verified::new(member, time)?),
                    Err(CheckpointError::NotSigned(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            group.check(|member| times.iter().any(|by| by.id == member.id).then_some(true))?;
            verified.extend(times);
        }
        Ok(verified)
    }

    /// The note as it was published.
    pub fn to_note(&self) -> String {
        self.note.encode()
    }
}

/// A cosigner whose signature was verified.
struct Verified {
    id: TrustAnchorId,
    key_id: [u8; 4],
    time: UnixTime,
}

impl Verified {
    fn new(cosigner: &Cosigner, time: UnixTime) -> Result<Self, CheckpointError> {
        Ok(Self {
            id: cosigner.id,
            key_id: key_id(cosigner)?,
            time,
        })
    }

    /// Whether this is the line that was verified: under the same name there may be lines of other keys.
    fn is_line(&self, line: &NoteSignature) -> bool {
        line.key_id == self.key_id && line.name == self.id.signed_text_name()
    }
}
