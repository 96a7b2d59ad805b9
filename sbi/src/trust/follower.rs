//! One log, followed: its landmarks, verified against its checkpoint.

use bytes::Bytes;
use mtc_core::causes::Causes;
use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use mtc_core::id::{LandmarkNumber, LogId, LogNumber};
use mtc_core::landmark::{LandmarkSequence, LandmarkSubtrees};
use mtc_core::time::UnixTime;
use mtc_core::tree::{self, Hash, ProofError, Subtree, consistency_proof, subtree_hash};
use mtc_core::verify::{CaTrust, TrustedSubtree};

use super::TrustError;
use super::last_failure::LastFailure;
use super::set::{Base64Hash, SetLog, SetSubtree};
use super::source::LogSource;
use super::tiles::{Missing, TileCache};

/// What a relying party knows of one log.
pub(super) struct Follower {
    log: LogId,
    /// Newest landmark that was ever verified.
    newest: LandmarkNumber,
    document: Option<Bytes>,
    /// Oldest first.
    landmarks: Vec<TrustedLandmark>,
    /// The signed checkpoint to which they are consistent, and when they were verified.
    reference: Option<(Bytes, UnixTime)>,
    /// What verifying them needed, for the next time.
    tiles: TileCache,
    /// Why later landmarks are not trusted.
    last_failure: LastFailure,
}

/// A landmark whose subtrees were verified.
struct TrustedLandmark {
    number: LandmarkNumber,
    expiry: UnixTime,
    subtrees: Vec<ProvenSubtree>,
}

/// A subtree, and what proves it consistent with the reference.
struct ProvenSubtree {
    trusted: TrustedSubtree,
    proof: Vec<Hash>,
}

impl Follower {
    pub(super) fn new(log: LogId) -> Self {
        Self {
            log,
            newest: LandmarkNumber(0),
            document: None,
            landmarks: Vec::new(),
            reference: None,
            tiles: TileCache::new(),
            last_failure: LastFailure::default(),
        }
    }

