//! `mtc5g log verify DIR|URL`

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use mtc_core::id::TreeSize;
use mtc_core::landmark::{LandmarkSequence, LandmarkSubtrees};
use mtc_core::time::UnixTime;
use mtc_core::verify::{CaTrust, TrustedSubtree};
use mtc_log::TreeError;
use sbi::tell;
use serde::Serialize;
use thiserror::Error;

use super::{blocking, checkpoint_text, open, signatures_text};
use crate::cli::exit::{COULD_NOT_RUN, DONE, fail};
use crate::cli::output::{print, print_json};
use crate::cli::trust::TrustArguments;
use mtc_tools::audit::{Audit, audit};
use mtc_tools::public_log::{CheckpointSignature, Observed, ObservedError, PublicLog, ReadError};
use mtc_tools::trust_text::subtree_line;

/// A log to verify
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g log verify http://127.0.0.1:7778/1/ --trust lab/trust.toml
  mtc5g log verify lab/log --ca lab/mtca/ca.pem
  mtc5g log verify http://127.0.0.1:7778/1/ --trust lab/trust.toml --write-subtrees subtrees.txt

Every entry is parsed and hashed; the hashes are compared with the hash tiles of all levels, the root with the checkpoint's,
the landmarks with the tree. Without --trust or --ca signatures are not checked, and the answer says so.

Exit status: 0 the log is sound, 1 it is not or cannot be read, 2 usage.
Formats: docs/tools.md.")]
pub(in crate::cli) struct VerifyArguments {
    /// Folder of the log (as it is served, or the NRF's or lab's folder that contains it), or the URL of one log
    #[arg(value_name = "DIR|URL")]
    place: String,
    /// Write the subtrees of the active landmarks and their hashes to this file, for cert verify --subtrees; needs --trust or --ca
    #[arg(long, value_name = "FILE")]
    write_subtrees: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trust: TrustArguments,
}

/// Why there is no verdict.
#[derive(Debug, Error)]
enum VerifyError {
    #[error(transparent)]
    Checkpoint(#[from] ObservedError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the subtrees of the landmarks")]
    Subtrees(#[from] TreeError),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "the log is sound, but has no active landmark: {} is unchanged", .0.display()
    )]
    NoActiveLandmark(PathBuf),
    #[error(
        "--write-subtrees needs --trust or --ca: without them nothing shows that the subtrees can be trusted"
    )]
    NobodyTrusted,
}

/// The JSON document.
#[derive(Serialize)]
struct Report {
    log: String,
    size: TreeSize,
    root: String,
    signatures_checked: bool,
    signatures: Vec<CheckpointSignature>,
    sound: bool,
    #[serde(flatten)]
    audit: Audit,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtrees_written: Option<usize>,
}

impl VerifyArguments {
    pub(super) async fn run(self) -> ExitCode {
        let (log, trust) = match open(&self.place, &self.trust, "log verify") {
            Ok(opened) => opened,
            Err(usage) => return usage,
        };
        if self.write_subtrees.is_some() && trust.is_none() {
            return crate::cli::output::usage(&VerifyError::NobodyTrusted, "log verify");
        }
        let (json, write_subtrees) = (self.json, self.write_subtrees);
        let verified = blocking(move || verify(&log, trust.as_ref(), write_subtrees)).await;
        let (observed, report) = match verified {
            Ok(verified) => verified,
            Err(error) => return fail(&error),
        };
        if json {
            print_json(&report);
        } else {
            print(&report.text(&observed));
        }
        ExitCode::from(if report.sound { DONE } else { COULD_NOT_RUN })
    }
}

