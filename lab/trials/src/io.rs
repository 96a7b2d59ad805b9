//! One operation on a file of NRF, SCP or SMF fails: open, read, write, fsync, rename, unlink, mkdir or truncate, once each in turn.
//!
//! The library `fault.c` counts the operations of a whole life (start, enrolments, a landmark, stop) and then fails one. After that:
//! whoever met it said so in its log or in an answer, nothing panicked, every acknowledged certificate is in the log and
//! verifies at an index of its own, and with a whole disk everything starts again and a newcomer enrols.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sbi::backoff;
use sbi::problem::Cause;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::ledger::{Ledger, Refused, ask_again, enrol};
use crate::stage::{Nf, Stage};
use crate::{Plan, Violation, none_of, say, violated};
use test_support::test_lab::now;

const OPERATIONS: [&str; 8] = [
    "open", "read", "write", "fsync", "rename", "unlink", "mkdir", "truncate",
];
/// Whose disk fails.
const VICTIMS: [Nf; 3] = [Nf::Nrf, Nf::Scp, Nf::Smf];
/// What the disk says: EIO always, and ENOSPC where something is written.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Enrolments in a life.
const NEWCOMERS: u16 = 3;
/// How long a landmark is waited for, of an interval of a second.
const LANDMARK: Duration = Duration::from_secs(3);
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// Null entries at the beginning: more than a tile, so that the first batch is one of many objects.
const PRELOAD: u64 = 300;

/// The same operation on files of the same name, but for the log whose they are, is failed so many times: a witness looks for the
/// state of 256 logs, the landmarks are read every second.
const ALIKE: usize = 12;

/// Operations that a life has: which, its number, and the file, without what differs from lab to lab and from log to log.
type Met = Vec<(&'static str, u64, String)>;

/// Reads the report of a life without a failure.
fn met(report: &str) -> Met {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let operation = parts.next()?;
        let operation = OPERATIONS.into_iter().find(|name| *name == operation)?;
        let at = parts.next()?.parse().ok()?;
        let differs = |name: &&str| {
            !(name.len() >= 36 && name.chars().all(|c| c == '-' || c.is_ascii_hexdigit()))
        };
        let path: Vec<_> = parts.next()?.split('/').filter(differs).collect();
        Some((operation, at, path.join("/")))
    };
    report.lines().filter_map(line).collect()
}

/// A failure that is injected.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    victim: Nf,
    operation: &'static str,
    /// Which, from 1; 0 for none.
    at: u64,
    error: i32,
}

impl FromStr for Fault {
    type Err = &'static str;

    /// Reads what [`Display`](std::fmt::Display) writes: `nrf:fsync:7:5`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "not PROCESS:OPERATION:NUMBER:ERRNO, such as nrf:fsync:7:5";
        let parts: Vec<_> = text.split(':').collect();
        let [victim, operation, at, error] = parts[..] else {
            return Err(FORM);
        };
        Ok(Self {
            victim: VICTIMS
                .into_iter()
                .find(|nf| nf.name() == victim)
                .ok_or(FORM)?,
            operation: OPERATIONS
                .into_iter()
                .find(|name| *name == operation)
                .ok_or(FORM)?,
            at: at.parse().map_err(|_| FORM)?,
            error: error.parse().map_err(|_| FORM)?,
        })
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            victim,
            operation,
            at,
            error,
        } = self;
        write!(f, "{}:{operation}:{at}:{error}", victim.name())
    }
}

/// Injects one failure.
pub(crate) async fn repeat(plan: Plan, fault: Fault) -> Result<String, Violation> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let library = Library::compile()?;
    let line = library
        .round(&fault, &mut random, &mut Tally::default())
        .await?;
    Ok(line)
}

