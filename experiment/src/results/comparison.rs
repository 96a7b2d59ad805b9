//! Two runs of the same scenario, set against each other: what differs more than their spread explains.

use serde::Serialize;

use super::{Metric, Ratio, Results, slices};
use crate::environment::Environment;

/// What `mtc5g compare` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether the scenarios are the same, byte for byte.
    pub same_scenario: bool,
    /// What differs in machine and build, by field.
    pub environment: Vec<EnvironmentDifference>,
    /// One for each variant that both runs have, in the order of the later one.
    pub variants: Vec<VariantComparison>,
    /// Variants that only one of the runs has.
    pub unmatched: Vec<String>,
    /// Why figures are not compared that are no measurement in one of the runs, a sentence each.
    pub left_out: Vec<String>,
    /// What a later figure may exceed an earlier one by, as a fraction; none: nothing is judged.
    pub fail_above: Option<f64>,
    /// What exceeds it, a sentence each.
    pub regressions: Vec<String>,
}

/// A field of the environment that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvironmentDifference {
    /// Its name in `results.json`.
    pub field: String,
    /// Its value in the earlier run.
    pub earlier: String,
    /// Its value in the later run.
    pub later: String,
}

/// A variant in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantComparison {
    /// Its name.
    pub name: String,
    /// The later figures as multiples of the earlier ones; empty where a run has too few slices.
    pub ratios: Vec<Ratio>,
}

impl Comparison {
    /// Compares a later run with an earlier one. What costs more than `fail_above` more, and more than the spread
    /// explains, is a regression.
    pub fn of(earlier: &Results, later: &Results, fail_above: Option<f64>) -> Self {
        let seed = later.run.seed;
        let compared = later.variants.iter().filter_map(|variant| {
            let before = earlier.variants.iter().find(|v| v.name == variant.name)?;
            let mut ratios = slices::between(&variant.slices, &before.slices, seed);
            let is_valid = |of| variant.is_valid(of) && before.is_valid(of);
            ratios.retain(|ratio| is_valid(ratio.metric.measure()));
            Some(VariantComparison {
                name: variant.name.clone(),
                ratios,
            })
        });
        let variants: Vec<VariantComparison> = compared.collect();
        let regressions = fail_above.map_or_else(Vec::new, |limit| regressions(&variants, limit));
        Self {
            same_scenario: earlier.scenario == later.scenario,
            environment: environment_differences(&earlier.environment, &later.environment)
                .into_iter()
                .chain(rates_differ(earlier, later))
                .collect(),
            variants,
            unmatched: unmatched(earlier, later),
            left_out: [("earlier", earlier), ("later", later)]
                .into_iter()
                .flat_map(|(which, run)| left_out(which, run))
                .collect(),
            fail_above,
            regressions,
        }
    }
}

/// The least that the interval leaves possible must be above the limit: noise alone does not fail a pipeline.
fn regressions(variants: &[VariantComparison], limit: f64) -> Vec<String> {
    let all = variants
        .iter()
        .flat_map(|variant| variant.ratios.iter().map(|ratio| (&variant.name, ratio)));
    all.filter(|(_, ratio)| ratio.low > 1.0 + limit)
        .map(|(name, ratio)| {
            format!(
                "{name}: {} is {:.1} % higher (at least {:.1} %), above {:.1} %",
                ratio.metric.title(),
                (ratio.ratio - 1.0) * 100.0,
                (ratio.low - 1.0) * 100.0,
                limit * 100.0
            )
        })
        .collect()
}

/// A figure at one rate is not that at another.
fn rates_differ(earlier: &Results, later: &Results) -> Option<EnvironmentDifference> {
    let factor = |of: &Results| of.run.preflight.map_or(1.0, |found| found.rate_factor);
    let (earlier, later) = (factor(earlier), factor(later));
    (earlier != later).then(|| EnvironmentDifference {
        field: "rate_factor".to_owned(),
        earlier: earlier.to_string(),
        later: later.to_string(),
    })
}

/// What spoiled figures of a run, each cause once.
fn left_out(which: &str, run: &Results) -> Vec<String> {
    let causes = run.spoiling().into_iter();
    causes
        .map(|cause| {
            let measures: Vec<&str> = cause.spoils().iter().map(|of| of.plural()).collect();
            format!("{} of the {which} run: {cause}", measures.join(", "))
        })
        .collect()
}

