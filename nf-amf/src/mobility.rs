//! The registration state of each UE of an AMF (RM states of TS 23.501 clause 5.3.2.2, with what is under way between them).
//!
//! ```text
//!   DEREGISTERED ── begin ──> Authenticating ── authenticated ──> Registering ── registered ──> Registered
//!                                  │                                  │                            │ leaving
//!        ^                         v                                  v                            v
//!        └────────────────────── failure or time-out: the value is dropped ────────────────── Deregistering
//! ```
//!
//! A UE that is not here is RM-DEREGISTERED. One that is cannot begin again: a request that comes twice is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ue_context::RegisterError;

/// What a UE that is not deregistered does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MobilityState {
    /// It has been sent a challenge, or will be.
    Authenticating,
    /// It is who it says; UDM and PCF are asked.
    Registering,
    /// RM-REGISTERED.
    Registered,
    /// It leaves: UDM and PCF are told.
    Deregistering,
}

/// The UEs of an AMF that are not deregistered.
#[derive(Clone, Debug)]
pub struct Mobility {
    capacity: usize,
    /// By SUPI.
    ues: Arc<Mutex<HashMap<String, MobilityState>>>,
}

impl Mobility {
    /// None yet, and at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ues: Arc::default(),
        }
    }

    /// A UE asks to be registered.
    ///
    /// # Errors
    /// It is not deregistered, or there is no room.
    pub fn begin(&self, supi: String) -> Result<Registering, RegisterError> {
        self.with(|ues| {
            if ues.contains_key(&supi) {
                return Err(RegisterError::Registered);
            }
            if ues.len() >= self.capacity {
                return Err(RegisterError::Full);
            }
            ues.insert(supi.clone(), MobilityState::Authenticating);
            Ok(())
        })?;
        Ok(Registering {
            mobility: self.clone(),
            supi,
        })
    }

    /// What a UE does; none if it is deregistered.
    pub fn state(&self, supi: &str) -> Option<MobilityState> {
        self.with(|ues| ues.get(supi).copied())
    }

    /// A map stays consistent if a holder panicked: a panic would have to come from the map itself.
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, MobilityState>) -> T) -> T {
        act(&mut self.ues.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A UE that is not deregistered for as long as this value lives.
#[derive(Debug)]
pub struct Registering {
    mobility: Mobility,
    supi: String,
}

impl Registering {
    /// The subscriber.
    pub fn supi(&self) -> &str {
        &self.supi
    }

    /// The AUSF has confirmed who it is.
    pub fn authenticated(&self) {
        self.move_to(MobilityState::Registering);
    }

    /// UDM and PCF know it.
    pub fn registered(&self) {
        self.move_to(MobilityState::Registered);
    }

    /// It asks to be deregistered.
    pub fn leaving(&self) {
        self.move_to(MobilityState::Deregistering);
    }

    fn move_to(&self, state: MobilityState) {
        self.mobility.with(|ues| {
            ues.insert(self.supi.clone(), state);
        });
    }
}

impl Drop for Registering {
    fn drop(&mut self) {
        self.mobility.with(|ues| ues.remove(&self.supi));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPI: &str = "imsi-001010000000001";

    #[test]
    fn a_ue_goes_from_state_to_state_and_is_deregistered_with_its_value() {
        let mobility = Mobility::new(1);
        assert_eq!(mobility.state(SUPI), None);
        let ue = mobility.begin(SUPI.to_owned()).unwrap();
        assert_eq!(mobility.state(SUPI), Some(MobilityState::Authenticating));
        ue.authenticated();
        assert_eq!(mobility.state(SUPI), Some(MobilityState::Registering));
        ue.registered();
        assert_eq!(mobility.state(SUPI), Some(MobilityState::Registered));
        ue.leaving();
        assert_eq!(mobility.state(SUPI), Some(MobilityState::Deregistering));
        drop(ue);
        assert_eq!(mobility.state(SUPI), None);
    }

    #[test]
    fn a_request_that_comes_twice_is_refused() {
        let mobility = Mobility::new(2);
        let ue = mobility.begin(SUPI.to_owned()).unwrap();
        let again = mobility.begin(SUPI.to_owned()).unwrap_err();
        assert_eq!(again, RegisterError::Registered);
        drop(ue);
        assert!(mobility.begin(SUPI.to_owned()).is_ok());
    }

    #[test]
    fn ues_are_bounded() {
        let mobility = Mobility::new(1);
        let _ue = mobility.begin(SUPI.to_owned()).unwrap();
        let other = mobility.begin("imsi-001010000000002".to_owned());
        assert_eq!(other.unwrap_err(), RegisterError::Full);
    }
}
