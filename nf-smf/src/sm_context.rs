//! SM contexts: one a PDU session that an AMF asked for (TS 29.502 clause 5.2.2).
//!
//! ```text
//!                       ResourcesSetUp
//!    create ──> Activating ────────> Activated
//!                 │    ^                 │
//!                 │    └── Activate ──┐  │ Deactivate, ResourcesFailed
//!                 └──────────────> Deactivated
//!    any of them: release, or a newer context of the same PDU session ──> gone
//! ```
//!
//! The state is that of the user plane connection (`upCnxState`). An event that has no arrow changes nothing.

use std::collections::HashMap;
use std::fmt;

use sbi::model::NfInstanceId;
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
}

/// There are as many SM contexts as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this SMF has {capacity} SM contexts and takes no more")]
pub struct Full {
    /// The bound.
    pub capacity: usize,
}

/// The SM contexts of an SMF instance.
#[derive(Debug)]
pub struct SmContexts {
    capacity: usize,
    contexts: HashMap<SmContextRef, SmContext>,
    /// Exactly one reference for each context.
    sessions: HashMap<PduSession, SmContextRef>,
}

impl SmContexts {
    /// No contexts yet, and at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            contexts: HashMap::new(),
            sessions: HashMap::new(),
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
    ) -> Result<Option<SmContext>, Full> {
        let replaced = self.sessions.get(&session).copied();
        if replaced.is_none() && self.contexts.len() >= self.capacity {
            return Err(Full {
                capacity: self.capacity,
            });
        }
        let replaced = replaced.and_then(|replaced| self.release(replaced));
        self.sessions.insert(session.clone(), name);
        let context = SmContext {
            session,
            serving_amf,
            user_plane: UserPlane::Activating,
        };
        self.contexts.insert(name, context);
        Ok(replaced)
    }

    /// The context `name`.
    pub fn context(&self, name: SmContextRef) -> Option<&SmContext> {
        self.contexts.get(&name)
    }

    /// Tells the context `name` of an event; none if there is no such context.
    pub fn update(&mut self, name: SmContextRef, event: Event) -> Option<UserPlane> {
        let context = self.contexts.get_mut(&name)?;
        context.user_plane = context.user_plane.after(event);
        Some(context.user_plane)
    }

    /// Removes the context `name` and returns it; none if there is no such context.
    pub fn release(&mut self, name: SmContextRef) -> Option<SmContext> {
        let context = self.contexts.remove(&name)?;
        self.sessions.remove(&context.session);
        Some(context)
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

    #[test]
    fn a_context_lives_from_create_to_release() {
        let mut contexts = SmContexts::new(1);
        assert_eq!(contexts.create(name(1), session(5), amf(7)), Ok(None));
        assert_eq!(contexts.context(name(1)).unwrap().serving_amf, amf(7));
        assert_eq!(
            contexts.update(name(1), Event::ResourcesSetUp),
            Some(UserPlane::Activated)
        );
        assert_eq!(contexts.release(name(1)).unwrap().session, session(5));
        assert_eq!(contexts.release(name(1)), None);
        assert_eq!(contexts.update(name(1), Event::Activate), None);
    }

    #[test]
    fn the_bound_holds_and_released_room_is_used_again() {
        let mut contexts = SmContexts::new(2);
        for id in 1..=2 {
            assert_eq!(
                contexts.create(name(id.into()), session(id), amf(7)),
                Ok(None)
            );
        }
        let full = Err(Full { capacity: 2 });
        assert_eq!(contexts.create(name(3), session(3), amf(7)), full);
        contexts.release(name(1)).unwrap();
        assert_eq!(contexts.create(name(3), session(3), amf(7)), Ok(None));
    }

    #[test]
    fn a_newer_context_replaces_that_of_the_same_session_even_when_full() {
        let mut contexts = SmContexts::new(1);
        contexts.create(name(1), session(5), amf(7)).unwrap();
        let replaced = contexts.create(name(2), session(5), amf(8)).unwrap();
        assert_eq!(replaced.unwrap().serving_amf, amf(7));
        assert_eq!(contexts.context(name(1)), None);
        assert_eq!(contexts.context(name(2)).unwrap().serving_amf, amf(8));
        assert!(contexts.release(name(2)).is_some());
        assert!(contexts.sessions.is_empty() && contexts.contexts.is_empty());
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