/// What differs, by field.
pub(super) fn environment_differences(
    earlier: &Environment,
    later: &Environment,
) -> Vec<EnvironmentDifference> {
    let fields = |environment: &Environment| {
        let value = serde_json::to_value(environment)
            .expect("an environment has string keys and finite numbers only");
        value.as_object().cloned().unwrap_or_default()
    };
    let (earlier, later) = (fields(earlier), fields(later));
    let text = |value: Option<&serde_json::Value>| match value {
        None => "absent".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let mut names: Vec<&String> = earlier.keys().chain(later.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter(|name| earlier.get(*name) != later.get(*name))
        .map(|name| EnvironmentDifference {
            field: name.clone(),
            earlier: text(earlier.get(name)),
            later: text(later.get(name)),
        })
        .collect()
}

fn unmatched(earlier: &Results, later: &Results) -> Vec<String> {
    let has = |results: &Results, name: &str| results.variants.iter().any(|v| v.name == name);
    let of = |results: &Results, other: &Results| -> Vec<String> {
        let names = results.variants.iter().map(|variant| variant.name.clone());
        names.filter(|name| !has(other, name)).collect()
    };
    [of(earlier, later), of(later, earlier)].concat()
}

impl VariantComparison {
    /// How one of its figures has changed.
    pub fn ratio(&self, metric: Metric) -> Option<&Ratio> {
        self.ratios.iter().find(|ratio| ratio.metric == metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Preflight;
    use crate::results::sample::{busy, quick};
    use crate::scenario::Measure;

    /// A run in which the last variant costs `percent` more CPU.
    fn dearer(percent: u64) -> Results {
        let mut results = quick();
        for slice in &mut results.variants[4].slices {
            for sums in [&mut slice.client, &mut slice.server] {
                sums.cpu_ns += sums.cpu_ns * percent / 100;
            }
        }
        results
    }

    #[test]
    fn a_run_does_not_differ_from_itself() {
        let same = Comparison::of(&quick(), &quick(), Some(0.05));
        assert!(same.same_scenario && same.environment.is_empty() && same.unmatched.is_empty());
        assert!(same.regressions.is_empty(), "{:?}", same.regressions);
        assert_eq!(same.variants.len(), 5);
        let ratios = same.variants.iter().flat_map(|variant| &variant.ratios);
        for ratio in ratios {
            assert!(!ratio.differs() && ratio.ratio == 1.0, "{ratio:?}");
        }
    }

    #[test]
    fn what_costs_more_than_allowed_is_a_regression_and_nothing_else_is() {
        let compared = Comparison::of(&quick(), &dearer(10), Some(0.05));
        assert_eq!(compared.regressions.len(), 1, "{:?}", compared.regressions);
        assert!(
            compared.regressions[0]
                .starts_with("mtc-landmark: CPU per handshake, µs is 10.0 % higher"),
            "{:?}",
            compared.regressions
        );
        assert_eq!(
            Comparison::of(&quick(), &dearer(10), Some(0.2)).regressions,
            Vec::<String>::new()
        );
        assert_eq!(
            Comparison::of(&dearer(10), &quick(), Some(0.05)).regressions,
            Vec::<String>::new(),
            "a gain is no regression"
        );
    }

    #[test]
    fn latencies_that_are_not_valid_in_one_run_are_not_compared() {
        let compared = Comparison::of(&quick(), &busy(&[Measure::Bytes, Measure::Cpu]), None);
        let metrics = |name: &str| {
            let variant = compared.variants.iter().find(|of| of.name == name).unwrap();
            variant
                .ratios
                .iter()
                .map(|ratio| ratio.metric)
                .collect::<Vec<_>>()
        };
        assert_eq!(metrics("x509-mldsa65"), Metric::ALL);
        assert_eq!(
            metrics("mtc-landmark"),
            [Metric::Bytes, Metric::Cpu, Metric::Verify]
        );
        assert_eq!(compared.left_out.len(), 1);
        assert!(
            compared.left_out[0].starts_with(
                "latencies of the later run: 61 of 540 operations of mtc-landmark (11 %) started"
            ),
            "{:?}",
            compared.left_out
        );
    }

    #[test]
    fn differences_of_machine_and_scenario_are_told() {
        let mut other = quick();
        other.environment.cores = 4;
        other.scenario.push('#');
        other.variants.remove(1);
        let compared = Comparison::of(&quick(), &other, None);
        assert!(!compared.same_scenario);
        let mut slower = quick();
        slower.run.preflight = Some(Preflight {
            wakes: 500,
            late: 0,
            p99_ms: 0.1,
            max_lateness_ms: 1.0,
            busy: Some(0.5),
            rate_factor: 0.5,
        });
        let [of] = &Comparison::of(&quick(), &slower, None).environment[..] else {
            panic!("one difference");
        };
        assert_eq!(
            (of.field.as_str(), of.later.as_str()),
            ("rate_factor", "0.5")
        );
        assert_eq!(
            compared.environment,
            [EnvironmentDifference {
                field: "cores".to_owned(),
                earlier: "2".to_owned(),
                later: "4".to_owned(),
            }]
        );
        assert_eq!(compared.unmatched, ["x509-mldsa65"]);
    }
}
