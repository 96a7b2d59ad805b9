//! A bit of a file is flipped while nothing runs; then SCP, NRF and SMF start, a newcomer enrols, used tokens are tried again.
//!
//! Whatever the file, either somebody says so by its name (or by that of a file that contradicts it, where it may be a good one of
//! other content), or there is nothing to say: everything starts, the newcomer's certificate
//! verifies under the undamaged trust, and the log as it is served is sound. Never a panic, never a second certificate for a
//! used token, never a certificate that is not the one that was issued.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lab::topology::LabFolder;
use mtc_core::certificate::Certificate;
use mtc_tls::key::NfKey;
use sbi::backoff;
use sbi::enrolment::{IssuedCertificate, LandmarkAnswer, landmark_relative};
use sbi::trust_file::TrustFile;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::command::{PATIENCE, binary};
use crate::ledger::enrol;
use crate::stage::{Nf, Stage, copy};
use crate::{Plan, Violation, none_of, say, violated};
use test_support::test_lab::{LEAF_KEY, small};
use test_support::test_nf::{TestNf, der};

/// What a bit makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damaged {
    /// The file tells by itself, or by what it belongs to, that it is damaged.
    IsTold,
    /// It may be a good file of other content: another key, policy or name. That contradicts other files, and who finds it cannot
    /// know which of them is the wrong one: a file or key of the configuration is named, not always this one.
    MayBeAnother,
}

/// A kind of file: its name in the table, where such files are, what ends their names, and what a bit makes of it.
type Kind = (&'static str, &'static str, &'static str, Damaged);

const KINDS: [Kind; 20] = [
    ("entry bundle", "log/log/tile/entries", "", Damaged::IsTold),
    ("hash tile", "log/log/tile/0", "", Damaged::IsTold),
    ("upper hash tile", "log/log/tile/1", "", Damaged::IsTold),
    ("checkpoint", "log/log/checkpoint", "", Damaged::IsTold),
    (
        "signed checkpoint",
        "log/state/signed-checkpoint",
        "",
        Damaged::IsTold,
    ),
    ("landmarks", "log/log/landmarks", "", Damaged::IsTold),
    (
        "the log's own landmarks",
        "log/state/landmarks",
        "",
        Damaged::IsTold,
    ),
    (
        "key of the CA",
        "mtca/cosigner.key",
        "",
        Damaged::MayBeAnother,
    ),
    (
        "key of the witness",
        "witness/witness.key",
        "",
        Damaged::MayBeAnother,
    ),
    (
        "key of the enrolment authority",
        "enrolment/authority.pub",
        "",
        Damaged::MayBeAnother,
    ),
    ("used tokens", "state/nrf/used-tokens", "", Damaged::IsTold),
    (
        "registered profile",
        "state/nrf/profiles",
        ".json",
        Damaged::IsTold,
    ),
    (
        "archived certificate",
        "state/nrf/certificates",
        ".der",
        Damaged::IsTold,
    ),
    (
        "which log is current",
        "state/nrf/issuance-logs.json",
        "",
        Damaged::IsTold,
    ),
    ("the NRF's vault", "state/nrf/own", ".json", Damaged::IsTold),
    ("an NF's vault", "state/smf", ".json", Damaged::IsTold),
    ("trust.toml", "trust.toml", "", Damaged::MayBeAnother),
    ("CA certificate", "mtca/ca.pem", "", Damaged::MayBeAnother),
    (
        "state of the witness",
        "state/witness/witness",
        "checkpoint",
        Damaged::IsTold,
    ),
    ("configuration", "nrf.toml", "", Damaged::MayBeAnother),
];
/// What retires a log for good, in the words of whoever advises it.
const RETIRE: &str = "retires it for good";
/// Where damage may earn that advice.
const ENDS_A_LOG: [&str; 2] = ["log/log/tile", "log/state/landmarks"];
/// Null entries at the beginning: a full tile, and one that is not.
const PRELOAD: u64 = 300;
/// Last lines of `log verify` that a violation quotes.
const LOG_LINES: usize = 4;
/// Enrolments before the damage.
const ENROLLED: u16 = 3;

/// What became of a flipped bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// A process does not start and names the file.
    Refused,
    /// A process does not start, since the file and another contradict each other.
    Contradicted,
    /// Everything starts, nothing is issued, and the file is named.
    Stopped,
    /// Everything works, and a warning names the file.
    Noticed,
    /// Everything works, and what is served is sound.
    Harmless,
}

