//! The issuance job: from a signed checkpoint to what certificates are made of (Section 6.3).
//!
//! ```text
//! signed checkpoint ----> covering subtrees of what is new ----> CA cosignatures
//!        |                                                            |
//!        +--> each witness: add-checkpoint, then sign-subtree for each ---> cosignatures by policy ---> published checkpoint
//! ```
//!
//! Witnesses are asked at the same time and each on its own: a [`Witness`] that fails is asked again, ever more slowly,
//! until the deadline. The job is done as soon as as many witnesses as the policy requires have cosigned everything.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::checkpoint::{CheckpointError, verify_subtree_line};
use mtc_core::cosign::{Cosignature, Cosigner};
use mtc_core::id::{LogId, TreeSize, TrustAnchorId};
use mtc_core::note::{NoteError, NoteSignature, SignedNote};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree, covering_subtrees};
use thiserror::Error;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, warn};

use crate::checkpoint::CaCheckpoint;
use crate::log::{CosignError, IssuanceLog};
use crate::tiles::{TreeError, Trees};
use crate::witness::{AddCheckpoint, SignSubtree};

/// Pause before a witness is asked for the second time; it doubles each time, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A witness as the log sees it. Requests and answers are the bodies of c2sp.org/tlog-witness; how they travel is the
/// implementor's business. Futures may be dropped at any time.
pub trait Witness: Send + Sync + 'static {
    /// Who it is and how to verify what it signs.
    fn cosigner(&self) -> &Cosigner;

    /// Sends an [`AddCheckpoint`] body; the answer is cosignature lines.
    fn add_checkpoint(
        &self,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, WitnessError>> + Send;

    /// Sends a [`SignSubtree`] body; the answer is cosignature lines.
    fn sign_subtree(
        &self,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, WitnessError>> + Send;

    /// Fetches the note of the latest checkpoint of `log` that it has cosigned; none if it has cosigned none.
    fn latest_checkpoint(
        &self,
        log: &LogId,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, WitnessError>> + Send;
}

/// Why a witness has not cosigned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// It did not answer. Tried again.
    #[error("the witness cannot be reached")]
    Unreachable(#[source] Box<dyn StdError + Send + Sync>),
    /// It answered 409: its latest checkpoint has another size. Tried again from there.
    #[error("the witness is at size {size}")]
    Conflict {
        /// Size of its latest checkpoint.
        size: TreeSize,
    },
    /// It answered with another status than 200 or 409. Tried again if the fault is the witness's (5xx, 429).
    #[error("the witness answered {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the body said.
        detail: String,
    },
    /// It says so without a checkpoint that the log's CA has signed, so that anybody could. Tried again.
    #[error(
        "the witness claims {claimed} entries, the log has {log}, and the witness shows no checkpoint of that size signed by the CA"
    )]
    Unproven {
        /// Entries that it claims.
        claimed: TreeSize,
        /// Entries of the log.
        log: TreeSize,
    },
    /// It shows a checkpoint with the CA's signature of more entries than this log has: the log has lost some, and must not
    /// go on.
    #[error("the witness has seen {witness} entries, the log has {log}: the log was rolled back")]
    Ahead {
        /// Entries that the witness has seen.
        witness: TreeSize,
        /// Entries of the log.
        log: TreeSize,
    },
    /// Its answer is not signature lines.
    #[error("the witness's answer is malformed")]
    Malformed(#[source] NoteError),
    /// Its answer is not its signature on what it was asked to sign.
    #[error("the witness's cosignature is not usable")]
    Cosignature(#[from] CheckpointError),
    /// The log could not make the proof.
    #[error("cannot make the proof for the witness")]
    Tree(#[from] TreeError),
    /// The task that makes proofs was stopped: the runtime is going down.
    #[error("the log is shutting down")]
    Stopped(#[from] JoinError),
    /// The deadline passed while it had not answered once.
    #[error("the witness did not answer in time")]
    TimedOut,
}

impl WitnessError {
    const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Conflict { .. } | Self::Unproven { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

/// A witness that has not cosigned, and why.
#[derive(Debug, Error)]
#[error("witness {witness}")]
pub struct WitnessFailure {
    /// The witness.
    pub witness: TrustAnchorId,
    /// Its last error.
    pub source: WitnessError,
}

/// Why a job is not cosigned.
pub(crate) enum Uncosigned {
    /// Too few have cosigned; the last error of each of the others.
    TooFew(Vec<WitnessFailure>),
    /// One has seen more than there is. Whatever others say, the log must not go on.
    RolledBack(WitnessFailure),
}

/// Which witnesses are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// All, until the deadline: one may have seen more than the others.
    All,
    /// As many as are required, and those that have answered by then.
    Enough,
}

/// A subtree of a checkpoint, cosigned to policy.
pub(crate) struct CosignedSubtree {
    pub(crate) subtree: Subtree,
    /// Of the CA and of witnesses, in the order that certificates want: by ID, shorter ones first. Shared by the
    /// certificates of the subtree's entries.
    pub(crate) cosignatures: Arc<[Cosignature]>,
}

/// A checkpoint that awaits witnesses, with the subtrees that certificates will be proven in.
pub(crate) struct Job {
    log: LogId,
    ca: Cosigner,
    trees: Arc<Trees>,
    pub(crate) checkpoint: CaCheckpoint,
    subtrees: Vec<PendingSubtree>,
}

struct PendingSubtree {
    subtree: Subtree,
    hash: Hash,
    /// Consistency with the checkpoint.
    proof: Vec<Hash>,
    ca_cosignature: Cosignature,
}

impl Job {
    /// The job for the entries of the signed checkpoint that a tree of `completed` has not. Blocks on the storage.
    pub(crate) fn prepare(log: &IssuanceLog, completed: TreeSize) -> Result<Self, CosignError> {
        let checkpoint = log.signed().clone();
        let reader = log.reader()?;
        let prepare = |subtree| {
            let (hash, ca_cosignature) = log.cosign_in(&reader, subtree)?;
            Ok(PendingSubtree {
                subtree,
                hash,
                proof: reader.consistency_proof(subtree)?,
                ca_cosignature,
            })
        };
        let subtrees = covering_subtrees(completed.0, checkpoint.size().0)
            .into_iter()
            .filter(|subtree| !subtree.is_empty());
        let subtrees = subtrees.map(prepare).collect::<Result<_, CosignError>>()?;
        Ok(Self {
            log: *log.id(),
            ca: log.ca().clone(),
            trees: log.trees(),
            checkpoint,
            subtrees,
        })
    }

    /// The checkpoint's note with the cosignatures of witnesses.
    pub(crate) fn note(&self, witnesses: &[WitnessCosignatures]) -> Vec<u8> {
        let lines = witnesses.iter().map(|witness| witness.line.clone());
        self.checkpoint.clone().with_lines(lines).to_note()
    }

    /// The subtrees with the cosignatures of the CA and of witnesses.
    pub(crate) fn cosigned_subtrees(
        &self,
        witnesses: &[WitnessCosignatures],
    ) -> Vec<CosignedSubtree> {
        let cosigned = |(position, pending): (usize, &PendingSubtree)| {
            let mut cosignatures = vec![pending.ca_cosignature.clone()];
            cosignatures.extend(
                witnesses
                    .iter()
                    .map(|witness| witness.subtrees[position].clone()),
            );
            cosignatures.sort_by_key(|cosignature| cosignature.cosigner_id);
            CosignedSubtree {
                subtree: pending.subtree,
                cosignatures: cosignatures.into(),
            }
        };
        self.subtrees.iter().enumerate().map(cosigned).collect()
    }

    async fn consistency_proof(&self, old_size: TreeSize) -> Result<Vec<Hash>, WitnessError> {
        let (trees, size, root) = (
            Arc::clone(&self.trees),
            self.checkpoint.size(),
            self.checkpoint.root(),
        );
        let prove = move || {
            trees
                .open(size, root)?
                .consistency_proof(Subtree::whole(old_size))
        };
        Ok(spawn_blocking(prove).await??)
    }
}

/// What one witness has signed for a [`Job`].
pub(crate) struct WitnessCosignatures {
    /// On the checkpoint.
    line: NoteSignature,
    /// On the job's subtrees, in their order.
    subtrees: Vec<Cosignature>,
}

/// A witness and where it stands.
pub(crate) struct Peer<W> {
    witness: Arc<W>,
    /// Size of the checkpoint that it is believed to have cosigned last. A wrong belief costs a round trip.
    size: TreeSize,
}

impl<W: Witness> Peer<W> {
    pub(crate) fn new(witness: W, size: TreeSize) -> Self {
        Self {
            witness: Arc::new(witness),
            size,
        }
    }

    pub(crate) fn cosigner(&self) -> &Cosigner {
        self.witness.cosigner()
    }

    /// Size of the checkpoint that it is believed to have cosigned last.
    pub(crate) const fn size(&self) -> TreeSize {
        self.size
    }
}

/// Has a job cosigned by `required` of the witnesses, at the latest `patience` from now.
///
/// # Errors
/// Too few have cosigned, or one of those that answered has seen more of the log than there is.
pub(crate) async fn collect<W: Witness>(
    job: &Arc<Job>,
    peers: &mut [Peer<W>],
    required: usize,
    patience: Duration,
    hearing: Hearing,
) -> Result<Vec<WitnessCosignatures>, Uncosigned> {
    let deadline = Instant::now() + patience;
    let mut attempts = JoinSet::new();
    for (position, peer) in peers.iter().enumerate() {
        let (witness, job, size) = (Arc::clone(&peer.witness), Arc::clone(job), peer.size);
        attempts.spawn(async move { (position, persist(&*witness, &job, size, deadline).await) });
    }
    let mut cosigned = Vec::new();
    let mut failures = Vec::new();
    loop {
        let finished = if cosigned.len() < required || hearing == Hearing::All {
            attempts.join_next().await
        } else {
            attempts.try_join_next()
        };
        let Some(finished) = finished else {
            break;
        };
        let Ok((position, result)) =
            finished.inspect_err(|error| error!(%error, "asking a witness has panicked"))
        else {
            continue;
        };
        let peer = &mut peers[position];
        let source = match result {
            Ok(cosignatures) => {
                peer.size = job.checkpoint.size();
                cosigned.push(cosignatures);
                continue;
            }
            Err(source) => source,
        };
        let rolled_back = matches!(source, WitnessError::Ahead { .. });
        let witness = peer.cosigner().id;
        let failure = WitnessFailure { witness, source };
        if rolled_back {
            return Err(Uncosigned::RolledBack(failure));
        }
        failures.push(failure);
    }
    if cosigned.len() < required {
        return Err(Uncosigned::TooFew(failures));
    }
    cosigned.truncate(required);
    Ok(cosigned)
}

/// Asks a witness until it has cosigned everything, fails for good, or the deadline passes.
async fn persist<W: Witness>(
    witness: &W,
    job: &Job,
    believed: TreeSize,
    deadline: Instant,
) -> Result<WitnessCosignatures, WitnessError> {
    let mut size = believed;
    let mut pause = FIRST_PAUSE;
    let mut last_error = WitnessError::TimedOut;
    loop {
        let Ok(result) = timeout_at(deadline, ask(witness, job, size)).await else {
            return Err(last_error);
        };
        match result {
            Err(error) if error.is_transient() => last_error = error,
            result => return result,
        }
        let id = witness.cosigner().id;
        match last_error {
            // Where the witness stands is no fault, so the first answer to it is immediate.
            WitnessError::Conflict { size: actual } if actual != size => {
                debug!(witness = %id, believed = size.0, actual = actual.0, "witness is at another size");
                size = actual;
                continue;
            }
            _ => {
                // What was claimed in vain is forgotten.
                if matches!(last_error, WitnessError::Unproven { .. }) {
                    size = believed;
                }
                warn!(witness = %id, error = &last_error as &dyn StdError, ?pause, "witness failed, retrying")
            }
        }
        if timeout_at(deadline, sleep_until(Instant::now() + pause))
            .await
            .is_err()
        {
            return Err(last_error);
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Asks a witness for everything once.
async fn ask<W: Witness>(
    witness: &W,
    job: &Job,
    old_size: TreeSize,
) -> Result<WitnessCosignatures, WitnessError> {
    let (size, root) = (job.checkpoint.size(), job.checkpoint.root());
    if old_size > size {
        return Err(prove_ahead(witness, job, old_size).await);
    }
    let proof = job.consistency_proof(old_size).await?;
    let request = AddCheckpoint {
        old_size,
        proof,
        checkpoint: job.checkpoint.to_note(),
    };
    let lines = parse_lines(&witness.add_checkpoint(request.encode()).await?)?;
    let cosigner = witness.cosigner();
    let line = verified_line(lines, cosigner, &job.log, Subtree::whole(size), &root)?;
    let checkpoint = job.checkpoint.clone().with_lines([line.clone()]).to_note();
    let mut subtrees = Vec::new();
    for PendingSubtree {
        subtree,
        hash,
        proof,
        ..
    } in &job.subtrees
    {
        let (subtree, hash, proof) = (*subtree, *hash, proof.clone());
        let request = SignSubtree {
            subtree,
            hash,
            proof,
            checkpoint: checkpoint.clone(),
        };
        let lines = parse_lines(&witness.sign_subtree(request.encode()).await?)?;
        let timeless: Vec<_> = lines
            .into_iter()
            .filter(|line| line.signature.starts_with(&[0; 8]))
            .collect();
        let (_, signature) = verify_subtree_line(&timeless, cosigner, &job.log, subtree, &hash)?;
        subtrees.push(Cosignature {
            cosigner_id: cosigner.id,
            signature,
        });
    }
    Ok(WitnessCosignatures { line, subtrees })
}

/// Whether a witness that claims `claimed` entries, more than the job's, can show that the log once had more. A bare number
/// proves nothing: whoever answers at the witness's address can say one, and what follows from the truth of it is final.
async fn prove_ahead<W: Witness>(witness: &W, job: &Job, claimed: TreeSize) -> WitnessError {
    let log = job.checkpoint.size();
    let note = match witness.latest_checkpoint(&job.log).await {
        Ok(note) => note.unwrap_or_default(),
        Err(error) => return error,
    };
    match CaCheckpoint::verify(&note, &job.log, &job.ca) {
        Ok(seen) if seen.size() > log => WitnessError::Ahead {
            witness: seen.size(),
            log,
        },
        _ => WitnessError::Unproven { claimed, log },
    }
}

fn parse_lines(answer: &[u8]) -> Result<Vec<NoteSignature>, WitnessError> {
    let text = str::from_utf8(answer).map_err(|_| WitnessError::Malformed(NoteError::NotText))?;
    SignedNote::parse_signatures(text).map_err(WitnessError::Malformed)
}

/// The witness's own line among those it answered.
fn verified_line(
    lines: Vec<NoteSignature>,
    cosigner: &Cosigner,
    log: &LogId,
    tree: Subtree,
    root: &Hash,
) -> Result<NoteSignature, WitnessError> {
    for line in lines {
        match verify_subtree_line(std::slice::from_ref(&line), cosigner, log, tree, root) {
            Err(CheckpointError::NotSigned(_)) => {}
            Ok((UnixTime(0), _)) => return Err(CheckpointError::NotSigned(cosigner.id).into()),
            Ok(_) => return Ok(line),
            Err(error) => return Err(error.into()),
        }
    }
    Err(CheckpointError::NotSigned(cosigner.id).into())
}
