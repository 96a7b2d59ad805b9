//! The slices of a run and what their spread says: how sure a ratio is.
//!
//! ```text
//!  slices  0 1 2 ... 19 ──draw 20 with repetition──> figures of each variant ──> ratio   ┐ 1000 times
//!          the same slices for all variants, which ran interleaved                       ┘ 2.5 % .. 97.5 % = interval
//! ```
//!
//! A disturbance of the machine hits all variants in a slice alike, so it cancels in their ratio and widens no interval
//! that it need not widen. Slices in a row are not independent of each other; a trend within the run is in the interval.

use link::random::SplitMix64;
use sbi::ledger::NfTotals;
use serde::{Deserialize, Serialize};

use crate::measure::{ClientSlice, SLICES, SliceSums, SparseHistogram};
use crate::scenario::Measure;

/// Enough for the second digit of an interval's ends.
const RESAMPLES: usize = 1000;
/// With fewer slices in which something was measured there is no interval.
const MIN_SLICES: usize = 5;
/// What lies outside an interval on each side.
const TAIL: f64 = 0.025;

/// What one variant cost in one slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Sums of the client side.
    pub client: SliceSums,
    /// Sums of the server side.
    pub server: SliceSums,
    /// The load generator's handshakes.
    pub handshake: SparseHistogram,
    /// Successful operations, from their intended start.
    pub operation: SparseHistogram,
}

impl Slice {
    /// The load generator's side of all slices.
    pub(super) fn of_client(slices: Vec<ClientSlice>) -> Vec<Self> {
        let mut slices: Vec<Self> = slices
            .into_iter()
            .map(|slice| Self {
                client: slice.sums,
                server: SliceSums::default(),
                handshake: slice.handshake,
                operation: slice.operation,
            })
            .collect();
        slices.resize_with(SLICES, Self::default);
        slices
    }

    /// Adds what network functions counted in the slice.
    pub(super) fn add(&mut self, network_functions: &NfTotals) {
        self.client
            .merge(&SliceSums::from(&network_functions.client));
        self.server
            .merge(&SliceSums::from(&network_functions.server));
    }
}

/// A figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Bytes per handshake, both sides.
    Bytes,
    /// CPU time per handshake, both sides.
    Cpu,
    /// Time to verify one certificate.
    Verify,
    /// Median handshake.
    HandshakeP50,
    /// 99th percentile of handshakes.
    HandshakeP99,
    /// Median operation.
    OperationP50,
    /// 99th percentile of operations.
    OperationP99,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Bytes,
        Self::Cpu,
        Self::Verify,
        Self::HandshakeP50,
        Self::HandshakeP99,
        Self::OperationP50,
        Self::OperationP99,
    ];

    /// What it is a figure of.
    pub const fn measure(self) -> Measure {
        match self {
            Self::Bytes => Measure::Bytes,
            Self::Cpu | Self::Verify => Measure::Cpu,
            Self::HandshakeP50 | Self::HandshakeP99 | Self::OperationP50 | Self::OperationP99 => {
                Measure::Latency
            }
        }
    }

    /// What it is called in a table.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bytes => "bytes per handshake",
            Self::Cpu => "CPU per handshake, µs",
            Self::Verify => "verification, µs",
            Self::HandshakeP50 => "handshake p50, ms",
            Self::HandshakeP99 => "handshake p99, ms",
            Self::OperationP50 => "operation p50, ms",
            Self::OperationP99 => "operation p99, ms",
        }
    }
}

