//! Which landmarks a process's peers show it to lack, for looks at the log on demand.
//!
//! ```text
//!  handshake ── a standalone certificate of an entry that no known landmark covers ──> LandmarkDemand ──> the next look at the log
//!  look ─────── the newest landmark's end ──────────────────────────────────────────────────┘
//! ```
//!
//! Only certificates that were accepted count. What a peer says that it trusts names its newest landmark too, and costs it nothing: whoever
//! opens a connection could say anything there.

use std::sync::atomic::{AtomicU64, Ordering};

use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::VerifiedPeer;
use tokio::sync::Notify;

/// What handshakes tell the task that looks at the log. Handshakes take no lock for it, and wake the task only with news.
///
/// Entries are counted by serial number, which is the log's number before the entry's index: what comes later is greater.
#[derive(Debug, Default)]
pub struct LandmarkDemand {
    /// The serial number after the last that known landmarks cover; 0 if none is known.
    covered: AtomicU64,
    /// The serial number after the greatest that was met since the last look; 0 for none.
    met: AtomicU64,
    news: Notify,
}

impl LandmarkDemand {
    /// Takes note of a peer whose certificate was accepted.
    pub fn met(&self, peer: &VerifiedPeer) {
        if peer.kind == CertificateKind::Standalone
            && let Some(serial) = peer.certificate.small_serial()
        {
            self.met_standalone(serial);
        }
    }

    /// As [`Self::met`], of a standalone certificate with this serial number.
    pub(crate) fn met_standalone(&self, serial: u64) {
        if serial >= self.covered.load(Ordering::Relaxed) {
            let after = serial.saturating_add(1);
            self.met.fetch_max(after, Ordering::Relaxed);
            self.news.notify_one();
        }
    }

    /// Waits until a peer has shown an entry that no known landmark covers. One call of this at a time.
    ///
    /// Dropping the future loses nothing but what has been covered meanwhile.
    pub(crate) async fn is_there(&self) {
        while self.met.load(Ordering::Relaxed) <= self.covered.load(Ordering::Relaxed) {
            self.news.notified().await;
        }
    }

    /// Forgets what was met, and returns the greatest serial number of it: a look begins. Entries that it finds no landmark of must be met
    /// again.
    pub(crate) fn take(&self) -> Option<u64> {
        self.met.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// Known landmarks cover the serial numbers below this one, and none above.
    pub(crate) fn is_covered_below(&self, covered: u64) {
        self.covered.store(covered, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_there(demand: &LandmarkDemand) -> bool {
        tokio::select! {
            biased;
            () = demand.is_there() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn only_entries_beyond_all_known_landmarks_are_asked_for() {
        let demand = LandmarkDemand::default();
        assert!(!is_there(&demand).await);
        demand.met_standalone(7);
        assert!(is_there(&demand).await);
        demand.is_covered_below(7);
        assert!(is_there(&demand).await, "the landmark ends before it");
        demand.is_covered_below(8);
        assert!(!is_there(&demand).await);
        demand.met_standalone(7);
        assert!(!is_there(&demand).await, "its peer has no landmark yet");
        demand.met_standalone(8);
        assert!(is_there(&demand).await);
    }

    #[tokio::test]
    async fn an_entry_that_a_look_finds_no_landmark_of_must_be_met_again() {
        let demand = LandmarkDemand::default();
        demand.met_standalone(3);
        assert_eq!(demand.take(), Some(3));
        assert_eq!(demand.take(), None);
        assert!(!is_there(&demand).await);
        demand.met_standalone(3);
        assert!(is_there(&demand).await);
    }
}
