//! What judging a certificate takes in a handshake, beside the landmark verification in it: `cargo bench -p mtc-bench --bench judgement`.
//!
//! The same figures as of `mtc5g bench`, sooner and more often: the median of several runs is what changes of the judgement are
//! compared by on a machine with other work on it.

use std::error::Error;

use mtc_bench::handshake::Meeting;
use mtc_bench::measure::{Effort, Kernel, medians};

/// Odd, so that the median is one of them.
const RUNS: usize = 9;
const HANDSHAKES: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let meetings = [Meeting::new()?];
    let [meeting] = &meetings;
    let mut figures = [const { Vec::new() }; 4];
    for _ in 0..RUNS {
        let kernel = Kernel::new("landmark_verify_mldsa65_10", &meetings, |meeting| {
            let case = &meeting.server_case;
            case.landmark_trust.verify_issuance(&case.landmark).is_ok()
        });
        let kernel = medians(&mut [kernel], Effort::QUICK, |_| ());
        let kernel = kernel.first().copied().unwrap_or(f64::NAN);
        let costs = meeting.costs(HANDSHAKES)?;
        let judgement = costs.judgement.as_nanos() as f64;
        let handshakes = costs.judged.as_secs_f64() / costs.unjudged.as_secs_f64();
        for (figures, figure) in
            figures
                .iter_mut()
                .zip([kernel, judgement, judgement / kernel, handshakes])
        {
            figures.push(figure);
        }
    }
    let names = [
        "landmark verification, ns",
        "judgement in a handshake, ns",
        "verify_in_handshake_to_landmark_verify",
        "landmark_handshake_to_unverified",
    ];
    for (name, figures) in names.iter().zip(&mut figures) {
        figures.sort_unstable_by(f64::total_cmp);
        println!(
            "{name:<42}{:>10.3}   ({:.3} to {:.3})",
            figures[RUNS / 2],
            figures[0],
            figures[RUNS - 1]
        );
    }
    Ok(())
}