/// A ratio of two figures, with the interval that holds 95 % of the resampled ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The figure.
    pub metric: Metric,
    /// The ratio over all slices.
    pub ratio: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Ratio {
    /// Whether the interval leaves out 1: a difference that the spread of the slices does not explain.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// Ratios of each variant to the first; none for the first itself.
pub(super) fn to_first(variants: &[Vec<Slice>], seed: u64) -> Vec<Vec<Ratio>> {
    let sampled: Vec<Sampled> = variants.iter().map(|slices| Sampled::new(slices)).collect();
    let Some((first, others)) = sampled.split_first() else {
        return Vec::new();
    };
    let mut random = SplitMix64(seed);
    let draws: Vec<Weights> = (0..RESAMPLES).map(|_| draw(&mut random)).collect();
    let base: Vec<MetricValues> = draws.iter().map(|weights| first.figures(weights)).collect();
    let ratios = others.iter().map(|other| {
        let resampled = draws.iter().zip(&base);
        let resampled = resampled.map(|(weights, base)| (other.figures(weights), *base));
        ratios(other, first, resampled)
    });
    std::iter::once(Vec::new()).chain(ratios).collect()
}

/// Ratios of a variant in one run to the same in another; the runs know nothing of each other's disturbances.
pub(super) fn between(later: &[Slice], earlier: &[Slice], seed: u64) -> Vec<Ratio> {
    let (later, earlier) = (Sampled::new(later), Sampled::new(earlier));
    let mut random = SplitMix64(seed);
    let resampled = (0..RESAMPLES).map(|_| {
        (
            later.figures(&draw(&mut random)),
            earlier.figures(&draw(&mut random)),
        )
    });
    ratios(&later, &earlier, resampled)
}

/// Bytes, CPU and verification of a variant as multiples of another's of the same run, which ran interleaved.
pub(super) fn costs(of: &[Slice], to: &[Slice], seed: u64) -> Vec<Ratio> {
    let (of, to) = (Sampled::new(of), Sampled::new(to));
    let mut random = SplitMix64(seed);
    let resampled = (0..RESAMPLES).map(|_| {
        let weights = draw(&mut random);
        let only_costs = |of: &Sampled| {
            let mut figures = MetricValues::default();
            figures[..COSTS].copy_from_slice(&of.costs(&weights));
            figures
        };
        (only_costs(&of), only_costs(&to))
    });
    ratios(&of, &to, resampled)
}

/// How often each slice was drawn.
type Weights = [u64; SLICES];
/// One figure for each of [`Metric::ALL`].
type MetricValues = [Option<f64>; Metric::ALL.len()];
/// The first of them come from sums and not from distributions.
const COSTS: usize = 3;

fn draw(random: &mut SplitMix64) -> Weights {
    let mut weights = [0; SLICES];
    for _ in 0..SLICES {
        // The bias of the remainder is below 2^-59.
        weights[(random.next_u64() % SLICES as u64) as usize] += 1;
    }
    weights
}

fn ratios(
    of: &Sampled,
    to: &Sampled,
    resampled: impl Iterator<Item = (MetricValues, MetricValues)>,
) -> Vec<Ratio> {
    if of.measured < MIN_SLICES || to.measured < MIN_SLICES {
        return Vec::new();
    }
    let mut drawn: [Vec<f64>; Metric::ALL.len()] = Default::default();
    for (of, to) in resampled {
        for (index, ratios) in drawn.iter_mut().enumerate() {
            ratios.extend(divide(of[index], to[index]));
        }
    }
    let whole = (of.figures(&[1; SLICES]), to.figures(&[1; SLICES]));
    let ratio = |(index, mut drawn): (usize, Vec<f64>)| {
        drawn.sort_by(f64::total_cmp);
        Some(Ratio {
            metric: Metric::ALL[index],
            ratio: round(divide(whole.0[index], whole.1[index])?),
            low: round(*drawn.get((drawn.len() as f64 * TAIL) as usize)?),
            high: round(*drawn.get((drawn.len() as f64 * (1.0 - TAIL)) as usize)?),
        })
    };
    drawn.into_iter().enumerate().filter_map(ratio).collect()
}

fn divide(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to.filter(|to| *to > 0.0)?)
}

/// Further digits are noise, and would not survive JSON.
fn round(ratio: f64) -> f64 {
    (ratio * 1e6).round() / 1e6
}

