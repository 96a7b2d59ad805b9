//! The command line of `mtc5g`: arguments, and a file a subcommand.
//!
//! Results go to standard output, everything else to standard error. How a command ends is in `exit`.

mod audit;
mod bench;
mod capacity;
mod cert;
mod compare;
mod configuration;
mod distribute;
mod estimate;
mod exit;
mod health;
mod identity;
mod init;
mod lab_up;
mod link;
mod log;
mod metrics;
mod mirror;
mod notarise;
mod nrf;
mod observe;
mod output;
mod plot;
mod progress;
mod report;
mod results_file;
mod revoke;
mod run;
mod scenarios;
mod share;
mod token;
mod top;
mod trust;
mod verify_artefact;
mod watched;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sbi::command_line::{NfArguments, forbid_core_dumps};
use sbi::telemetry::warn_on_stderr;

use exit::{COULD_NOT_RUN, DONE};

/// Measure what each way of authenticating network functions costs a 5G Service-Based Architecture
///
/// A laboratory 5G core control plane: the NRF is a Merkle Tree Certificate Authority, the SCP its witness, and
/// simulated AMFs and SMFs call each other over mutual TLS 1.3. Start with: mtc5g run scenarios/quick.toml
#[derive(Debug, Parser)]
#[command(
    name = "mtc5g",
    version,
    after_help = exit::help()
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a lab, run a scenario in it, stop it, and report
    Run(run::RunArguments),
    /// Find the highest rate that a scenario's lab sustains, for each variant
    Capacity(capacity::CapacityArguments),
    /// List the scenarios that come with this command, or print one
    Scenarios(scenarios::ScenariosArguments),
    /// List the metrics of every network function, with labels and units (Markdown; --json for scripts)
    Metrics(metrics::MetricsArguments),
    /// List every key of the configuration files, with defaults (Markdown; --json for JSON Schema)
    Configuration(configuration::ConfigurationArguments),
    /// Say what certificates of each kind will cost an estate, from a few numbers and measured costs
    Estimate(estimate::EstimateArguments),
    /// Compare two runs of a scenario: what differs by more than their spread
    Compare(compare::CompareArguments),
    /// Print, redraw or combine results
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Draw one figure of a run as an SVG file
    Plot(plot::PlotArguments),
    /// Keep a lab running
    #[command(subcommand)]
    Lab(LabCommand),
    /// Write the PKI and the configuration files of a lab
    Init(init::InitArguments),
    /// Time signatures, certificate verification and issuance on this machine
    Bench(bench::BenchArguments),
    /// Make an inventory of certificates and private keys: files, key stores, Kubernetes objects, TLS ports
    Audit(audit::AuditArguments),
    /// Inspect certificates, and verify Merkle Tree Certificates
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Verify, prove and follow issuance logs
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Log the digests of files with a notary of your own, and write a detached proof for each
    Notarise(notarise::NotariseArguments),
    /// Check offline that a notary has logged a file, and when
    VerifyArtefact(verify_artefact::VerifyArtefactArguments),
    /// Watch a running lab: network functions, handshakes by variant, log, landmarks, load
    Top(top::TopArguments),
    /// Measure processes that are in use, without a load of our own: results and a report of what they counted
    Observe(observe::ObserveArguments),
    /// Check whether a process is ready, as the health check of a container
    Health(health::HealthArguments),
    /// Let every user write into a folder, as containers have to into that of their results
    Share(share::ShareArguments),
    /// Run a command behind an emulated network link (delay, loss, rate), for containers
    Link(link::LinkArguments),
    /// Keys and certificates of a lab's network functions, for other tools
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Mint an enrolment token for an NF instance whose token is used up or has expired, or that is new to the lab
    Token(token::TokenArguments),
    /// Revoke certificates of a lab's network functions, or list what is revoked
    Revoke(revoke::RevokeArguments),
    /// Run the NRF of a lab: registry, discovery, Merkle Tree CA
    Nrf(nrf::NrfArguments),
    /// Run the SCP of a lab: the witness
    Scp(NfArguments),
    /// Run a witness of a lab's issuance log beside the SCP
    Witness(NfArguments),
    /// Run a mirror of the issuance logs: store and serve their entries, and cosign what is stored
    Mirror(mirror::MirrorArguments),
    /// Follow the logs for all of a node, and write what is verified into files that its network functions read
    Distribute(distribute::DistributeArguments),
    /// Run the AMFs of a lab
    Amf(NfArguments),
    /// Run the SMFs of a lab
    Smf(NfArguments),
    /// Run the AUSFs, UDMs and PCFs of a lab
    Peers(NfArguments),
    /// Speak mutual TLS for a program that knows nothing of it: to its peers and from them, as an NF instance
    ///
    /// One process beside an unmodified program. It enrols at the NRF of a lab with a token of mtc5g token --nf-type, or as a pod. See docs/sidecar.md.
    Sidecar(NfArguments),
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Start a lab and keep it running in the foreground until Ctrl-C
    Up(lab_up::UpArguments),
}

