//! Waiting for what a landmark brings to a lab that was up before, until the load may begin.
//!
//! ```text
//!  generator ready, its landmark is out ──> every replica has its own certificates of it, and knows it? ──> load
//!                                             └─ asked again, for a while at most ── then said, and load
//! ```
//!
//! Each replica asks the NRF for its landmark-relative certificates when its own pause is over, which may be seconds after the
//! generator has had its answer. Until then whoever meets it is shown the standalone certificate.

use std::fmt;
use std::time::Duration;

use sbi::ledger::{Learner, Measurements};
use tokio::time::{Instant, sleep};

use crate::topology::{Topology, TopologyError};

/// How long a lab may take: the longest pause of one whose looks failed before, and some seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a lab lacks of its newest landmark. Displayed as a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    /// Certificates without their landmark.
    certificates: u64,
    /// Processes that do not know the newest landmark.
    processes: usize,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            certificates,
            processes,
        } = self;
        write!(
            f,
            "the lab is behind its newest landmark: {certificates} certificates wait for theirs, {processes} processes do not know it yet; \
             handshakes with them show standalone certificates"
        )
    }
}

impl Lacking {
    fn of(all: &Measurements) -> Self {
        let learners = || all.learning.learners.iter().map(Learner::newest);
        let newest = learners().max().flatten();
        Self {
            certificates: all.without_landmark,
            processes: learners().filter(|known| *known < newest).count(),
        }
    }

    const fn is_nothing(self) -> bool {
        self.certificates == 0 && self.processes == 0
    }
}

/// Waits until every process has, and knows, what the newest landmark brings; what is lacking still after `patience`.
///
/// # Errors
/// A process does not answer.
pub(super) async fn await_landmarks(
    topology: &mut Topology,
    patience: Duration,
) -> Result<Option<Lacking>, TopologyError> {
    let deadline = Instant::now() + patience;
    loop {
        let looked = look(topology).await;
        let is_over = Instant::now() >= deadline;
        match looked {
            Ok(lacking) if lacking.is_nothing() => return Ok(None),
            Ok(lacking) if is_over => return Ok(Some(lacking)),
            Err(error) if is_over => return Err(error),
            // One that does not answer now is asked again.
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

async fn look(topology: &mut Topology) -> Result<Lacking, TopologyError> {
    let mut all = Measurements::default();
    for nf in topology.running() {
        all.merge(&topology.measurements(nf).await?);
    }
    Ok(Lacking::of(&all))
}

#[cfg(test)]
mod tests {
    use sbi::ledger::{LandmarkName, Learning};

    use super::*;

    /// Of processes, each with the newest landmark that it knows, if it follows the log, and its certificates without theirs.
    fn lacking(processes: &[(Option<u64>, u64)]) -> (u64, usize) {
        let mut all = Measurements::default();
        for (process, (knows, without_landmark)) in (1..).zip(processes) {
            let known = knows.map(|landmark| LandmarkName { log: 1, landmark });
            let learner = Learner {
                process,
                known,
                ..Learner::default()
            };
            all.merge(&Measurements {
                learning: Learning {
                    learners: vec![learner],
                    ..Learning::default()
                },
                without_landmark: *without_landmark,
                ..Measurements::default()
            });
        }
        let Lacking {
            certificates,
            processes,
        } = Lacking::of(&all);
        (certificates, processes)
    }

    #[test]
    fn a_lab_lacks_what_any_of_its_replicas_lacks() {
        let newest = Some(4);
        assert_eq!(lacking(&[(newest, 0), (newest, 0)]), (0, 0));
        assert_eq!(lacking(&[(newest, 2), (newest, 1)]), (3, 0));
        assert_eq!(lacking(&[(newest, 0), (Some(3), 0), (None, 0)]), (0, 2));
        // A lab without landmarks has none to lack.
        assert_eq!(lacking(&[(None, 0), (None, 0)]), (0, 0));
        assert_eq!(lacking(&[]), (0, 0));
    }
}
