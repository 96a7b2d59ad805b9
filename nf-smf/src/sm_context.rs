//! SM contexts: one a PDU session that an AMF asked for (TS 29.502 clause 5.2.2).
//!
//! ```text
//!                       ResourcesSetUp
//!    create ──> Activating ────────> Activated
//!                 │    ^                 │
//!                 │    └── Activate ──┐  │ Deactivate, ResourcesFailed
//!                 └──────────────> Deactivated
//!    any of them: release, a newer context of the same PDU session, no use for long, or its AMF is gone ──> gone
//! ```
//!
//! The state is that of the user plane connection (`upCnxState`). An event that has no arrow changes nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use procedures::route::Resource;
use sbi::model::NfInstanceId;
use sbi::uri::ApiRoot;
use tokio::time::Instant;
use uuid::Uuid;

/// Names an SM context in URIs: `smContextRef`. It is random, so that one of an earlier run never names another context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SmContextRef(pub Uuid);

impl SmContextRef {
    /// The reference in a path segment; none if it is not one that this SMF gave.
    pub fn parse(segment: &str) -> Option<Self> {
        Uuid::try_parse(segment).ok().map(Self)
    }
}

impl fmt::Display for SmContextRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

/// A PDU session. An AMF that asks for one a second time, after a timeout say, gets a context in place of the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PduSession {
    /// The subscriber.
    pub supi: String,
    /// Which of the subscriber's sessions.
    pub id: u8,
}

/// State of the user plane connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserPlane {
    /// The radio network was asked for resources.
    Activating,
    /// It has given some.
    Activated,
    /// There are none: the UE is idle, or the radio network refused.
    Deactivated,
}

impl UserPlane {
    /// The value of `upCnxState`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activating => "ACTIVATING",
            Self::Activated => "ACTIVATED",
            Self::Deactivated => "DEACTIVATED",
        }
    }

    /// The state after `event`.
    #[must_use]
    pub const fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Activating, Event::ResourcesSetUp) => Self::Activated,
            (_, Event::ResourcesFailed | Event::Deactivate) => Self::Deactivated,
            (Self::Deactivated, Event::Activate) => Self::Activating,
            (unchanged, Event::ResourcesSetUp | Event::Activate) => unchanged,
        }
    }
}

/// What an AMF says about a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `n2SmInfoType` `PDU_RES_SETUP_RSP`.
    ResourcesSetUp,
    /// `n2SmInfoType` `PDU_RES_SETUP_FAIL`.
    ResourcesFailed,
    /// `upCnxState` `ACTIVATING`: a service request.
    Activate,
    /// `upCnxState` `DEACTIVATED`: the UE goes idle.
    Deactivate,
}

/// An SM context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmContext {
    /// Its PDU session.
    pub session: PduSession,
    /// The AMF that asked for it, which alone may change it.
    pub serving_amf: NfInstanceId,
    /// Its user plane connection.
    pub user_plane: UserPlane,
    /// What UDM and PCF hold of it.
    pub held: Held,
    /// When it was made.
    pub created: Created,
    /// When the AMF last asked something of it.
    pub used: Instant,
}

/// What UDM and PCF hold of a session, and have to be told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Whether a UDM knows that this SMF serves it.
    pub is_registered: bool,
    /// Where that UDM is, if it is known.
    pub udm: Option<ApiRoot>,
    /// The policy that a PCF has given for it.
    pub policy: Option<Resource>,
}

/// When a context was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// By the clock that measures durations here.
    pub at: Instant,
    /// By the clock that the AMF tells its time of recovery by.
    pub wall: SystemTime,
}

impl Created {
    /// Now, by both clocks.
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}

/// How many SM contexts there may be, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most contexts.
    pub capacity: usize,
    /// Most contexts of one AMF, so that others find room.
    pub per_amf: usize,
    /// How long a context is kept that its AMF asks nothing of.
    pub idle: Duration,
}

