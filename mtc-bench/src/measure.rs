//! Timing kernels against each other.
//!
//! ```text
//! round 1:  kernel A x n_a | kernel B x n_b | kernel C x n_c        one sample each
//! round 2:  kernel A x n_a | kernel B x n_b | kernel C x n_c
//! ...                                                               result: the median sample of each kernel
//! ```
//!
//! Kernels take turns, so that a slow spell of the machine falls on all of them and their ratios stand. A sample is long
//! against the clock's resolution and short against such a spell. Time is the thread's CPU time: while others have the
//! processor nothing passes.

use std::hint::black_box;
use std::time::Duration;

use mtc_tls::cpu::thread_time;

/// How long and how often to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Samples of each kernel; the median of an odd number is one of them.
    pub rounds: usize,
    /// How long a sample takes, about.
    pub sample: Duration,
}

impl Effort {
    /// About 15 seconds for the kernels of `mtc5g bench`.
    pub const NORMAL: Self = Self {
        rounds: 151,
        sample: Duration::from_millis(2),
    };
    /// A second or two, to see that everything runs; the figures are rough.
    pub const QUICK: Self = Self {
        rounds: 11,
        sample: Duration::from_micros(500),
    };
}

/// Something to time.
pub struct Kernel<'a> {
    /// Its name in results.
    pub name: String,
    /// Runs the operation so many times; the sample's number picks the input.
    operation: Box<dyn FnMut(usize, u32) + 'a>,
}

impl<'a> Kernel<'a> {
    /// Times `operation`, whose result is kept from the optimiser, on one input after the other: a sample an input.
    ///
    /// Equal inputs at several places in memory keep an unlucky address (caches are picked by it) from deciding.
    pub fn new<I, T>(
        name: impl Into<String>,
        inputs: &'a [I],
        mut operation: impl FnMut(&'a I) -> T + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            operation: Box::new(move |sample, times| {
                let Some(input) = inputs.get(sample % inputs.len().max(1)) else {
                    return;
                };
                for _ in 0..times {
                    black_box(operation(black_box(input)));
                }
            }),
        }
    }

    fn time(&mut self, sample: usize, times: u32) -> Duration {
        let started = thread_time();
        (self.operation)(sample, times);
        thread_time().saturating_sub(started)
    }

    /// How often it runs in about `duration`.
    fn calibrate(&mut self, duration: Duration) -> u32 {
        let mut times = 1;
        loop {
            let elapsed = self.time(0, times);
            if elapsed >= duration / 2 || times >= 1 << 24 {
                let scale = duration.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
                return ((f64::from(times) * scale) as u32).max(1);
            }
            times *= 2;
        }
    }
}

/// The median nanoseconds per operation of each kernel, in their order. `progress` is told after each round.
pub fn medians(
    kernels: &mut [Kernel<'_>],
    effort: Effort,
    mut progress: impl FnMut(usize),
) -> Vec<f64> {
    let times: Vec<u32> = kernels
        .iter_mut()
        .map(|kernel| kernel.calibrate(effort.sample))
        .collect();
    let mut samples = vec![Vec::with_capacity(effort.rounds); kernels.len()];
    for round in 0..effort.rounds {
        for ((kernel, times), samples) in kernels.iter_mut().zip(&times).zip(&mut samples) {
            samples.push(kernel.time(round, *times).as_nanos() as f64 / f64::from(*times));
        }
        progress(round + 1);
    }
    samples
        .into_iter()
        .map(|mut samples| {
            samples.sort_by(f64::total_cmp);
            samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_kernel_has_the_larger_median_and_every_input_has_its_turn() {
        let inputs = [1_u64, 2, 3];
        let mut seen = [0_u32; 4];
        let mut rounds = 0;
        let work = |rounds: u64| {
            (0..rounds).fold(1_u64, |sum, n| {
                black_box(sum.wrapping_mul(31).wrapping_add(n))
            })
        };
        let mut kernels = [
            Kernel::new("long", &inputs, move |_| work(20_000)),
            Kernel::new("short", &inputs, |input| {
                seen[*input as usize] += 1;
                work(20)
            }),
        ];
        let effort = Effort {
            rounds: 9,
            sample: Duration::from_micros(200),
        };
        let medians = medians(&mut kernels, effort, |round| rounds = round);
        drop(kernels);
        assert!(medians[0] > medians[1], "{medians:?}");
        assert_eq!(rounds, 9);
        assert!(seen[1..].iter().all(|times| *times > 0), "{seen:?}");
    }
}
