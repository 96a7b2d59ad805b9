//! Costs from a measured run: the least squares of what the model says and what was measured (docs/estimate.md, "CPU time").
//!
//! A run has fewer variants than a handshake has parts. So the parts start as known ones, all longer or shorter by the factor that the run
//! shows, and move from there only as far as its figures pull: what a run has not measured stays in proportion.

use mtc_tls::key::KeyAlgorithm;
use mtc_tls::profile::TrustDomain;
use mtc_tls::provider::KeyExchange;

use crate::results::{Results, VariantResult};

use super::costs::{Costs, Counts, PARTS, signing, verification, whole};
use super::way::Way;

/// How far a part may move from its start against a figure's error: a figure that is a tenth off pulls as hard as one part that would
/// double by itself.
const STIFFNESS: f64 = 0.1;
/// What the figures of parts weigh beside that of the whole: they come from every sixteenth handshake or hold a reading of the clock.
const WEIGHT_OF_PARTS: f64 = 0.5;
/// No part is shorter than this share of its start: none takes less than no time.
const LEAST: f64 = 0.1;

/// Why a run has no costs.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Nothing to go by.
    #[error(
        "no variant of the run {0:?} has CPU times of full handshakes that the model knows: it needs one without tickets and grease"
    )]
    Nothing(String),
}

/// A handshake as `mtc5g bench` has measured it, in memory and with the hybrid group of X25519.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BenchHandshake {
    /// Whom both ends trust.
    pub domain: TrustDomain,
    /// Their keys.
    pub leaf_key: KeyAlgorithm,
    /// Bytes in both directions.
    pub bytes: f64,
    /// CPU time of both ends, in microseconds.
    pub cpu_us: f64,
    /// CPU time of one certificate verification, in microseconds.
    pub verify_us: f64,
}

/// Hashes in the proofs of a bench's landmark-relative certificates, to the nearest that matters.
const BENCH_HASHES: f64 = 10.0;

/// One figure: what the model counts, and what was measured, both in parts of the latter.
struct Figure {
    counts: Counts,
    measured: f64,
}

impl Costs {
    /// Costs of the machine of a run, starting from `known` ones.
    ///
    /// # Errors
    /// The run has measured nothing that the model knows.
    pub fn of_run(results: &Results, known: &Self) -> Result<Self, FitError> {
        Self::of_variants(&results.variants, known)
            .map(|costs| Self {
                origin: origin(results),
                ..costs
            })
            .ok_or_else(|| FitError::Nothing(results.run.name.clone()))
    }

    /// Known costs, all longer or shorter by what a measured variant shows; none if the model does not know it.
    pub(super) fn scaled_to(variant: &VariantResult, known: &Self) -> Option<Self> {
        let (counts, measured) = measured_whole(variant)?;
        Some(known.scaled(measured / known.sum(&counts)))
    }

    /// Costs of the machine of a bench, whose handshakes have no sockets and find warm caches; none if it has measured none.
    pub fn of_bench(origin: String, handshakes: &[BenchHandshake], known: &Self) -> Option<Self> {
        let way = |of: &BenchHandshake| Way {
            domain: of.domain,
            leaf_key: of.leaf_key,
            key_exchange: KeyExchange::X25519MlKem768,
            wishes: 0,
        };
        let timed = |of: &&BenchHandshake| time(of.cpu_us).is_some() && time(of.bytes).is_some();
        let wholes = handshakes.iter().filter(timed);
        let wholes = wholes.map(|of| (whole(way(of), BENCH_HASHES, of.bytes), of.cpu_us));
        let verified = handshakes.iter().filter_map(|of| {
            let both = time(2.0 * of.verify_us)?;
            Some(Figure::new(
                verification(way(of), BENCH_HASHES),
                both,
                WEIGHT_OF_PARTS,
            ))
        });
        let fitted = Self::fitted(wholes.collect(), verified.collect(), known)?;
        Some(Self { origin, ..fitted })
    }

    /// The same of some of its variants.
    pub(super) fn of_variants(variants: &[VariantResult], known: &Self) -> Option<Self> {
        let wholes = variants.iter().filter_map(measured_whole).collect();
        let parts = variants.iter().flat_map(measured_parts).collect();
        Self::fitted(wholes, parts, known)
    }

