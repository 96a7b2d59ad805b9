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
//! [`SharedRegistry`] hands them on under the same lock, so that whoever persists or notifies sees that order too. A heartbeat
//! that changes only `load` is none.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sbi::json_patch::{self, PatchError};
use sbi::model::{Document, NfInstanceId, NfProfile, NfStatus, PatchItem, PatchOperation};
use sbi::problem::Problem;

use crate::etag::ETag;

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
            heartbeat_interval: 10,
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
    /// An instance has another profile; the whole of it.
    ProfileChanged(Arc<NfProfile>),
    /// An instance is gone.
    Deregistered(NfInstanceId),
}

/// Why a profile was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("registry has its {max_instances} instances")]
pub struct RegistryFull {
    /// The bound.
    pub max_instances: usize,
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
    settings: Settings,
    records: BTreeMap<NfInstanceId, Record>,
    changes: Vec<Change>,
}

impl Registry {
    /// An empty registry.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            records: BTreeMap::new(),
            changes: Vec::new(),
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
            registry.store(profile, now);
        }
        registry.changes.clear();
        registry
    }

    /// Registers `profile`, or replaces the one there is. Returns whether it is new.
    ///
    /// # Errors
    /// [`RegistryFull`].
    pub fn register(
        &mut self,
        mut profile: NfProfile,
        now: Instant,
    ) -> Result<(Stored, bool), RegistryFull> {
        let is_new = !self.records.contains_key(&profile.nf_instance_id);
        let max_instances = self.settings.max_instances;
        if is_new && self.records.len() >= max_instances {
            return Err(RegistryFull { max_instances });
        }
        // Both belong to the exchange, not to the profile.
        profile.nf_profile_changes_support_ind = None;
        profile.nf_profile_changes_ind = None;
        Ok((self.store(profile, now), is_new))
    }

    /// Applies `patch` to the profile of `id`. Nothing is stored before [`Revision::commit`].
    ///
    /// # Errors
    /// [`ReviseError`].
    pub fn revise(
        &mut self,
        id: NfInstanceId,
        patch: &[PatchItem],
    ) -> Result<Revision<'_>, ReviseError> {
        let record = self.records.get(&id).ok_or(ReviseError::UnknownInstance)?;
        let before = &record.stored.profile;
        if let Some(path) = patch.iter().find_map(immutable_target) {
            return Err(ReviseError::Immutable { path });
        }
        let document = serde_json::to_value(before.as_ref())
            .expect("a profile has string keys and does not fail");
        let profile = NfProfile::from_value(json_patch::apply(&document, patch)?)?;
        // A patch of the whole document can still replace them.
        if profile.nf_instance_id != id {
            return Err(ReviseError::Immutable { path: INSTANCE_ID });
        }
        if profile.nf_type != before.nf_type {
            return Err(ReviseError::Immutable { path: NF_TYPE });
        }
        Ok(Revision {
            registry: self,
            profile,
        })
    }

    /// Removes the instance `id`. Returns whether it was there.
    pub fn deregister(&mut self, id: NfInstanceId) -> bool {
        let found = self.records.remove(&id).is_some();
        if found {
            self.changes.push(Change::Deregistered(id));
        }
        found
    }

    /// Suspends instances whose heartbeats are missing and purges those that have been suspended for long.
    pub fn expire(&mut self, now: Instant) {
        let is_late = |record: &Record| record.deadline <= now;
        let late: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| is_late(record))
            .map(|(id, record)| (*id, Arc::clone(&record.stored.profile)))
            .collect();
        for (id, profile) in late {
            let is_suspended = profile.nf_status == NfStatus::Suspended;
            if is_suspended || self.settings.suspend_grace.is_zero() {
                self.deregister(id);
            } else {
                self.suspend(id, &profile, now);
            }
        }
    }

    /// When [`Registry::expire`] next has something to do, if ever.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.records.values().map(|record| record.deadline).min()
    }

    /// The profile of `id`.
    pub fn get(&self, id: NfInstanceId) -> Option<&Stored> {
        self.records.get(&id).map(|record| &record.stored)
    }

    /// All profiles, ordered by instance id.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<NfProfile>> {
        self.records.values().map(|record| &record.stored.profile)
    }

    /// The changes since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The interval, in seconds, of an instance that proposes `proposed`.
    fn heartbeat_timer(&self, proposed: Option<u32>) -> u32 {
        let range = &self.settings.heartbeat_range;
        proposed
            .unwrap_or(self.settings.heartbeat_interval)
            .min(*range.end())
            .max(*range.start())
    }

    fn store(&mut self, mut profile: NfProfile, now: Instant) -> Stored {
        let timer = self.heartbeat_timer(profile.heart_beat_timer);
        profile.heart_beat_timer = Some(timer);
        let patience = Duration::from_secs(timer.into()) + self.settings.heartbeat_margin;
        let grace = match profile.nf_status {
            NfStatus::Suspended => self.settings.suspend_grace,
            _ => Duration::ZERO,
        };
        self.store_until(profile, now + patience + grace)
    }

    fn suspend(&mut self, id: NfInstanceId, profile: &NfProfile, now: Instant) {
        tracing::info!(%id, nf_type = %profile.nf_type, "heartbeat missing: instance suspended");
        let mut profile = profile.clone();
        profile.nf_status = NfStatus::Suspended;
        self.store_until(profile, now + self.settings.suspend_grace);
    }

    fn store_until(&mut self, profile: NfProfile, deadline: Instant) -> Stored {
        let id = profile.nf_instance_id;
        let before = self.records.get(&id).map(|record| &record.stored);
        let profile = Arc::new(profile);
        let etag = match before {
            Some(before) if is_heartbeat(&before.profile, &profile) => before.etag.clone(),
            Some(_) => {
                self.changes
                    .push(Change::ProfileChanged(Arc::clone(&profile)));
                validator(&profile)
            }
            None => {
                self.changes.push(Change::Registered(Arc::clone(&profile)));
                validator(&profile)
            }
        };
        let stored = Stored { profile, etag };
        let record = Record {
            stored: stored.clone(),
            deadline,
        };
        self.records.insert(id, record);
        stored
    }
}