/// Slices in a form that can be drawn from quickly.
struct Sampled {
    sums: Vec<(SliceSums, SliceSums)>,
    handshake: Times,
    operation: Times,
    measured: usize,
}

impl Sampled {
    fn new(slices: &[Slice]) -> Self {
        let slices = &slices[..slices.len().min(SLICES)];
        Self {
            sums: slices.iter().map(|s| (s.client, s.server)).collect(),
            handshake: Times::new(slices.iter().map(|slice| &slice.handshake)),
            operation: Times::new(slices.iter().map(|slice| &slice.operation)),
            measured: slices
                .iter()
                .filter(|slice| slice.handshake.count() > 0)
                .count(),
        }
    }

    fn figures(&self, weights: &Weights) -> MetricValues {
        let [bytes, cpu, verify] = self.costs(weights);
        let [handshake_p50, handshake_p99] = self.handshake.quantiles(weights);
        let [operation_p50, operation_p99] = self.operation.quantiles(weights);
        [
            bytes,
            cpu,
            verify,
            handshake_p50,
            handshake_p99,
            operation_p50,
            operation_p99,
        ]
    }

    fn costs(&self, weights: &Weights) -> [Option<f64>; COSTS] {
        let (mut client, mut server) = <(Weighted, Weighted)>::default();
        for ((of_client, of_server), weight) in self.sums.iter().zip(weights) {
            client.add(of_client, *weight);
            server.add(of_server, *weight);
        }
        let both = |of: fn(&Weighted) -> u64| Some(client.mean(of)? + server.mean(of)?);
        let verified = client.handshakes + server.handshakes;
        let verify =
            (verified > 0).then(|| (client.verify + server.verify) as f64 / verified as f64);
        [both(|sums| sums.bytes), both(|sums| sums.cpu), verify]
    }
}

#[derive(Default)]
struct Weighted {
    handshakes: u64,
    cpu: u64,
    verify: u64,
    bytes: u64,
}

impl Weighted {
    const fn add(&mut self, sums: &SliceSums, weight: u64) {
        self.handshakes += weight * sums.handshakes;
        self.cpu += weight * sums.cpu_ns;
        self.verify += weight * sums.verify_ns;
        self.bytes += weight * sums.bytes_sent;
    }

    fn mean(&self, of: fn(&Self) -> u64) -> Option<f64> {
        (self.handshakes > 0).then(|| of(self) as f64 / self.handshakes as f64)
    }
}

/// Times of all slices in ascending order, each with its slice and count.
struct Times {
    buckets: Vec<(u64, usize, u64)>,
    counts: Vec<u64>,
}

