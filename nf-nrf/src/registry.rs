//! The state of the NF instances: pure, so that every transition is a plain function of state, input and time.
//!
//! ```text
//!              PUT                       interval + margin             grace
//!    (none) ---------> REGISTERED --------------------------> SUSPENDED -----> (none)
//!                       |     ^                                  |
//!                       `-----'<---------------------------------'   DELETE from any: (none)
//!                       PATCH, PUT          PATCH nfStatus, PUT
//! ```
//!
//! Each transition that others must hear of is a [`Change`]. They queue up in the registry in the order in which they happened;
//! [`SharedRegistry`] hands them on one after the other, so that whoever persists or notifies sees that order too. A heartbeat
//! that changes only `load` is none, unless somebody wants to hear of it ([`Registry::tell_load`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sbi::json_patch::{self, PatchError};
use sbi::model::{
    Document, NfInstanceId, NfProfile, NfStatus, NfType, PatchItem, PatchOperation, Tolerated,
};
use sbi::problem::Problem;

use crate::etag::ETag;

mod index;
mod touched;

pub use index::Wanted;
pub use touched::{MAX_TOUCHED, Revision};

use index::{Entry, Index};
use touched::Touched;

/// Heartbeat interval, in seconds, of instances that propose none where the operator says nothing else.
pub const HEARTBEAT_INTERVAL: u32 = 10;

/// What the operator decides about registrations.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Heartbeat interval, in seconds, for instances that propose none.
    pub heartbeat_interval: u32,
    /// Intervals, in seconds, that an instance may have; a proposal outside is moved to the nearer end. Starts at 1 or later.
    pub heartbeat_range: RangeInclusive<u32>,
    /// How long a heartbeat may be late.
    pub heartbeat_margin: Duration,
    /// How long a suspended instance is kept. Zero removes it without suspending it, as Open5GS does.
    pub suspend_grace: Duration,
    /// Most instances; each takes a few kilobytes.
    pub max_instances: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_interval: HEARTBEAT_INTERVAL,
            heartbeat_range: 1..=3600,
            heartbeat_margin: Duration::from_secs(2),
            suspend_grace: Duration::from_secs(60),
            max_instances: 100_000,
        }
    }
}

/// A transition that is to be persisted and that subscribers hear of.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new instance.
    Registered(Arc<NfProfile>),
    /// An instance has another profile.
    ProfileChanged {
        /// The profile until now.
        before: Arc<NfProfile>,
        /// The profile from now on.
        after: Arc<NfProfile>,
    },
    /// An instance has another load, and nothing else changed. Nothing to persist.
    LoadChanged {
        /// The profile until now.
        before: Arc<NfProfile>,
        /// The profile from now on.
        after: Arc<NfProfile>,
    },
    /// An instance is gone; its last profile.
    Deregistered(Arc<NfProfile>),
}

/// Most octets of a profile as JSON, with what the NRF puts into it: what a body may have.
pub const MAX_PROFILE: usize = json_patch::MAX_OCTETS;
/// How often a change is worked out anew because its instance changed meanwhile. Besides the instance itself, which sends one
/// request at a time, only the loss of its heartbeats changes it.
const MAX_ATTEMPTS: usize = 8;

/// The registry has no place for another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry is full: it has {max_instances} instances")]
pub struct RegistryFull {
    /// The bound.
    pub max_instances: usize,
}

/// A profile is too large to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("profile has {octets} octets; at most {MAX_PROFILE} are allowed")]
pub struct ProfileTooLarge {
    /// How many it has.
    pub octets: usize,
}

