//! Relying-party state kept fresh from the log (Section 7.4): nothing is trusted that was not checked.
//!
//! ```text
//!  log ── landmarks ───────> sequence, well formed, never older than the last one
//!      ── checkpoint ──────> cosigned to policy, as large as the newest landmark: the reference
//!      ── tiles ───────────> subtree hashes and consistency proofs to the reference, verified
//!                                            │
//!  a new MtcTrust <──────────────────────────┘   all or nothing; a failed update keeps the old one
//! ```
//!
//! Tiles need no trust of their own: a wrong one makes a proof that does not verify.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use mtc_core::id::LogId;
use mtc_core::landmark::{LandmarkError, LandmarkSequence, LandmarkSubtrees};
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    self, HASH_SIZE, Hash, HashReader, ProofError, Subtree, consistency_proof, node_hash,
    subtree_hash,
};
use mtc_core::verify::{CaTrust, PolicyError, TrustedSubtree};
use mtc_tls::credentials::{CredentialError, MtcTrust};

use crate::client::{ClientError, Connection, Request};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Tiles that one update may fetch: two subtrees of each of 4096 landmarks touch at most two tiles on each of six levels,
/// most of them shared; an honest log of this lab stays far below.
const MAX_TILES: usize = 4096;

/// Why an update failed; the trust from before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The log did not answer.
    #[error("the log at {addr} did not serve {path}")]
    Fetch {
        /// Where the log is.
        addr: SocketAddr,
        /// What was asked for.
        path: String,
        /// Why.
        source: ClientError,
    },
    /// The landmarks document is malformed.
    #[error("the landmarks document")]
    Landmarks(#[from] LandmarkError),
    /// The landmarks document is not text.
    #[error("the landmarks document is not text")]
    NotText,
    /// The log shows an older list of landmarks than before, or what it shows verifies fewer of them.
    #[error("the log went back from landmark {before} to {now}")]
    WentBack {
        /// The newest landmark before.
        before: u64,
        /// The newest landmark now.
        now: u64,
    },
    /// The checkpoint is malformed or not cosigned by someone who must.
    #[error("the checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// Too few witnesses cosigned the checkpoint.
    #[error("the checkpoint's cosignatures")]
    Policy(#[from] PolicyError),
    /// A tile has not the length that its width says.
    #[error("{0} is malformed")]
    Tile(TilePath),
    /// More tiles than any honest log needs.
    #[error("the landmarks need more than {MAX_TILES} tiles")]
    TooManyTiles,
    /// No landmark is consistent with the checkpoint.
    #[error("landmark {landmark} is not consistent with the checkpoint of size {size}")]
    Inconsistent {
        /// The landmark.
        landmark: u64,
        /// The checkpoint's size.
        size: u64,
        /// What is wrong with its proof.
        source: ProofError,
    },
    /// The landmark's ID exceeds its bound.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// Fetches from one log and checks what it gets.
pub struct TrustUpdater {
    addr: SocketAddr,
    log: LogId,
    trust: MtcTrust,
    policy: CaTrust,
    connection: Option<Connection>,
    newest: u64,
    document: Option<Bytes>,
}

impl TrustUpdater {
    /// An updater for the log served at `addr`, starting from trust in the cosigners alone.
    pub fn new(addr: SocketAddr, log: LogId, policy: CaTrust) -> Self {
        Self {
            addr,
            log,
            trust: MtcTrust::new(policy.clone()),
            policy,
            connection: None,
            newest: 0,
            document: None,
        }
    }

    /// The trust that was established last.
    pub const fn trust(&self) -> &MtcTrust {
        &self.trust
    }

    /// Asks the log for landmarks, and returns the new trust if there are other ones than before.
    ///
    /// Dropping the future keeps the old trust.
    ///
    /// # Errors
    /// See [`TrustError`]; the old trust stays.
    pub async fn update(&mut self, now: UnixTime) -> Result<Option<MtcTrust>, TrustError> {
        let document = self.fetch("landmarks").await?;
        if self.document.as_ref() == Some(&document) {
            return Ok(None);
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
            return Ok(None);
        }
        let checkpoint = self.reference_checkpoint().await?;
        let (newest, subtrees) = self.verified_subtrees(&active, &checkpoint).await?;
        // A stale checkpoint or a damaged tile is no reason to forget what was verified before.
        if newest < self.newest {
            return Err(TrustError::WentBack {
                before: self.newest,
                now: newest,
            });
        }
        self.trust = self.trust.with_landmarks(&self.log, newest, subtrees)?;
        self.newest = newest;
        // A document whose newest landmark could not be validated is looked at again.
        self.document = (newest == latest).then_some(document);
        Ok(Some(self.trust.clone()))
    }

    /// The newest checkpoint, cosigned by the CA and to the policy's quorums.
    async fn reference_checkpoint(&mut self) -> Result<Checkpoint, TrustError> {
        let note = self.fetch("checkpoint").await?;
        let signed = SignedCheckpoint::parse(&note, &self.log)?;
        signed.verify(&self.log, self.policy.cosigner())?;
        for group in self.policy.groups() {
            group.check(|cosigner| match signed.verify(&self.log, cosigner) {
                Ok(_) => Some(true),
                Err(CheckpointError::NotSigned(_)) => None,
                Err(_) => Some(false),
            })?;
        }
        Ok(signed.checkpoint)
    }

    /// The subtrees of the landmarks up to the first that is not consistent with the checkpoint, and the last one's number.
    async fn verified_subtrees(
        &mut self,
        active: &[LandmarkSubtrees],
        checkpoint: &Checkpoint,
    ) -> Result<(u64, Vec<TrustedSubtree>), TrustError> {
        let mut tiles = TileCache {
            size: checkpoint.size,
            tiles: HashMap::new(),
        };
        let mut newest = None;
        let mut trusted = Vec::new();
        for landmark in active {
            match self
                .landmark_subtrees(landmark, checkpoint, &mut tiles)
                .await
            {
                Ok(subtrees) => trusted.extend(subtrees),
                // It and later ones are dropped, older ones stay; without older ones there is nothing to trust.
                Err(error) if newest.is_some() => {
                    tracing::warn!(%error, landmark = landmark.landmark.number, "dropped a landmark");
                    break;
                }
                Err(error) => return Err(error),
            }
            newest = Some(landmark.landmark.number);
        }
        Ok((newest.unwrap_or_default(), trusted))
    }

    async fn landmark_subtrees(
        &mut self,
        landmark: &LandmarkSubtrees,
        checkpoint: &Checkpoint,
        tiles: &mut TileCache,
    ) -> Result<Vec<TrustedSubtree>, TrustError> {
        let mut trusted = Vec::new();
        for subtree in landmark
            .subtrees
            .into_iter()
            .filter(|subtree| !subtree.is_empty())
        {
            let hash = self
                .verified_subtree(subtree, checkpoint, tiles)
                .await?
                .map_err(|source| TrustError::Inconsistent {
                    landmark: landmark.landmark.number,
                    size: checkpoint.size,
                    source,
                })?;
            trusted.push(TrustedSubtree {
                log_number: self.log.number(),
                subtree,
                hash,
            });
        }
        Ok(trusted)
    }

    /// The hash of a subtree whose consistency with the checkpoint was verified. Fetches what the computation misses
    /// until it misses nothing.
    async fn verified_subtree(
        &mut self,
        subtree: Subtree,
        checkpoint: &Checkpoint,
        tiles: &mut TileCache,
    ) -> Result<Result<Hash, ProofError>, TrustError> {
        let size = checkpoint.size;
        if subtree.end() > size {
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
                    let tile = self.fetch(&path.to_string()).await?;
                    tiles.insert(path, &tile)?;
                }
            }
        }
    }

    /// Gets an object of the log, over a connection that is kept.
    async fn fetch(&mut self, object: &str) -> Result<Bytes, TrustError> {
        let path = format!("/{}/{object}", self.log.number());
        let failed = |source| TrustError::Fetch {
            addr: self.addr,
            path: path.clone(),
            source,
        };
        let connection = match self
            .connection
            .take()
            .filter(|connection| !connection.is_closed())
        {
            Some(connection) => connection,
            None => Connection::connect_cleartext(self.addr, TIMEOUT)
                .await
                .map_err(failed)?,
        };
        let request = Request::new(Method::GET, self.addr.to_string(), path.clone());
        let response = connection.call(request, TIMEOUT).await.map_err(failed)?;
        self.connection = Some(connection);
        Ok(response.body)
    }
}