pub(crate) async fn run(plan: Plan) -> Result<String, Violation> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let library = Library::compile()?;
    let mut faults = Vec::new();
    let mut all = 0;
    for victim in VICTIMS {
        let met = library.count(victim).await?;
        let told: Vec<_> = OPERATIONS
            .into_iter()
            .map(|name| {
                format!(
                    "{} {name}",
                    met.iter().filter(|(other, ..)| *other == name).count()
                )
            })
            .collect();
        say(&format!(
            "io: the life of {} has {}",
            victim.name(),
            told.join(", ")
        ));
        all += met.len();
        let mut alike: HashMap<_, usize> = HashMap::new();
        for (operation, at, path) in met {
            let seen = alike.entry((operation, path)).or_default();
            *seen += 1;
            if *seen > ALIKE {
                continue;
            }
            let writes = matches!(operation, "open" | "write" | "fsync" | "mkdir");
            let error = if writes && at % 2 == 0 { ENOSPC } else { EIO };
            faults.push(Fault {
                victim,
                operation,
                at,
                error,
            });
        }
    }
    random.shuffle(&mut faults);
    if plan.rounds > 0 {
        faults.truncate(plan.rounds);
    }
    let rounds = faults.len();
    let mut tally = Tally::default();
    let mut violations = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        match library.round(fault, &mut random, &mut tally).await {
            Ok(line) => say(&format!("io {}/{rounds}: {line}", number + 1)),
            Err(violation) => {
                say(&format!(
                    "io {}/{rounds}: VIOLATION: {violation}",
                    number + 1
                ));
                violations.push(violation.to_string());
            }
        }
    }
    none_of(rounds, &violations)?;
    Ok(format!(
        "{} operations on files failed once each, of {all} with those that are alike (seed {}; {} others were not reached in their round): {} ended a start, {} were \
         met while serving; {} certificates acknowledged, none lost, no index twice; every start afterwards worked, {} \
         of them with a new token",
        tally.injected,
        plan.seed,
        tally.missed,
        tally.at_start,
        tally.serving,
        tally.acknowledged,
        tally.renewed
    ))
}

#[derive(Default)]
struct Tally {
    injected: usize,
    missed: usize,
    at_start: usize,
    serving: usize,
    acknowledged: usize,
    /// Rounds in which an operator would have had to mint a token.
    renewed: usize,
}

/// The compiled fault library.
struct Library {
    folder: TempDir,
}

impl Library {
    fn compile() -> Result<Self, Violation> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("fault.c");
        std::fs::write(&source, include_str!("fault.c")).expect("a file in a temporary folder");
        let compiled = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .arg(folder.path().join("fault.so"))
            .arg(&source)
            .arg("-ldl")
            .output();
        match compiled {
            Ok(output) if output.status.success() => Ok(Self { folder }),
            Ok(output) => Err(violated!("cc: {}", String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(violated!("cc cannot be run: {error}")),
        }
    }

    fn report(&self) -> PathBuf {
        self.folder.path().join("report")
    }

    fn environment(&self, stage: &Stage, fault: &Fault) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![
            ("LD_PRELOAD", text(&self.folder.path().join("fault.so"))),
            ("FAULT_BELOW", text(stage.folder.path())),
            ("FAULT_OPERATION", fault.operation.to_owned()),
            ("FAULT_AT", fault.at.to_string()),
            ("FAULT_ERROR", fault.error.to_string()),
            ("FAULT_REPORT", text(&self.report())),
        ]
    }

    /// What there is to fail in the life of a network function.
    async fn count(&self, victim: Nf) -> Result<Met, Violation> {
        let none = Fault {
            victim,
            operation: "open",
            at: 0,
            error: EIO,
        };
        let mut stage = Stage::new(PRELOAD);
        let mut life = Life::default();
        let environment = self.environment(&stage, &none);
        life.live(&mut stage, &none, &environment, true, &self.report())
            .await?;
        if !life.answered() {
            return Err(violated!("without any fault: {life:?}"));
        }
        let report = std::fs::read_to_string(self.report()).unwrap_or_default();
        let removed = std::fs::remove_file(self.report());
        removed.map_err(|_| violated!("the fault library was not loaded"))?;
        Ok(met(&report))
    }