/// There are as many SM contexts as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Full {
    /// Of all AMFs.
    #[error("this SMF has reached its limit of {capacity} SM contexts")]
    All {
        /// The bound.
        capacity: usize,
    },
    /// Of this AMF.
    #[error("this SMF has reached its limit of {per_amf} SM contexts of one AMF")]
    OfAmf {
        /// The bound.
        per_amf: usize,
    },
}

/// The SM contexts of an SMF instance.
#[derive(Debug)]
pub struct SmContexts {
    bounds: Bounds,
    contexts: HashMap<SmContextRef, SmContext>,
    /// Exactly one reference for each context.
    sessions: HashMap<PduSession, SmContextRef>,
    /// Each context under its AMF; an AMF without contexts is not here.
    by_amf: HashMap<NfInstanceId, HashSet<SmContextRef>>,
    /// Each context by when it was last used, the oldest first.
    uses: BTreeSet<(Instant, Uuid)>,
}

impl SmContexts {
    /// No contexts yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            contexts: HashMap::new(),
            sessions: HashMap::new(),
            by_amf: HashMap::new(),
            uses: BTreeSet::new(),
        }
    }

    /// Makes a context named `name`, which no other may have had, and returns the one that it replaces.
    ///
    /// # Errors
    /// There is no room, and none to replace.
    pub fn create(
        &mut self,
        name: SmContextRef,
        session: PduSession,
        serving_amf: NfInstanceId,
        created: Created,
    ) -> Result<Option<SmContext>, Full> {
        let Bounds {
            capacity, per_amf, ..
        } = self.bounds;
        self.expire(created.at);
        let replaced = self.sessions.get(&session).copied();
        let replaces_own = replaced
            .and_then(|replaced| self.contexts.get(&replaced))
            .is_some_and(|context| context.serving_amf == serving_amf);
        if replaced.is_none() && self.contexts.len() >= capacity {
            return Err(Full::All { capacity });
        }
        if !replaces_own && self.of_amf(serving_amf) >= per_amf {
            return Err(Full::OfAmf { per_amf });
        }
        let replaced = replaced.and_then(|replaced| self.release(replaced));
        self.sessions.insert(session.clone(), name);
        self.by_amf.entry(serving_amf).or_default().insert(name);
        self.uses.insert((created.at, name.0));
        let context = SmContext {
            session,
            serving_amf,
            user_plane: UserPlane::Activating,
            held: Held::default(),
            created,
            used: created.at,
        };
        self.contexts.insert(name, context);
        Ok(replaced)
    }

    /// How many contexts the AMF has.
    pub fn of_amf(&self, amf: NfInstanceId) -> usize {
        self.by_amf.get(&amf).map_or(0, HashSet::len)
    }

    /// The AMFs that have contexts.
    pub fn amfs(&self) -> impl Iterator<Item = NfInstanceId> {
        self.by_amf.keys().copied()
    }

    /// Ends the contexts that have not been used for as long as they may. Returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let mut ended = 0;
        while let Some(&(used, name)) = self.uses.first() {
            if now.saturating_duration_since(used) < self.bounds.idle {
                break;
            }
            self.release(SmContextRef(name));
            // What is here is a context's, so that this is done by now; it must not be the loop's end that relies on it.
            self.uses.remove(&(used, name));
            ended += 1;
        }
        ended
    }

    /// Ends the contexts of `amf` that are `lost`. Returns how many.
    pub fn end(&mut self, amf: NfInstanceId, lost: impl Fn(&SmContext) -> bool) -> usize {
        let names = self.by_amf.get(&amf).into_iter().flatten();
        let is_lost = |name: &&SmContextRef| self.contexts.get(name).is_some_and(&lost);
        let names: Vec<_> = names.filter(is_lost).copied().collect();
        names
            .into_iter()
            .filter_map(|name| self.release(name))
            .count()
    }

    /// The context `name`.
    pub fn context(&self, name: SmContextRef) -> Option<&SmContext> {
        self.contexts.get(&name)
    }

    /// Tells the context `name` of an event; none if there is no such context.
    pub fn update(&mut self, name: SmContextRef, event: Event, now: Instant) -> Option<UserPlane> {
        self.touch(name, now);
        let context = self.contexts.get_mut(&name)?;
        context.user_plane = context.user_plane.after(event);
        Some(context.user_plane)
    }

    /// UDM and PCF hold something of the context `name`. Returns whether there is such a context.
    pub fn hold(&mut self, name: SmContextRef, held: Held) -> bool {
        let context = self.contexts.get_mut(&name);
        context.map(|context| context.held = held).is_some()
    }

    /// Removes the context `name` and returns it; none if there is no such context.
    pub fn release(&mut self, name: SmContextRef) -> Option<SmContext> {
        let context = self.contexts.remove(&name)?;
        self.sessions.remove(&context.session);
        self.uses.remove(&(context.used, name.0));
        if let Some(names) = self.by_amf.get_mut(&context.serving_amf) {
            names.remove(&name);
            if names.is_empty() {
                self.by_amf.remove(&context.serving_amf);
            }
        }
        Some(context)
    }

    /// The context `name` is used.
    pub fn touch(&mut self, name: SmContextRef, now: Instant) {
        if let Some(context) = self.contexts.get_mut(&name) {
            self.uses.remove(&(context.used, name.0));
            context.used = now;
            self.uses.insert((now, name.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u128) -> SmContextRef {
        SmContextRef(Uuid::from_u128(n))
    }

    fn session(id: u8) -> PduSession {
        PduSession {
            supi: "imsi-001010000000001".to_owned(),
            id,
        }
    }

    fn amf(n: u128) -> NfInstanceId {
        Uuid::from_u128(n).into()
    }

    const IDLE: Duration = Duration::from_secs(3600);

    fn contexts(capacity: usize) -> SmContexts {
        SmContexts::new(Bounds {
            capacity,
            per_amf: capacity,
            idle: IDLE,
        })
    }

    /// So many seconds after a time that is the same throughout the tests.
    fn at(seconds: u64) -> Created {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        let after = Duration::from_secs(seconds);
        Created {
            at: *START + after,
            wall: SystemTime::UNIX_EPOCH + after,
        }
    }

    fn is_empty(contexts: &SmContexts) -> bool {
        contexts.contexts.is_empty()
            && contexts.sessions.is_empty()
            && contexts.by_amf.is_empty()
            && contexts.uses.is_empty()
    }

    #[test]
    fn contexts_end_when_they_are_not_used_for_long() {
        let mut contexts = contexts(2);
        contexts.create(name(1), session(1), amf(7), at(0)).unwrap();
        contexts.create(name(2), session(2), amf(7), at(0)).unwrap();
        contexts.update(name(2), Event::ResourcesSetUp, at(100).at);
        let full = Err(Full::All { capacity: 2 });
        assert_eq!(contexts.create(name(3), session(3), amf(8), at(3599)), full);
        assert_eq!(
            contexts.create(name(3), session(3), amf(8), at(3600)),
            Ok(None)
        );
        assert!(contexts.context(name(1)).is_none() && contexts.context(name(2)).is_some());
        assert_eq!(contexts.expire(at(3699).at), 0);
        assert_eq!(contexts.expire(at(3700).at), 1);
        assert_eq!(contexts.expire(at(7200).at), 1);
        assert!(is_empty(&contexts));
    }

    #[test]
    fn one_amf_cannot_take_all_places() {
        let mut contexts = SmContexts::new(Bounds {
            capacity: 3,
            per_amf: 2,
            idle: IDLE,
        });
        contexts.create(name(1), session(1), amf(7), at(0)).unwrap();
        contexts.create(name(2), session(2), amf(7), at(0)).unwrap();
        let full = Err(Full::OfAmf { per_amf: 2 });
        assert_eq!(contexts.create(name(3), session(3), amf(7), at(0)), full);
        assert!(contexts.create(name(3), session(2), amf(7), at(0)).is_ok());
        assert_eq!(
            contexts.create(name(4), session(4), amf(8), at(0)),
            Ok(None)
        );
        let full = Err(Full::OfAmf { per_amf: 2 });
        assert_eq!(contexts.create(name(5), session(4), amf(7), at(0)), full);
    }

    #[test]
    fn contexts_end_with_their_amf() {
        let mut contexts = contexts(3);
        contexts.create(name(1), session(1), amf(7), at(0)).unwrap();
        contexts.create(name(2), session(2), amf(7), at(9)).unwrap();
        contexts.create(name(3), session(3), amf(8), at(0)).unwrap();
        let restarted = at(5).at;
        assert_eq!(contexts.end(amf(7), |c| c.created.at < restarted), 1);
        assert_eq!((contexts.of_amf(amf(7)), contexts.of_amf(amf(8))), (1, 1));
        assert_eq!(contexts.end(amf(7), |_| true), 1);
        assert_eq!(contexts.amfs().collect::<Vec<_>>(), [amf(8)]);
        assert_eq!(contexts.end(amf(8), |_| true), 1);
        assert!(is_empty(&contexts));
    }

    #[test]
    fn a_context_lives_from_create_to_release() {
        let mut contexts = contexts(1);
        assert_eq!(
            contexts.create(name(1), session(5), amf(7), at(0)),
            Ok(None)
        );
        assert_eq!(contexts.context(name(1)).unwrap().serving_amf, amf(7));
        assert_eq!(
            contexts.update(name(1), Event::ResourcesSetUp, at(0).at),
            Some(UserPlane::Activated)
        );
        assert_eq!(contexts.release(name(1)).unwrap().session, session(5));
        assert_eq!(contexts.release(name(1)), None);
        assert_eq!(contexts.update(name(1), Event::Activate, at(0).at), None);
    }

    #[test]
    fn the_bound_holds_and_released_room_is_used_again() {
        let mut contexts = contexts(2);
        for id in 1..=2 {
            assert_eq!(
                contexts.create(name(id.into()), session(id), amf(7), at(0)),
                Ok(None)
            );
        }
        let full = Err(Full::All { capacity: 2 });
        assert_eq!(contexts.create(name(3), session(3), amf(7), at(0)), full);
        contexts.release(name(1)).unwrap();
        assert_eq!(
            contexts.create(name(3), session(3), amf(7), at(0)),
            Ok(None)
        );
    }

    #[test]
    fn a_newer_context_replaces_that_of_the_same_session_even_when_full() {
        let mut contexts = contexts(1);
        contexts.create(name(1), session(5), amf(7), at(0)).unwrap();
        let replaced = contexts.create(name(2), session(5), amf(8), at(0)).unwrap();
        assert_eq!(replaced.unwrap().serving_amf, amf(7));
        assert_eq!(contexts.context(name(1)), None);
        assert_eq!(contexts.context(name(2)).unwrap().serving_amf, amf(8));
        assert!(contexts.release(name(2)).is_some());
        assert!(is_empty(&contexts));
    }

    #[test]
    fn the_user_plane_goes_only_where_an_arrow_leads() {
        use Event::{Activate, Deactivate, ResourcesFailed, ResourcesSetUp};
        use UserPlane::{Activated, Activating, Deactivated};
        for (from, event, to) in [
            (Activating, ResourcesSetUp, Activated),
            (Activating, ResourcesFailed, Deactivated),
            (Activating, Deactivate, Deactivated),
            (Activating, Activate, Activating),
            (Activated, ResourcesSetUp, Activated),
            (Activated, ResourcesFailed, Deactivated),
            (Activated, Deactivate, Deactivated),
            (Activated, Activate, Activated),
            (Deactivated, ResourcesSetUp, Deactivated),
            (Deactivated, ResourcesFailed, Deactivated),
            (Deactivated, Deactivate, Deactivated),
            (Deactivated, Activate, Activating),
        ] {
            assert_eq!(from.after(event), to, "{from:?} {event:?}");
        }
    }

    #[test]
    fn references_survive_a_path_segment() {
        let text = name(0x0a3f).to_string();
        assert_eq!(SmContextRef::parse(&text), Some(name(0x0a3f)));
        assert_eq!(SmContextRef::parse("1"), None);
    }
}
