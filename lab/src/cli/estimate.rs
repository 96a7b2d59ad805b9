//! `mtc5g estimate`: what an estate will cost, before anything of it is changed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use experiment::estimate::{
    Against, Audit, BenchHandshake, Costs, Estate, Estimate, NfGroup, PRESETS, Time,
    estimate_markdown, estimate_table,
};
use experiment::results::Results;
use experiment::scenario::{DurationError, Scenario, Variant, parse_duration};
use mtc_core::causes::Causes;
use sbi::tell;

use super::exit::{DONE, NOT_AS_WANTED, USAGE};
use super::output::{print, print_json};
use super::results_file;
use super::run::scenario_text;
use crate::in_memory::VARIANTS;

/// The variants that are compared by default.
const SCENARIO: &str = "quick";

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
An estate is a file (TOML or JSON; docs/estimate.md has its keys), a preset, or one kind of network function given by flags; flags
change what a file or a preset says. CPU times are those of the project's own published run unless --costs names a run of yours:
mtc5g run quick --out mine && mtc5g estimate --preset operator --costs mine")]
pub(super) struct EstimateArguments {
    /// Estate (TOML or JSON)
    #[arg(conflicts_with = "preset")]
    estate: Option<PathBuf>,
    /// Estate that comes with this command [default: operator]
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(PRESETS.map(|(name, _)| name)))]
    preset: Option<String>,
    /// Inventory (JSON of mtc5g audit): as many instances as it has leaf certificates, instead of --nf and the estate's
    #[arg(long, value_name = "FILE", conflicts_with = "nf")]
    audit: Option<PathBuf>,
    /// Results of a run on your machine (file or folder), or what mtc5g bench --json has printed there, for CPU times
    #[arg(long, value_name = "RESULTS")]
    costs: Option<PathBuf>,
    /// Scenario whose variants are compared
    #[arg(long, value_name = "SCENARIO", default_value = SCENARIO)]
    scenario: PathBuf,
    /// Say what the model makes of this run (file or folder) beside what it measured; exit status 3 if it is too far off
    #[arg(long, value_name = "RESULTS", conflicts_with_all = ["estate", "preset", "audit", "nf"])]
    against: Option<PathBuf>,
    #[command(flatten)]
    numbers: Numbers,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Print Markdown instead of tables
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// Numbers in place of those of a file or a preset.
#[derive(Clone, Debug, clap::Args)]
struct Numbers {
    /// NF instances, all alike, instead of the estate's
    #[arg(long, value_name = "COUNT", requires = "handshakes")]
    nf: Option<u64>,
    /// Handshakes that each of them begins in a second
    #[arg(long, value_name = "RATE")]
    handshakes: Option<f64>,
    /// Requests that each of them sends in a second
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    requests: f64,
    /// Round-trip time between network functions
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    rtt: Option<Duration>,
    /// For how long certificates are valid
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lifetime: Option<Duration>,
    /// Time between two landmarks
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    landmark_interval: Option<Duration>,
    /// Witnesses that must cosign
    #[arg(long, value_name = "COUNT")]
    witnesses: Option<u8>,
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}

