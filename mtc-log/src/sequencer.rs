//! The sequencer: many callers that want certificates, one log.
//!
//! ```text
//! Issuer::certify, issue --queue--> Sequencer::run: append a batch, cosign, publish, prove --> Certified, Issued, to each caller
//!                                        |                |
//!                                        | storage fails  | witnesses fail: the batch's callers are told; its entries
//!                                        v                | are in the log, and the next batch's subtrees cover them
//!                                     the end
//! ```
//!
//! A batch is everything that has arrived since the last one was taken: under load batches grow, and the signatures per
//! certificate become fewer. An entry is acknowledged when it is durable and cosigned to policy, not before.
//!
//! Errors come in two kinds. Those that the next batch may not meet (a witness, the clock) answer the callers of this
//! batch. Those that leave the log in an unknown state end [`Sequencer::run`]; the log has to be opened again.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_core::certificate::{CertificateError, CertificateFields, ProofParts};
use mtc_core::cosign::{Cosignature, Cosigner};
use mtc_core::id::{EntryIndex, LogId, TreeSize, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, warn};

use crate::checkpoint::CaCheckpoint;
use crate::issuance::{
    CosignedSubtree, Hearing, Job, Uncosigned, Witness, WitnessFailure, Witnesses,
};
use crate::log::{AppendError, Batch, CosignError, IssuanceLog, MAX_ENTRY_SIZE, PublishError};
use crate::step::{BatchStep, Observer};
use crate::tiles::{TreeError, TreeReader, Trees};

/// How a [`Sequencer`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencerConfig {
    /// Most entries that wait while a batch is under way, and so the most in a batch; at least 1. Whoever comes later is
    /// told [`IssueError::Overloaded`].
    pub queue: usize,
    /// Least time from the start of one batch to the start of the next, so that batches form; zero for none.
    pub min_interval: Duration,
    /// How many of the witnesses must cosign. All are asked at once, and the first so many to answer are those whose
    /// cosignatures certificates get, so that a certificate is as large whoever is down, and no larger than its verifiers
    /// want it; with 0 none is asked.
    pub required_witnesses: usize,
    /// How long witnesses are asked, retries included, before a batch is given up.
    pub witness_deadline: Duration,
}

/// Tells the time. Called once per batch.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// Hands entries to a [`Sequencer`]. Cheap to clone; when the last one is dropped, the sequencer ends.
#[derive(Clone)]
pub struct Issuer {
    log: LogId,
    trees: Arc<Trees>,
    queue: mpsc::Sender<Pending>,
    published: watch::Receiver<Option<CaCheckpoint>>,
    damage: mpsc::Sender<TreeError>,
    failure: Arc<OnceLock<Arc<SequencerError>>>,
}

/// What a certificate for an entry is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The entry's index.
    pub index: EntryIndex,
    /// The covering subtree that holds it.
    pub subtree: Subtree,
    /// Its inclusion proof in the subtree.
    pub inclusion_proof: Vec<Hash>,
    /// Cosignatures of the subtree, ordered as certificates want them.
    pub cosignatures: Vec<Cosignature>,
    /// Size of the published checkpoint that holds the entry.
    pub tree_size: TreeSize,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Its entry's index.
    pub index: EntryIndex,
    /// Size of the published checkpoint that holds the entry.
    pub tree_size: TreeSize,
    /// The standalone certificate, DER.
    pub certificate: Vec<u8>,
    /// What its entry took, from the queue until it was durable, cosigned and proven.
    pub logging: Duration,
    /// What putting the certificate together took.
    pub assembling: Duration,
}

struct Pending {
    entry: Vec<u8>,
    since: Instant,
    answer: oneshot::Sender<Result<Proven, IssueError>>,
}

/// [`Issued`] with the cosignatures that the other entries of the subtree have too.
struct Proven {
    index: EntryIndex,
    subtree: Subtree,
    inclusion_proof: Vec<Hash>,
    cosignatures: Arc<[Cosignature]>,
    tree_size: TreeSize,
}