/// A patched profile that is not stored yet; while it exists nothing else can change.
pub struct Revision<'a> {
    registry: &'a mut Registry,
    profile: NfProfile,
}

impl Revision<'_> {
    /// The profile that [`Revision::commit`] would store, but for the heartbeat timer.
    pub fn profile(&self) -> &NfProfile {
        &self.profile
    }

    /// Stores the profile, which counts as a heartbeat. Returns whether the NRF overrode its heartbeat timer, which the
    /// instance must then be told.
    pub fn commit(self, now: Instant) -> (Stored, bool) {
        let proposed = self.profile.heart_beat_timer;
        let stored = self.registry.store(self.profile, now);
        let is_overridden = stored.profile.heart_beat_timer != proposed;
        (stored, is_overridden)
    }
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

fn validator(profile: &NfProfile) -> ETag {
    let mut lasting = profile.clone();
    lasting.load = None;
    lasting.load_time_stamp = None;
    let json = serde_json::to_vec(&lasting).expect("a profile has string keys and does not fail");
    ETag::of(&json)
}

/// The registry as the services of the NRF share it: one lock, never held over an await.
pub struct SharedRegistry {
    registry: Mutex<Registry>,
    on_change: ChangeSink,
}

/// Receives each change in order, under the lock of the registry and before the request that made it is answered. It must
/// not use the registry nor block for long: what takes time (notification) goes into a queue.
pub type ChangeSink = Box<dyn Fn(&Change) + Send + Sync>;

impl SharedRegistry {
    /// Shares `registry`; changes go to `on_change`.
    pub fn new(registry: Registry, on_change: ChangeSink) -> Self {
        Self {
            registry: Mutex::new(registry),
            on_change,
        }
    }

    /// Looks at the registry.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the registry and hands the changes on.
    pub fn update<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.lock();
        let result = change(&mut registry);
        registry.take_changes().iter().for_each(&self.on_change);
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        // Every transition computes first and stores with one insert, so a panic in between leaves the old state whole.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
