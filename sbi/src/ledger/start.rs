//! How long NF instances took from nothing to their registration, step by step: what a storm of registrations consists of.
//!
//! ```text
//!  NF   key ── certificate ─────────────────────────────────── storage ── registration
//!               connection, request                   answer    vault      connection, NFRegister
//!  NRF             └─ request: token, CSR ── checkpoint ─┘
//! ```
//!
//! CPU time of a step is that of its cryptography outside handshakes. Handshakes are summed here by whether the client had a certificate
//! already: those of enrolment and those of registration.

use std::collections::BTreeMap;
use std::time::Duration;

use mtc_tls::handshake::HandshakeCost;
use mtc_tls::record::Side;
use serde::{Deserialize, Serialize};

use super::Times;
use super::nanoseconds;

/// A step on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartStep {
    /// Making a key, and the request that it signs.
    Key,
    /// Having a certificate issued, from the first attempt to the answer, with the connection for it. The NRF's steps are within it.
    Certificate,
    /// At the NRF: checking who asks and that the key is theirs.
    Request,
    /// At the NRF: from the entry to a published checkpoint that covers it and is cosigned.
    Checkpoint,
    /// Storing key and certificate, and verifying the certificate, before it is shown to anybody.
    Storage,
    /// Getting registered, from the first attempt to the answer, with the connection for it.
    Registration,
}

impl StartStep {
    /// The name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Certificate => "certificate",
            Self::Request => "request",
            Self::Checkpoint => "checkpoint",
            Self::Storage => "storage",
            Self::Registration => "registration",
        }
    }
}

/// Sums over the times that a step was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepTotals {
    /// How often.
    pub count: u64,
    /// How long each took.
    pub times: Times,
    /// Thread CPU time of its cryptography, in nanoseconds.
    pub cpu_ns: u64,
}

/// Full handshakes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandshakeSum {
    /// How many.
    pub count: u64,
    /// Their thread CPU time on this side, in nanoseconds.
    pub cpu_ns: u64,
}

impl HandshakeSum {
    fn add(&mut self, count: u64, cpu_ns: u64) {
        self.count += count;
        self.cpu_ns += cpu_ns;
    }

    /// Mean CPU seconds; 0 without a handshake.
    pub fn mean_s(&self) -> f64 {
        self.cpu_ns as f64 / self.count.max(1) as f64 / 1e9
    }
}

/// Full handshakes by side, and by whether the client showed a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartHandshakes {
    /// As client without a certificate.
    pub client_anonymous: HandshakeSum,
    /// As client with one.
    pub client_mutual: HandshakeSum,
    /// As server of clients without a certificate.
    pub server_anonymous: HandshakeSum,
    /// As server of clients with one.
    pub server_mutual: HandshakeSum,
}

impl StartHandshakes {
    fn of(&mut self, side: Side, is_mutual: bool) -> &mut HandshakeSum {
        match (side, is_mutual) {
            (Side::Client, false) => &mut self.client_anonymous,
            (Side::Client, true) => &mut self.client_mutual,
            (Side::Server, false) => &mut self.server_anonymous,
            (Side::Server, true) => &mut self.server_mutual,
        }
    }

    /// Counts a handshake of one side; one that resumes a session is none of these.
    pub(super) fn record(&mut self, side: Side, cost: &HandshakeCost) {
        let certificate = match side {
            Side::Client => cost.presented,
            Side::Server => cost.received,
        };
        if !cost.negotiated.resumed {
            let sum = self.of(side, certificate.is_some());
            sum.add(1, nanoseconds(cost.cpu));
        }
    }

    fn merge(&mut self, other: &Self) {
        let Self {
            client_anonymous,
            client_mutual,
            server_anonymous,
            server_mutual,
        } = other;
        for (mine, theirs) in [
            (&mut self.client_anonymous, client_anonymous),
            (&mut self.client_mutual, client_mutual),
            (&mut self.server_anonymous, server_anonymous),
            (&mut self.server_mutual, server_mutual),
        ] {
            mine.add(theirs.count, theirs.cpu_ns);
        }
    }
}

/// The steps that a process has taken, and the start that it has behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartTotals {
    /// Instances that were registered when the process became ready.
    pub instances: u64,
    /// From the first instance's key to the last one's registration, in nanoseconds; of several processes the longest.
    pub elapsed_ns: u64,
    /// The steps.
    pub steps: BTreeMap<StartStep, StepTotals>,
    /// The handshakes, of whatever purpose.
    pub handshakes: StartHandshakes,
}

impl StartTotals {
    /// Counts a step.
    pub fn record(&mut self, step: StartStep, elapsed: Duration, cpu: Duration) {
        let totals = self.steps.entry(step).or_default();
        totals.count += 1;
        totals.times.record(elapsed);
        totals.cpu_ns += nanoseconds(cpu);
    }

    /// Notes that so many instances are registered, after such a time.
    pub(super) fn finished(&mut self, instances: u64, elapsed: Duration) {
        self.instances = instances;
        self.elapsed_ns = nanoseconds(elapsed);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another process's.
    pub fn merge(&mut self, other: &Self) {
        self.instances += other.instances;
        self.elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
        self.handshakes.merge(&other.handshakes);
        for (step, totals) in &other.steps {
            let mine = self.steps.entry(*step).or_default();
            mine.count += totals.count;
            mine.cpu_ns += totals.cpu_ns;
            mine.times
                .combine(&totals.times, |mine, theirs| mine + theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_start_together_take_as_long_as_the_slowest() {
        let mut smfs = StartTotals::default();
        smfs.record(
            StartStep::Key,
            Duration::from_millis(2),
            Duration::from_millis(1),
        );
        smfs.finished(3, Duration::from_secs(4));
        let mut amfs = StartTotals::default();
        amfs.record(
            StartStep::Key,
            Duration::from_millis(2),
            Duration::from_millis(1),
        );
        amfs.finished(2, Duration::from_secs(1));
        amfs.merge(&smfs);
        assert_eq!((amfs.instances, amfs.elapsed_ns), (5, 4_000_000_000));
        let keys = &amfs.steps[&StartStep::Key];
        assert_eq!((keys.count, keys.cpu_ns), (2, 2_000_000));
        let counts: Vec<u64> = keys.times.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [2]);
        let text = serde_json::to_string(&amfs).expect("JSON");
        assert_eq!(
            serde_json::from_str::<StartTotals>(&text).expect("the same"),
            amfs
        );
    }
}