    /// A log as a set shows it, of which everything is verified, or nothing is taken.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub(super) fn of_set(
        shown: &SetLog,
        policy: &CaTrust,
        now: UnixTime,
    ) -> Result<Self, TrustError> {
        let log = LogId::new(*policy.id(), LogNumber::new(shown.number)?)?;
        let verified = UnixTime(shown.verified);
        // What had expired by then is not in the set, though a clock that is behind does not know it.
        let now = now.max(verified);
        let sequence = LandmarkSequence::parse(&shown.landmarks, now)?;
        let note = Bytes::copy_from_slice(shown.checkpoint.as_bytes());
        let checkpoint = verified_checkpoint(&note, &log, policy)?;
        let mut landmarks = Vec::new();
        for active in sequence.active(now) {
            let prove = |subtree| {
                let (hash, proof) = shown.proven(subtree).ok_or(TrustError::Unproven {
                    landmark: active.landmark.number,
                    subtree,
                })?;
                let proven = proven_subtree(&log, subtree, hash, proof, &checkpoint);
                proven.map_err(|source| TrustError::inconsistent(&active, &checkpoint, source))
            };
            landmarks.push(TrustedLandmark::of(&active, prove)?);
        }
        Ok(Self {
            log,
            newest: sequence.latest().number,
            document: Some(Bytes::copy_from_slice(shown.landmarks.as_bytes())),
            landmarks,
            reference: Some((note, verified)),
            tiles: TileCache::new(),
            last_failure: LastFailure::default(),
        })
    }

    /// The log as a set shows it; none where it has no landmarks, or not all that the log shows were verified.
    pub(super) fn to_set(&self) -> Option<SetLog> {
        let (checkpoint, verified) = self.reference.as_ref()?;
        let text = |octets: &Bytes| String::from_utf8(octets.to_vec()).ok();
        self.newest_trusted()?;
        let proven = self
            .landmarks
            .iter()
            .flat_map(|landmark| &landmark.subtrees);
        let subtrees = proven.map(|ProvenSubtree { trusted, proof }| SetSubtree {
            start: trusted.subtree.start(),
            end: trusted.subtree.end(),
            hash: Base64Hash(trusted.hash),
            proof: proof.iter().copied().map(Base64Hash).collect(),
        });
        Some(SetLog {
            number: self.log.number().get().into(),
            verified: verified.0,
            landmarks: text(self.document.as_ref()?)?,
            checkpoint: text(checkpoint)?,
            subtrees: subtrees.collect(),
        })
    }

    /// When the last of its landmarks expires.
    pub(super) fn expiry(&self) -> Option<UnixTime> {
        self.landmarks.last().map(|landmark| landmark.expiry)
    }

    pub(super) const fn log(&self) -> &LogId {
        &self.log
    }

    /// The number of the newest landmark that is trusted now.
    pub(super) fn newest_trusted(&self) -> Option<LandmarkNumber> {
        self.landmarks.last().map(|landmark| landmark.number)
    }

    pub(super) fn subtrees(&self) -> impl Iterator<Item = TrustedSubtree> + '_ {
        self.landmarks
            .iter()
            .flat_map(|landmark| landmark.subtrees.iter().map(|proven| proven.trusted))
    }

    /// Drops what nobody needs any more; returns whether there was something.
    pub(super) fn forget_expired(&mut self, now: UnixTime) -> bool {
        let before = self.landmarks.len();
        self.landmarks.retain(|landmark| landmark.expiry > now);
        self.landmarks.len() != before
    }

    /// Asks the log for landmarks, and returns whether there are other ones than before.
    ///
    /// Dropping the future keeps what was trusted.
    ///
    /// # Errors
    /// See [`TrustError`]; what was trusted stays.
    pub(super) async fn update(
        &mut self,
        source: &LogSource,
        policy: &CaTrust,
        now: UnixTime,
    ) -> Result<bool, TrustError> {
        let document = source.fetch(self.log.number(), "landmarks").await?;
        if self.document.as_ref() == Some(&document) {
            return Ok(false);
        }
        let text = std::str::from_utf8(&document).map_err(|_| TrustError::NotText)?;
        let sequence = LandmarkSequence::parse(text, now)?;
        let latest = sequence.latest().number;
        if latest < self.newest {
            return Err(TrustError::WentBack {
                before: self.newest,
                now: latest,
            });
        }
        let active: Vec<_> = sequence.active(now).collect();
        if active.is_empty() {
            self.document = Some(document);
            return Ok(false);
        }
        let (note, checkpoint) = self.reference_checkpoint(source, policy).await?;
        let landmarks = self.verified(source, &active, &checkpoint).await?;
        let newest = landmarks
            .last()
            .map_or(LandmarkNumber(0), |landmark| landmark.number);
        // A stale checkpoint or a damaged tile is no reason to forget what was verified before.
        if newest < self.newest {
            return Err(TrustError::WentBack {
                before: self.newest,
                now: newest,
            });
        }
        self.landmarks = landmarks;
        self.reference = Some((note, now));
        self.newest = newest;
        // A document whose newest landmark could not be validated is looked at again.
        self.document = (newest == latest).then_some(document);
        Ok(true)
    }

    /// The newest checkpoint, cosigned by the CA and to the policy's quorums.
    ///
    /// # Errors
    /// It is not served, or not one of this log, or lacks a cosignature.
    pub(super) async fn reference_checkpoint(
        &self,
        source: &LogSource,
        policy: &CaTrust,
    ) -> Result<(Bytes, Checkpoint), TrustError> {
        let note = source.fetch(self.log.number(), "checkpoint").await?;
        let checkpoint = verified_checkpoint(&note, &self.log, policy)?;
        Ok((note, checkpoint))
    }

    /// The landmarks up to the first that is not consistent with the checkpoint.
    async fn verified(
        &mut self,
        source: &LogSource,
        active: &[LandmarkSubtrees],
        checkpoint: &Checkpoint,
    ) -> Result<Vec<TrustedLandmark>, TrustError> {
        // After a failure none is kept: it may have been a tile's.
        let tiles = std::mem::replace(&mut self.tiles, TileCache::new());
        let mut tiles = tiles.resized(checkpoint.size);
        let mut trusted = Vec::new();
        for landmark in active {
            match self
                .verified_landmark(source, landmark, checkpoint, &mut tiles)
                .await
            {
                Ok(verified) => trusted.push(verified),
                // It and later ones are dropped, older ones stay; without older ones there is nothing to trust.
                Err(error) if !trusted.is_empty() => {
                    let number = landmark.landmark.number;
                    if self.last_failure.is_new(&error) {
                        tracing::warn!(error = %Causes(&error), landmark = number.0, "dropped a landmark");
                    } else {
                        tracing::debug!(error = %Causes(&error), landmark = number.0, "dropped a landmark again");
                    }
                    return Ok(trusted);
                }
                Err(error) => return Err(error),
            }
        }
        self.last_failure.has_passed();
        self.tiles = tiles.settled();
        Ok(trusted)
    }

    async fn verified_landmark(
        &self,
        source: &LogSource,
        landmark: &LandmarkSubtrees,
        checkpoint: &Checkpoint,
        tiles: &mut TileCache,
    ) -> Result<TrustedLandmark, TrustError> {
        let mut proven = Vec::new();
        for subtree in landmark.subtrees.iter().filter(|one| !one.is_empty()) {
            let verified = self.verified_subtree(source, *subtree, checkpoint, tiles);
            let verified = verified.await?;
            proven.push(
                verified
                    .map_err(|source| TrustError::inconsistent(landmark, checkpoint, source))?,
            );
        }
        Ok(TrustedLandmark {
            number: landmark.landmark.number,
            expiry: landmark.landmark.expiry,
            subtrees: proven,
        })
    }

    /// A subtree whose consistency with the checkpoint was verified. Fetches what the computation misses until it misses
    /// nothing.
    async fn verified_subtree(
        &self,
        source: &LogSource,
        subtree: Subtree,
        checkpoint: &Checkpoint,
        tiles: &mut TileCache,
    ) -> Result<Result<ProvenSubtree, ProofError>, TrustError> {
        let size = checkpoint.size;
        if subtree.end() > size.0 {
            return Ok(Err(ProofError::BeyondTree {
                end: subtree.end(),
                tree_size: size,
            }));
        }
        loop {
            let computed = subtree_hash(&*tiles, subtree)
                .and_then(|hash| Ok((hash, consistency_proof(&*tiles, subtree, size)?)));
            match computed {
                Ok((hash, proof)) => {
                    return Ok(proven_subtree(&self.log, subtree, hash, proof, checkpoint));
                }
                Err(Missing(path)) if tiles.recall(path)? => {}
                Err(Missing(path)) => {
                    let tile = source.fetch(self.log.number(), &path.to_string()).await?;
                    tiles.insert(path, &tile)?;
                }
            }
        }
    }
}