fn verify(
    log: &PublicLog,
    trust: Option<&CaTrust>,
    write_subtrees: Option<PathBuf>,
) -> Result<(Observed, Report), VerifyError> {
    let now = mtc_tls::clock::Clock::default().now();
    // Before the checkpoint: a log in operation may publish a landmark in between.
    let landmarks = log.landmarks(now);
    let observed = log.checkpoint()?;
    let signatures = observed.signatures(trust)?;
    let size = observed.checkpoint.size;
    let mut progress = Progress::new(size);
    let published = |landmarks: LandmarkSequence| landmarks.active(UnixTime(0)).collect::<Vec<_>>();
    let landmarks = landmarks.map(|landmarks| landmarks.map(published));
    let active: Vec<LandmarkSubtrees> = match &landmarks {
        Ok(Some(all)) => all
            .iter()
            .filter(|pair| pair.landmark.expiry > now)
            .copied()
            .collect(),
        _ => Vec::new(),
    };
    let audit = audit(log, &observed, landmarks, now, |done| progress.show(done))?;
    progress.finish();
    let sound = audit.is_sound();
    let subtrees_written = match write_subtrees {
        Some(path) if sound => Some(write_landmark_subtrees(log, &observed, &active, now, path)?),
        _ => None,
    };
    let report = Report {
        log: observed.log.origin(),
        size,
        root: mtc_core::hex::encode(&observed.checkpoint.root),
        signatures_checked: trust.is_some(),
        signatures,
        sound,
        audit,
        subtrees_written,
    };
    Ok((observed, report))
}

/// Writes the subtrees of the active landmarks, which have been audited; their number.
fn write_landmark_subtrees(
    log: &PublicLog,
    observed: &Observed,
    active: &[LandmarkSubtrees],
    now: UnixTime,
    path: PathBuf,
) -> Result<usize, VerifyError> {
    if active.is_empty() {
        return Err(VerifyError::NoActiveLandmark(path));
    }
    let tree = log.tree(observed)?;
    let mut text = format!(
        "# subtrees of the active landmarks of {}, verified at {now} up to a checkpoint of {} entries\n\
         # log start end hash\n",
        observed.log.origin(),
        observed.checkpoint.size
    );
    let mut count = 0;
    // In a sound log no landmark is beyond the checkpoint.
    for pair in active {
        for subtree in pair.subtrees.into_iter().filter(|one| !one.is_empty()) {
            text.push_str(&subtree_line(&TrustedSubtree {
                log_number: observed.log.number(),
                subtree,
                hash: tree.subtree_hash(subtree)?,
            }));
            count += 1;
        }
    }
    std::fs::write(&path, text).map_err(|source| VerifyError::Write { path, source })?;
    Ok(count)
}

impl Report {
    fn text(&self, observed: &Observed) -> String {
        let Audit {
            certificates,
            null_entries,
            latest_landmark,
            active_landmarks,
            findings,
            findings_omitted,
        } = &self.audit;
        let mut text = format!(
            "log         {}\ncheckpoint  {}\nsignatures  {}\nentries     {certificates} certificates, {null_entries} null\n",
            self.log,
            checkpoint_text(observed),
            signatures_text(&self.signatures),
        );
        text.push_str(&match latest_landmark {
            Some(latest) => format!("landmarks   latest {latest}, {active_landmarks} active\n"),
            None => "landmarks   not published, or unreadable\n".to_owned(),
        });
        if let Some(count) = self.subtrees_written {
            text.push_str(&format!("subtrees    {count} written\n"));
        }
        for finding in findings {
            text.push_str(&format!("FAULT       {finding}\n"));
        }
        if *findings_omitted > 0 {
            text.push_str(&format!("FAULT       and {findings_omitted} more\n"));
        }
        text.push_str(match (self.sound, self.signatures_checked) {
            (true, true) => "verdict     sound\n",
            (true, false) => "verdict     consistent in itself; signatures were not checked\n",
            (false, _) => "verdict     DAMAGED\n",
        });
        text
    }
}

/// Standard error: a bar on a terminal, a line every tenth otherwise.
struct Progress {
    size: TreeSize,
    tenths: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(size: TreeSize) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(size.0);
            let template = "{spinner} [{bar:30}] {human_pos}/{human_len} entries, {per_sec}, {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self {
            size,
            tenths: 0,
            bar,
        }
    }

    fn show(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            return bar.set_position(done);
        }
        // Sizes are below 2^48, so the product is far from its end.
        let tenths = (10 * done).checked_div(self.size.0).unwrap_or(10);
        if tenths > self.tenths {
            self.tenths = tenths;
            tell!("{done} of {} entries", self.size);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
