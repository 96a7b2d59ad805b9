//! `mtc5g init DIR`

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mtc_core::landmark::MAX_LANDMARKS;
use mtc_core::time::UnixTime;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use sbi::access_token::TokenPolicy;
use sbi::tell;
use thiserror::Error;

use super::exit::{DONE, fail};
use super::output::{say, usage};
use super::run::scenario_text;
use crate::topology::{
    Cluster, Deployed, Hosts, LabFolder, Plan, PlannedSetting, Ports, SidecarAccount, deploy,
};
use experiment::files::sync_tree;
use experiment::scenario::{
    AMF_INSTANCES, Distribution, FurtherWitness, LabPlan, MORE_INSTANCES, Nf, SHIPPED,
    SMF_INSTANCES, Scenario,
};

/// Of AMFs, and of SMFs.
const DEFAULT_INSTANCES: u16 = 2;
const DEFAULT_PORT: u16 = 7777;
/// Seconds.
const DEFAULT_LANDMARK_INTERVAL: u64 = 30;
/// Hours.
const DEFAULT_CERTIFICATE_LIFETIME: u64 = 24;

/// What `mtc5g init` and `mtc5g lab up` make a lab of.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct LabArguments {
    /// Number of AMF instances [default: 2]
    #[arg(long, value_parser = amf_instances)]
    amf: Option<u16>,
    /// Number of SMF instances [default: 2]
    #[arg(long, value_parser = smf_instances)]
    smf: Option<u16>,
    /// First of eight ports on 127.0.0.1: NRF SBI, issuance log, witness, admin ports of NRF, SCP, AMF, SMF, peers; two more for each witness
    /// beside the SCP [default: 7777]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port: Option<u16>,
    /// Seconds between landmarks [default: 30]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    landmark_interval: Option<u64>,
    /// Lifetime of certificates in hours [default: 24]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=8760))]
    certificate_lifetime: Option<u64>,
    /// Make the lab that this scenario asks for: a file, or the name of one that comes with this command; --amf and --smf go before
    /// what it says
    #[arg(
        long,
        value_name = "SCENARIO",
        conflicts_with_all = ["landmark_interval", "certificate_lifetime"]
    )]
    scenario: Option<String>,
}

/// A number of AMF instances, with what to do who wants more of them.
fn amf_instances(text: &str) -> Result<u16, String> {
    instances(text, AMF_INSTANCES)
}

/// As [`amf_instances`], of SMF instances.
fn smf_instances(text: &str) -> Result<u16, String> {
    instances(text, SMF_INSTANCES)
}

fn instances(text: &str, range: RangeInclusive<u64>) -> Result<u16, String> {
    let number = text.parse::<u64>().map_err(|error| error.to_string())?;
    match u16::try_from(number) {
        Ok(instances) if range.contains(&number) => Ok(instances),
        _ => Err(format!(
            "a lab has from {} to {} of this kind; {MORE_INSTANCES}",
            range.start(),
            range.end()
        )),
    }
}

/// No lab can be planned as the arguments say.
#[derive(Debug, Error)]
pub(super) enum PlanError {
    /// See there.
    #[error(transparent)]
    TooManyLandmarks(#[from] TooManyLandmarks),
    /// The scenario.
    #[error("scenario {}\n{reason}", path.display())]
    Scenario {
        /// Its file or name.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The landmarks that could be active at once are too many.
#[derive(Debug, Error)]
#[error(
    "--landmark-interval {interval} is too short for --certificate-lifetime {hours}: up to {active} landmarks would be active at once, \
     of at most {}; take at least {shortest} seconds, or a shorter lifetime",
    MAX_LANDMARKS - 1
)]
pub(super) struct TooManyLandmarks {
    interval: u64,
    hours: u64,
    active: u64,
    shortest: u64,
}

impl LabArguments {
    /// Refuses what the NRF would refuse, in the words of its configuration, which nobody has written here.
    fn check(&self) -> Result<(), TooManyLandmarks> {
        let (interval, hours) = (self.landmark_interval(), self.certificate_lifetime());
        let seconds = hours * 3600;
        let active = seconds / interval;
        if active < MAX_LANDMARKS as u64 {
            return Ok(());
        }
        Err(TooManyLandmarks {
            interval,
            hours,
            active,
            shortest: seconds / MAX_LANDMARKS as u64 + 1,
        })
    }

    /// The lab.
    ///
    /// # Errors
    /// The scenario cannot be read, or the NRF would refuse the intervals.
    pub(super) fn plan(&self) -> Result<Plan, PlanError> {
        let Some(path) = self.scenario() else {
            self.check()?;
            return Ok(self.default_plan());
        };
        let failed = |reason| PlanError::Scenario {
            path: path.to_owned(),
            reason,
        };
        let text = scenario_text(path).map_err(failed)?;
        let scenario = Scenario::parse(&text).map_err(|faults| failed(faults.to_string()))?;
        let mut plan = Plan {
            ports: self.ports(),
            ..Plan::of(&scenario)
        };
        plan.lab.amf = self.amf.unwrap_or(plan.lab.amf);
        plan.lab.smf = self.smf.unwrap_or(plan.lab.smf);
        Ok(plan)
    }