/// Whether the same landmarks are trusted.
impl PartialEq for Follower {
    fn eq(&self, other: &Self) -> bool {
        self.log == other.log
            && self.newest_trusted() == other.newest_trusted()
            && self.subtrees().eq(other.subtrees())
    }
}

impl TrustedLandmark {
    /// A landmark whose subtrees `prove` proves, one after the other.
    fn of(
        landmark: &LandmarkSubtrees,
        prove: impl Fn(Subtree) -> Result<ProvenSubtree, TrustError>,
    ) -> Result<Self, TrustError> {
        let LandmarkSubtrees { landmark, subtrees } = landmark;
        let subtrees = subtrees.iter().filter(|subtree| !subtree.is_empty());
        Ok(Self {
            number: landmark.number,
            expiry: landmark.expiry,
            subtrees: subtrees.copied().map(prove).collect::<Result<_, _>>()?,
        })
    }
}

/// A checkpoint of a log that the CA has cosigned, and others to the policy's quorums.
fn verified_checkpoint(
    note: &[u8],
    log: &LogId,
    policy: &CaTrust,
) -> Result<Checkpoint, TrustError> {
    let signed = SignedCheckpoint::parse(note, log)?;
    signed.verify(log, policy.cosigner())?;
    for group in policy.groups() {
        group.check(|cosigner| match signed.verify(log, cosigner) {
            Ok(_) => Some(true),
            Err(CheckpointError::NotSigned(_)) => None,
            Err(_) => Some(false),
        })?;
    }
    Ok(signed.checkpoint)
}

/// A subtree with this hash, if the proof shows that it is one of the checkpoint's tree.
fn proven_subtree(
    log: &LogId,
    subtree: Subtree,
    hash: Hash,
    proof: Vec<Hash>,
    checkpoint: &Checkpoint,
) -> Result<ProvenSubtree, ProofError> {
    tree::verify_consistency(subtree, checkpoint.size, &hash, &checkpoint.root, &proof)?;
    let trusted = TrustedSubtree {
        log_number: log.number(),
        subtree,
        hash,
    };
    Ok(ProvenSubtree { trusted, proof })
}