/// What is wrong with what was given, and with which file.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}", path.display())]
    Content {
        path: PathBuf,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the estate")]
    Estate(#[from] experiment::estimate::EstateError),
    #[error(transparent)]
    Results(#[from] results_file::ReadError),
    #[error("{0}")]
    Scenario(String),
}

impl Fault {
    fn of(path: &Path, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Content {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }
}

impl EstimateArguments {
    pub(super) fn run(self) -> ExitCode {
        let done = match &self.against {
            Some(run) => self.hold_against(run),
            None => self.estimate(),
        };
        match done {
            Ok(status) => ExitCode::from(status),
            Err(fault) => {
                tell!("error: {}", Causes(&fault));
                ExitCode::from(USAGE)
            }
        }
    }

    fn estimate(&self) -> Result<u8, Fault> {
        let audit = match &self.audit {
            Some(path) => Some(Audit::parse(&text(path)?).map_err(|error| Fault::of(path, error))?),
            None => None,
        };
        let estate = self.estate(audit.as_ref())?;
        let estimate = Estimate::of(&estate, &self.variants()?, &self.costs()?, audit);
        if self.json {
            print_json(&estimate);
        } else if self.markdown {
            print(&estimate_markdown(&estimate));
        } else {
            print(&estimate_table(&estimate));
        }
        Ok(DONE)
    }

    fn hold_against(&self, run: &Path) -> Result<u8, Fault> {
        let results = results_file::read(run)?;
        let against =
            Against::of(&results, &self.costs()?).map_err(|error| Fault::of(run, error))?;
        if self.json {
            print_json(&against);
        } else {
            print(&against.table());
        }
        Ok(if against.holds() { DONE } else { NOT_AS_WANTED })
    }

    fn estate(&self, audit: Option<&Audit>) -> Result<Estate, Fault> {
        let mut estate = match &self.estate {
            Some(path) => Estate::parse(&text(path)?).map_err(|error| Fault::of(path, error))?,
            None => {
                let preset = self.preset.as_deref().unwrap_or("operator");
                Estate::preset(preset).expect("clap lets no other name through")
            }
        };
        self.numbers.put_into(&mut estate, audit);
        estate.check()?;
        Ok(estate)
    }

    fn costs(&self) -> Result<Costs, Fault> {
        let Some(path) = &self.costs else {
            return Ok(Costs::published());
        };
        if let Some(costs) = bench_costs(path) {
            return Ok(costs);
        }
        let results: Results = results_file::read(path)?;
        Costs::of_run(&results, &Costs::published()).map_err(|error| Fault::of(path, error))
    }

    fn variants(&self) -> Result<Vec<Variant>, Fault> {
        let named = || format!("scenario {}", self.scenario.display());
        let text = scenario_text(&self.scenario)
            .map_err(|error| Fault::Scenario(format!("cannot read {}: {error}", named())))?;
        let scenario = Scenario::parse(&text);
        let scenario =
            scenario.map_err(|faults| Fault::Scenario(format!("{}\n{faults}", named())))?;
        Ok(scenario.variants)
    }
}

impl Numbers {
    fn put_into(&self, estate: &mut Estate, audit: Option<&Audit>) {
        let put = |place: &mut Time, given: Option<Duration>| {
            if let Some(given) = given {
                *place = given.into();
            }
        };
        put(&mut estate.rtt, self.rtt);
        put(&mut estate.certificate_lifetime, self.lifetime);
        put(&mut estate.landmark_interval, self.landmark_interval);
        if let Some(witnesses) = self.witnesses {
            estate.witnesses = witnesses.into();
        }
        let audited = audit.map(|audit| audit.leaf_certificates);
        if let Some(count) = self.nf.or(audited) {
            // Of an inventory that says nothing of traffic: what the estate's mean instance does.
            let mean = |total: f64| total / estate.instances().max(1.0);
            let requests = match audited {
                Some(_) => mean(estate.requests_per_second()),
                None => self.requests,
            };
            let handshakes = mean(estate.handshakes_per_second());
            estate.nf = vec![NfGroup {
                nf_type: "NF".to_owned(),
                count,
                handshakes_per_second: Some(self.handshakes.unwrap_or(handshakes)),
                peers: None,
                connection_lifetime: None,
                requests_per_second: requests,
            }];
        }
    }
}

/// Costs of a machine by what `mtc5g bench --json` has printed; none of another file.
fn bench_costs(path: &Path) -> Option<Costs> {
    #[derive(serde::Deserialize)]
    struct Bench {
        environment: Machine,
        handshakes: Vec<Handshake>,
    }
    #[derive(serde::Deserialize)]
    struct Machine {
        cpu: String,
    }
    #[derive(serde::Deserialize)]
    struct Handshake {
        name: String,
        client_bytes: u64,
        server_bytes: u64,
        cpu_us: f64,
        verify_us: f64,
    }
    let bench: Bench = serde_json::from_str(&sbi::text_file::read(path).ok()?).ok()?;
    let measured = bench.handshakes.iter().filter_map(|of| {
        let variant = VARIANTS.iter().find(|variant| variant.name == of.name)?;
        Some(BenchHandshake {
            domain: variant.domain,
            leaf_key: variant.leaf_key,
            bytes: (of.client_bytes + of.server_bytes) as f64,
            cpu_us: of.cpu_us,
            verify_us: of.verify_us,
        })
    });
    let measured: Vec<_> = measured.collect();
    let origin = format!(
        "mtc5g bench on {}: in memory, so less than over sockets",
        bench.environment.cpu
    );
    Costs::of_bench(origin, &measured, &Costs::published())
}

fn text(path: &Path) -> Result<String, Fault> {
    sbi::text_file::read(path).map_err(|source| Fault::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: EstimateArguments,
    }

    fn arguments(line: &str) -> EstimateArguments {
        let words = std::iter::once("estimate").chain(line.split_whitespace());
        Command::try_parse_from(words).expect("arguments").arguments
    }

    #[test]
    fn flags_change_what_a_preset_says() {
        let estate =
            arguments("--preset lab --rtt 20ms --lifetime 7d --landmark-interval 1h --witnesses 3")
                .estate(None);
        let estate = estate.expect("an estate");
        assert_eq!(estate.rtt.seconds(), 0.02);
        assert_eq!(estate.certificate_lifetime.seconds(), 7.0 * 86_400.0);
        assert_eq!(estate.landmark_interval.seconds(), 3600.0);
        assert_eq!(estate.witnesses, 3.0);
        let alike = arguments("--nf 300 --handshakes 0.5").estate(None);
        assert_eq!(alike.expect("an estate").handshakes_per_second(), 150.0);
    }

    #[test]
    fn an_inventory_has_as_many_instances_as_leaf_certificates() {
        let audit = Audit::parse(
            r#"{"format": 1, "summary": {"by_key_algorithm": {"rsa-2048": {"leaves": 2}}}}"#,
        );
        let estate = arguments("--preset operator").estate(Some(&audit.expect("an inventory")));
        let estate = estate.expect("an estate");
        let mean = Estate::preset("operator").expect("a preset");
        assert_eq!(estate.instances(), 2.0);
        let each = mean.handshakes_per_second() / mean.instances();
        assert!((estate.handshakes_per_second() - 2.0 * each).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_is_told_by_its_key() {
        for (line, fault) in [
            ("--nf 0 --handshakes 1", "nf[0].count must be"),
            (
                "--nf 1 --handshakes NaN",
                "nf[0].handshakes_per_second must be",
            ),
            (
                "--nf 1 --handshakes=-1",
                "nf[0].handshakes_per_second must be",
            ),
            (
                "--lifetime 1h --landmark-interval 2h",
                "landmark_interval must be shorter",
            ),
            ("--rtt 2m", "rtt must be from 0 to 60 s, is 120"),
        ] {
            let fault_found = arguments(line).estate(None).expect_err(line);
            let told = Causes(&fault_found).to_string();
            assert!(told.contains(fault), "{line}: {told}");
        }
    }
}