impl Times {
    fn new<'a>(slices: impl Iterator<Item = &'a SparseHistogram>) -> Self {
        let (mut buckets, mut counts) = (Vec::new(), Vec::new());
        for (index, slice) in slices.enumerate() {
            let of_slice = slice.buckets();
            buckets.extend(of_slice.map(|(time, count)| (time, index, count)));
            counts.push(slice.count());
        }
        buckets.sort_unstable();
        Self { buckets, counts }
    }

    /// Median and 99th percentile in nanoseconds.
    fn quantiles(&self, weights: &Weights) -> [Option<f64>; 2] {
        let weighted = self.counts.iter().zip(weights);
        let total: u64 = weighted.map(|(count, weight)| count * weight).sum();
        let ranks = [0.5, 0.99].map(|quantile| (total as f64 * quantile).ceil() as u64);
        let mut found = [None; 2];
        let mut seen = 0;
        for (time, slice, count) in &self.buckets {
            seen += count * weights[*slice];
            for (found, rank) in found.iter_mut().zip(ranks) {
                if found.is_none() && rank > 0 && seen >= rank {
                    *found = Some(*time as f64);
                }
            }
            if found[1].is_some() {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Slices with one handshake each, which takes and costs what `of` says in microseconds.
    fn slices(of: impl Fn(usize) -> u64) -> Vec<Slice> {
        let slice = |index| {
            let micros = of(index);
            let sums = SliceSums {
                handshakes: 1,
                cpu_ns: micros * 1000,
                verify_ns: micros * 100,
                bytes_sent: micros,
                ..SliceSums::default()
            };
            let mut times = SparseHistogram::default();
            times.record(Duration::from_micros(micros));
            Slice {
                client: sums,
                server: sums,
                handshake: times.clone(),
                operation: times,
            }
        };
        (0..SLICES).map(slice).collect()
    }

    /// Numbers without a pattern that a slice could fall into.
    fn noise(index: usize, seed: u64) -> u64 {
        SplitMix64(seed + index as u64).next_u64() % 200
    }

    #[test]
    fn a_ratio_is_that_of_the_sums_and_lies_in_its_interval() {
        let variants = [
            slices(|n| 1000 + noise(n, 1)),
            slices(|n| 2000 + noise(n, 2)),
        ];
        let ratios = to_first(&variants, 7);
        assert_eq!(ratios[0], []);
        assert_eq!(ratios[1].len(), Metric::ALL.len());
        for Ratio {
            ratio, low, high, ..
        } in &ratios[1]
        {
            assert!(low <= ratio && ratio <= high && low < high);
            assert!((1.7..2.1).contains(ratio), "{ratio}");
        }
    }

    #[test]
    fn equal_costs_differ_in_nothing_and_doubled_ones_in_everything() {
        let base = || slices(|n| 1000 + noise(n, 1));
        let same = between(&slices(|n| 1000 + noise(n, 2)), &base(), 7);
        assert!(same.iter().all(|ratio| !ratio.differs()), "{same:?}");
        let twice = between(&slices(|n| 2000 + noise(n, 2)), &base(), 7);
        assert!(twice.iter().all(Ratio::differs), "{twice:?}");
    }

    #[test]
    fn costs_alone_are_those_among_all_metrics() {
        let variants = [
            slices(|n| 1000 + noise(n, 1)),
            slices(|n| 1500 + noise(n, 2)),
        ];
        let all = &to_first(&variants, 7)[1];
        assert_eq!(costs(&variants[1], &variants[0], 7), all[..COSTS]);
    }

    #[test]
    fn a_disturbance_that_hits_all_variants_cancels() {
        let disturbed = |n: usize| if n.is_multiple_of(4) { 5 } else { 1 };
        let variants = [
            slices(|n| 1000 * disturbed(n)),
            slices(|n| 1100 * disturbed(n)),
        ];
        let paired = to_first(&variants, 7)[1][1];
        let unpaired = between(&variants[1], &variants[0], 7)[1];
        assert!(
            paired.high - paired.low < 0.001,
            "the ratio is the same in every slice: {paired:?}"
        );
        assert!(unpaired.high - unpaired.low > 0.1, "{unpaired:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let variants = [
            slices(|n| 1000 + noise(n, 1)),
            slices(|n| 1500 + noise(n, 2)),
        ];
        assert_eq!(to_first(&variants, 7), to_first(&variants, 7));
        assert_ne!(to_first(&variants, 7), to_first(&variants, 8));
    }

    #[test]
    fn few_slices_have_no_interval() {
        let mut few = slices(|_| 1000);
        few[MIN_SLICES - 1..].fill(Slice::default());
        assert_eq!(to_first(&[slices(|_| 1000), few], 7)[1], []);
    }

    #[test]
    fn quantiles_count_every_draw() {
        let times = Times::new(
            slices(|n| 1 + n as u64)
                .iter()
                .map(|slice| &slice.handshake),
        );
        let mut weights = [0; SLICES];
        weights[3] = 19;
        weights[10] = 1;
        let [median, p99] = times.quantiles(&weights);
        assert_eq!(median.map(|ns| ns.round()), Some(4000.0 - 0.0));
        assert!(p99.is_some_and(|ns| (10_990.0..=11_000.0).contains(&ns)));
    }
}