    /// The fit of CPU times of whole handshakes, and of figures of parts.
    fn fitted(wholes: Vec<(Counts, f64)>, parts: Vec<Figure>, known: &Self) -> Option<Self> {
        if wholes.is_empty() {
            return None;
        }
        // The geometric mean, so that twice and half cancel.
        let logs = wholes
            .iter()
            .map(|(counts, measured)| (measured / known.sum(counts)).ln());
        let start = known.scaled((logs.sum::<f64>() / wholes.len() as f64).exp());
        let mut figures: Vec<Figure> = wholes
            .into_iter()
            .map(|(counts, measured)| Figure::new(counts, measured, 1.0))
            .collect();
        figures.extend(parts);
        let factors = least_squares(&figures, &start.us);
        let mut us = start.us;
        for (us, factor) in us.iter_mut().zip(factors) {
            *us *= factor.max(LEAST);
        }
        Some(Self { us, ..start })
    }
}

fn origin(results: &Results) -> String {
    let environment = &results.environment;
    format!(
        "run {:?} of {} on {} ({} build)",
        results.run.name,
        results.run.started.date(),
        environment.cpu,
        environment.profile
    )
}

impl Figure {
    fn new(counts: Counts, measured: f64, weight: f64) -> Self {
        Self {
            counts: counts.map(|count| count / measured * weight),
            measured: weight,
        }
    }
}

/// A positive, finite time.
fn time(us: f64) -> Option<f64> {
    (us.is_finite() && us > 0.0).then_some(us)
}

/// CPU time of both ends of a variant's handshakes, and what the model counts for it.
pub(super) fn measured_whole(variant: &VariantResult) -> Option<(Counts, f64)> {
    let way = Way::of_result(variant)?;
    let cpu = time(variant.cpu_us_client? + variant.cpu_us_server?)?;
    let bytes = variant.bytes_client? + variant.bytes_server?;
    Some((whole(way, hashes(variant), bytes), cpu))
}

/// Mean proof hashes of what both ends verified.
fn hashes(variant: &VariantResult) -> f64 {
    let of = |side: &crate::results::SideResult| side.verification.proof_hashes.unwrap_or_default();
    f64::midpoint(of(&variant.handshake.client), of(&variant.handshake.server))
}

fn measured_parts(variant: &VariantResult) -> Vec<Figure> {
    let Some(way) = Way::of_result(variant) else {
        return Vec::new();
    };
    let verified = || time(variant.verify_us_client? + variant.verify_us_server?);
    let signed = || {
        let client = variant.handshake.client.cpu.as_ref()?.sign_us;
        time(client + variant.handshake.server.cpu.as_ref()?.sign_us)
    };
    let verified = verified().map(|us| (verification(way, hashes(variant)), us));
    let signed = signed().map(|us| (signing(way), us));
    let figures = [verified, signed].into_iter().flatten();
    figures
        .map(|(counts, us)| Figure::new(counts, us, WEIGHT_OF_PARTS))
        .collect()
}

/// The factors of `start` that fit the figures best, each held to 1 by [`STIFFNESS`]: the normal equations, which that makes
/// positive definite.
fn least_squares(figures: &[Figure], start: &Counts) -> Counts {
    let hold = STIFFNESS * STIFFNESS;
    let mut matrix = [[0.0; PARTS]; PARTS];
    let mut right = [hold; PARTS];
    for (place, row) in matrix.iter_mut().enumerate() {
        row[place] = hold;
    }
    for Figure { counts, measured } in figures {
        let mut scaled = *counts;
        for (scaled, start) in scaled.iter_mut().zip(start) {
            *scaled *= start;
        }
        for (row, a) in scaled.into_iter().enumerate() {
            right[row] += a * measured;
            for (entry, b) in matrix[row].iter_mut().zip(scaled) {
                *entry += a * b;
            }
        }
    }
    solve(matrix, right)
}

/// Gauss' elimination; a positive definite matrix needs no pivoting.
fn solve(mut matrix: [[f64; PARTS]; PARTS], mut right: Counts) -> Counts {
    for pivot in 0..PARTS {
        let row = matrix[pivot];
        for below in pivot + 1..PARTS {
            let factor = matrix[below][pivot] / row[pivot];
            for (entry, above) in matrix[below].iter_mut().zip(row) {
                *entry -= factor * above;
            }
            right[below] -= factor * right[pivot];
        }
    }
    let mut solution = [0.0; PARTS];
    for row in (0..PARTS).rev() {
        let known: f64 = (row + 1..PARTS)
            .map(|at| matrix[row][at] * solution[at])
            .sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    solution
}