/// Why a profile was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// There is no place.
    #[error(transparent)]
    Full(#[from] RegistryFull),
    /// It is too large.
    #[error(transparent)]
    TooLarge(#[from] ProfileTooLarge),
}

/// Why a [`Draft`] was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// There is no place.
    #[error(transparent)]
    Full(#[from] RegistryFull),
    /// The instance is not any more what the draft was made from.
    #[error("the instance has changed in the meantime")]
    Stale,
}

/// Why a patch was not accepted. The profile is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviseError {
    /// No such instance: it has to register again.
    #[error("instance is not registered")]
    UnknownInstance,
    /// `/nfInstanceId` and `/nfType` cannot be changed.
    #[error("{path} cannot be changed")]
    Immutable {
        /// The member.
        path: &'static str,
    },
    /// An operation failed.
    #[error("patch failed")]
    Patch(#[from] PatchError),
    /// The result is not a valid profile.
    #[error("patched profile is invalid")]
    Invalid(#[from] Problem),
    /// The result is too large.
    #[error(transparent)]
    TooLarge(#[from] ProfileTooLarge),
}

/// A profile as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The profile.
    pub profile: Arc<NfProfile>,
    /// Its validator, which a heartbeat leaves as it is.
    pub etag: ETag,
}

struct Record {
    stored: Stored,
    /// When the instance is suspended or, if it is, purged.
    deadline: Instant,
}

/// The registered NF instances.
pub struct Registry {
    settings: Arc<Settings>,
    records: BTreeMap<NfInstanceId, Record>,
    /// The deadline of each record, the earliest first.
    deadlines: BTreeSet<(Instant, NfInstanceId)>,
    index: Index,
    changes: Vec<Change>,
    /// Whether anybody wants to hear of load alone.
    tells_load: bool,
    touched: Touched,
}

impl Registry {
    /// An empty registry.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            records: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            index: Index::default(),
            changes: Vec::new(),
            tells_load: false,
            touched: Touched::default(),
        }
    }

    /// The registry as persisted: every instance gets its full interval to send a heartbeat, and none is a change.
    pub fn restore(
        settings: Settings,
        profiles: impl IntoIterator<Item = NfProfile>,
        now: Instant,
    ) -> Self {
        let mut registry = Self::new(settings);
        for profile in profiles {
            let draft = registry.basis(profile.nf_instance_id).draft(profile);
            if let Err(error) = registry.commit(draft, now) {
                tracing::warn!(%error, "skipping a stored profile");
            }
        }
        registry.changes.clear();
        registry
    }

    /// Registers `profile`, or replaces the one there is. Returns whether it is new.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn register(
        &mut self,
        profile: NfProfile,
        now: Instant,
    ) -> Result<(Stored, bool), RegisterError> {
        let draft = self.basis(profile.nf_instance_id).register(profile)?;
        match self.commit(draft, now) {
            Ok(committed) => Ok((committed.stored, committed.is_new)),
            Err(CommitError::Full(full)) => Err(full.into()),
            Err(CommitError::Stale) => unreachable!("nothing happened since the basis was taken"),
        }
    }

    /// What there is of `id`, to work out a change from.
    pub fn basis(&self, id: NfInstanceId) -> Basis {
        Basis {
            settings: Arc::clone(&self.settings),
            before: self.get(id).cloned(),
        }
    }

    /// Stores what `draft` says, which counts as a heartbeat.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is changed then.
    pub fn commit(&mut self, draft: Draft, now: Instant) -> Result<Committed, CommitError> {
        let Draft {
            before,
            stored,
            proposed,
            patience,
            is_heartbeat,
            relisted,
            tolerated,
        } = draft;
        let id = stored.profile.nf_instance_id;
        let is_new = before.is_none();
        match (&before, self.get(id)) {
            (None, None) => {}
            (Some(before), Some(stored)) if Arc::ptr_eq(&before.profile, &stored.profile) => {}
            _ => return Err(CommitError::Stale),
        }
        let max_instances = self.settings.max_instances;
        if is_new && self.records.len() >= max_instances {
            return Err(RegistryFull { max_instances }.into());
        }
        let profile = Arc::clone(&stored.profile);
        match &before {
            None => self.changes.push(Change::Registered(profile)),
            Some(before) if !is_heartbeat => self.changes.push(Change::ProfileChanged {
                before: Arc::clone(&before.profile),
                after: profile,
            }),
            Some(before) if self.tells_load && !has_same_load(&before.profile, &profile) => {
                self.changes.push(Change::LoadChanged {
                    before: Arc::clone(&before.profile),
                    after: profile,
                });
            }
            Some(_) => {}
        }
        let record = Record {
            stored: stored.clone(),
            deadline: now + patience,
        };
        self.keep(id, record);
        if let Some((from, to)) = relisted {
            if let Some(from) = from {
                self.index.remove(id, &from);
            }
            self.index.put(id, to);
        }
        self.touched.touch(id);
        Ok(Committed {
            is_overridden: stored.profile.heart_beat_timer != proposed,
            stored,
            is_new,
            tolerated,
            _before: before,
        })
    }

    /// Removes the instance `id`. Returns whether it was there.
    pub fn deregister(&mut self, id: NfInstanceId) -> bool {
        let Some(record) = self.records.remove(&id) else {
            return false;
        };
        self.deadlines.remove(&(record.deadline, id));
        self.index.remove(id, &Entry::of(&record.stored.profile));
        self.touched.touch(id);
        self.changes
            .push(Change::Deregistered(record.stored.profile));
        true
    }

    /// Suspends instances whose heartbeats are missing and purges those that have been suspended for long.
    pub fn expire(&mut self, now: Instant) {
        for id in self.late(now) {
            self.expire_one(id, now);
        }
    }

    /// The instances with which [`Registry::expire`] has something to do.
    pub fn late(&self, now: Instant) -> Vec<NfInstanceId> {
        let late = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now);
        late.map(|(_, id)| *id).collect()
    }

    /// Suspends or purges the instance `id`, if it still is late.
    pub fn expire_one(&mut self, id: NfInstanceId, now: Instant) {
        let Some(record) = self.records.get(&id).filter(|record| record.is_late(now)) else {
            return;
        };
        let profile = Arc::clone(&record.stored.profile);
        let is_suspended = profile.nf_status == NfStatus::Suspended;
        if is_suspended || self.settings.suspend_grace.is_zero() {
            self.deregister(id);
        } else {
            self.suspend(id, profile, now);
        }
    }

    /// When [`Registry::expire`] next has something to do, if ever.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The profile of `id`.
    pub fn get(&self, id: NfInstanceId) -> Option<&Stored> {
        self.records.get(&id).map(|record| &record.stored)
    }

    /// All profiles, ordered by instance id.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<NfProfile>> {
        self.records.values().map(|record| &record.stored.profile)
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no instance.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many instances there are of each type of which there are some.
    pub fn counts(&self) -> impl Iterator<Item = (&NfType, usize)> {
        self.index.counts()
    }

    /// How many instances of `nf_type` there are, of all types without one, and `size` of them after the first `skip`, ordered by
    /// instance id.
    pub fn page(
        &self,
        nf_type: Option<&NfType>,
        skip: usize,
        size: usize,
    ) -> (usize, Vec<NfInstanceId>) {
        let Some(nf_type) = nf_type else {
            let ids = self.records.keys().skip(skip).take(size);
            return (self.len(), ids.copied().collect());
        };
        let ids = self.index.of(nf_type);
        let page = ids.into_iter().flatten().skip(skip).take(size);
        (ids.map_or(0, BTreeSet::len), page.copied().collect())
    }

    /// The profiles to look at for `wanted`: each that has it is among them, and so may be others. None is there twice unless it is wanted
    /// for two reasons.
    pub fn candidates(&self, wanted: &Wanted<'_>) -> Vec<Arc<NfProfile>> {
        let profile = |id| self.get(id).map(|stored| Arc::clone(&stored.profile));
        if wanted.ids.is_empty() {
            self.index.fewest(wanted).filter_map(profile).collect()
        } else {
            wanted.ids.iter().copied().filter_map(profile).collect()
        }
    }

    /// The state that the registry is in.
    pub const fn revision(&self) -> Revision {
        self.touched.revision()
    }

    /// The instances that were stored, by a heartbeat too, or removed since `revision`, each as it is now; none if that was more than
    /// [`MAX_TOUCHED`] of them ago.
    pub fn since(
        &self,
        revision: Revision,
    ) -> Option<impl Iterator<Item = (NfInstanceId, Option<&Arc<NfProfile>>)>> {
        let touched = self.touched.since(revision)?;
        Some(touched.map(|id| (id, self.get(id).map(|stored| &stored.profile))))
    }

    /// From now on a heartbeat that says another load is a change. Until then it costs nothing but the heartbeat.
    pub const fn tell_load(&mut self) {
        self.tells_load = true;
    }

    /// The changes since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn suspend(&mut self, id: NfInstanceId, before: Arc<NfProfile>, now: Instant) {
        tracing::info!(%id, nf_type = %before.nf_type, "heartbeat missing: instance suspended");
        let mut profile = NfProfile::clone(&before);
        profile.nf_status = NfStatus::Suspended;
        let profile = Arc::new(profile);
        self.changes.push(Change::ProfileChanged {
            before,
            after: Arc::clone(&profile),
        });
        let record = Record {
            stored: Stored {
                etag: validator(&profile),
                profile,
            },
            deadline: now + self.settings.suspend_grace,
        };
        self.keep(id, record);
        self.touched.touch(id);
    }

    /// Puts `record` in the place of what there is of `id`.
    fn keep(&mut self, id: NfInstanceId, record: Record) {
        let deadline = record.deadline;
        if let Some(before) = self.records.insert(id, record) {
            self.deadlines.remove(&(before.deadline, id));
        }
        self.deadlines.insert((deadline, id));
    }
}

