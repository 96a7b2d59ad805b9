//! Nonces (RFC 8555 section 6.5): taken once, for a while, and only those that this process made.
//!
//! ```text
//!  nonce = base64url( milliseconds since the start (8) | random (8) | HMAC of both (16) )
//!  floor <── a used one that there is no room for any more ── nothing from before it is taken
//! ```
//!
//! Making one costs no memory, so whoever asks for millions takes none from others. Only used ones are remembered.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long a nonce is good: as long as a client may think between two requests.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Used ones that are remembered, of some 50 octets each: those of an hour at 18 requests a second.
const MOST: usize = 65_536;
/// Octets of each part.
const TIME: usize = 8;
const RANDOM: usize = 8;
const MAC: usize = 16;

/// Why a nonce is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NonceError {
    /// It is none of this process.
    #[error("the nonce was not made by this NRF, or before its last start")]
    Unknown,
    /// It is too old.
    #[error("the nonce is too old")]
    Expired,
    /// It was used.
    #[error("the nonce was used before")]
    Used,
}

/// When one was made, and what parts it from others of that time.
type Id = (u64, [u8; RANDOM]);

/// Makes nonces and takes them back.
pub(super) struct Nonces {
    key: hmac::Key,
    start: Instant,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    taken: BTreeSet<Id>,
    /// Milliseconds; what was made until then is not taken.
    floor: Option<u64>,
}

impl Nonces {
    /// None was used; time begins at `start`.
    pub(super) fn new(start: Instant) -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the operating system has randomness");
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            start,
            used: Mutex::default(),
        }
    }

    /// A new one.
    pub(super) fn make(&self, now: Instant) -> String {
        let mut nonce = self.milliseconds(now).to_be_bytes().to_vec();
        let mut random = [0; RANDOM];
        rand::fill(&mut random).expect("the operating system has randomness");
        nonce.extend_from_slice(&random);
        let mac = self.mac(&nonce);
        nonce.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(nonce)
    }

    /// Takes one, once.
    ///
    /// # Errors
    /// See [`NonceError`].
    pub(super) fn take(&self, nonce: &str, now: Instant) -> Result<(), NonceError> {
        let id = self.read(nonce).ok_or(NonceError::Unknown)?;
        let oldest = self
            .milliseconds(now)
            .saturating_sub(LIFETIME.as_millis() as u64);
        let mut used = self.lock();
        if id.0 < oldest || used.floor.is_some_and(|floor| id.0 <= floor) {
            return Err(NonceError::Expired);
        }
        if !used.taken.insert(id) {
            return Err(NonceError::Used);
        }
        if used.taken.len() > MOST {
            used.taken = used.taken.split_off(&(oldest, [0; RANDOM]));
        }
        if used.taken.len() > MOST
            && let Some((made, _)) = used.taken.pop_first()
        {
            used.floor = Some(made);
        }
        Ok(())
    }

    fn read(&self, nonce: &str) -> Option<Id> {
        let octets = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let octets: [u8; TIME + RANDOM + MAC] = octets.try_into().ok()?;
        let (made, mac) = octets.split_at(TIME + RANDOM);
        // In no secret time: whoever guesses one has a nonce, which anybody is given.
        if self.mac(made) != mac {
            return None;
        }
        let (time, random) = made.split_at(TIME);
        Some((
            u64::from_be_bytes(time.try_into().ok()?),
            random.try_into().ok()?,
        ))
    }

    fn mac(&self, made: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, made).as_ref()[..MAC].to_vec()
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// A panic while the lock was held leaves a set that is still true.
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_and_in_time() {
        let start = Instant::now();
        let nonces = Nonces::new(start);
        let nonce = nonces.make(start);
        assert_eq!(nonces.take(&nonce, start), Ok(()));
        assert_eq!(nonces.take(&nonce, start), Err(NonceError::Used));
        let (old, late) = (nonces.make(start), start + LIFETIME);
        assert_eq!(nonces.take(&old, late), Ok(()));
        let old = nonces.make(start);
        let late = late + Duration::from_millis(1);
        assert_eq!(nonces.take(&old, late), Err(NonceError::Expired));
    }

    #[test]
    fn only_what_was_made_here_is_taken() {
        let start = Instant::now();
        let (nonces, other) = (Nonces::new(start), Nonces::new(start));
        let foreign = other.make(start);
        for nonce in ["", "AAAA", "?", &foreign, &foreign[1..]] {
            assert_eq!(
                nonces.take(nonce, start),
                Err(NonceError::Unknown),
                "{nonce}"
            );
        }
    }

    #[test]
    fn what_is_forgotten_is_not_taken_again() {
        let start = Instant::now();
        let nonces = Nonces::new(start);
        let first = nonces.make(start);
        nonces.take(&first, start).unwrap();
        let later = start + Duration::from_millis(5);
        for _ in 0..MOST {
            nonces.take(&nonces.make(later), later).unwrap();
        }
        assert_eq!(nonces.lock().taken.len(), MOST);
        assert_eq!(nonces.take(&first, later), Err(NonceError::Expired));
        assert_eq!(nonces.take(&nonces.make(later), later), Ok(()));
    }
}