    /// The scenario, if one is named: what starts containers may have an empty name for none.
    fn scenario(&self) -> Option<&Path> {
        let name = self.scenario.as_deref().filter(|name| !name.is_empty());
        name.map(Path::new)
    }

    /// Whether they ask for a value of it, and do not leave it at its default.
    pub(super) fn asks_for(&self, setting: PlannedSetting) -> bool {
        let by_scenario = self.scenario().is_some();
        match setting {
            PlannedSetting::Amf => by_scenario || self.amf.is_some(),
            PlannedSetting::Smf => by_scenario || self.smf.is_some(),
            PlannedSetting::LandmarkInterval => by_scenario || self.landmark_interval.is_some(),
            PlannedSetting::CertificateLifetime => {
                by_scenario || self.certificate_lifetime.is_some()
            }
            PlannedSetting::CheckpointInterval
            | PlannedSetting::Credentials
            | PlannedSetting::Witnesses => by_scenario,
            PlannedSetting::Port => self.port.is_some(),
            PlannedSetting::KeyLog => false,
        }
    }

    fn ports(&self) -> Ports {
        Ports::From(self.port.unwrap_or(DEFAULT_PORT))
    }

    fn landmark_interval(&self) -> u64 {
        self.landmark_interval.unwrap_or(DEFAULT_LANDMARK_INTERVAL)
    }

    fn certificate_lifetime(&self) -> u64 {
        self.certificate_lifetime
            .unwrap_or(DEFAULT_CERTIFICATE_LIFETIME)
    }

    fn default_plan(&self) -> Plan {
        let x509 = |ca_signature, intermediates| {
            (
                X509Profile {
                    ca_signature,
                    intermediates,
                    revocation: X509Revocation::None,
                },
                ca_signature,
            )
        };
        Plan {
            lab: LabPlan {
                amf: self.amf.unwrap_or(DEFAULT_INSTANCES),
                smf: self.smf.unwrap_or(DEFAULT_INSTANCES),
                ausf: 0,
                udm: 0,
                pcf: 0,
                certificate_lifetime: Duration::from_secs(self.certificate_lifetime() * 3600),
                checkpoint_interval: Duration::from_millis(100),
                landmark_interval: Duration::from_secs(self.landmark_interval()),
                preload: 0,
                tokens: true,
                client_credentials: true,
                token_lifetime: Duration::from_secs(3600),
                status_lifetime: Duration::from_secs(3600),
                remember_subtrees: true,
                distribution: Distribution::Each,
                upgraded: None,
                witnesses: 1,
                require: 1,
            },
            mtc: vec![KeyAlgorithm::MlDsa65],
            x509: vec![
                x509(KeyAlgorithm::EcdsaP256, Intermediates::One),
                x509(KeyAlgorithm::Ed25519, Intermediates::One),
                x509(KeyAlgorithm::MlDsa65, Intermediates::One),
                x509(KeyAlgorithm::MlDsa65, Intermediates::None),
            ],
            ports: self.ports(),
            access_tokens: TokenPolicy::Required,
            await_landmarks: false,
            key_log: None,
            connection_uses: 1,
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct InitArguments {
    /// Folder to write to; must not contain a PKI yet
    folder: PathBuf,
    #[command(flatten)]
    lab: LabArguments,
    /// Make the lab for containers: one folder per owner, names instead of addresses; repeating it changes nothing. --amf
    /// and --smf then limit the number of replicas
    #[arg(long, conflicts_with = "port")]
    deploy: bool,
    /// With --deploy: limit of the AMF instances of load generators, over the lab's whole life
    #[arg(long, value_name = "N", default_value_t = 64, requires = "deploy", value_parser = clap::value_parser!(u16).range(1..=4096))]
    load: u16,
    /// With --deploy: reach network functions as nrf.DOMAIN, scp.DOMAIN, amf.DOMAIN and smf.DOMAIN instead of by their FQDNs, such
    /// as mtc5g.svc for the Services of a Kubernetes namespace
    #[arg(long, value_name = "DOMAIN", requires = "deploy")]
    host_domain: Option<Hosts>,
    /// With --deploy: AMFs and SMFs are pods of the Kubernetes cluster and namespace of the pod whose service-account token is in this file, and
    /// enrol with tokens of their own; --amf and --smf then limit nothing
    #[arg(long, value_name = "FILE", requires = "deploy")]
    pod_token: Option<PathBuf>,
    /// With --pod-token: pods of this service account may enrol too, as sidecars of other programs (NF type SIDECAR), each as
    /// POD.NAME.NAMESPACE.5gc.mnc001.mcc001.3gppnetwork.org; repeat it for more accounts
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "pod_token")]
    sidecar_account: Vec<SidecarAccount>,
}

impl InitArguments {
    pub(super) fn run(self) -> ExitCode {
        let plan = match self.lab.plan() {
            Ok(plan) => plan,
            Err(error) => return usage(&error, "init"),
        };
        let now = mtc_tls::clock::Clock::default().now();
        if self.deploy {
            return self.lay_out(&plan, now);
        }
        let folder = match LabFolder::create(&self.folder, &plan, now) {
            Ok(folder) => folder,
            Err(error) => return fail(&error),
        };
        // Keys that a power cut leaves empty would stand beside a log that is durable.
        if let Err(error) = sync_tree(&self.folder) {
            return fail(&error);
        }
        let file = |name| folder.config_file(name).display().to_string();
        say(format_args!(
            "wrote a lab to {}. Start its processes, each in a terminal of its own:",
            self.folder.display()
        ));
        say(format_args!("  mtc5g scp --config {}", file("scp")));
        for witness in FurtherWitness::of(plan.lab.witnesses) {
            let file = file(Nf::Witness(witness).as_str());
            say(format_args!("  mtc5g witness --config {file}"));
        }
        say(format_args!(
            "  mtc5g nrf --config {} --create-log     # --create-log the first time only",
            file("nrf")
        ));
        say(format_args!("  mtc5g smf --config {}", file("smf")));
        say(format_args!("  mtc5g amf --config {}", file("amf")));
        if plan.lab.has_peers() {
            say(format_args!("  mtc5g peers --config {}", file("peers")));
        }
        say(format_args!(
            "Each enrolment token in it is valid for one day and one certificate."
        ));
        ExitCode::from(DONE)
    }