pub(crate) async fn run(plan: Plan) -> Result<String, Violation> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut whole = Whole::new().await?;
    let rounds = if plan.rounds == 0 {
        KINDS.len()
    } else {
        plan.rounds
    };
    let mut table: BTreeMap<&str, BTreeMap<Outcome, usize>> = BTreeMap::new();
    let mut violations = Vec::new();
    for round in 0..rounds {
        let kind = KINDS[round % KINDS.len()];
        whole.restore()?;
        let damage = whole.damage(kind, &mut random)?;
        match whole.round(kind.3, &damage).await {
            Ok((outcome, told)) => {
                say(&format!(
                    "flip {}/{rounds}: {}, {damage}: {outcome:?}: {told}",
                    round + 1,
                    kind.0
                ));
                *table.entry(kind.0).or_default().entry(outcome).or_default() += 1;
            }
            Err(violation) => {
                say(&format!(
                    "flip {}/{rounds}: {}, {damage}: VIOLATION: {violation}",
                    round + 1,
                    kind.0
                ));
                whole.stage.keep();
                violations.push(format!("{}, {damage}: {violation}", kind.0));
            }
        }
        for nf in Nf::ALL {
            whole.stage.kill(nf).await;
        }
    }
    for (kind, outcomes) in &table {
        let told: Vec<_> = outcomes
            .iter()
            .map(|(outcome, count)| format!("{outcome:?} {count}"))
            .collect();
        say(&format!("    {kind}: {}", told.join(", ")));
    }
    none_of(rounds, &violations)?;
    Ok(format!(
        "{rounds} flipped bits in {} kinds of file (seed {}): each was told by a file's name or harmed nobody; no panic, no second certificate \
         for a used token, no certificate that was not issued",
        KINDS.len().min(rounds),
        plan.seed
    ))
}

/// A flipped bit.
struct Damage {
    file: PathBuf,
    bit: usize,
    of: usize,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "bit {} of {} in {}",
            self.bit,
            self.of,
            self.file.display()
        )
    }
}

impl Damage {
    /// Whether it is damage of the log itself, which may be past repair: of its tiles or its landmarks. Not of a served
    /// checkpoint, which the signed one replaces, nor of a key, of trust or of the configuration.
    fn may_end_the_log(&self) -> bool {
        ENDS_A_LOG.iter().any(|place| self.file.starts_with(place))
    }

    /// Whether a text names the file: by its last two names, or by its last if that says enough.
    fn is_named_in(&self, text: &str) -> bool {
        let names: Vec<_> = self.file.iter().filter_map(|name| name.to_str()).collect();
        let last = names.last().copied().unwrap_or_default();
        let two = names[names.len().saturating_sub(2)..].join("/");
        text.contains(&two) || (last.len() > 4 && text.contains(last))
    }
}

/// A certificate from before, and the token that it was issued for.
struct Enrolled {
    token: String,
    issued: IssuedCertificate,
    nf: TestNf,
}

/// The lab before any damage.
struct Whole {
    stage: Stage,
    copy: TempDir,
    /// The lab's files of the copy where clients read, so that they are whole.
    lab: LabFolder,
    trust: TrustFile,
    enrolled: Vec<Enrolled>,
}