impl Record {
    fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now
    }
}

/// What there is of an instance. Working out a change of a large profile takes long and needs no lock: it is worked out from a
/// basis, and [`Registry::commit`] refuses it if the instance is not that basis any more.
#[derive(Clone, Debug)]
pub struct Basis {
    settings: Arc<Settings>,
    before: Option<Stored>,
}

impl Basis {
    /// The instance, if it is registered.
    pub fn stored(&self) -> Option<&Stored> {
        self.before.as_ref()
    }

    /// A profile in place of what there is.
    ///
    /// # Errors
    /// It is too large.
    pub fn register(self, mut profile: NfProfile) -> Result<Draft, ProfileTooLarge> {
        // Both belong to the exchange, not to the profile.
        profile.nf_profile_changes_support_ind = None;
        profile.nf_profile_changes_ind = None;
        self.draft(profile).bounded()
    }

    /// What there is, with `patch` applied.
    ///
    /// # Errors
    /// [`ReviseError`].
    pub fn revise(self, patch: &[PatchItem]) -> Result<Draft, ReviseError> {
        let before = self.before.as_ref().ok_or(ReviseError::UnknownInstance)?;
        let before = Arc::clone(&before.profile);
        if let Some(path) = patch.iter().find_map(immutable_target) {
            return Err(ReviseError::Immutable { path });
        }
        let document = serde_json::to_value(before.as_ref())
            .expect("a profile has string keys and does not fail");
        let patched = json_patch::apply(&document, patch)?;
        let (profile, tolerated) = NfProfile::from_value_tolerantly(patched)?;
        // A patch of the whole document can still replace them.
        if profile.nf_instance_id != before.nf_instance_id {
            return Err(ReviseError::Immutable { path: INSTANCE_ID });
        }
        if profile.nf_type != before.nf_type {
            return Err(ReviseError::Immutable { path: NF_TYPE });
        }
        let draft = self.draft(profile).bounded()?;
        Ok(Draft { tolerated, ..draft })
    }

