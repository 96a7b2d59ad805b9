//! What the operating system knows of this process, under the names that Prometheus' client libraries share.
//!
//! The `prometheus` crate has such metrics too, but counts CPU time in whole seconds.

use std::fs;

use mtc_tls::cpu::process_time;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::Registry;

/// Fields of `/proc/self/stat` after the command's name, counted from the state: proc(5) counts from 1 and puts that third.
const THREADS: usize = 17;
const START_TIME: usize = 19;
const VIRTUAL_MEMORY: usize = 20;
const RESIDENT_PAGES: usize = 21;

/// Exports them. What cannot be read is 0.
pub(super) fn export(registry: &Registry) {
    registry.read_sum(
        "process_cpu_seconds_total",
        "CPU time of the process, user and system.",
        || process_time().as_secs_f64(),
    );
    registry.read(
        "process_resident_memory_bytes",
        "Memory of the process that is in RAM.",
        || stat(RESIDENT_PAGES) * page_size() as u64,
    );
    registry.read(
        "process_virtual_memory_bytes",
        "Address space of the process.",
        || stat(VIRTUAL_MEMORY),
    );
    registry.read("process_threads", "Threads of the process.", || {
        stat(THREADS)
    });
    registry.read("process_open_fds", "Open file descriptors.", || {
        fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64)
    });
    registry.read("process_max_fds", "Limit of open file descriptors.", || {
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    });
    let start = start_time();
    registry.read(
        "process_start_time_seconds",
        "Unix time at which the process started.",
        move || start,
    );
}

fn stat(field: usize) -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may hold anything, parentheses too.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    fields
        .split_whitespace()
        .nth(field)
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

fn start_time() -> u64 {
    let stat_of_system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = stat_of_system
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse::<u64>().ok());
    boot.unwrap_or(0) + stat(START_TIME) / clock_ticks_per_second().max(1)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_system_knows_this_process() {
        assert!(stat(THREADS) >= 1);
        assert!(stat(VIRTUAL_MEMORY) > stat(RESIDENT_PAGES) * page_size() as u64);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let age = now.as_secs().saturating_sub(start_time());
        assert!(age < 24 * 3600, "a test that is {age} s old");
    }
}