impl Issuer {
    /// Issues a standalone certificate: logs its entry, waits until that is durable and cosigned to policy, and proves it.
    ///
    /// Dropping the future abandons the answer; the entry may be logged all the same.
    ///
    /// # Errors
    /// The fields make no certificate of this log's CA, or as [`Issuer::issue`].
    pub async fn certify(&self, fields: &CertificateFields<'_>) -> Result<Certified, CertifyError> {
        if fields.issuer != self.log.ca() {
            return Err(CertifyError::ForeignIssuer {
                issuer: *fields.issuer,
                ca: *self.log.ca(),
            });
        }
        let prepared = fields.prepare()?;
        let entry = prepared.log_entry();
        let encoded = entry.encode().map_err(CertificateError::from)?;
        let submitted = Instant::now();
        let proven = self.enqueue(encoded).await?;
        let logged = Instant::now();
        let proof = ProofParts {
            extensions: &entry.extensions,
            subtree: proven.subtree,
            inclusion_proof: &proven.inclusion_proof,
            signatures: &proven.cosignatures,
        };
        let certificate = prepared.certificate(self.log.number(), proven.index, proof)?;
        Ok(Certified {
            index: proven.index,
            tree_size: proven.tree_size,
            certificate,
            logging: logged - submitted,
            assembling: logged.elapsed(),
        })
    }

    /// Logs an entry and waits until it is durable and cosigned to policy. Certificates are issued by [`Issuer::certify`], which does
    /// this with the entry of its fields; what else is in a log is logged here.
    ///
    /// Dropping the future abandons the answer; the entry may be logged all the same.
    ///
    /// # Errors
    /// The entry is too long, the queue is full, or the batch or the log has failed. After an error the entry may be in the
    /// log, which harms nobody: no certificate for it has been issued.
    pub async fn issue(&self, entry: Vec<u8>) -> Result<Issued, IssueError> {
        let Proven {
            index,
            subtree,
            inclusion_proof,
            cosignatures,
            tree_size,
        } = self.enqueue(entry).await?;
        Ok(Issued {
            index,
            subtree,
            inclusion_proof,
            cosignatures: cosignatures.to_vec(),
            tree_size,
        })
    }

    /// The tree of the published checkpoint, from which landmark-relative certificates are proven. Blocks on the storage.
    ///
    /// # Errors
    /// The tiles at its right edge cannot be read or are damaged.
    pub fn published_tree(&self) -> Result<Option<TreeReader>, TreeError> {
        let published = self.published.borrow().clone();
        published
            .map(|published| self.trees.open(published.size(), published.root()))
            .transpose()
    }

    async fn enqueue(&self, entry: Vec<u8>) -> Result<Proven, IssueError> {
        if entry.len() > MAX_ENTRY_SIZE {
            return Err(IssueError::EntryTooLong {
                length: entry.len(),
            });
        }
        let (answer, issued) = oneshot::channel();
        let since = Instant::now();
        match self.queue.try_send(Pending {
            entry,
            since,
            answer,
        }) {
            Ok(()) => issued.await.unwrap_or_else(|_| Err(self.stopped())),
            Err(mpsc::error::TrySendError::Full(_)) => Err(IssueError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.stopped()),
        }
    }

    /// Watches the published checkpoint: cosigned to policy, the base of landmarks.
    pub fn published(&self) -> watch::Receiver<Option<CaCheckpoint>> {
        self.published.clone()
    }

    /// How many entries wait for a batch.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Ends the sequencer, because what is stored of the log is not what was signed: relying parties could not make sense of it.
    /// Nothing is signed or published from now on; the callers whose entries wait are told, also those of a batch that waits
    /// for witnesses.
    pub fn stop_for(&self, damage: TreeError) {
        // It has room for one, and the first damage ends the sequencer.
        drop(self.damage.try_send(damage));
    }

    fn stopped(&self) -> IssueError {
        self.failure.get().map_or(IssueError::Stopped, |failure| {
            IssueError::LogFailed(Arc::clone(failure))
        })
    }
}

/// Why no certificate was issued.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertifyError {
    /// The issuer is another CA.
    #[error("the issuer is {issuer}, but this log belongs to CA {ca}")]
    ForeignIssuer {
        /// Who was named.
        issuer: TrustAnchorId,
        /// Whose log it is.
        ca: TrustAnchorId,
    },
    /// The fields make no certificate.
    #[error("cannot encode the certificate")]
    Certificate(#[from] CertificateError),
    /// The entry was not logged, or not proven.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// Why no certificate can be made for an entry.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The entry does not fit into the log.
    #[error("an entry of {length} bytes exceeds the limit of {MAX_ENTRY_SIZE}")]
    EntryTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// As many entries wait as may. Try again later.
    #[error("the issuance queue is full")]
    Overloaded,
    /// The log did not take the batch, for a reason that may pass.
    #[error("the log did not accept the entry")]
    Refused(#[source] Arc<AppendError>),
    /// Too few witnesses have cosigned in time. Try again later.
    #[error(
        "{required} witnesses must cosign, but too few did: {}",
        list(failures)
    )]
    WitnessUnavailable {
        /// How many must cosign.
        required: usize,
        /// Those that have not, and why.
        failures: Arc<[WitnessFailure]>,
    },
    /// The log has failed and must be opened again.
    #[error("the issuance log has failed")]
    LogFailed(#[source] Arc<SequencerError>),
    /// The sequencer was stopped.
    #[error("the issuance log has been shut down")]
    Stopped,
}

