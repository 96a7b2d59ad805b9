//! How results are made: of what was counted, and of what happened meanwhile.

use sbi::ledger::NfTotals;

use super::arrivals::Judged;
use super::{
    GeneratorResult, Issuance, Latency, LinkResult, Results, Run, RunHistory, SCHEMA, Slice,
    ThresholdOutcome, VariantArrivals, VariantResult, Verdict, slices,
};
use crate::environment::{self, Environment};
use crate::measure::{LoadResult, VariantMismatch};
use crate::scenario::{ArrivalProcess, Scenario};

/// What a run without `[link]` cannot show.
const LOOPBACK: &str = "The network functions met on the loopback, where a segment holds 32 KB and nothing takes time: round \
                        trips that flights above the initial congestion window cost cannot be seen. A scenario with [link] \
                        shows them.";

impl Results {
    /// Makes results of what was counted: by so many load generators together, and by the network functions (each connection of theirs
    /// except the load generator's), one [`NfTotals`] for each variant.
    ///
    /// # Errors
    ///
    /// [`VariantMismatch`] when load or network functions counted for another number of variants than the scenario has.
    pub fn new(
        environment: Environment,
        scenario: &Scenario,
        load: LoadResult,
        generators: u32,
        network_functions: &[NfTotals],
    ) -> Result<Self, VariantMismatch> {
        let expected = scenario.variants.len();
        for found in [load.variants.len(), network_functions.len()] {
            if found != expected {
                return Err(VariantMismatch { expected, found });
            }
        }
        let LoadResult {
            started,
            ended,
            interrupted,
            lateness,
            generator,
            variants,
            watched: _,
        } = load;
        let max_lateness_ms = scenario.load.max_lateness.as_secs_f64() * 1e3;
        let operations = variants.iter().map(|variant| variant.attempts).sum();
        let is_closed = matches!(scenario.load.arrivals, ArrivalProcess::Closed { .. });
        let (judged, closed) = if is_closed {
            let cores = environment.cores;
            let used = generator.told(generators, operations, cores);
            (
                Judged::by_use(&generator, generators, operations, cores),
                Some(format!(
                    "The loop was closed, so latencies are those at this concurrency, and no rate was intended that operations could be late for: \
                     {used}."
                )),
            )
        } else {
            (Judged::ByLateness(max_lateness_ms), None)
        };
        let counted = variants.into_iter().zip(network_functions);
        let variants: Vec<VariantResult> = scenario
            .variants
            .iter()
            .zip(counted)
            .map(|(variant, (load, nfs))| {
                let arrivals = VariantArrivals::of(&load, &judged);
                VariantResult::new(variant, load, arrivals, nfs)
            })
            .collect();
        let met_on_loopback = environment.network == environment::LOOPBACK;
        let loopback = met_on_loopback.then(|| LOOPBACK.to_owned());
        let notes = loopback.into_iter().chain(closed).collect();
        let mut results = Self {
            schema: SCHEMA.to_owned(),
            run: Run {
                name: scenario.name.clone(),
                description: scenario.description.clone(),
                operation: scenario.load.operation.as_str().to_owned(),
                connections: Some(scenario.load.connections),
                cell: scenario
                    .cell
                    .iter()
                    .map(|setting| (setting.key.clone(), setting.value.clone()))
                    .collect(),
                claims: scenario.claims.clone(),
                seed: scenario.seed,
                started,
                ended,
                interrupted,
                shortened: scenario.is_shortened,
                measured_s: (scenario.load.duration() - scenario.load.warmup).as_secs_f64(),
                joined: false,
                lab: None,
                preflight: None,
                clock_steps: Vec::new(),
                observed: None,
            },
            verdict: Verdict::default(),
            environment,
            link: None,
            notes,
            scenario: scenario.text().to_owned(),
            thresholds: scenario
                .thresholds
                .iter()
                .map(|threshold| ThresholdOutcome::of(threshold, &variants))
                .collect(),
            variants,
            generator: GeneratorResult::new(generators, &generator, max_lateness_ms),
            lateness_ms: Latency::of(&lateness),
            lateness_histogram: lateness,
            expect: scenario.expect.clone(),
            events: Vec::new(),
            timeline: Vec::new(),
            issuance: Issuance::default(),
            start: None,
            learning: Vec::new(),
        };
        results.relate();
        results.verdict = results.judge();
        Ok(results)
    }

    /// Says which links the network functions had instead of the loopback.
    pub fn linked(&mut self, link: LinkResult) {
        self.link = Some(link);
        self.notes.retain(|note| note != LOOPBACK);
        self.verdict = self.judge();
    }

    /// Adds what network functions counted in each slice, a list for each variant.
    pub fn sliced(&mut self, network_functions: &[Vec<NfTotals>]) {
        for (variant, counted) in self.variants.iter_mut().zip(network_functions) {
            let slices = variant.slices.iter_mut().zip(counted);
            slices.for_each(|(slice, counted)| slice.add(counted));
        }
        self.relate();
    }

    fn relate(&mut self) {
        let slices: Vec<Vec<Slice>> = self.variants.iter().map(|v| v.slices.clone()).collect();
        let ratios = slices::to_first(&slices, self.run.seed);
        let first = self.variants.first().map(|first| first.arrivals.clone());
        let is_valid = |of: &VariantResult, measure| {
            of.is_valid(measure) && first.as_ref().is_some_and(|of| of.is_valid(measure))
        };
        for (variant, mut ratios) in self.variants.iter_mut().zip(ratios) {
            ratios.retain(|ratio| is_valid(variant, ratio.metric.measure()));
            variant.to_first = ratios;
        }
    }

    /// Adds what happened during the run, which the verdict then takes into account.
    pub fn happened(
        &mut self,
        RunHistory {
            events,
            timeline,
            issuance,
            clock_steps,
            start,
        }: RunHistory,
    ) {
        for step in &clock_steps {
            let reason = step.to_string();
            for variant in &mut self.variants {
                variant.arrivals.spoil(&reason);
                variant.to_first.clear();
            }
            let thresholds = self.thresholds.iter_mut();
            thresholds.for_each(|threshold| threshold.judged = false);
        }
        self.run.clock_steps = clock_steps;
        self.events = events;
        self.timeline = timeline;
        self.issuance = issuance;
        self.start = start;
        self.verdict = self.judge();
    }
}
