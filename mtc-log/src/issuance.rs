//! The issuance job: from a signed checkpoint to what certificates are made of (Section 6.3).
//!
//! ```text
//! signed checkpoint ----> covering subtrees of what is new ----> CA cosignatures
//!        |                                                            |
//!        +--> each witness: add-checkpoint, then sign-subtree for each ---> cosignatures by policy ---> published checkpoint
//! ```
//!
//! A mirror is a witness that is sent the entries too, between the two requests ([`mirroring`]), and a moment before the others: what
//! they have cosigned can then be had from it.
//!
//! Witnesses are asked at the same time and each on its own: a [`Witness`] that fails is asked again, ever more slowly,
//! until the deadline. The job is done as soon as as many witnesses as the policy requires have cosigned everything. The others
//! have until the next job, so that one that is slower than they are still sees every part of the log that rests for a moment.

mod mirroring;

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
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, warn};

use crate::checkpoint::CaCheckpoint;
use crate::log::{CosignError, IssuanceLog};
use crate::mirror::Uploaded;
use crate::step::{BatchStep, Observer, WitnessFault};
use crate::tiles::{TreeError, Trees};
use crate::witness::{AddCheckpoint, SignSubtree};

/// Pause before a witness is asked for the second time; it doubles each time, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long witnesses wait for mirrors that have neither cosigned nor failed.
const HEAD_START: Duration = Duration::from_secs(1);

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

    /// Whether it is a mirror (c2sp.org/tlog-mirror): its answer to `add-checkpoint` says nothing, and it cosigns what it has the entries of.
    fn is_mirror(&self) -> bool {
        false
    }

    /// Sends a mirror an `add-entries` body ([`upload_body`](crate::upload_body)).
    fn add_entries(
        &self,
        _body: Vec<u8>,
    ) -> impl Future<Output = Result<Uploaded, WitnessError>> + Send {
        async { Err(WitnessError::NoMirror) }
    }

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
    /// It has a newer checkpoint, or wants the same entries again and again. Tried again.
    #[error("the mirror wants entries from {next} up to {size}")]
    Stalled {
        /// Index of the first entry that it does not have.
        next: u64,
        /// Size of the checkpoint that it takes entries of.
        size: TreeSize,
    },
    /// Entries were to be sent to a witness that is none.
    #[error("the witness is no mirror")]
    NoMirror,
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
            Self::Unreachable(_)
            | Self::Conflict { .. }
            | Self::Unproven { .. }
            | Self::Stalled { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// What is wrong with the witness; nothing where it is only at another size, or this log is at fault.
    const fn fault(&self) -> Option<WitnessFault> {
        match self {
            Self::Unreachable(_) | Self::TimedOut => Some(WitnessFault::Unreachable),
            Self::Refused { .. } | Self::Stalled { .. } => Some(WitnessFault::Refused),
            Self::Unproven { .. } | Self::Malformed(_) | Self::Cosignature(_) => {
                Some(WitnessFault::Invalid)
            }
            Self::Conflict { .. }
            | Self::Ahead { .. }
            | Self::NoMirror
            | Self::Tree(_)
            | Self::Stopped(_) => None,
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
    /// Until the deadline as many as must be heard to hear one of those that cosigned whatever was published before: it may have
    /// seen more than the log has now.
    Overlap,
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
struct Peer<W> {
    witness: Arc<W>,
    /// Size of the checkpoint that it is believed to have cosigned last. A wrong belief costs a round trip.
    size: TreeSize,
    /// Whether it is still asked about the last job, which others have cosigned.
    is_late: bool,
    /// Whether it was when the last job began.
    was_late: bool,
}

impl<W: Witness> Peer<W> {
    fn id(&self) -> TrustAnchorId {
        self.witness.cosigner().id
    }

    /// Whether the others wait for it: for a mirror, unless they did in vain the last time.
    fn goes_first(&self) -> bool {
        self.witness.is_mirror() && !self.was_late
    }
}

/// Mirrors are asked before the others, so that what a witness has seen can be had from a mirror when the log is lost. The others wait
/// until each mirror has cosigned, or failed once, and not for long: a mirror that hangs must not hold up everybody.
struct HeadStart {
    end: Instant,
    /// Mirrors that have not been asked to the end.
    ahead: watch::Sender<usize>,
}

/// One cosigner's turn to be asked. A mirror's is over when this is dropped.
struct Turn {
    /// Until when it waits for those that are ahead; a mirror does not.
    waits: Option<(Instant, watch::Receiver<usize>)>,
    over: Option<watch::Sender<usize>>,
}

impl HeadStart {
    /// `patience` is how long cosigners are asked: most of it is for the others.
    fn of(mirrors: usize, patience: Duration) -> Self {
        Self {
            end: Instant::now() + HEAD_START.min(patience / 4),
            ahead: watch::Sender::new(mirrors),
        }
    }

    fn turn(&self, is_mirror: bool) -> Turn {
        Turn {
            waits: (!is_mirror).then(|| (self.end, self.ahead.subscribe())),
            over: is_mirror.then(|| self.ahead.clone()),
        }
    }
}

impl Turn {
    /// Waits for it.
    async fn come(&mut self) {
        if let Some((end, ahead)) = &mut self.waits {
            // An error is that nobody is ahead any more, or that it has taken too long.
            let _ = timeout_at(*end, ahead.wait_for(|ahead| *ahead == 0)).await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(over) = &self.over {
            over.send_modify(|ahead| *ahead -= 1);
        }
    }
}

/// Which witness, and what came of asking it.
type Attempt = (usize, TreeSize, Result<WitnessCosignatures, WitnessError>);

/// The witnesses of a log.
pub(crate) struct Witnesses<W> {
    peers: Vec<Peer<W>>,
    /// Those that the last job did without.
    late: JoinSet<Attempt>,
}

impl<W: Witness> Witnesses<W> {
    /// Witnesses that are all believed to have cosigned `size` entries.
    pub(crate) fn new(witnesses: impl IntoIterator<Item = W>, size: TreeSize) -> Self {
        let peer = |witness| Peer {
            witness: Arc::new(witness),
            size,
            is_late: false,
            was_late: false,
        };
        Self {
            peers: witnesses.into_iter().map(peer).collect(),
            late: JoinSet::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn cosigners(&self) -> impl Iterator<Item = &Cosigner> {
        self.peers.iter().map(|peer| peer.witness.cosigner())
    }

    /// Tells where they are believed to stand.
    pub(crate) fn tell_sizes(&self, observer: &Observer) {
        for peer in &self.peers {
            let (id, size) = (peer.id(), peer.size);
            observer(BatchStep::Witness { id, size });
        }
    }

    /// Has a job cosigned by `required` of the witnesses, at the latest `patience` from now.
    ///
    /// # Errors
    /// Too few have cosigned, or one of those that answered has seen more of the log than there is.
    pub(crate) async fn collect(
        &mut self,
        job: &Arc<Job>,
        required: usize,
        patience: Duration,
        hearing: Hearing,
        observer: &Observer,
    ) -> Result<Vec<WitnessCosignatures>, Uncosigned> {
        if required == 0 {
            return Ok(Vec::new());
        }
        self.hear_late(observer)?;
        let deadline = Instant::now() + patience;
        let mirrors = self.peers.iter().filter(|peer| peer.goes_first());
        let head_start = HeadStart::of(mirrors.count(), patience);
        let mut attempts = JoinSet::new();
        for (position, peer) in self.peers.iter().enumerate() {
            let (witness, job, believed) = (Arc::clone(&peer.witness), Arc::clone(job), peer.size);
            let observer = Arc::clone(observer);
            let turn = head_start.turn(peer.goes_first());
            attempts.spawn(async move {
                let asked = persist(&*witness, &job, believed, deadline, turn, &observer).await;
                (position, job.checkpoint.size(), asked)
            });
        }
        let wanted = match hearing {
            Hearing::Enough => required,
            // What was published had `required` of them, so all but `required - 1` have one of those among them.
            Hearing::Overlap => required.max(self.len() + 1 - required),
        };
        let mut cosigned = Vec::new();
        let mut failures = Vec::new();
        loop {
            let finished = if cosigned.len() < wanted {
                attempts.join_next().await
            } else {
                attempts.try_join_next()
            };
            let Some(finished) = finished else {
                break;
            };
            match self.hear(finished)? {
                Some(Ok(cosignatures)) => cosigned.push(cosignatures),
                Some(Err(failure)) => failures.push(failure),
                None => {}
            }
        }
        if cosigned.len() < required {
            return Err(Uncosigned::TooFew(failures));
        }
        cosigned.truncate(required);
        self.late = attempts;
        Ok(cosigned)
    }

    /// Takes note of what came of the attempts that the last job did without and that have ended.
    ///
    /// # Errors
    /// A witness has seen more of the log than there is.
    pub(crate) fn hear_finished(&mut self) -> Result<(), Uncosigned> {
        while let Some(finished) = self.late.try_join_next() {
            self.hear(finished)?;
        }
        Ok(())
    }

    /// Ends the attempts that the last job did without, and takes note of what came of them.
    fn hear_late(&mut self, observer: &Observer) -> Result<(), Uncosigned> {
        self.hear_finished()?;
        // Dropped, it ends those that are under way. Whatever they still bring about at their witness is found out there: as a
        // conflict.
        self.late = JoinSet::new();
        for peer in &mut self.peers {
            if peer.is_late {
                let (id, fault) = (peer.id(), WitnessFault::Late);
                observer(BatchStep::WitnessFailed { id, fault });
            }
            peer.was_late = peer.is_late;
            peer.is_late = true;
        }
        Ok(())
    }

    /// Takes note of an attempt; none if it has panicked.
    ///
    /// # Errors
    /// The witness has seen more of the log than there is.
    fn hear(
        &mut self,
        finished: Result<Attempt, JoinError>,
    ) -> Result<Option<Result<WitnessCosignatures, WitnessFailure>>, Uncosigned> {
        let finished =
            finished.inspect_err(|error| error!(%error, "asking a witness has panicked"));
        let Ok((position, size, result)) = finished else {
            return Ok(None);
        };
        let peer = &mut self.peers[position];
        peer.is_late = false;
        let source = match result {
            Ok(cosignatures) => {
                peer.size = size;
                return Ok(Some(Ok(cosignatures)));
            }
            Err(source) => source,
        };
        let rolled_back = matches!(source, WitnessError::Ahead { .. });
        let witness = peer.id();
        let failure = WitnessFailure { witness, source };
        if rolled_back {
            return Err(Uncosigned::RolledBack(failure));
        }
        Ok(Some(Err(failure)))
    }
}

/// Asks a witness until it has cosigned everything, fails for good, or the deadline passes.
async fn persist<W: Witness>(
    witness: &W,
    job: &Job,
    believed: TreeSize,
    deadline: Instant,
    mut turn: Turn,
    observer: &Observer,
) -> Result<WitnessCosignatures, WitnessError> {
    turn.come().await;
    let mut turn = Some(turn);
    let id = witness.cosigner().id;
    let mut size = believed;
    let mut pause = FIRST_PAUSE;
    let mut last_error = WitnessError::TimedOut;
    loop {
        let asked = timeout_at(deadline, ask(witness, job, size)).await;
        match &asked {
            Ok(Ok(_)) => {
                let size = job.checkpoint.size();
                observer(BatchStep::WitnessCosigned { id, size });
            }
            Ok(Err(error)) => {
                if let Some(fault) = error.fault() {
                    observer(BatchStep::WitnessFailed { id, fault });
                }
            }
            Err(_) => {
                let fault = WitnessFault::Unreachable;
                observer(BatchStep::WitnessFailed { id, fault });
            }
        }
        let Ok(result) = asked else {
            return Err(last_error);
        };
        // Where it stands, a mirror says first.
        if !matches!(result, Err(WitnessError::Conflict { .. })) {
            drop(turn.take());
        }
        match result {
            Err(error) if error.is_transient() => last_error = error,
            result => return result,
        }
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
    let mut answer = witness.add_checkpoint(request.encode()).await?;
    if witness.is_mirror() {
        answer = mirroring::upload(witness, job, old_size).await?;
    }
    let lines = parse_lines(&answer)?;
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