/// The failures with their causes: callers print one line.
fn list(failures: &[WitnessFailure]) -> String {
    failures
        .iter()
        .map(|failure| Causes(failure).to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

/// What ends a sequencer: the state of the log is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// Appending failed.
    #[error("cannot append to the log")]
    Append(#[from] AppendError),
    /// A subtree could not be cosigned.
    #[error("cannot cosign a subtree")]
    Cosign(#[from] CosignError),
    /// Publishing failed.
    #[error("cannot publish the checkpoint")]
    Publish(#[from] PublishError),
    /// Proofs could not be made.
    #[error("cannot prove entries")]
    Prove(#[from] TreeError),
    /// A witness has cosigned more of the log than there is: an old copy was put in its place. Extending it would show
    /// two histories.
    #[error("the log was rolled back; restore the latest copy of its files, and open it again")]
    RolledBack(#[source] WitnessFailure),
    /// What is stored is not what was signed.
    #[error("the log is damaged")]
    Damaged(#[source] TreeError),
    /// The thread that held the log panicked, or the runtime is going down.
    #[error("the log was lost")]
    Lost(#[from] JoinError),
}

/// Why a sequencer cannot work as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerConfigError {
    /// The queue has no room.
    #[error("queue: must be at least 1")]
    NoQueue,
    /// More witnesses are required than there are.
    #[error("required_witnesses: {required} are required, {configured} are configured")]
    TooFewWitnesses {
        /// How many must cosign.
        required: usize,
        /// How many there are.
        configured: usize,
    },
}

/// Owns the log and works off the queue.
pub struct Sequencer<W> {
    /// Lent to a blocking thread while files are read or written.
    log: Option<IssuanceLog>,
    witnesses: Witnesses<W>,
    config: SequencerConfig,
    clock: Clock,
    observer: Observer,
    queue: mpsc::Receiver<Pending>,
    damage: mpsc::Receiver<TreeError>,
    published: watch::Sender<Option<CaCheckpoint>>,
    failure: Arc<OnceLock<Arc<SequencerError>>>,
    /// Entries below are in the published checkpoint: certificates for them could be issued.
    completed: TreeSize,
    /// Whether as many witnesses as are required agree with the log as it was opened. Until then nothing is signed: if an
    /// old copy of the log was put back, a signature on its next entry would show two histories.
    compared: bool,
}

impl<W: Witness> Sequencer<W> {
    /// A sequencer for `log`, to be [run](Sequencer::run), and its handle.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn new(
        log: IssuanceLog,
        witnesses: impl IntoIterator<Item = W>,
        config: SequencerConfig,
        clock: Clock,
    ) -> Result<(Issuer, Self), SequencerConfigError> {
        let completed = log.published().map_or(TreeSize::EMPTY, CaCheckpoint::size);
        let compared = log.signed().size() == TreeSize::EMPTY || config.required_witnesses == 0;
        let witnesses = Witnesses::new(witnesses, completed);
        let (required, configured) = (config.required_witnesses, witnesses.len());
        if required > configured {
            return Err(SequencerConfigError::TooFewWitnesses {
                required,
                configured,
            });
        }
        if config.queue == 0 {
            return Err(SequencerConfigError::NoQueue);
        }
        let (sender, queue) = mpsc::channel(config.queue);
        let (damaged, damage) = mpsc::channel(1);
        let (published, watcher) = watch::channel(log.published().cloned());
        let failure = Arc::default();
        let issuer = Issuer {
            log: *log.id(),
            trees: log.trees(),
            queue: sender,
            published: watcher,
            damage: damaged,
            failure: Arc::clone(&failure),
        };
        Ok((
            issuer,
            Self {
                log: Some(log),
                witnesses,
                config,
                clock,
                observer: Arc::new(|_| {}),
                queue,
                damage,
                published,
                failure,
                completed,
                compared,
            },
        ))
    }

    /// This sequencer, with every step told to `observer`.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = observer;
        self
    }

    /// Works until every [`Issuer`] is gone or the log fails.
    ///
    /// Dropping the future stops the sequencer; callers get [`IssueError::Stopped`], and the log is closed when the file
    /// operation under way has ended.
    ///
    /// # Errors
    /// The log has failed. Callers have been told, and every later call is.
    pub async fn run(mut self) -> Result<(), Arc<SequencerError>> {
        self.witnesses.tell_sizes(&self.observer);
        self.resume().await?;
        let mut earliest = Instant::now();
        loop {
            let next = async {
                let first = self.queue.recv().await;
                sleep_until(earliest).await;
                first
            };
            let next = unless_damaged(&mut self.damage, next).await;
            let Some(first) = next.map_err(|damage| self.fail(damage))? else {
                break;
            };
            earliest = Instant::now() + self.config.min_interval;
            let mut batch = vec![first];
            while batch.len() < self.config.queue {
                let Ok(next) = self.queue.try_recv() else {
                    break;
                };
                batch.push(next);
            }
            self.sequence(batch).await?;
        }
        Ok(())
    }

    /// Finishes what an earlier process has left: a signed checkpoint that is not published, or lost cosignatures on disk.
    /// If witnesses fail, the next batch tries again.
    async fn resume(&mut self) -> Result<(), Arc<SequencerError>> {
        if self.is_complete() {
            return Ok(());
        }
        match self.complete().await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                warn!(%error, "the last checkpoint stays unpublished until the next batch")
            }
            Err(failure) => return Err(self.fail(failure)),
        }
        Ok(())
    }

    /// Whether the signed checkpoint is published with the cosignatures that the policy requires.
    fn is_complete(&self) -> bool {
        let log = self.log();
        let Some(published) = log
            .published()
            .filter(|published| published.size() == log.signed().size())
        else {
            return false;
        };
        let cosigned = |cosigner: &&Cosigner| published.signed().verify(log.id(), cosigner).is_ok();
        self.witnesses.cosigners().filter(cosigned).count() >= self.config.required_witnesses
    }

    async fn sequence(&mut self, batch: Vec<Pending>) -> Result<(), Arc<SequencerError>> {
        let waited: Vec<_> = batch
            .iter()
            .map(|pending| pending.since.elapsed())
            .collect();
        (self.observer)(BatchStep::Taken { waited: &waited });
        let (entries, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|pending| (pending.entry, pending.answer))
            .unzip();
        let result = self.issue(entries).await;
        // Recorded before any caller can notice.
        let result = result.map_err(|failure| self.fail(failure));
        // Whoever has dropped the future of `issue` gets no answer.
        let (error, result) = match result {
            Ok(Ok(proven)) => {
                for (answer, proven) in answers.into_iter().zip(proven) {
                    drop(answer.send(Ok(proven)));
                }
                return Ok(());
            }
            Ok(Err(error)) => (error, Ok(())),
            Err(failure) => (IssueError::LogFailed(Arc::clone(&failure)), Err(failure)),
        };
        for answer in answers {
            drop(answer.send(Err(error.clone())));
        }
        result
    }

    /// The outer error is the end, the inner one that of this batch.
    async fn issue(
        &mut self,
        entries: Vec<Vec<u8>>,
    ) -> Result<Result<Vec<Proven>, IssueError>, SequencerError> {
        if !self.compared
            && let Err(error) = self.complete().await?
        {
            return Ok(Err(error));
        }
        // One that was not waited for may have proven meanwhile that the log was rolled back: then nothing more is signed.
        if let Err(Uncosigned::RolledBack(witness)) = self.witnesses.hear_finished() {
            return Err(SequencerError::RolledBack(witness));
        }
        let (now, started) = ((self.clock)(), Instant::now());
        let batch = match self.with_log(move |log| log.append(&entries, now)).await? {
            Ok(batch) => batch,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => {
                (self.observer)(BatchStep::Refused);
                return Ok(Err(IssueError::Refused(Arc::new(error))));
            }
        };
        (self.observer)(BatchStep::Signed {
            size: batch.checkpoint.size(),
            took: started.elapsed(),
        });
        match self.complete().await? {
            Ok(subtrees) => Ok(Ok(self
                .with_log(move |log| prove(log, &batch, &subtrees))
                .await??)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The issuance job for everything that is signed and not completed; publishes the checkpoint.
    async fn complete(
        &mut self,
    ) -> Result<Result<Vec<CosignedSubtree>, IssueError>, SequencerError> {
        let started = Instant::now();
        let completed = self.completed;
        let job = Arc::new(
            self.with_log(move |log| Job::prepare(log, completed))
                .await??,
        );
        let prepared = started.elapsed();
        let SequencerConfig {
            required_witnesses: required,
            witness_deadline,
            ..
        } = self.config;
        let hearing = if self.compared {
            Hearing::Enough
        } else {
            Hearing::Overlap
        };
        let collecting =
            self.witnesses
                .collect(&job, required, witness_deadline, hearing, &self.observer);
        let collected = unless_damaged(&mut self.damage, collecting).await?;
        (self.observer)(BatchStep::Cosigned {
            enough: collected.is_ok(),
            took: started.elapsed(),
        });
        let witnesses = match collected {
            Ok(witnesses) => witnesses,
            Err(Uncosigned::TooFew(failures)) => {
                return Ok(Err(IssueError::WitnessUnavailable {
                    required,
                    failures: failures.into(),
                }));
            }
            Err(Uncosigned::RolledBack(witness)) => {
                return Err(SequencerError::RolledBack(witness));
            }
        };
        self.compared = true;
        let witnessed = started.elapsed();
        let note = job.note(&witnesses);
        self.with_log(move |log| log.publish(&note)).await??;
        self.completed = job.checkpoint.size();
        self.published.send_replace(self.log().published().cloned());
        (self.observer)(BatchStep::Published {
            size: self.completed,
            took: started.elapsed().saturating_sub(witnessed),
        });
        debug!(
            start = completed.0, end = self.completed.0,
            cosigned_after = ?prepared, witnessed_after = ?witnessed, published_after = ?started.elapsed(),
            "published checkpoint"
        );
        Ok(Ok(job.cosigned_subtrees(&witnesses)))
    }

    fn fail(&self, failure: SequencerError) -> Arc<SequencerError> {
        error!(
            error = &failure as &dyn Error,
            "the issuance log has failed"
        );
        let failure = Arc::new(failure);
        self.failure
            .set(Arc::clone(&failure))
            .expect("a sequencer fails once, and ends");
        failure
    }

    fn log(&self) -> &IssuanceLog {
        self.log
            .as_ref()
            .expect("a log that was not given back has ended the sequencer")
    }

    /// Runs file operations on a thread that may block, unless the log has been found damaged: every signature is made here.
    async fn with_log<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut IssuanceLog) -> T + Send + 'static,
    ) -> Result<T, SequencerError> {
        if let Ok(damage) = self.damage.try_recv() {
            return Err(SequencerError::Damaged(damage));
        }
        let mut log = self
            .log
            .take()
            .expect("a log that was not given back has ended the sequencer");
        let (log, result) = spawn_blocking(move || {
            let result = work(&mut log);
            (log, result)
        })
        .await?;
        self.log = Some(log);
        Ok(result)
    }
}

/// Waits for `work`, and no longer than until the log is found damaged.
async fn unless_damaged<T>(
    damage: &mut mpsc::Receiver<TreeError>,
    work: impl Future<Output = T>,
) -> Result<T, SequencerError> {
    tokio::select! {
        biased;
        Some(damage) = damage.recv() => Err(SequencerError::Damaged(damage)),
        done = work => Ok(done),
    }
}

/// What certificates for the entries of a batch are made of, in their order.
fn prove(
    log: &IssuanceLog,
    batch: &Batch,
    subtrees: &[CosignedSubtree],
) -> Result<Vec<Proven>, TreeError> {
    let reader = log.reader()?;
    let mut proven = Vec::with_capacity((batch.end - batch.start) as usize);
    for CosignedSubtree {
        subtree,
        cosignatures,
    } in subtrees
    {
        // A subtree that reaches back to entries of failed batches may start, and even end, before this one.
        let entries = batch.start.max(subtree.start())..batch.end.min(subtree.end());
        let proofs = reader.inclusion_proofs(entries.clone(), *subtree)?;
        let prove = |(index, inclusion_proof)| Proven {
            index: EntryIndex(index),
            subtree: *subtree,
            inclusion_proof,
            cosignatures: Arc::clone(cosignatures),
            tree_size: batch.checkpoint.size(),
        };
        proven.extend(entries.zip(proofs).map(prove));
    }
    Ok(proven)
}
