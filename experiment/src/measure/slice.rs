//! The measured part of a run, cut into slices of equal length, so that one run shows its own spread.
//!
//! ```text
//!  warm-up │ 0 │ 1 │ 2 │ ... │ 19 │ drain        an operation is of the slice in which its start was intended,
//!          measured part                         a network function's counters are read at the boundaries
//! ```

use std::time::Duration;

use mtc_core::verify::Basis;
use mtc_tls::handshake::HandshakeCost;
use sbi::ledger::HandshakeTotals;
use serde::{Deserialize, Serialize};

use super::SparseHistogram;

/// Slices of a run: enough for an interval, few enough that a slice of a short run holds something.
pub const SLICES: usize = 20;

/// Which slice a moment of the run belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Slicing {
    from: Duration,
    length: Duration,
}

impl Slicing {
    /// Cuts the measured part, which lasts from `from` to `end` after the start of the run.
    pub fn new(from: Duration, end: Duration) -> Self {
        Self {
            from,
            length: end.saturating_sub(from) / SLICES as u32,
        }
    }

    /// The slice of a moment; moments outside the measured part belong to the nearest one.
    pub fn index(&self, at: Duration) -> usize {
        let since = at.saturating_sub(self.from).as_nanos();
        let index = since.checked_div(self.length.as_nanos()).unwrap_or(0);
        usize::try_from(index).map_or(SLICES - 1, |index| index.min(SLICES - 1))
    }

    /// How long a slice is.
    pub const fn length(&self) -> Duration {
        self.length
    }
}

/// Sums over the handshakes of one side in one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceSums {
    /// Completed handshakes.
    pub handshakes: u64,
    /// Thread CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Thread CPU time spent verifying the peer's certificate, in nanoseconds.
    pub verify_ns: u64,
    /// TLS record bytes written until the handshake completed.
    pub bytes_sent: u64,
    /// Certificates of peers that were verified.
    #[serde(default)]
    pub verified: u64,
    /// Those of them that were MTCs in a trusted subtree: landmark hits.
    #[serde(default)]
    pub trusted_subtree: u64,
}

impl SliceSums {
    fn record(&mut self, cost: &HandshakeCost) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let basis = cost.verification.as_ref().and_then(|of| of.basis);
        let hit = basis == Some(Basis::TrustedSubtree);
        self.merge(&Self {
            handshakes: 1,
            cpu_ns: nanoseconds(cost.cpu),
            verify_ns: nanoseconds(cost.verify),
            bytes_sent: cost.bytes_sent,
            verified: cost.verification.as_ref().map_or(0, |_| 1),
            trusted_subtree: u64::from(hit),
        });
    }

    /// Adds other sums of the same slice.
    pub const fn merge(&mut self, other: &Self) {
        let Self {
            handshakes,
            cpu_ns,
            verify_ns,
            bytes_sent,
            verified,
            trusted_subtree,
        } = other;
        self.handshakes += *handshakes;
        self.cpu_ns += *cpu_ns;
        self.verify_ns += *verify_ns;
        self.bytes_sent += *bytes_sent;
        self.verified += *verified;
        self.trusted_subtree += *trusted_subtree;
    }
}

impl From<&HandshakeTotals> for SliceSums {
    fn from(totals: &HandshakeTotals) -> Self {
        Self {
            handshakes: totals.handshakes,
            cpu_ns: totals.cpu_ns,
            verify_ns: totals.verify_ns,
            bytes_sent: totals.bytes_sent,
            verified: totals.detail.verification.verified,
            trusted_subtree: totals.detail.verification.trusted_subtree,
        }
    }
}

/// What a load generator saw of one variant in one slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSlice {
    /// Its handshakes.
    pub sums: SliceSums,
    /// As [`super::ClientTotals::handshake`].
    pub handshake: SparseHistogram,
    /// As [`super::ClientTotals::operation`].
    pub operation: SparseHistogram,
}

impl ClientSlice {
    /// Counts a completed handshake.
    pub fn record_handshake(&mut self, cost: &HandshakeCost) {
        self.sums.record(cost);
        self.handshake.record(cost.elapsed);
    }

    /// Adds what another generator saw in the same slice.
    pub fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
        self.handshake.merge(&other.handshake);
        self.operation.merge(&other.operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn slices_cover_the_measured_part_evenly() {
        let slicing = Slicing::new(3 * SECOND, 43 * SECOND);
        let index = |seconds| slicing.index(Duration::from_secs_f64(seconds));
        assert_eq!(slicing.length(), 2 * SECOND);
        assert_eq!([3.0, 4.9, 5.0, 42.9].map(index), [0, 0, 1, 19]);
    }

    #[test]
    fn moments_outside_belong_to_the_nearest_slice() {
        let slicing = Slicing::new(3 * SECOND, 43 * SECOND);
        assert_eq!([SECOND, 100 * SECOND].map(|at| slicing.index(at)), [0, 19]);
        assert_eq!(Slicing::new(SECOND, SECOND).index(2 * SECOND), 0);
    }
}
