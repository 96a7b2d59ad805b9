//! One log, followed: its landmarks, verified against its checkpoint.

use bytes::Bytes;
use mtc_core::causes::Causes;
use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use mtc_core::id::{LandmarkNumber, LogId};
use mtc_core::landmark::{LandmarkSequence, LandmarkSubtrees};
use mtc_core::time::UnixTime;
use mtc_core::tree::{self, Hash, ProofError, Subtree, consistency_proof, subtree_hash};
use mtc_core::verify::{CaTrust, TrustedSubtree};

use super::TrustError;
use super::last_failure::LastFailure;
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
    /// Why later landmarks are not trusted.
    last_failure: LastFailure,
}

/// A landmark whose subtrees were verified.
struct TrustedLandmark {
    number: LandmarkNumber,
    expiry: UnixTime,
    subtrees: Vec<TrustedSubtree>,
}

impl Follower {
    pub(super) fn new(log: LogId) -> Self {
        Self {
            log,
            newest: LandmarkNumber(0),
            document: None,
            landmarks: Vec::new(),
            last_failure: LastFailure::default(),
        }
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
            .flat_map(|landmark| landmark.subtrees.iter().copied())
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
        let checkpoint = self.reference_checkpoint(source, policy).await?;
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
    ) -> Result<Checkpoint, TrustError> {
        let note = source.fetch(self.log.number(), "checkpoint").await?;
        let signed = SignedCheckpoint::parse(&note, &self.log)?;
        signed.verify(&self.log, policy.cosigner())?;
        for group in policy.groups() {
            group.check(|cosigner| match signed.verify(&self.log, cosigner) {
                Ok(_) => Some(true),
                Err(CheckpointError::NotSigned(_)) => None,
                Err(_) => Some(false),
            })?;
        }
        Ok(signed.checkpoint)
    }

    /// The landmarks up to the first that is not consistent with the checkpoint.
    async fn verified(
        &mut self,
        source: &LogSource,
        active: &[LandmarkSubtrees],
        checkpoint: &Checkpoint,
    ) -> Result<Vec<TrustedLandmark>, TrustError> {
        let mut tiles = TileCache::new(checkpoint.size);
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
        Ok(trusted)
    }

    async fn verified_landmark(
        &self,
        source: &LogSource,
        landmark: &LandmarkSubtrees,
        checkpoint: &Checkpoint,
        tiles: &mut TileCache,
    ) -> Result<TrustedLandmark, TrustError> {
        let LandmarkSubtrees { landmark, subtrees } = landmark;
        let mut trusted = Vec::new();
        for subtree in subtrees.iter().filter(|subtree| !subtree.is_empty()) {
            let hash = self
                .verified_subtree(source, *subtree, checkpoint, tiles)
                .await?
                .map_err(|source| TrustError::Inconsistent {
                    landmark: landmark.number,
                    size: checkpoint.size,
                    source,
                })?;
            trusted.push(TrustedSubtree {
                log_number: self.log.number(),
                subtree: *subtree,
                hash,
            });
        }
        Ok(TrustedLandmark {
            number: landmark.number,
            expiry: landmark.expiry,
            subtrees: trusted,
        })
    }

    /// The hash of a subtree whose consistency with the checkpoint was verified. Fetches what the computation misses
    /// until it misses nothing.
    async fn verified_subtree(
        &self,
        source: &LogSource,
        subtree: Subtree,
        checkpoint: &Checkpoint,
        tiles: &mut TileCache,
    ) -> Result<Result<Hash, ProofError>, TrustError> {
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
                    let verified =
                        tree::verify_consistency(subtree, size, &hash, &checkpoint.root, &proof);
                    return Ok(verified.map(|()| hash));
                }
                Err(Missing(path)) => {
                    let tile = source.fetch(self.log.number(), &path.to_string()).await?;
                    tiles.insert(path, &tile)?;
                }
            }
        }
    }
}