    async fn round(
        &self,
        fault: &Fault,
        random: &mut fastrand::Rng,
        tally: &mut Tally,
    ) -> Result<String, Violation> {
        let _ = std::fs::remove_file(self.report());
        let mut stage = Stage::new(PRELOAD);
        let graceful = random.bool();
        let line = self.try_round(&mut stage, fault, graceful, tally).await;
        line.inspect_err(|_| stage.keep())
            .map_err(|violation| violated!("--fault {fault}: {violation}"))
    }

    async fn try_round(
        &self,
        stage: &mut Stage,
        fault: &Fault,
        graceful: bool,
        tally: &mut Tally,
    ) -> Result<String, Violation> {
        let mut life = Life::default();
        let environment = self.environment(stage, fault);
        life.live(stage, fault, &environment, graceful, &self.report())
            .await?;
        let report = std::fs::read_to_string(self.report()).unwrap_or_default();
        let report = report
            .trim()
            .replace(&stage.folder.path().display().to_string(), "");
        let name = fault.victim.name();
        let ended = if life.started {
            "served"
        } else {
            "ended its start"
        };
        if report.is_empty() {
            tally.missed += 1;
        } else {
            tally.injected += 1;
            *(if life.started {
                &mut tally.serving
            } else {
                &mut tally.at_start
            }) += 1;
        }
        stage.expect_no_panic()?;
        let said = report.is_empty() || life.says(stage, &report);
        if !said && !life.started {
            return Err(violated!(
                "{report:?}: {name} ended without a word of it: {life:?}"
            ));
        }

        for nf in Nf::ALL {
            stage.kill(nf).await;
        }
        // The witness is up before the SCP has a certificate, which it gets of the NRF.
        stage.start(Nf::Scp).await?;
        stage.start(Nf::Nrf).await?;
        let mut renewed = false;
        if !stage.ready_or_ended(Nf::Scp).await {
            renewed = start_again(stage, Nf::Scp).await?;
        }
        let mut ledger = Ledger::default();
        ledger.check(stage, &life.acknowledged).await?;
        let mut later = Vec::new();
        for refused in &life.refused {
            later.extend(ask_again(refused).await?);
        }
        let newcomer = enrol(&stage.folder.lab, 99).await;
        let (_, certificate) = newcomer
            .map_err(|refused| violated!("afterwards no newcomer enrols: {:?}", refused.error))?;
        later.push(certificate);
        let size = ledger.check(stage, &later).await?;
        ledger.check_witness(stage).await?;
        if fault.victim == Nf::Smf {
            renewed |= start_again(stage, Nf::Smf).await?;
        }
        tally.renewed += usize::from(renewed);
        stage.expect_no_panic()?;
        stage.stop_all().await;
        tally.acknowledged += life.acknowledged.len() + later.len();
        let report = if report.is_empty() {
            "not reached".to_owned()
        } else {
            report
        };
        Ok(format!(
            "{fault}: {report}: {ended}{}, {} acknowledged, {} refused; afterwards all is well{}, log {size}",
            if said { "" } else { ", without a word" },
            life.acknowledged.len(),
            life.refused.len(),
            if renewed { " with a new token" } else { "" },
        ))
    }
}

