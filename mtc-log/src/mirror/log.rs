//! One log of a mirror: what is pending, what is stored, what is cosigned.
//!
//! ```text
//! add-checkpoint   consistent with the pending one -> state/pending-checkpoint put   | crash: the old one or the new, neither is signed
//! add-entries      package proven -> bundles, tiles  put_all, read back              | crash: entries of a pending checkpoint, to be had again
//!                  end not reached -> state/pending-entries  put                     | crash: fewer entries are known than there are
//!                  end reached: root is the checkpoint's -> cosign -> log/checkpoint put -> cosignature
//! ```
//!
//! Nothing that is stored contradicts anything else: each pending checkpoint extends the one before it, and each entry is proven to be
//! part of a pending one. So it does not matter who uploads what first, or twice.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mtc_core::checkpoint;
use mtc_core::id::{LogId, TreeSize};
use mtc_core::landmark::LandmarkSequence;
use mtc_core::tile::TILE_WIDTH;
use mtc_core::time::UnixTime;
use mtc_core::tree::{self, Hash, HashReader as _, MemoryTree, Subtree};
use tracing::{error, info, warn};

use super::request::{MirrorInfo, Package, UploadHeader, aligned};
use super::{LandmarkCopyError, MirrorOpenError, UploadRefusal};
use crate::checkpoint::{CaCheckpoint, CosigningKey};
use crate::log::extend;
use crate::storage::{Object, Storage, StorageError};
use crate::tiles::{NewTiles, TreeError, TreeReader, Trees};
use crate::witness::{AddCheckpoint, Refusal, WitnessedLog, check_growth, keep_line_of_ca};

/// Pending checkpoints that an upload may lead to: a log has a few batches under way at most.
const MAX_PENDING: usize = 16;
/// Entries that are uploaded though they are there: those of the requests that another client makes meanwhile.
const MAX_EXCESS: u64 = 8192;
/// By this clock everything has expired.
const END_OF_TIME: UnixTime = UnixTime(u64::MAX);

/// A log, and what a mirror has of it.
pub(super) struct MirroredLog {
    log: WitnessedLog,
    key: Arc<CosigningKey>,
    storage: Arc<dyn Storage>,
    trees: Trees,
    /// Held locked from a comparison to the end of the write that follows from it.
    state: Mutex<State>,
    /// Of whoever only wants to know, and does not wait for a write.
    sizes: Sizes,
}

/// Sizes of the newest pending checkpoint, of what is stored and of the mirror checkpoint; each is true, not all of one moment.
#[derive(Default)]
struct Sizes([AtomicU64; 3]);

struct State {
    /// Newest last, not smaller than `mirrored`; that one is what is in [`Object::PendingCheckpoint`]. Empty until the first.
    pending: VecDeque<CaCheckpoint>,
    /// The tree of the entries that are stored.
    stored: Stored,
    /// What is in [`Object::Checkpoint`].
    mirrored: Option<CaCheckpoint>,
}

#[derive(Clone, Copy)]
struct Stored {
    size: TreeSize,
    root: Hash,
}

impl Stored {
    fn of(checkpoint: Option<&CaCheckpoint>) -> Self {
        checkpoint.map_or_else(
            || Self {
                size: TreeSize::EMPTY,
                root: tree::empty_hash(),
            },
            |checkpoint| Self {
                size: checkpoint.size(),
                root: checkpoint.root(),
            },
        )
    }
}

impl State {
    fn sizes(&self) -> [TreeSize; 3] {
        let pending = self.pending.back();
        [
            pending.map_or(TreeSize::EMPTY, CaCheckpoint::size),
            self.stored.size,
            self.mirrored_size(),
        ]
    }

    fn mirrored_size(&self) -> TreeSize {
        self.mirrored
            .as_ref()
            .map_or(TreeSize::EMPTY, CaCheckpoint::size)
    }

    /// Where an upload to `end` can go on, if there may be one; otherwise one to the newest pending checkpoint.
    fn info(&self, end: u64) -> MirrorInfo {
        let newest = self
            .pending
            .back()
            .map_or(TreeSize::EMPTY, CaCheckpoint::size);
        let is_known = self.pending.iter().any(|pending| pending.size().0 == end);
        MirrorInfo {
            size: if is_known { TreeSize(end) } else { newest },
            next: self.stored.size.0,
            ticket: Vec::new(),
        }
    }
}