    fn draft(self, mut profile: NfProfile) -> Draft {
        let proposed = profile.heart_beat_timer;
        let timer = self.heartbeat_timer(proposed);
        profile.heart_beat_timer = Some(timer);
        let patience = Duration::from_secs(timer.into()) + self.settings.heartbeat_margin;
        let grace = match profile.nf_status {
            NfStatus::Suspended => self.settings.suspend_grace,
            _ => Duration::ZERO,
        };
        let before = self.before;
        let unchanged = before
            .as_ref()
            .filter(|before| is_heartbeat(&before.profile, &profile));
        let (is_heartbeat, etag, relisted) = match unchanged {
            Some(before) => (true, before.etag.clone(), None),
            None => {
                let relisted = relisted(before.as_ref(), &profile);
                (false, validator(&profile), relisted)
            }
        };
        Draft {
            relisted,
            stored: Stored {
                profile: Arc::new(profile),
                etag,
            },
            before,
            proposed,
            patience: patience + grace,
            is_heartbeat,
            tolerated: Vec::new(),
        }
    }

    /// The interval, in seconds, of an instance that proposes `proposed`.
    fn heartbeat_timer(&self, proposed: Option<u32>) -> u32 {
        let range = &self.settings.heartbeat_range;
        proposed
            .unwrap_or(self.settings.heartbeat_interval)
            .min(*range.end())
            .max(*range.start())
    }
}

/// A change that is worked out and not stored yet.
#[derive(Debug)]
pub struct Draft {
    before: Option<Stored>,
    stored: Stored,
    /// The heartbeat timer that the instance proposed.
    proposed: Option<u32>,
    /// From when it is stored until the instance is late.
    patience: Duration,
    is_heartbeat: bool,
    /// As [`relisted`] says.
    relisted: Option<(Option<Entry>, Entry)>,
    /// What was put right after a patch.
    tolerated: Vec<Tolerated>,
}

impl Draft {
    /// The profile that [`Registry::commit`] would store.
    pub fn profile(&self) -> &NfProfile {
        &self.stored.profile
    }

    fn bounded(self) -> Result<Self, ProfileTooLarge> {
        let octets = json_patch::octets(self.profile());
        if octets > MAX_PROFILE {
            return Err(ProfileTooLarge { octets });
        }
        Ok(self)
    }
}