/// Starts a network function on a whole disk and waits until it is ready. One whose token was used up by an answer that it could not
/// store gets another, as its operator would give it; whether that was so.
async fn start_again(stage: &mut Stage, nf: Nf) -> Result<bool, Violation> {
    if stage.try_start(nf, &[]).await.is_ok() && stage.ready_or_ended(nf).await {
        return Ok(false);
    }
    if !stage.log(nf).contains(Cause::EnrolmentTokenUsed.as_str()) {
        return Err(violated!(
            "{} does not start again\n    {}",
            nf.name(),
            stage.log_tail(nf)
        ));
    }
    let lab = &stage.folder.lab;
    let nf_type = nf.name().to_uppercase();
    let mut instances = lab.instances.iter();
    let instance = instances.find(|instance| instance.nf_type == nf_type);
    let id = instance.expect("the lab has one").instance_id;
    let renewed = lab::pki::renew_token(lab.path(), id, TOKEN_LIFETIME, now());
    renewed.map_err(|error| violated!("no new token: {error}"))?;
    stage.start(nf).await?;
    if stage.ready_or_ended(nf).await {
        return Ok(true);
    }
    Err(violated!(
        "{} does not start with a new token\n    {}",
        nf.name(),
        stage.log_tail(nf)
    ))
}

/// What happened in a life under a failing disk.
#[derive(Default)]
struct Life {
    started: bool,
    error: String,
    acknowledged: Vec<Vec<u8>>,
    refused: Vec<Refused>,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "started {}, {} acknowledged, {} refused ({:?}), last words {:?}",
            self.started,
            self.acknowledged.len(),
            self.refused.len(),
            self.refused
                .first()
                .map(|refused| refused.error.to_string()),
            self.error
        )
    }
}

impl Life {
    fn answered(&self) -> bool {
        self.started && self.refused.is_empty()
    }

    /// SCP, NRF, SMF one after the other, the victim on the failing disk; enrolments, a landmark; the end.
    async fn live(
        &mut self,
        stage: &mut Stage,
        fault: &Fault,
        environment: &[(&'static str, String)],
        graceful: bool,
        report: &Path,
    ) -> Result<(), Violation> {
        self.started = true;
        for nf in [Nf::Scp, Nf::Nrf, Nf::Smf] {
            if nf == Nf::Smf && fault.victim != nf {
                continue;
            }
            if nf != fault.victim {
                match stage.try_start(nf, &[]).await {
                    Ok(()) => continue,
                    // Its own start may need what the victim failed at; if that still runs, it is tried again.
                    Err(ended) => {
                        self.error = ended.error.unwrap_or_default();
                        if !stage.runs(fault.victim) {
                            return Ok(());
                        }
                        stage.start(nf).await?;
                        continue;
                    }
                }
            }
            if let Err(ended) = stage.try_start(nf, environment).await {
                self.started = false;
                self.error = format!("{} ({})", ended.error.unwrap_or_default(), ended.status);
                return Ok(());
            }
        }
        for number in 0..NEWCOMERS {
            match enrol(&stage.folder.lab, 100 + number).await {
                Ok((_, certificate)) => self.acknowledged.push(certificate),
                Err(refused) => self.refused.push(*refused),
            }
        }
        // Unless what fails is what makes landmarks.
        let _ = await_landmark(stage, report, fault.at == 0).await;
        if graceful {
            stage.stop(fault.victim).await;
        } else {
            stage.kill(fault.victim).await;
        }
        Ok(())
    }

    /// Whether what failed was told: by path or by the system's word for it.
    fn says(&self, stage: &Stage, report: &str) -> bool {
        let path = report.rsplit(' ').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let words = [
            "os error 5",
            "os error 28",
            "Input/output error",
            "No space left",
            name,
        ];
        let told = |text: &str| words.iter().any(|word| text.contains(word));
        told(&self.error) || Nf::ALL.iter().any(|nf| told(&stage.log(*nf)))
    }
}

/// Waits for the first landmark, or the fault.
async fn await_landmark(stage: &Stage, report: &Path, counting: bool) -> Result<(), ()> {
    let landmarks = stage.path("log/log/landmarks");
    let look = || async {
        let text = std::fs::read_to_string(&landmarks).unwrap_or_default();
        let newest = text.split_whitespace().next();
        let allocated = newest.is_some_and(|newest| newest != "0");
        let failed = !counting && report.exists();
        if allocated || failed { Ok(()) } else { Err(()) }
    };
    backoff::until(Instant::now() + LANDMARK, look, |()| true).await
}