/// The command: reads the arguments of this process, and does what they say on a runtime of its own.
///
/// The runtime is here and not in the binary so that futures are compiled where they are written: whoever awaits those of another
/// crate compiles them once more.
#[tokio::main]
pub async fn main() -> ExitCode {
    Arguments::parse().run().await
}

impl Arguments {
    async fn run(self) -> ExitCode {
        if !matches!(self.command, Command::Link(_)) {
            // Most commands hold keys, or start what does. What `link` runs is not ours.
            forbid_core_dumps();
        }
        if matches!(
            self.command,
            Command::Run(_) | Command::Capacity(_) | Command::Lab(_)
        ) {
            warn_on_stderr();
        }
        let status = self.command.run().await;
        if status == ExitCode::from(DONE) && output::is_lost() {
            return ExitCode::from(COULD_NOT_RUN);
        }
        status
    }
}

impl Command {
    async fn run(self) -> ExitCode {
        match self {
            Self::Run(arguments) => arguments.run().await,
            Self::Capacity(arguments) => arguments.run().await,
            Self::Scenarios(arguments) => arguments.run(),
            Self::Metrics(arguments) => arguments.run(),
            Self::Configuration(arguments) => arguments.run(),
            Self::Estimate(arguments) => arguments.run(),
            Self::Compare(arguments) => arguments.run(),
            Self::Report(command) => command.run(),
            Self::Plot(arguments) => arguments.run(),
            Self::Lab(LabCommand::Up(arguments)) => arguments.run().await,
            Self::Init(arguments) => arguments.run(),
            Self::Bench(arguments) => arguments.run().await,
            Self::Audit(arguments) => arguments.run().await,
            Self::Cert(command) => command.run(),
            Self::Log(command) => command.run().await,
            Self::Notarise(arguments) => arguments.run().await,
            Self::VerifyArtefact(arguments) => arguments.run(),
            Self::Top(arguments) => arguments.run().await,
            Self::Observe(arguments) => arguments.run().await,
            Self::Health(arguments) => arguments.run().await,
            Self::Share(arguments) => arguments.run(),
            Self::Link(arguments) => arguments.run().await,
            Self::Identity(command) => command.run().await,
            Self::Token(arguments) => arguments.run(),
            Self::Revoke(arguments) => arguments.run().await,
            Self::Nrf(arguments) => arguments.run().await,
            Self::Scp(process) => process.run(nf_scp::run).await,
            Self::Witness(process) => process.run(nf_scp::witness::run).await,
            Self::Mirror(arguments) => arguments.run().await,
            Self::Distribute(arguments) => arguments.run().await,
            Self::Amf(process) => process.run(crate::load::worker::run).await,
            Self::Smf(process) => process.run(nf_smf::run).await,
            Self::Peers(process) => process.run(nf_peers::run).await,
            Self::Sidecar(process) => process.run(sidecar::run).await,
        }
    }
}