    fn lay_out(&self, plan: &Plan, now: UnixTime) -> ExitCode {
        let mut plan = plan.clone();
        if self.lab.scenario().is_none() {
            plan.serve_also(SHIPPED.iter().filter_map(|shipped| {
                let scenario = Scenario::parse(shipped.text).ok()?;
                Some(Plan::of(&scenario))
            }));
        }
        let hosts = self.host_domain.clone().unwrap_or_default();
        let cluster = match self.pod_token.as_deref().map(Cluster::of).transpose() {
            Ok(cluster) => cluster.map(|of| of.admitting(self.sidecar_account.clone())),
            Err(error) => return fail(&error),
        };
        match deploy(
            &self.folder,
            &plan,
            self.load,
            &hosts,
            cluster.as_ref(),
            now,
        ) {
            Ok(Deployed::New) => {
                tell!("made a lab for containers in {}", self.folder.display());
                ExitCode::from(DONE)
            }
            Ok(Deployed::Before) => {
                tell!(
                    "there is already a lab in {}: nothing was changed",
                    self.folder.display()
                );
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use experiment::scenario::Shipped;

    use super::*;

    // The message named the key landmark_interval_seconds of a file that the command was about to write.
    #[test]
    fn an_interval_that_gives_too_many_landmarks_is_told_by_its_option() {
        let check = |interval, hours| {
            let arguments = LabArguments {
                landmark_interval: Some(interval),
                certificate_lifetime: Some(hours),
                ..LabArguments::default()
            };
            arguments.check()
        };
        let error = check(5, 24).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--landmark-interval 5 is too short for --certificate-lifetime 24: up to 17280 landmarks would be active at once, \
             of at most 4095; take at least 22 seconds, or a shorter lifetime"
        );
        assert!(check(21, 24).is_err());
        assert!(check(22, 24).is_ok());
        assert!(check(5, 5).is_ok());
    }

    #[test]
    fn numbers_go_before_those_of_the_scenario() {
        let plan = |scenario: &str, amf| {
            let arguments = LabArguments {
                scenario: Some(scenario.to_owned()),
                amf,
                ..LabArguments::default()
            };
            arguments.plan().unwrap()
        };
        assert_eq!(plan("procedures", Some(16)).lab.amf, 16);
        assert!(plan("procedures", None).lab.has_peers());
        assert_eq!(plan("", None), plan("", Some(DEFAULT_INSTANCES)));
        assert!(!plan("", None).lab.has_peers());
    }

    #[test]
    fn a_lab_without_a_scenario_has_what_quick_needs() {
        let plan = LabArguments::default().plan().unwrap();
        let quick = Shipped::named("quick").unwrap();
        let wanted = Plan::of(&Scenario::parse(quick.text).unwrap());
        assert!(wanted.mtc.iter().all(|key| plan.mtc.contains(key)));
        for credential in wanted.x509 {
            assert!(plan.x509.contains(&credential), "{credential:?}");
        }
    }
}