impl Whole {
    async fn new() -> Result<Self, Violation> {
        // Trust that remembers nothing judges each certificate by itself.
        let mut plan = small();
        plan.lab.preload = PRELOAD;
        plan.lab.remember_subtrees = false;
        let mut stage = Stage::with(&plan);
        for nf in [Nf::Scp, Nf::Nrf, Nf::Smf] {
            stage.start(nf).await?;
        }
        let mut enrolled = Vec::new();
        for number in 0..ENROLLED {
            let nf = TestNf::new(&stage.folder.lab, 100 + number);
            let token = nf.token();
            let issued = nf
                .enrol(&token)
                .await
                .map_err(|error| violated!("{error:?}"))?;
            nf.present(der(&issued));
            enrolled.push(Enrolled { token, issued, nf });
        }
        // There is a landmark above all of them.
        for enrolled in &enrolled {
            let ask = || async {
                relative(enrolled)
                    .await
                    .and_then(|found| found.ok_or_else(|| violated!("no landmark")))
            };
            backoff::until(Instant::now() + PATIENCE, ask, |_| true).await?;
        }
        // Killed, since whoever stops takes its profile out of the registry.
        for nf in [Nf::Smf, Nf::Scp, Nf::Nrf] {
            stage.kill(nf).await;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        forget_logs(&stage);
        copy(stage.folder.path(), folder.path());
        let mut lab = stage.folder.lab.clone();
        lab.pki.trust = folder.path().join("trust.toml");
        lab.pki.authority_key = folder.path().join("enrolment/authority.key");
        let trust = TrustFile::load(&lab.pki.trust).expect("the trust file is valid");
        Ok(Self {
            stage,
            copy: folder,
            lab,
            trust,
            enrolled,
        })
    }

    /// Puts all files back.
    fn restore(&self) -> Result<(), Violation> {
        let folder = self.stage.folder.path();
        let emptied = std::fs::remove_dir_all(folder);
        emptied.map_err(|error| violated!("{}: {error}", folder.display()))?;
        copy(self.copy.path(), folder);
        Ok(())
    }

    /// Flips a bit of one of the files of a kind.
    fn damage(
        &self,
        (kind, place, suffix, _): Kind,
        random: &mut fastrand::Rng,
    ) -> Result<Damage, Violation> {
        let mut files = files_below(&self.stage.path(place));
        files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(suffix)));
        files.retain(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > 0));
        files.retain(|file| !is_superseded(file));
        files.sort_unstable();
        let file = random
            .choice(&files)
            .ok_or_else(|| violated!("there is no {kind} in {place}"))?;
        let mut bytes = std::fs::read(file).expect("files of the lab are readable");
        let bit = random.usize(..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(file, &bytes).expect("files of the lab are writable");
        let relative = file
            .strip_prefix(self.stage.folder.path())
            .expect("below the lab's folder");
        Ok(Damage {
            file: relative.to_owned(),
            bit,
            of: bytes.len() * 8,
        })
    }

    async fn round(
        &mut self,
        kind: Damaged,
        damage: &Damage,
    ) -> Result<(Outcome, String), Violation> {
        let mut words = Vec::new();
        for nf in [Nf::Scp, Nf::Nrf, Nf::Smf] {
            // Without the witness the NRF does not start, and without the NRF nobody does.
            if let Err(ended) = self.stage.try_start(nf, &[]).await {
                words.push(format!(
                    "{} does not start: {}",
                    nf.name(),
                    ended.error.unwrap_or(ended.status)
                ));
                break;
            }
        }
        let refused = words.pop();
        let served = match refused {
            None => self.use_it().await,
            Some(_) => Ok(()),
        };
        self.stage.expect_no_panic()?;
        if let Err(Found::Worse(violation)) = served {
            return Err(violation);
        }
        let logs: String = Nf::ALL.iter().map(|nf| self.stage.log(*nf)).collect();
        // What is told in passing names files too.
        let told = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
        let logs: Vec<_> = logs.lines().filter(told).collect();
        let logs = logs.join("\n");
        if let Some(error) = refused
            .as_ref()
            .filter(|error| error.contains(RETIRE) && !damage.may_end_the_log())
        {
            return Err(violated!(
                "advice to retire a log for good, of which nothing is damaged: {error}"
            ));
        }
        let named = damage.is_named_in(&logs)
            || refused
                .as_ref()
                .is_some_and(|error| damage.is_named_in(error));
        match (refused, served, named) {
            (Some(error), _, true) => Ok((Outcome::Refused, error)),
            (Some(error), _, false) if kind == Damaged::MayBeAnother => {
                Ok((Outcome::Contradicted, error))
            }
            (Some(error), _, false) => Err(violated!("the file is not named: {error}")),
            (None, Ok(()), true) => Ok((Outcome::Noticed, first_line_naming(&logs, damage))),
            (None, Ok(()), false) => Ok((
                Outcome::Harmless,
                "a newcomer enrolled, the log is sound".to_owned(),
            )),
            (None, Err(Found::Stopped(error)), true) => Ok((Outcome::Stopped, error)),
            (None, Err(Found::Stopped(error)), false) => {
                Err(violated!("the file is not named: {error}"))
            }
            (None, Err(Found::Worse(violation)), _) => Err(violation),
        }
    }

    /// Uses a lab that has started in spite of the damage.
    async fn use_it(&self) -> Result<(), Found> {
        for Enrolled { token, nf, .. } in &self.enrolled {
            // With another key: the same request again may be answered again.
            let mut again = TestNf::new(&self.lab, 100);
            again.instance = nf.instance.clone();
            again.key = NfKey::generate(LEAF_KEY).expect("keys can be made");
            if again.enrol(token).await.is_ok() {
                return Err(Found::Worse(violated!(
                    "a used token gave a second certificate"
                )));
            }
        }
        let newcomer = enrol(&self.lab, 99).await;
        let stopped = match newcomer {
            Ok((_, certificate)) => {
                let accepted = self.trust.trust.verify_issuance(&certificate);
                accepted.map_err(|error| {
                    Found::Worse(violated!("an acknowledged certificate: {error}"))
                })?;
                None
            }
            Err(refused) => Some(format!("nothing is issued: {:?}", refused.error)),
        };
        for enrolled in &self.enrolled {
            // What cannot be had is no harm: the standalone certificate is there.
            if let Ok(Some(certificate)) = relative(enrolled).await {
                let issued = der(&enrolled.issued);
                let leaf = |der: &[u8]| Certificate::parse(der).map(|parsed| parsed.leaf_hash());
                if leaf(&certificate) != leaf(&issued) {
                    return Err(Found::Worse(violated!(
                        "a landmark-relative certificate is not that of the one issued"
                    )));
                }
            }
        }
        if let Some(stopped) = stopped {
            return Err(Found::Stopped(stopped));
        }
        match self.verify_log() {
            Ok(()) => Ok(()),
            Err(error) => Err(Found::Worse(violated!(
                "certificates are issued from a log that is not sound: {error}"
            ))),
        }
    }

    /// `mtc5g log verify` of what is served, with the undamaged trust.
    fn verify_log(&self) -> Result<(), String> {
        let log = self.lab.nrf.log.url("1/");
        let verified = std::process::Command::new(binary())
            .args(["log", "verify", &log, "--trust"])
            .arg(&self.lab.pki.trust)
            .output();
        match verified {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stdout);
                let lines: Vec<_> = told
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .collect();
                Err(lines[lines.len().saturating_sub(LOG_LINES)..].join("; "))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What using a damaged lab found.
enum Found {
    /// Nothing is issued.
    Stopped(String),
    /// What must not be.
    Worse(Violation),
}

/// The landmark-relative certificate of one that was issued, if there is one.
async fn relative(enrolled: &Enrolled) -> Result<Option<Vec<u8>>, Violation> {
    let opened = enrolled
        .nf
        .connect()
        .await
        .map_err(|error| violated!("{error:?}"))?;
    let path = enrolled.issued.landmark_relative.as_deref();
    let path = path.ok_or_else(|| violated!("an MTC has a landmark-relative form"))?;
    let answer = landmark_relative(&opened.connection, &enrolled.nf.nrf.authority(), path).await;
    match answer.map_err(|error| violated!("{error:?}"))? {
        LandmarkAnswer::Ready(certificate) => certificate
            .der()
            .map(Some)
            .map_err(|error| violated!("{error:?}")),
        _ => Ok(None),
    }
}

fn first_line_naming(logs: &str, damage: &Damage) -> String {
    let line = logs.lines().find(|line| damage.is_named_in(line));
    line.unwrap_or_default().to_owned()
}

/// Empties the logs of processes, so that a round's are its own.
fn forget_logs(stage: &Stage) {
    for nf in Nf::ALL {
        // One that was never started has none.
        let _ = std::fs::remove_file(stage.folder.lab.log_file(nf.name()));
    }
}

/// Whether a partial tile has a wider one beside it: nobody reads it any more.
fn is_superseded(file: &Path) -> bool {
    let width = |file: &Path| file.file_name()?.to_str()?.parse::<u32>().ok();
    let Some(folder) = file
        .parent()
        .filter(|folder| folder.extension().is_some_and(|end| end == "p"))
    else {
        return false;
    };
    files_below(folder)
        .iter()
        .any(|other| width(other) > width(file))
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .flat_map(|entry| files_below(&entry.path()))
        .collect()
}
