//! Where the callbacks of a TLS configuration find the handshake that uses it.
//!
//! rustls calls verifiers and resolvers without saying for which connection. A configuration with such callbacks therefore
//! serves one handshake at a time, which takes the seat; the next one has it after that.

use std::sync::{Arc, Mutex, PoisonError};

use crate::notes::Notes;
use crate::peer::ExpectedPeer;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Seat(Mutex<Option<Occupant>>);

/// What one handshake has of its own.
#[derive(Clone, Debug)]
pub(crate) struct Occupant {
    pub(crate) notes: Arc<Notes>,
    /// Who must be at the other end; whoever it is, if none.
    pub(crate) expected: Option<Arc<ExpectedPeer>>,
}

impl Seat {
    /// Seats a handshake, or nobody.
    pub(crate) fn seat(&self, occupant: Option<Occupant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = occupant;
    }

    /// The handshake whose turn it is.
    ///
    /// # Errors
    /// Nobody's, which would be a defect: no configuration is used without.
    pub(crate) fn occupant(&self) -> Result<Occupant, rustls::Error> {
        let occupant = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        occupant
            .clone()
            .ok_or_else(|| rustls::Error::General("a callback of no handshake".to_owned()))
    }
}
