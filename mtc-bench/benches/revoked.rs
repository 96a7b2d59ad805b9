//! What a handshake pays for revoked ranges, beside all that it did before: `cargo bench -p mtc-bench --bench revoked`.

use std::hint::black_box;
use std::time::Instant;

use mtc_core::revocation_list::MAX_RANGES;
use mtc_core::verify::{RevokedRange, RevokedRanges};

/// Odd, so that the median is one of them.
const RUNS: usize = 9;
const SEARCHES: u64 = 4_000_000;
/// The first serial number of log 1.
const FIRST: u64 = 1 << 48;
/// From one range to the next, of which each has ten serial numbers.
const APART: u64 = 100;

fn main() {
    for count in [0, 1, 100, MAX_RANGES as u64] {
        let ranges: RevokedRanges = (0..count)
            .map(|at| RevokedRange {
                first: FIRST + APART * at,
                last: FIRST + APART * at + 9,
            })
            .collect();
        let mut figures: Vec<f64> = (1..=RUNS as u64)
            .map(|seed| search(&ranges, seed))
            .collect();
        figures.sort_unstable_by(f64::total_cmp);
        println!(
            "{count:>6} ranges, ns{:>10.1}   ({:.1} to {:.1})",
            figures[RUNS / 2],
            figures[0],
            figures[RUNS - 1]
        );
    }
}

/// Nanoseconds of a search for a serial number that nobody can foresee.
fn search(ranges: &RevokedRanges, seed: u64) -> f64 {
    let mut random = seed;
    let mut found = 0_u64;
    let started = Instant::now();
    for _ in 0..SEARCHES {
        // Xorshift: what it takes is in the figure without ranges.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let serial = FIRST + random % (APART * MAX_RANGES as u64);
        found += u64::from(black_box(ranges).contains(black_box(serial)));
    }
    black_box(found);
    started.elapsed().as_nanos() as f64 / SEARCHES as f64
}
