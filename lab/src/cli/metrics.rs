//! `mtc5g metrics`: the reference of all metrics, from the code that makes them. `docs/metrics.md` is its output.

use std::fmt::Write as _;
use std::process::ExitCode;

use mtc_distributor::metrics::DistributorMetrics;
use mtc_mirror::metrics::MirrorMetrics;
use nf_nrf::metrics::NrfMetrics;
use nf_scp::metrics::WitnessMetrics;
use nf_scp::routing::RoutingMetrics;
use sbi::metrics::{Definition, Metrics, Registry};
use serde_json::{Value, json};
use sidecar::metrics::SidecarMetrics;

use super::exit::DONE;
use super::output::{print, print_json};
use crate::load::LoadMetrics;

const HEADING: &str = "\
# Metrics

Made by `mtc5g metrics` from the code; `.ci/run` checks that this file is its output.

Every network function shows its metrics at `GET /metrics` of its admin port, in Prometheus' text format, or in OpenMetrics
1.0 where `Accept` asks for it. Times are in seconds, sizes in bytes, moments in seconds since 1970. A histogram of times has six
buckets in each decade from 10 us to 10 s. Where a metric has no value yet it is absent. In Prometheus, `nf` and `instance` of
the scrape target say whose a metric is ([compose.md](compose.md)).
";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct MetricsArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl MetricsArguments {
    pub(super) fn run(&self) -> ExitCode {
        if self.json {
            let groups = groups();
            let metrics = groups.iter().flat_map(|(of, definitions)| {
                definitions.iter().map(|definition| to_json(of, definition))
            });
            print_json(&metrics.collect::<Vec<_>>());
        } else {
            print(&markdown());
        }
        ExitCode::from(DONE)
    }
}

/// All metrics, by who has them.
fn groups() -> [(&'static str, Vec<Definition>); 8] {
    let made_by = |make: fn(&Registry)| {
        let registry = Registry::default();
        make(&registry);
        registry.definitions()
    };
    [
        (
            "Every network function",
            Metrics::new().registry.definitions(),
        ),
        ("NRF", made_by(|registry| drop(NrfMetrics::new(registry)))),
        (
            "Witness: the SCP, and those beside it",
            made_by(|registry| drop(WitnessMetrics::new(registry))),
        ),
        (
            "SCP",
            made_by(|registry| drop(RoutingMetrics::new(registry))),
        ),
        (
            "Mirror",
            made_by(|registry| drop(MirrorMetrics::new(registry))),
        ),
        (
            "Sidecar",
            made_by(|registry| drop(SidecarMetrics::new(registry))),
        ),
        (
            "Distributor",
            made_by(|registry| drop(DistributorMetrics::new(registry))),
        ),
        (
            "AMF of a load generator",
            made_by(|registry| drop(LoadMetrics::new(registry))),
        ),
    ]
}

fn to_json(of: &str, definition: &Definition) -> Value {
    let labels = definition
        .labels
        .iter()
        .map(|(name, values)| json!({ "name": name, "values": values }));
    json!({
        "name": definition.name,
        "kind": definition.kind.as_str(),
        "help": definition.help,
        "of": of,
        "labels": labels.collect::<Vec<_>>(),
    })
}

fn markdown() -> String {
    let mut text = HEADING.to_owned();
    for (of, mut definitions) in groups() {
        definitions.sort_by_key(|definition| definition.name);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "\n## {of}\n\n| Metric | Kind | Meaning | Labels |\n|---|---|---|---|"
        );
        for Definition {
            name,
            help,
            kind,
            labels,
        } in definitions
        {
            let labels = labels
                .iter()
                .map(|(name, values)| format!("`{name}`: {values}"));
            let labels = labels.collect::<Vec<_>>().join("<br>");
            let _ = writeln!(text, "| `{name}` | {} | {help} | {labels} |", kind.as_str());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_reference_in_the_documentation_is_this_code_s() {
        let written = include_str!("../../../docs/metrics.md");
        assert!(
            written == markdown(),
            "docs/metrics.md is old; write it anew: cargo run -- metrics > docs/metrics.md"
        );
    }

    #[test]
    fn names_say_kind_and_unit_and_stand_for_one_metric() {
        let mut names = BTreeSet::new();
        for definition in groups()
            .into_iter()
            .flat_map(|(_, definitions)| definitions)
        {
            let Definition {
                name, help, kind, ..
            } = definition;
            assert!(names.insert(name), "{name} twice");
            assert_eq!(
                kind.as_str() == "counter",
                name.ends_with("_total"),
                "{name}"
            );
            assert!(help.ends_with('.'), "{name}: a sentence");
            // OpenMetrics escapes them, the encoder does not.
            assert!(!help.contains(['"', '\\', '\n']), "{name}: {help}");
        }
    }
}
