//! Following a log: every checkpoint must continue the one before.
//!
//! ```text
//! checkpoint ─> signatures ─┬─ the same size with another root ──────────────────────────────────────────> fork
//!                           ├─ the same: nothing new
//!                           ├─ larger ─> tiles up to its root ─> consistency proof ─┬─ does not hold ──> fork
//!                           │                                                       └─ holds ─> new entries
//!                           └─ smaller ─> tiles of the one before ─> the same proof ─┬─ does not hold ─> fork
//!                                                                                    └─ holds ─> a stale copy
//! ```

use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tree::{Subtree, verify_consistency};
use mtc_core::verify::CaTrust;
use mtc_log::{TreeError, TreeReader};
use thiserror::Error;

use mtc_core::tile::TILE_WIDTH;

use crate::entry::EntrySummary;
use crate::public_log::{Observed, ObservedError, PublicLog};

/// Two checkpoints that cannot both be from one log's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// How they contradict each other.
    pub kind: ForkKind,
    /// The one that was seen first.
    pub before: Observed,
    /// The one that was seen now.
    pub now: Observed,
}

/// How two checkpoints contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkKind {
    /// One size has two root hashes.
    TwoRoots,
    /// The larger tree does not begin with the smaller.
    Inconsistent,
}

impl std::fmt::Display for Fork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (before, now) = (self.before.checkpoint.size, self.now.checkpoint.size);
        match self.kind {
            ForkKind::TwoRoots => write!(f, "the log shows two trees of {now} entries"),
            ForkKind::Inconsistent if now < before => write!(
                f,
                "the log's tree of {before} entries, which it showed before, does not begin with the one of {now} that it shows now"
            ),
            ForkKind::Inconsistent => write!(
                f,
                "the log's tree of {now} entries does not begin with the one of {before} that it showed before"
            ),
        }
    }
}

/// Why a look at the log told nothing new.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The checkpoint cannot be had or used.
    #[error(transparent)]
    Checkpoint(#[from] ObservedError),
    /// The tree of the new checkpoint cannot be read, or is not what the checkpoint says.
    #[error("the tiles of the new checkpoint")]
    Tree(#[from] TreeError),
    /// The place serves another log than before.
    #[error("the log here is {now}, but the one followed so far was {before}")]
    OtherLog {
        /// Origin of the log that was followed.
        before: String,
        /// Origin of the log that is served.
        now: String,
    },
    /// The log is smaller than before, and what it was then begins with what it is now: a cache or a copy of it is behind.
    #[error(
        "the log here is stale: it has {now} entries, the first of the {before} that it showed before; is this a cache or a copy?"
    )]
    Stale {
        /// Size of the tree that was seen before.
        before: TreeSize,
        /// Size of the tree that is shown now.
        now: TreeSize,
    },
    /// The log is smaller than before, and whether it is the same log cannot be told yet.
    #[error(
        "the log here has {now} entries, fewer than the {before} that it showed before, and lacks the tiles to compare them"
    )]
    Behind {
        /// Size of the tree that was seen before.
        before: TreeSize,
        /// Size of the tree that is shown now.
        now: TreeSize,
        /// What of the larger tree cannot be read.
        source: TreeError,
    },
    /// The log shows two histories.
    #[error("{0}")]
    Fork(Box<Fork>),
    /// What is found cannot be told.
    #[error("cannot write the findings")]
    Output(#[from] std::io::Error),
}

/// How the log's tree has changed since the check before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeChange {
    /// The first checkpoint ever seen.
    First,
    /// The same checkpoint as before.
    Unchanged,
    /// A checkpoint that continues the one before.
    Grown,
    /// A checkpoint that the one before may continue.
    Shrunk,
}

/// What a monitor remembers of a log.
///
/// ```
/// use mtc_core::id::EntryIndex;
/// use mtc_tools::monitor::Monitor;
/// use mtc_tools::public_log::PublicLog;
/// # use std::sync::Arc;
/// # use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
/// # use mtc_core::entry::MtcLogEntry;
/// # use mtc_core::id::{LogId, LogNumber};
/// # use mtc_core::time::UnixTime;
/// # use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
/// # let folder = tempfile::tempdir()?;
/// # let storage = Arc::new(DirectoryStorage::create(folder.path().join("log"))?);
/// # let served = storage.served_directory().display().to_string();
/// # let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
/// # let key = CosigningKey::new("32473.1".parse()?, secret)?;
/// # let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
/// # let now = UnixTime(1_800_000_000);
/// # let mut writer = IssuanceLog::create(storage, id, key, now)?;
/// # let batch = writer.append(&[MtcLogEntry::NULL.encode()?], now)?;
/// # writer.publish(&batch.checkpoint.to_note())?;
/// # let runtime = tokio::runtime::Runtime::new()?;
///
/// let log = PublicLog::at(&served, runtime.handle().clone())?;
/// let mut monitor = Monitor::new(None, Some(EntryIndex(0)));
/// let mut told = Vec::new();
/// monitor.look(&log, None, |_, _| Ok(()), |entry| Ok(told.push(entry.index)))?;
/// assert_eq!(told, [EntryIndex(0)]);
/// // Nothing has happened since.
/// monitor.look(&log, None, |_, _| Ok(()), |entry| Ok(told.push(entry.index)))?;
/// assert_eq!(told.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor {
    /// The newest checkpoint that continues all before it.
    last: Option<Observed>,
    /// The first entry that has not been told; none until the size of the log is known.
    next: Option<EntryIndex>,
}