/// A tile that a computation needs.
struct Missing(TilePath);

/// Hash tiles of a tree of one size.
struct TileCache {
    size: u64,
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl TileCache {
    fn insert(&mut self, path: TilePath, bytes: &[u8]) -> Result<(), TrustError> {
        let TilePath {
            kind: TileKind::Hashes(level),
            index,
            width,
        } = path
        else {
            return Err(TrustError::Tile(path));
        };
        let (hashes, rest) = bytes.as_chunks::<HASH_SIZE>();
        if !rest.is_empty() || hashes.len() != usize::from(width) {
            return Err(TrustError::Tile(path));
        }
        if self.tiles.len() >= MAX_TILES {
            return Err(TrustError::TooManyTiles);
        }
        self.tiles.insert((level, index), hashes.to_vec());
        Ok(())
    }
}

impl HashReader for TileCache {
    type Error = Missing;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Missing> {
        let (tile_level, within) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << within;
        let hashes_on_level = self.size >> (TILE_HEIGHT * tile_level);
        let path = TilePath::holding(TileKind::Hashes(tile_level), first, hashes_on_level)
            .expect("proofs ask for complete nodes of the tree only");
        let tile = self
            .tiles
            .get(&(tile_level, path.index))
            .ok_or(Missing(path))?;
        let position = (first % TILE_WIDTH) as usize;
        let mut nodes = tile[position..position + (1 << within)].to_vec();
        while nodes.len() > 1 {
            nodes = nodes
                .as_chunks()
                .0
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
        }
        Ok(nodes[0])
    }
}
