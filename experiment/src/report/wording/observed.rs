//! What reports say of an observation in the place of a run.

use crate::report::numbers::{count, time};
use crate::results::{Observed, ObservedProcess};

/// How it was measured, in the place of how the load came.
pub(super) const METHOD: &str = "Nothing was loaded: the counters of processes that were in use were read at the begin, at the end and between, and are the difference. \
     Handshake times are those of the observed processes as clients, each off by at most a hundredth of itself.";

/// In one line, what was observed.
pub(super) fn summary(observed: &Observed) -> String {
    let processes = &observed.processes;
    let sum = |of: fn(&ObservedProcess) -> f64| processes.iter().map(of).sum::<f64>();
    let (cpu, handshakes) = (sum(|of| of.cpu_s), sum(|of| of.handshake_cpu_s));
    let share = if cpu > 0.0 {
        format!(
            "; of their {} s of CPU time, {:.1} % went into handshakes",
            time(Some(cpu)),
            handshakes / cpu * 100.0
        )
    } else {
        String::new()
    };
    format!(
        "{} processes were observed for {:.1} s{share}",
        count(processes.len() as u64),
        observed.elapsed_s
    )
}
