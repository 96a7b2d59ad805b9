//! `mtc5g capacity SCENARIO`

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use mtc_core::causes::Causes;
use sbi::tell;

use super::exit::{DONE, USAGE, fail, interrupted};
use super::lab_up::{own_temporary_folder, temporary_labs};
use super::output::clear_killed;
use super::run::scenario_text;
use crate::capacity::{Capacity, Limits, Probe, capacities};
use crate::preflight::preflight;
use crate::topology::{LabFolder, Plan, Throwaway, Topology};
use experiment::scenario::{DurationError, Scenario, parse_duration};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct CapacityArguments {
    /// Scenario file (TOML); its stages and events are not used
    scenario: PathBuf,
    /// Longest 99th percentile of the operation's latency
    #[arg(long, visible_alias = "limit", value_name = "DURATION", default_value = "50ms", value_parser = duration)]
    p99: Duration,
    /// First rate to try, in operations per second
    #[arg(long, value_name = "RATE", default_value_t = 25.0, value_parser = rate)]
    min: f64,
    /// Highest rate to try
    #[arg(long, value_name = "RATE", default_value_t = 10_000.0, value_parser = rate)]
    max: f64,
    /// Variants to try, one after another [default: all]
    #[arg(long = "variant", value_name = "NAME")]
    variants: Vec<String>,
    /// How long to try each rate
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    probe_duration: Duration,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=100_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("must be from 0.01 to 100000".to_owned())
    }
}

impl CapacityArguments {
    pub(super) async fn run(self) -> ExitCode {
        let scenario = match self.scenario() {
            Ok(scenario) => scenario,
            Err(fault) => {
                tell!("error: {fault}");
                return ExitCode::from(USAGE);
            }
        };
        match self.measure(&scenario).await {
            Ok(found) => {
                super::output::print(&found);
                ExitCode::from(DONE)
            }
            Err(error) => fail(&*error),
        }
    }

    fn scenario(&self) -> Result<Scenario, String> {
        let path = self.scenario.display();
        let text = scenario_text(&self.scenario)
            .map_err(|error| format!("cannot read scenario {path}: {error}"))?;
        let scenario =
            Scenario::parse(&text).map_err(|faults| format!("scenario {path}\n{faults}"))?;
        let known = |name: &&String| scenario.variants.iter().any(|v| v.name == **name);
        if let Some(unknown) = self.variants.iter().find(|name| !known(name)) {
            return Err(format!("scenario {path} has no variant {unknown:?}"));
        }
        if scenario.link.is_some() {
            return Err(format!(
                "scenario {path} has [link], which capacity does not set up yet"
            ));
        }
        if self.min > self.max {
            return Err("--min must not be above --max".to_owned());
        }
        Ok(scenario)
    }

    /// The answer, as text.
    async fn measure(&self, scenario: &Scenario) -> Result<String, Box<dyn Error>> {
        let mut stop = std::pin::pin!(interrupted());
        clear_killed(&temporary_labs());
        let found = preflight(&scenario.load).await;
        if found.is_unpunctual() {
            tell!(
                "warning: this machine is busy, so what it sustains is less than it could: {found}"
            );
        }
        let path = own_temporary_folder()?;
        let throwaway = Throwaway::claim(&path)?;
        match self.probe(scenario, &path, stop.as_mut()).await {
            Ok(found) => {
                if let Err(error) = throwaway.remove() {
                    tell!("warning: {}", Causes(&error));
                }
                self.shown(&found)
            }
            Err(error) => {
                let logs = throwaway.leave_logs()?;
                tell!(
                    "the logs of the lab's processes are kept in {}",
                    logs.display()
                );
                Err(error)
            }
        }
    }

    async fn probe(
        &self,
        scenario: &Scenario,
        path: &Path,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Vec<Capacity>, Box<dyn Error>> {
        let now = mtc_tls::clock::Clock::default().now();
        let folder = LabFolder::create(path, &Plan::of(scenario), now)?;
        let starting = Topology::start(folder, std::env::current_exe()?, |step| tell!("{step}"));
        let mut topology = tokio::select! {
            started = starting => started?,
            () = &mut stop => return Err("interrupted".into()),
        };
        let limits = self.limits();
        let on_probe = |variant: &str, probe: &Probe| {
            let verdict = probe.refused.as_deref().unwrap_or("sustained");
            tell!("{variant}: {:.1} per second: {verdict}", probe.rate);
        };
        let found = tokio::select! {
            found = capacities(&mut topology, scenario, &self.variants, limits, on_probe) => found,
            () = &mut stop => {
                topology.stop().await;
                return Err("interrupted".into());
            }
        };
        topology.stop().await;
        Ok(found?)
    }

    const fn limits(&self) -> Limits {
        Limits {
            p99: self.p99,
            min: self.min,
            max: self.max,
            probe: self.probe_duration,
        }
    }

    fn shown(&self, found: &[Capacity]) -> Result<String, Box<dyn Error>> {
        if self.json {
            return Ok(serde_json::to_string_pretty(found)? + "\n");
        }
        Ok(found
            .iter()
            .map(|capacity| table(capacity, self.limits()))
            .collect())
    }
}

fn table(capacity: &Capacity, limits: Limits) -> String {
    let limit = limits.p99.as_secs_f64() * 1e3;
    let mut text = format!("{}: ", capacity.variant);
    let _ = match capacity.rate {
        Some(rate) if capacity.at_max => writeln!(text, "at least {rate:.1} per second"),
        Some(rate) if capacity.by_generator => writeln!(
            text,
            "at least {rate:.1} per second with p99 within {limit} ms: beyond that the load generator was late"
        ),
        Some(rate) => writeln!(text, "{rate:.1} per second with p99 within {limit} ms"),
        None if capacity.by_generator => writeln!(
            text,
            "unknown: the load generator was late at {:.1} per second already",
            limits.min
        ),
        None => writeln!(text, "not even {:.1} per second", limits.min),
    };
    text.push_str("      rate       ok   failed  dropped     late    p99, ms\n");
    for probe in &capacity.probes {
        let p99 = probe
            .p99_ms
            .map_or_else(|| "–".to_owned(), |p99| format!("{p99:.2}"));
        let _ = writeln!(
            text,
            "{:>10.1} {:>8} {:>8} {:>8} {:>8} {p99:>10}  {}",
            probe.rate,
            probe.ok,
            probe.failed,
            probe.dropped,
            probe.late,
            probe.refused.as_deref().unwrap_or("sustained")
        );
    }
    text.push('\n');
    text
}