/// A change that is stored.
#[derive(Debug)]
pub struct Committed {
    /// The profile as it is now.
    pub stored: Stored,
    /// The instance was unknown.
    pub is_new: bool,
    /// The NRF overrode the heartbeat timer, which the instance must be told.
    pub is_overridden: bool,
    /// What was put right after a patch.
    pub tolerated: Vec<Tolerated>,
    /// Carried out of the lock: a large profile takes a while to be freed.
    _before: Option<Stored>,
}

const INSTANCE_ID: &str = "/nfInstanceId";
const NF_TYPE: &str = "/nfType";

/// The immutable member that `item` would change.
fn immutable_target(item: &PatchItem) -> Option<&'static str> {
    let moved = item
        .from
        .as_deref()
        .filter(|_| item.op == PatchOperation::Move);
    let changed = Some(item.path.as_str()).filter(|_| item.op != PatchOperation::Test);
    [INSTANCE_ID, NF_TYPE]
        .into_iter()
        .find(|&path| moved == Some(path) || changed == Some(path))
}

/// Whether `after` differs from `before` in nothing but what every heartbeat changes.
fn is_heartbeat(before: &NfProfile, after: &NfProfile) -> bool {
    let mut comparable = after.clone();
    comparable.load = before.load;
    comparable
        .load_time_stamp
        .clone_from(&before.load_time_stamp);
    comparable == *before
}

/// In which lists an instance was and is to be, if these are not the same.
fn relisted(before: Option<&Stored>, after: &NfProfile) -> Option<(Option<Entry>, Entry)> {
    let from = before.map(|before| Entry::of(&before.profile));
    let to = Entry::of(after);
    (from.as_ref() != Some(&to)).then_some((from, to))
}

fn has_same_load(before: &NfProfile, after: &NfProfile) -> bool {
    before.load == after.load && before.load_time_stamp == after.load_time_stamp
}

fn validator(profile: &NfProfile) -> ETag {
    let mut lasting = profile.clone();
    lasting.load = None;
    lasting.load_time_stamp = None;
    let json = serde_json::to_vec(&lasting).expect("a profile has string keys and does not fail");
    ETag::of(&json)
}

/// The registry as the services of the NRF share it. Its lock is held for look-ups and single inserts only: profiles are worked
/// out, compared and written to disk without it. What it does blocks on the disk, so it is called off the runtime's threads.
pub struct SharedRegistry {
    registry: Mutex<Registry>,
    /// Held by whoever hands changes on, so that they arrive in order; never while the registry is locked.
    on_change: Mutex<ChangeSink>,
}

/// Receives each change in order, before the request that made it is answered. It must not use the registry; it may block on
/// the disk, and only those who change something wait for it.
pub type ChangeSink = Box<dyn Fn(&Change) + Send + Sync>;

impl SharedRegistry {
    /// Shares `registry`; changes go to `on_change`.
    pub fn new(registry: Registry, on_change: ChangeSink) -> Self {
        Self {
            registry: Mutex::new(registry),
            on_change: Mutex::new(on_change),
        }
    }

    /// Looks at the registry.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the registry and hands the changes on.
    pub fn update<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let (result, is_changed) = {
            let mut registry = self.lock();
            let result = change(&mut registry);
            (result, !registry.changes.is_empty())
        };
        if is_changed {
            self.hand_on();
        }
        result
    }

    /// Works out a change of the instance `id` without the lock, and stores it; once more if the instance changed meanwhile.
    ///
    /// # Errors
    /// What `draft` says, or [`CommitError`].
    pub fn store<E: From<CommitError>>(
        &self,
        id: NfInstanceId,
        now: Instant,
        draft: impl Fn(Basis) -> Result<Draft, E>,
    ) -> Result<Committed, E> {
        for _ in 0..MAX_ATTEMPTS {
            let basis = self.read(|registry| registry.basis(id));
            let draft = draft(basis)?;
            match self.update(|registry| registry.commit(draft, now)) {
                Err(CommitError::Stale) => {}
                done => return Ok(done?),
            }
        }
        Err(CommitError::Stale.into())
    }

    /// As [`Registry::expire`], one instance at a time.
    pub fn expire(&self, now: Instant) {
        for id in self.read(|registry| registry.late(now)) {
            self.update(|registry| registry.expire_one(id, now));
        }
    }

    /// Another thread may hand on the changes of this one. It is done when this returns: it had the sink.
    fn hand_on(&self) {
        let on_change = self.on_change.lock();
        let on_change = on_change.unwrap_or_else(PoisonError::into_inner);
        let changes = self.lock().take_changes();
        changes.iter().for_each(&*on_change);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        // Every transition computes first and stores with one insert, so a panic in between leaves the old state whole.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
