//! `mtc5g log prove DIR|URL INDEX`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use mtc_core::hex;
use mtc_core::id::{EntryIndex, LandmarkNumber, TreeSize};
use mtc_core::tree::{Hash, ProofError, Subtree};
use mtc_core::verify::CaTrust;
use mtc_log::TreeError;
use mtc_tls::pem;
use serde::Serialize;
use thiserror::Error;

use super::{blocking, checkpoint_text, open, signatures_text};
use crate::cli::exit::{DONE, fail};
use crate::cli::output::{print, print_json};
use crate::cli::trust::TrustArguments;
use mtc_tools::certificate_file::{FileError, read_certificate};
use mtc_tools::entry::EntrySummary;
use mtc_tools::inclusion::{
    Inclusion, ProveError, check_states, index_of, landmark_certificate, prove,
};
use mtc_tools::public_log::{CheckpointSignature, Observed, ObservedError, PublicLog};

/// An entry to prove
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g log prove http://127.0.0.1:7778/1/ 3 --trust lab/trust.toml
  mtc5g log prove lab/log 3 --subtree 2:4 --json
  mtc5g log prove http://127.0.0.1:7778/1/ --certificate amf1.pem --trust lab/trust.toml
  mtc5g log prove http://127.0.0.1:7778/1/ --certificate amf1.pem --landmark-certificate amf1-landmark.pem

A proof is printed after it was checked up to the root of the log's checkpoint.

Exit status: 0 proven, 1 not proven or the log cannot be read, 2 usage.
Formats: docs/tools.md.")]
pub(in crate::cli) struct ProveArguments {
    /// Folder of the log (as it is served, or the NRF's or lab's folder that contains it), or the URL of one log
    #[arg(value_name = "DIR|URL")]
    place: String,
    /// Index of the entry
    #[arg(
        required_unless_present = "certificate",
        conflicts_with = "certificate"
    )]
    index: Option<u64>,
    /// Prove in the tree of the first N entries [default: the checkpoint's]
    #[arg(long, value_name = "N", conflicts_with = "subtree")]
    size: Option<u64>,
    /// Prove in this subtree
    #[arg(long, value_name = "START:END")]
    subtree: Option<SubtreeArgument>,
    /// Prove the entry of this certificate (PEM or DER), and say whether the certificate matches what is logged
    #[arg(long, value_name = "CERT")]
    certificate: Option<PathBuf>,
    /// Write the landmark-relative form of --certificate to this file (DER if its name ends in .der, otherwise PEM)
    #[arg(long, value_name = "OUT", requires = "certificate")]
    landmark_certificate: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trust: TrustArguments,
}

/// `START:END`.
#[derive(Clone, Copy, Debug)]
struct SubtreeArgument(Subtree);

/// Why an argument is no subtree.
#[derive(Clone, Debug, Error)]
enum SubtreeArgumentError {
    #[error("a subtree is START:END, such as 8:13; END is not included")]
    Form,
    #[error(
        "{0}: START must be a multiple of END - START rounded up to a power of two, and not exceed END"
    )]
    Invalid(ProofError),
}

impl FromStr for SubtreeArgument {
    type Err = SubtreeArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (start, end) = text.split_once(':').ok_or(SubtreeArgumentError::Form)?;
        let number = |text: &str| text.parse().map_err(|_| SubtreeArgumentError::Form);
        Subtree::new(number(start)?, number(end)?)
            .map(Self)
            .map_err(SubtreeArgumentError::Invalid)
    }
}