impl Monitor {
    /// A monitor that has seen `last`, and tells entries from `next` on, or those that are new to it.
    pub fn new(last: Option<Observed>, next: Option<EntryIndex>) -> Self {
        let next = next.or_else(|| last.as_ref().map(|last| last.checkpoint.size.next_index()));
        Self { last, next }
    }

    /// The newest checkpoint that continues all before it.
    pub const fn last(&self) -> Option<&Observed> {
        self.last.as_ref()
    }

    /// Looks at the log once; `checkpoint` is told of a new checkpoint and `entry` of each new entry, after it was checked.
    ///
    /// # Errors
    /// [`MonitorError::Fork`] when the log shows two histories; anything else may pass.
    pub fn look(
        &mut self,
        log: &PublicLog,
        trust: Option<&CaTrust>,
        mut checkpoint: impl FnMut(&TreeChange, &Observed) -> std::io::Result<()>,
        entry: impl FnMut(&EntrySummary) -> std::io::Result<()>,
    ) -> Result<(), MonitorError> {
        let now = log.checkpoint()?;
        now.signatures(trust)?;
        let step = self.compare(&now)?;
        if let Some(before) = self.last.as_ref().filter(|_| step == TreeChange::Shrunk) {
            return Err(look_back(before, &now, log));
        }
        // An unchanged log is read only when an earlier look could not tell all its entries.
        let next = *self
            .next
            .get_or_insert_with(|| now.checkpoint.size.next_index());
        if step == TreeChange::Unchanged && !now.checkpoint.size.holds(next) {
            return Ok(());
        }
        let tree = log.tree(&now)?;
        if let Some(before) = self.last.as_ref().filter(|_| step == TreeChange::Grown) {
            check_continues(before, &now, &tree)?;
        }
        if step != TreeChange::Unchanged {
            checkpoint(&step, &now)?;
        }
        self.last = Some(now);
        self.tell_entries(&tree, entry)
    }

    /// What sizes and roots alone tell.
    fn compare(&self, now: &Observed) -> Result<TreeChange, MonitorError> {
        let Some(before) = &self.last else {
            return Ok(TreeChange::First);
        };
        if before.log != now.log {
            return Err(MonitorError::OtherLog {
                before: before.log.origin(),
                now: now.log.origin(),
            });
        }
        if before.is_same_tree(now) {
            return Ok(TreeChange::Unchanged);
        }
        match now.checkpoint.size.cmp(&before.checkpoint.size) {
            std::cmp::Ordering::Less => Ok(TreeChange::Shrunk),
            std::cmp::Ordering::Equal => Err(fork(ForkKind::TwoRoots, before, now)),
            std::cmp::Ordering::Greater => Ok(TreeChange::Grown),
        }
    }

    fn tell_entries(
        &mut self,
        tree: &TreeReader,
        mut entry: impl FnMut(&EntrySummary) -> std::io::Result<()>,
    ) -> Result<(), MonitorError> {
        let mut next = self.next.unwrap_or_else(|| tree.size().next_index());
        while tree.size().holds(next) {
            let bundle = tree.bundle(next.0 / TILE_WIDTH)?;
            let known = (next.0 % TILE_WIDTH) as usize;
            for bytes in bundle.iter().skip(known) {
                entry(&EntrySummary::of(next, bytes))?;
                next = EntryIndex(next.0 + 1);
                self.next = Some(next);
            }
        }
        Ok(())
    }
}

/// Checks with a consistency proof, made of tiles that lead to the new root, that a tree begins with another.
fn check_continues(
    before: &Observed,
    now: &Observed,
    tree: &TreeReader,
) -> Result<(), MonitorError> {
    if begins_with(tree, before)? {
        Ok(())
    } else {
        Err(fork(ForkKind::Inconsistent, before, now))
    }
}

/// What a log that is smaller than before is: stale, of another history, or not to be told because it does not hold the
/// larger tree any more.
fn look_back(before: &Observed, now: &Observed, log: &PublicLog) -> MonitorError {
    let sizes = (before.checkpoint.size, now.checkpoint.size);
    let is_beginning = log
        .tree(before)
        .and_then(|larger| begins_with(&larger, now));
    match (is_beginning, sizes) {
        (Ok(true), (before, now)) => MonitorError::Stale { before, now },
        (Ok(false), _) => fork(ForkKind::Inconsistent, before, now),
        (Err(source), (before, now)) => MonitorError::Behind {
            before,
            now,
            source,
        },
    }
}

/// Whether a tree begins with a smaller one.
fn begins_with(tree: &TreeReader, smaller: &Observed) -> Result<bool, TreeError> {
    let prefix = Subtree::whole(smaller.checkpoint.size);
    let proof = tree.consistency_proof(prefix)?;
    let verified = verify_consistency(
        prefix,
        tree.size(),
        &smaller.checkpoint.root,
        &tree.root(),
        &proof,
    );
    // The proof was made of authenticated nodes: that it does not hold is no fault of the tiles.
    Ok(verified.is_ok())
}

fn fork(kind: ForkKind, before: &Observed, now: &Observed) -> MonitorError {
    MonitorError::Fork(Box::new(Fork {
        kind,
        before: before.clone(),
        now: now.clone(),
    }))
}
