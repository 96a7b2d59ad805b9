//! The figures of a report: what each shows, its drawing, its data.

use super::wording::{capitalised, operation};
use crate::results::Results;

mod costs;
mod figure;
mod log;
mod slices;
mod sweep;
mod times;

pub(super) use figure::{Data, Figure};
pub(super) use sweep::sweep_figures;

/// All figures of a run, in the order of a report.
pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let operation = capitalised(operation(results));
    let mut figures = vec![
        costs::bytes(results),
        costs::cpu(results),
        times::handshake(results),
        times::operation(results, &operation),
        times::over_time(results, &operation),
    ];
    figures.extend(log::landmark_hits(results));
    figures.extend(log::issuance(results));
    figures
}