impl MirroredLog {
    /// Opens what is stored of a log; nothing, of one that has just become known.
    pub(super) fn open(
        log: WitnessedLog,
        key: Arc<CosigningKey>,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, MirrorOpenError> {
        let load = |object: Object| -> Result<Option<CaCheckpoint>, MirrorOpenError> {
            let Some(note) = storage.get(&object)? else {
                return Ok(None);
            };
            CaCheckpoint::verify(&note, &log.id, &log.ca)
                .map(Some)
                .map_err(|source| MirrorOpenError::Checkpoint {
                    origin: log.id.origin(),
                    object,
                    source,
                })
        };
        let mirrored = load(Object::Checkpoint)?;
        if let Some(mirrored) = &mirrored {
            let own = mirrored.signed().verify(&log.id, key.cosigner());
            own.map_err(|source| MirrorOpenError::Checkpoint {
                origin: log.id.origin(),
                object: Object::Checkpoint,
                source,
            })?;
        }
        let pending = load(Object::PendingCheckpoint)?.or_else(|| mirrored.clone());
        let (size, newest) = (Stored::of(mirrored.as_ref()), Stored::of(pending.as_ref()));
        if newest.size < size.size {
            return Err(MirrorOpenError::PendingBehind {
                origin: log.id.origin(),
                pending: newest.size,
                mirrored: size.size,
            });
        }
        let trees = Trees::new(Arc::clone(&storage));
        let tree = trees
            .open(size.size, size.root)
            .map_err(|source| MirrorOpenError::Tree {
                origin: log.id.origin(),
                source,
            })?;
        let stored = recover(&*storage, &trees, &tree, newest.size)?;
        let state = State {
            pending: pending.into_iter().collect(),
            stored,
            mirrored,
        };
        let sizes = Sizes::default();
        sizes.tell(&state);
        Ok(Self {
            log,
            key,
            storage,
            trees,
            state: Mutex::new(state),
            sizes,
        })
    }

    pub(super) const fn id(&self) -> &LogId {
        &self.log.id
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// Sizes of the newest pending checkpoint, of what is stored and of the mirror checkpoint. Waits for nobody.
    pub(super) fn sizes(&self) -> [TreeSize; 3] {
        let Sizes(sizes) = &self.sizes;
        sizes
            .each_ref()
            .map(|size| TreeSize(size.load(Ordering::Relaxed)))
    }

    /// Makes a checkpoint that the CA has signed the pending one, durably.
    pub(super) fn add_checkpoint(
        &self,
        request: &AddCheckpoint,
        mut checkpoint: CaCheckpoint,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        check_growth(state.pending.back(), &checkpoint, request)?;
        keep_line_of_ca(&mut checkpoint, &self.log);
        self.storage
            .put(&Object::PendingCheckpoint, &checkpoint.to_note())?;
        state
            .pending
            .retain(|pending| pending.size() != checkpoint.size());
        if state.pending.len() == MAX_PENDING {
            state.pending.pop_front();
        }
        state.pending.push_back(checkpoint);
        self.sizes.tell(&state);
        Ok(())
    }

    /// Whether an upload may begin, and what its proofs lead to.
    pub(super) fn begin(&self, header: &UploadHeader) -> Result<CaCheckpoint, UploadRefusal> {
        let UploadHeader { start, end, .. } = *header;
        let state = self.state();
        if state.pending.is_empty() {
            return Err(UploadRefusal::NoPending {
                origin: self.log.id.origin(),
            });
        }
        let known = state.pending.iter().chain(&state.mirrored);
        let target = known
            .filter(|known| known.size() >= state.mirrored_size())
            .find(|known| known.size().0 == end);
        let excess = end.min(state.stored.size.0).checked_sub(start);
        match (target, excess) {
            (Some(target), Some(excess)) if excess <= MAX_EXCESS => Ok(target.clone()),
            _ => Err(UploadRefusal::Conflict(state.info(end))),
        }
    }

    /// The entries of a package, which begins at `start`, are those of the target checkpoint.
    pub(super) fn check(
        &self,
        start: u64,
        package: &Package,
        before: &[Vec<u8>],
        target: &CaCheckpoint,
    ) -> Result<(), UploadRefusal> {
        let first = aligned(start);
        let mut leaves = MemoryTree::new();
        // What comes before the package in its subtree is stored, or about to be.
        let held = (before.len() as u64).min(start - first);
        if first < start - held {
            let stored = self.state().stored;
            let tree = self.trees.open(stored.size, stored.root)?;
            for index in first..start - held {
                leaves.push(tree.node(0, index)?);
            }
        }
        for entry in &before[before.len() - held as usize..] {
            leaves.push(tree::leaf_hash(entry));
        }
        for entry in &package.entries {
            leaves.push(tree::leaf_hash(entry));
        }
        let subtree = Subtree::new(first, start + package.entries.len() as u64)?;
        let (size, root) = (target.size(), target.root());
        tree::verify_consistency(subtree, size, &leaves.root(), &root, &package.proof)?;
        Ok(())
    }

    /// Stores proven entries, of which the first has the index `start`. Durable when this returns.
    pub(super) fn save(
        &self,
        start: u64,
        entries: &[Vec<u8>],
        end: u64,
    ) -> Result<(), UploadRefusal> {
        let mut state = self.state();
        let Some(known) = state.stored.size.0.checked_sub(start) else {
            // Others have found the stored entries damaged meanwhile.
            return Err(UploadRefusal::Conflict(state.info(end)));
        };
        let new = usize::try_from(known)
            .ok()
            .and_then(|known| entries.get(known..));
        let Some(new) = new.filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        let old = self.trees.open(state.stored.size, state.stored.root)?;
        let tree = extend(&*self.storage, &self.trees, &old, new)?;
        self.trees.keep(&tree);
        state.stored = Stored {
            size: tree.size(),
            root: tree.root(),
        };
        self.sizes.tell(&state);
        Ok(())
    }

    /// Remembers how many entries are stored; where an upload to `end` can go on.
    pub(super) fn remember(&self, end: u64) -> Result<MirrorInfo, UploadRefusal> {
        let state = self.state();
        self.remember_stored(&state)?;
        Ok(state.info(end))
    }

    fn remember_stored(&self, state: &State) -> Result<(), StorageError> {
        let size = format!("{}\n", state.stored.size);
        self.storage.put(&Object::PendingEntries, size.as_bytes())
    }

    /// Makes the target, whose entries are stored, the mirror checkpoint, and cosigns it. It is durable when this returns.
    pub(super) fn mirror(
        &self,
        target: &CaCheckpoint,
        now: UnixTime,
    ) -> Result<Vec<u8>, UploadRefusal> {
        let mut state = self.state();
        let size = target.size();
        if size < state.mirrored_size() || state.stored.size < size {
            return Err(UploadRefusal::Conflict(state.info(size.0)));
        }
        self.check_time(&state, now)?;
        let tree = self.stored_tree(&state, size)?;
        if tree.root() != target.root() {
            // Every entry was proven before it was stored, so what is stored is no longer what was.
            error!(
                origin = self.log.id.origin(),
                tree_size = size.0,
                "stored entries do not hash to the checkpoint; they have to be uploaded again"
            );
            state.stored = Stored::of(state.mirrored.as_ref());
            self.sizes.tell(&state);
            self.remember_stored(&state)?;
            return Err(UploadRefusal::Damaged { size });
        }
        let (whole, root) = (Subtree::whole(size), target.root());
        let line = self
            .key
            .cosign_line(&self.log.id, now, whole, &root)
            .map_err(UploadRefusal::Sign)?;
        let answer = line.to_line().into_bytes();
        let mirrored = target.clone().with_only_ca(&self.log).with_lines([line]);
        self.storage.put(&Object::Checkpoint, &mirrored.to_note())?;
        info!(
            origin = self.log.id.origin(),
            tree_size = size.0,
            "mirrored checkpoint"
        );
        state.mirrored = Some(mirrored);
        state.pending.retain(|pending| pending.size() >= size);
        self.sizes.tell(&state);
        Ok(answer)
    }

    /// The tree of the first `size` entries that are stored, with its right edge in storage, as it is read there.
    fn stored_tree(&self, state: &State, size: TreeSize) -> Result<TreeReader, UploadRefusal> {
        let whole = self.trees.open(state.stored.size, state.stored.root)?;
        if state.stored.size == size {
            return Ok(whole);
        }
        let edge = NewTiles::edge(&whole, size)?;
        self.storage.put_all(&edge.objects)?;
        Ok(self.trees.open_stored(edge.size)?)
    }

    fn check_time(&self, state: &State, now: UnixTime) -> Result<(), UploadRefusal> {
        // 0 would make it a subtree cosignature.
        if now == UnixTime(0) {
            return Err(UploadRefusal::NoTime);
        }
        let last = state.mirrored.as_ref().and_then(|mirrored| {
            let own = mirrored.signed().verify(&self.log.id, self.key.cosigner());
            own.ok()
        });
        match last {
            Some(last) if now < last => Err(UploadRefusal::ClockWentBackwards { last, now }),
            _ => Ok(()),
        }
    }

    /// Keeps a copy of the log's landmarks, whose newest the mirror checkpoint must hold; whether they are other ones than before.
    pub(super) fn copy_landmarks(&self, document: &[u8]) -> Result<bool, LandmarkCopyError> {
        let text = str::from_utf8(document).map_err(|_| LandmarkCopyError::NotText)?;
        let copy = LandmarkSequence::parse(text, END_OF_TIME)?;
        let state = self.state();
        let (landmark, size) = (copy.latest(), state.mirrored_size());
        if landmark.tree_size > size {
            return Err(LandmarkCopyError::Beyond { landmark, size });
        }
        if let Some(kept) = self.storage.get(&Object::Landmarks)? {
            if kept == document {
                return Ok(false);
            }
            let kept = str::from_utf8(&kept).map_err(|_| LandmarkCopyError::NotText)?;
            check_landmarks(&LandmarkSequence::parse(kept, END_OF_TIME)?, &copy)?;
        }
        self.storage.put(&Object::Landmarks, document)?;
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked has not assigned to it: what is there is still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sizes {
    fn tell(&self, state: &State) {
        for (size, now) in self.0.iter().zip(state.sizes()) {
            size.store(now.0, Ordering::Relaxed);
        }
    }
}

impl CaCheckpoint {
    fn with_only_ca(mut self, log: &WitnessedLog) -> Self {
        keep_line_of_ca(&mut self, log);
        self
    }
}

/// A number stands for one tree size for ever, and landmarks are never taken back.
fn check_landmarks(
    kept: &LandmarkSequence,
    copy: &LandmarkSequence,
) -> Result<(), LandmarkCopyError> {
    let all = |sequence: &LandmarkSequence| {
        let active = sequence.active(UnixTime(0));
        active.map(|found| found.landmark).collect::<Vec<_>>()
    };
    let kept_all = all(kept);
    let changed = all(copy).into_iter().find(|landmark| {
        let before = kept_all.iter().find(|kept| kept.number == landmark.number);
        before.is_some_and(|before| before.tree_size != landmark.tree_size)
    });
    if let Some(landmark) = changed {
        return Err(LandmarkCopyError::Changed(landmark.number));
    }
    if copy.latest().number < kept.latest().number {
        return Err(LandmarkCopyError::WentBack {
            before: kept.latest().number,
            now: copy.latest().number,
        });
    }
    Ok(())
}

/// What is stored beyond the mirror checkpoint, as far as that was remembered and is whole. All of it is read: it has not been cosigned
/// yet, and nobody will look at it before it is.
fn recover(
    storage: &dyn Storage,
    trees: &Trees,
    mirrored: &TreeReader,
    pending: TreeSize,
) -> Result<Stored, StorageError> {
    let kept = Stored {
        size: mirrored.size(),
        root: mirrored.root(),
    };
    let recorded = storage.get(&Object::PendingEntries)?;
    let recorded = recorded.and_then(|text| {
        let text = str::from_utf8(&text).ok()?.strip_suffix('\n')?;
        checkpoint::parse_decimal(text).map(TreeSize)
    });
    let Some(size) = recorded.filter(|size| *size > kept.size && *size <= pending) else {
        return Ok(kept);
    };
    let prefix = Subtree::whole(kept.size);
    let found = trees.open_stored(size).and_then(|tree| {
        let hash = tree.subtree_hash(prefix)?;
        for number in kept.size.0 / TILE_WIDTH..size.0.div_ceil(TILE_WIDTH) {
            tree.checked_bundle(number)?;
        }
        Ok((tree, hash))
    });
    match found {
        Ok((tree, hash)) if hash == kept.root => Ok(Stored {
            size,
            root: tree.root(),
        }),
        Err(TreeError::Storage(error)) => Err(error),
        _ => {
            warn!(
                remembered = size.0,
                mirrored = kept.size.0,
                "entries beyond the mirror checkpoint are damaged, and have to be uploaded again"
            );
            Ok(kept)
        }
    }
}
