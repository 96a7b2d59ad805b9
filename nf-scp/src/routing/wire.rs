//! Bytes on a connection that are neither handshake nor body: HTTP/2 frames and headers with their tokens, record layer, session tickets.
//!
//! Requests share the connection, so that a byte of these belongs to none of them. Each is given what came since the one before was
//! counted, and the sum over all of them is right.

use std::sync::{Mutex, PoisonError};

/// What has been counted of one connection.
#[derive(Debug, Default)]
pub(super) struct OtherBytes(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Bytes of handshakes and bodies.
    known: u64,
    /// All others.
    other: u64,
}

impl OtherBytes {
    /// What is new of `wire` bytes in all, of which so many more are of a handshake or a body.
    pub(super) fn count(&self, wire: u64, known: u64) -> u64 {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.known += known;
        // A body that is on its way is on the wire and not yet known: what it is taken for now is left out later.
        let other = wire.saturating_sub(counted.known);
        let new = other.saturating_sub(counted.other);
        counted.other += new;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_counted_once_and_adds_up_to_the_wire() {
        let bytes = OtherBytes::default();
        // A handshake of 10,000 bytes and a body of 500.
        assert_eq!(bytes.count(10_800, 10_500), 300);
        assert_eq!(bytes.count(10_800, 0), 0);
        assert_eq!(bytes.count(11_500, 600), 100);
    }

    #[test]
    fn a_body_that_is_known_late_is_made_up_for() {
        let bytes = OtherBytes::default();
        // Of another request's body 400 bytes are on the wire.
        assert_eq!(bytes.count(1_000, 500), 500);
        assert_eq!(bytes.count(1_100, 400), 0);
        assert_eq!(bytes.count(1_500, 200), 0);
        assert_eq!(bytes.count(2_000, 0), 400);
    }
}
