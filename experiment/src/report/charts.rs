//! The figures of a report: what each shows, its drawing, its data.

use super::wording::{capitalised, operation};
use crate::results::Results;
use crate::scenario::Measure;

mod costs;
mod figure;
mod log;
mod slices;
mod sweep;
mod times;

pub(super) use figure::{Data, Figure};
pub(super) use log::log_facts;
pub(super) use sweep::sweep_figures;
pub(super) use times::{LATENCIES, left_out};

/// The figures of a run that show something, in the order of a report.
pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let operation = capitalised(operation(results));
    let mut figures = vec![costs::bytes(results), costs::cpu(results)];
    if results
        .variants
        .iter()
        .any(|of| of.is_valid(Measure::Latency))
    {
        figures.extend([
            times::handshake(results),
            times::operation(results, &operation),
            times::over_time(results, &operation),
        ]);
    }
    figures.extend(log::landmark_hits(results));
    figures.extend(log::issuance(results));
    figures.retain(|figure| figure.chart.shows_something());
    figures
}
