//! What a small discovery answer costs the NRF, what it costs with 10,000 instances more and while 1,000 a second change.
//!
//! ```text
//!   cargo bench -p nf-nrf --bench discovery                       memory, first-time queries, rates and latencies, all by itself
//!   cargo bench -p nf-nrf --bench discovery -- h2load [options]   rates and latencies as h2load sees them
//!   cargo bench -p nf-nrf --bench discovery -- serve [options]    serves, and says what to type
//!
//!   --requests 100000, --turns 7   of each side that h2load compares
//!   --instances 10000     how many are registered beside the two that are found
//!   --others 'taskset -c 1'   what h2load and those who change instances are started with, to keep them off the NRF's core
//!   --beside http://127.0.0.10:7777 --pid 4711   another NRF to take turns with, and its process, for its CPU time
//! ```
//!
//! ```text
//!   8 connections, 8 requests at a time each --- cleartext HTTP/2, loopback ---> one thread: the NRF's cleartext port
//! ```
//!
//! What is timed is what runs: the listener, services, registry, files and expiry are those of the NRF. Rates are given twice where a
//! process of its own asks: answers in a second, which other work on the machine lowers, and answers in a second of the NRF's CPU
//! time, which it changes little. Those who are compared take turns, and the median turn counts. Memory is what the allocator has handed out.

mod clients;
mod generator;
mod modes;
mod nrf;
mod population;

use std::error::Error;
use std::time::Duration;

use modes::Options;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The latency, or any time, that `percent` of `times` stay below.
pub(crate) fn percentile<T: Copy + PartialOrd>(times: &mut [T], percent: usize) -> T {
    times.sort_by(|a, b| a.partial_cmp(b).expect("times are numbers"));
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// As p50 and p99.
pub(crate) fn shown(latencies: &mut [Duration]) -> String {
    let (p50, p99) = (percentile(latencies, 50), percentile(latencies, 99));
    format!("p50 {p50:?}, p99 {p99:?}")
}

fn main() -> Outcome<()> {
    // cargo says so itself.
    let arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let mut arguments = arguments.peekable();
    let mode = arguments.next_if(|word| !word.starts_with('-'));
    match mode.as_deref() {
        Some("change") => modes::change(arguments),
        Some("serve") => modes::serve(&Options::read(arguments)?),
        Some("h2load") => modes::h2load(&Options::read(arguments)?),
        None => modes::alone(&Options::read(arguments)?),
        Some(other) => Err(format!("{other} is no mode: serve, h2load, or none").into()),
    }
}