/// Why there is no proof.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Checkpoint(#[from] ObservedError),
    #[error(transparent)]
    Prove(#[from] ProveError),
    #[error("the log's tree")]
    Tree(#[from] TreeError),
    #[error("--certificate {}", path.display())]
    Certificate { path: PathBuf, source: FileError },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// The JSON document.
#[derive(Serialize)]
struct Report {
    log: String,
    size: TreeSize,
    root: String,
    signatures_checked: bool,
    signatures: Vec<CheckpointSignature>,
    entry: EntrySummary,
    leaf_hash: String,
    start: u64,
    end: u64,
    subtree_hash: String,
    inclusion_proof: Vec<String>,
    consistency_proof: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    landmark: Option<LandmarkNumber>,
}

impl ProveArguments {
    pub(super) async fn run(self) -> ExitCode {
        let (log, trust) = match open(&self.place, &self.trust, "log prove") {
            Ok(opened) => opened,
            Err(usage) => return usage,
        };
        let json = self.json;
        match blocking(move || self.prove(&log, trust.as_ref())).await {
            Ok((_, report)) if json => print_json(&report),
            Ok((observed, report)) => print(&report.text(&observed)),
            Err(error) => return fail(&error),
        }
        ExitCode::from(DONE)
    }

    fn prove(
        &self,
        log: &PublicLog,
        trust: Option<&CaTrust>,
    ) -> Result<(Observed, Report), Failure> {
        let now = mtc_tls::clock::Clock::default().now();
        let certificate = self.certificate.as_deref().map(read).transpose()?;
        let observed = log.checkpoint()?;
        let signatures = observed.signatures(trust)?;
        let index = match (&certificate, self.index) {
            (Some(certificate), _) => index_of(certificate, &observed)?,
            // clap requires one of the two.
            (None, index) => EntryIndex(index.unwrap_or_default()),
        };
        let subtree = match (self.size, self.subtree) {
            (Some(size), _) => Some(Subtree::whole(TreeSize(size))),
            (None, subtree) => subtree.map(|SubtreeArgument(subtree)| subtree),
        };
        let tree = log.tree(&observed)?;
        let inclusion = prove(&tree, index, subtree)?;
        let mut landmark = None;
        if let Some(certificate) = &certificate {
            check_states(certificate, &inclusion)?;
            if let Some(path) = &self.landmark_certificate {
                let (der, found) = landmark_certificate(certificate, log, &tree, now)?;
                write(path, &der)?;
                landmark = Some(found.number);
            }
        }
        let path = self.certificate.as_ref();
        let report = Report {
            log: observed.log.origin(),
            size: observed.checkpoint.size,
            root: hex::encode(&observed.checkpoint.root),
            signatures_checked: trust.is_some(),
            signatures,
            certificate: path.map(|path| path.display().to_string()),
            landmark,
            ..Report::of(inclusion)
        };
        Ok((observed, report))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    read_certificate(path).map_err(|source| Failure::Certificate {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, der: &[u8]) -> Result<(), Failure> {
    let is_der = path.extension().is_some_and(|extension| extension == "der");
    let bytes = if is_der {
        der.to_vec()
    } else {
        pem::encode(pem::CERTIFICATE, der).into_bytes()
    };
    std::fs::write(path, bytes).map_err(|source| Failure::Write {
        path: path.to_owned(),
        source,
    })
}

fn hexes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| hex::encode(hash)).collect()
}

impl Report {
    /// What is proven; the log it is proven in is for the caller to say.
    fn of(inclusion: Inclusion) -> Self {
        let Inclusion {
            entry,
            leaf_hash,
            subtree,
            subtree_hash,
            proof,
            consistency_proof,
        } = inclusion;
        Self {
            log: String::new(),
            size: TreeSize::EMPTY,
            root: String::new(),
            signatures_checked: false,
            signatures: Vec::new(),
            entry,
            leaf_hash: hex::encode(&leaf_hash),
            start: subtree.start(),
            end: subtree.end(),
            subtree_hash: hex::encode(&subtree_hash),
            inclusion_proof: hexes(&proof),
            consistency_proof: hexes(&consistency_proof),
            certificate: None,
            landmark: None,
        }
    }

    fn text(&self, observed: &Observed) -> String {
        let mut lines = Lines(String::new());
        lines.line("log", &self.log);
        lines.line("checkpoint", &checkpoint_text(observed));
        lines.line("signatures", &signatures_text(&self.signatures));
        lines.line(
            &format!("entry {}", self.entry.index),
            &self.entry.statement.to_string(),
        );
        lines.line("leaf hash", &self.leaf_hash);
        lines.line("subtree", &format!("[{}, {})", self.start, self.end));
        lines.line("subtree hash", &self.subtree_hash);
        lines.hashes("inclusion proof", &self.inclusion_proof);
        if (self.start, self.end) != (0, self.size.0) {
            lines.hashes("consistency", &self.consistency_proof);
        }
        if let Some(certificate) = &self.certificate {
            lines.line("certificate", &format!("{certificate} states this entry"));
        }
        if let Some(landmark) = self.landmark {
            lines.line(
                "landmark",
                &format!("{landmark}; the landmark-relative certificate is written"),
            );
        }
        lines.line(
            "verdict",
            if self.signatures_checked {
                "proven"
            } else {
                "proven in this tree; signatures were not checked"
            },
        );
        lines.0
    }
}

struct Lines(String);

impl Lines {
    fn line(&mut self, label: &str, value: &str) {
        writeln!(self.0, "{label:<17}{value}").expect("writing to a String does not fail");
    }

    fn hashes(&mut self, label: &str, hashes: &[String]) {
        let plural = if hashes.len() == 1 { "" } else { "es" };
        self.line(label, &format!("{} hash{plural}", hashes.len()));
        hashes.iter().for_each(|hash| self.line("", hash));
    }
}
