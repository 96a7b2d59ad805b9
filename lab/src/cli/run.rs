//! `mtc5g run SCENARIO`

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use mtc_core::causes::Causes;
use sbi::command_line::COLLECTOR_VARIABLE;
use sbi::telemetry::asks_for_traces;
use sbi::tell;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::exit::{DONE, USAGE, fail, interrupted, status};
use super::notarise::notarise_file;
use super::output::{clear_killed, print, print_results, tell_earlier};
use super::progress::Terminal;
use super::results_file::{CELLS, RESULTS as RESULTS_FILE};
use crate::load::{Phase, Progress};
use crate::pki::LabPki;
use crate::run::{Joined, ProgressListener, Ran, RunError, Setting, run};
use crate::topology::{LabPlace, Throwaway};
use experiment::measure::Shard;
use experiment::report::{self, NotWritten, Written};
use experiment::results::Results;
use experiment::scenario::{Scenario, Shipped};

/// Names the lab that --attach is for.
const LAB_VARIABLE: &str = "MTC5G_LAB";
/// Where the containers of a deployed lab find it.
const DEPLOYED_LAB: &str = "/lab/public/lab.toml";
/// Where results go by default.
const RESULTS: &str = "mtc5g-results";
/// The lab of a run, in the folder of its results.
pub(super) const LAB: &str = "lab";
/// The load generator of a run that joins a lab, in the folder of its results.
const GENERATOR: &str = "generator";
/// The number of a pod of an Indexed Job, from 0.
const JOB_COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";
/// The values of `[load] via`.
const WAYS: [&str; 3] = ["direct", "scp-c", "scp-d"];

#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArguments {
    /// Scenario file (TOML), or the name of one that comes with this command (see mtc5g scenarios)
    scenario: PathBuf,
    /// Where results go [default: mtc5g-results/<scenario>-<time>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print results.json instead of the table
    #[arg(long)]
    json: bool,
    /// Keep the lab's folder (PKI, keys, issuance log, process logs) in DIR/lab
    #[arg(long)]
    keep: bool,
    /// Run the scenario's short form, to show that it works; do not cite its figures
    #[arg(long)]
    short: bool,
    /// Send requests to their producers by this way, whatever [load] via of the scenario says: directly, or through the SCP in
    /// communication model C or D
    #[arg(long, value_name = "WAY", value_parser = WAYS)]
    via: Option<String>,
    /// Load a running lab instead of starting one: the folder of mtc5g lab up, or the lab.toml of a deployed lab, also as
    /// http://NRF:7778/lab/lab.toml
    #[arg(long, value_name = "DIR|FILE|URL", group = "joined")]
    lab: Option<LabPlace>,
    /// Load the lab that $MTC5G_LAB names, by default /lab/public/lab.toml: inside docker-compose
    #[arg(long, group = "joined")]
    attach: bool,
    /// Take enrolment tokens from this folder instead of the lab's own; each is used once. Required for a lab at a URL
    #[arg(long, value_name = "DIR", requires = "joined")]
    tokens: Option<PathBuf>,
    /// Be generator I of N that load the lab together; mtc5g report merge combines their results. job/N takes I from
    /// $JOB_COMPLETION_INDEX, as the pods of an Indexed Job of Kubernetes have it, and ends with 0 as soon as there is a part.json: the
    /// verdict is that of the merged results
    #[arg(long, value_name = "I/N", requires = "joined")]
    shard: Option<ShardOf>,
    /// When the load starts (RFC 3339), so that generators start together [default: when this one is ready]
    #[arg(long, value_name = "TIME", requires = "joined", value_parser = time_of_day)]
    start_at: Option<OffsetDateTime>,
    /// Append the secrets of the lab's connections to FILE (NSS key log), to decrypt packet captures
    #[arg(long, value_name = "FILE")]
    key_log: Option<PathBuf>,
    /// Log the digest of results.json with the notary in this folder (see mtc5g notarise), and write its proof beside it, so that a figure that is cited
    /// can be checked later
    #[arg(long, value_name = "DIR")]
    notarise: Option<PathBuf>,
}

/// Which part of the load is this generator's, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ShardOf {
    shard: Shard,
    /// A Job ends all its pods when one fails, so that a part is no failure for what it shows.
    is_of_job: bool,
}

impl ShardOf {
    /// What the text says; `completion_index` is that of the pod, from 0.
    fn parse(text: &str, completion_index: Option<&str>) -> Result<Self, String> {
        let of = |text: &str| text.parse::<Shard>().map_err(|error| error.to_string());
        let Some(count) = text.strip_prefix("job/") else {
            let shard = of(text)?;
            return Ok(Self {
                shard,
                is_of_job: false,
            });
        };
        let index = completion_index.and_then(|index| index.parse::<u32>().ok());
        let index = index.ok_or_else(|| {
            format!("${JOB_COMPLETION_INDEX} is not set to a number: job/N is for the pods of an Indexed Job")
        })?;
        let shard = of(&format!("{}/{count}", index.saturating_add(1)))?;
        Ok(Self {
            shard,
            is_of_job: true,
        })
    }
}

impl FromStr for ShardOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, std::env::var(JOB_COMPLETION_INDEX).ok().as_deref())
    }
}

/// Whether the processes of a lab, which have this one's environment, will make spans.
fn traces_are_on() -> bool {
    let levels = std::env::var("RUST_LOG").unwrap_or_default();
    let is_traced = asks_for_traces(&levels);
    is_traced || std::env::var_os(COLLECTOR_VARIABLE).is_some_and(|named| !named.is_empty())
}

fn time_of_day(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        "not a time such as 2026-11-25T14:30:00Z; date -u -d '+1 min' +%FT%TZ prints one".to_owned()
    })
}

impl RunArguments {
    pub(super) async fn run(self) -> ExitCode {
        let text = match scenario_text(&self.scenario) {
            Ok(text) => text,
            Err(error) => {
                tell!(
                    "error: cannot read scenario {}: {error}",
                    self.scenario.display()
                );
                return ExitCode::from(USAGE);
            }
        };
        let text = match &self.via {
            Some(via) => sent_by(&text, via),
            None => text,
        };
        let cells = match Scenario::parse_cells(&text) {
            Ok(cells) => cells,
            Err(faults) => {
                tell!("error: scenario {}\n{faults}", self.scenario.display());
                return ExitCode::from(USAGE);
            }
        };
        let cells: Vec<Scenario> = if self.short {
            ends(&cells).map(Scenario::shortened).collect()
        } else {
            cells
        };
        if traces_are_on() {
            tell!(
                "note: traces are on (${COLLECTOR_VARIABLE} or $RUST_LOG): each request carries a header more and costs more; do \
                 not cite this run"
            );
        }
        if self.tokens.is_none() && self.joins().is_some_and(|lab| lab.is_without_tokens()) {
            tell!(
                "error: a lab at a URL does not publish enrolment tokens: give a folder of them with --tokens DIR, such as load/tokens of \
                 mtc5g init --deploy"
            );
            return ExitCode::from(USAGE);
        }
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| default_out(&cells[0].name));
        if holds_a_lab(&out) {
            tell!(
                "error: {} is the folder of a lab: give --out another folder, such as {RESULTS}/NAME; to load that lab, --lab names it",
                out.display()
            );
            return ExitCode::from(USAGE);
        }
        let mut labs = labs_below(Path::new(RESULTS));
        labs.extend(labs_of_run(&out));
        clear_killed(&labs);
        let ran = match cells.as_slice() {
            [scenario] => self.run_one(scenario, &out).await,
            _ if self.joins().is_some() => {
                tell!(
                    "error: scenario {}: [sweep] starts a lab for each run: use it without --lab and --attach",
                    self.scenario.display()
                );
                return ExitCode::from(USAGE);
            }
            cells => self.run_sweep(cells, &out).await,
        };
        ran.map_or_else(|error| fail(&*error), ExitCode::from)
    }

    /// The lab that is up, if the run is to join one.
    fn joins(&self) -> Option<LabPlace> {
        self.lab.clone().or_else(|| self.attach.then(attached_lab))
    }

    /// Has the results in a folder notarised, if that was asked for.
    async fn notarise(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(notary) = &self.notarise {
            let proof = notarise_file(&out.join(RESULTS_FILE), notary).await?;
            tell!("wrote {}", proof.display());
        }
        Ok(())
    }

    async fn run_one(&self, scenario: &Scenario, out: &Path) -> Result<u8, Box<dyn Error>> {
        let ran = self.run_into(scenario, out).await?;
        // First, so that it is there whatever becomes of the disk.
        print_results(&ran.results, self.json);
        let written = self.write(&ran, out)?;
        tell!(
            "\nwrote {0}/results.json, {0}/summary.md and {0}/report.html",
            out.display()
        );
        tell_earlier(&written);
        self.notarise(out).await?;
        Ok(match self.shard {
            Some(ShardOf {
                is_of_job: true, ..
            }) => DONE,
            _ => status(&ran.results),
        })
    }

    /// Runs the cells one after another, each with a lab of its own; the status is the worst of theirs.
    async fn run_sweep(&self, cells: &[Scenario], out: &Path) -> Result<u8, Box<dyn Error>> {
        let mut all: Vec<Results> = Vec::with_capacity(cells.len());
        let mut not_written = None;
        for (number, cell) in cells.iter().enumerate() {
            let settings: Vec<String> = cell
                .cell
                .iter()
                .map(|setting| format!("{} = {}", setting.key, setting.value))
                .collect();
            let (number, of) = (number + 1, cells.len());
            tell!("run {number} of {of}: {}", settings.join(", "));
            let folder = out.join(CELLS).join(format!("{number:02}"));
            let ran = self.run_into(cell, &folder).await?;
            let written = self.write(&ran, &folder);
            let interrupted = ran.results.run.interrupted;
            all.push(ran.results);
            match written {
                Ok(written) => {
                    tell_earlier(&written);
                    self.notarise(&folder).await?;
                }
                // What was measured until now is still told.
                Err(error) => {
                    not_written = Some(error);
                    break;
                }
            }
            if interrupted {
                break;
            }
        }
        let summary = report::sweep(&all);
        if self.json {
            print(&report::sweep_json(&all));
        } else {
            print(&format!("{summary}\n{}\n", report::sweep_verdict(&all)));
        }
        let html = report::sweep_html(&all);
        let files = [("summary.md", summary), ("report.html", html)];
        let written = report::write_files(&files, out);
        if let Some(error) = not_written {
            return Err(error.into());
        }
        tell_earlier(&written?);
        tell!(
            "\nwrote {0}/summary.md and {0}/report.html, and the results of each run in {0}/cells",
            out.display()
        );
        Ok(all.iter().map(status).max().unwrap_or(DONE))
    }

    fn write(&self, ran: &Ran, out: &Path) -> Result<Written, NotWritten> {
        let part = self.joins().is_some().then_some(&ran.part);
        report::write(&ran.results, part, out)
    }

    async fn run_into(&self, scenario: &Scenario, out: &Path) -> Result<Ran, Box<dyn Error>> {
        std::fs::create_dir_all(out).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot make {}: {error}", out.display()),
            )
        })?;
        let join = self.joins().map(|lab| Joined {
            lab,
            tokens: self.tokens.clone(),
            shard: self.shard.map_or(Shard::WHOLE, |of| of.shard),
            start_at: self.start_at,
        });
        let setting = Setting {
            folder: out.join(if join.is_some() { GENERATOR } else { LAB }),
            binary: std::env::current_exe()?,
            join,
            key_log: self.key_log.clone(),
        };
        // From here on, so that no signal ends this process between the making of keys and their end.
        let interrupt = interrupted();
        let throwaway = if self.keep {
            None
        } else {
            Some(Throwaway::claim(&setting.folder)?)
        };
        let listener = Terminal::new();
        let ran = run(scenario, &setting, interrupt, &listener).await;
        listener.finish();
        clear_up(throwaway, &setting.folder, ran.as_ref().err());
        Ok(ran?)
    }
}

/// Without --keep no key of a lab stays; of a run that failed the logs do. With it everything does.
fn clear_up(throwaway: Option<Throwaway>, folder: &Path, error: Option<&RunError>) {
    let Some(throwaway) = throwaway else {
        if folder.exists() {
            tell!("the lab is kept in {}", folder.display());
        }
        return;
    };
    let cleared = match error {
        None | Some(RunError::Interrupted) => throwaway.remove().map(|()| None),
        Some(_) => throwaway.leave_logs().map(Some),
    };
    match cleared {
        Ok(Some(logs)) if logs.exists() => tell!(
            "the logs of the lab's processes are kept in {} (--keep keeps the whole folder)",
            logs.display()
        ),
        Ok(_) => {}
        Err(error) => tell!("warning: {}", Causes(&error)),
    }
}

/// Whether a folder is that of a lab, also of one for containers: results do not belong among keys.
pub(super) fn holds_a_lab(folder: &Path) -> bool {
    LabPki::is_in(folder) || LabPki::is_in(&folder.join("public"))
}

/// Where the runs below a folder of results have their labs, or a sweep its runs theirs.
fn labs_below(results: &Path) -> Vec<PathBuf> {
    let runs = std::fs::read_dir(results).into_iter().flatten();
    runs.filter_map(|run| Some(run.ok()?.path()))
        .flat_map(|run| labs_of_run(&run))
        .collect()
}

/// Where the labs of a run are, as long as they are.
fn labs_of_run(out: &Path) -> Vec<PathBuf> {
    let cells = std::fs::read_dir(out.join(CELLS)).into_iter().flatten();
    let cells = cells.filter_map(|cell| Some(cell.ok()?.path()));
    std::iter::once(out.to_owned())
        .chain(cells)
        .flat_map(|run| [run.join(LAB), run.join(GENERATOR)])
        .collect()
}

/// The lab that --attach is for.
pub(super) fn attached_lab() -> LabPlace {
    let named = std::env::var_os(LAB_VARIABLE).unwrap_or_else(|| DEPLOYED_LAB.into());
    match named.to_str() {
        Some(text) => text.into(),
        None => LabPlace::Disk(named.into()),
    }
}

/// The lab of the newest run whose results are to go below `folder`, if it has one still.
pub(super) fn newest_lab(folder: &Path) -> Option<PathBuf> {
    let runs = std::fs::read_dir(folder.join(RESULTS)).ok()?;
    let labs = runs.filter_map(|run| {
        let lab = run.ok()?.path().join(LAB);
        let made = lab.metadata().ok()?.modified().ok()?;
        Some((made, lab))
    });
    labs.max().map(|(_, lab)| lab)
}

/// The first run of a sweep and the last.
fn ends(cells: &[Scenario]) -> impl Iterator<Item = &Scenario> {
    cells.first().into_iter().chain(cells.iter().skip(1).last())
}

/// A scenario with another `[load] via`. What is no scenario stays as it is, and is refused as that.
fn sent_by(text: &str, via: &str) -> String {
    let Ok(mut scenario) = text.parse::<toml::Table>() else {
        return text.to_owned();
    };
    if let Some(toml::Value::Table(load)) = scenario.get_mut("load") {
        load.insert("via".to_owned(), via.into());
    }
    scenario.to_string()
}

/// The text of a file or, where there is none of that name, of a scenario that comes with this command.
pub(super) fn scenario_text(scenario: &Path) -> Result<String, String> {
    let error = match sbi::text_file::read(scenario) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let missing = error.kind() == io::ErrorKind::NotFound;
    let is_folder = scenario.is_dir();
    let shipped = scenario
        .to_str()
        .filter(|_| missing || is_folder)
        .and_then(Shipped::named);
    match shipped {
        Some(shipped) => Ok(shipped.text.to_owned()),
        None if is_folder => Err(wanted_in(scenario)),
        None if missing => {
            let name = scenario.file_stem().unwrap_or_default();
            let hint = Shipped::hint(&name.to_string_lossy());
            Err(format!(
                "{error}; among the scenarios that need no file, {hint}"
            ))
        }
        None => Err(error.to_string()),
    }
}

/// Which file is wanted where a folder was named.
fn wanted_in(folder: &Path) -> String {
    let shown = folder.display();
    if holds_a_lab(folder) {
        return format!(
            "it is the folder of a lab: name a scenario, and the lab with --lab {shown}"
        );
    }
    let results = folder.join(RESULTS_FILE);
    if results.exists() {
        let results = results.display();
        return format!(
            "it is the folder of a run: its scenario is in its results, jq -r .scenario {results} >again.toml"
        );
    }
    let found = std::fs::read_dir(folder).into_iter().flatten();
    let files = found.filter_map(|found| Some(found.ok()?.path()));
    let scenarios = files.filter(|file| file.extension().is_some_and(|of| of == "toml"));
    match scenarios.min() {
        Some(file) => format!(
            "it is a folder: name a file in it, such as {}",
            file.display()
        ),
        None => "it is a folder, and has no scenario (*.toml) in it".to_owned(),
    }
}

pub(super) fn default_out(name: &str) -> PathBuf {
    let stamp = format_description!("[year][month][day]-[hour][minute][second]");
    let stamp = OffsetDateTime::now_utc().format(&stamp).unwrap_or_default();
    PathBuf::from(RESULTS).join(format!("{name}-{stamp}"))
}

impl ProgressListener for Terminal {
    fn step(&self, text: &str) {
        Self::step(self, text);
    }

    fn warn(&self, text: &str) {
        Self::warn(self, text);
    }

    fn progress(&self, progress: &Progress) {
        let phase = match progress.phase {
            Phase::WarmUp => "warm-up",
            Phase::Settling => "settling",
            Phase::Measured => "measuring",
            Phase::Draining => "draining",
        };
        let counts = format!(
            "{} done, {} in flight, {} failed, {} dropped",
            progress.done, progress.in_flight, progress.errors, progress.dropped
        );
        let text = format!("{phase}: {counts}");
        let is_last = progress.phase == Phase::Draining;
        self.position(progress.elapsed, progress.planned, is_last, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_of_a_job_has_its_shard_from_its_index() {
        let of = |text, index| {
            ShardOf::parse(text, index).map(|of| (of.shard.to_string(), of.is_of_job))
        };
        assert_eq!(of("job/8", Some("0")), Ok(("1/8".to_owned(), true)));
        assert_eq!(of("job/8", Some("7")), Ok(("8/8".to_owned(), true)));
        assert_eq!(of("2/3", Some("0")), Ok(("2/3".to_owned(), false)));
        for (text, index, message) in [
            ("job/8", None, "JOB_COMPLETION_INDEX"),
            ("job/8", Some("x"), "JOB_COMPLETION_INDEX"),
            ("job/8", Some("8"), "9/8"),
            ("job/8", Some("4294967295"), "is not a shard"),
            ("job/x", Some("0"), "is not a shard"),
            ("3/2", None, "is not a shard"),
        ] {
            let error = of(text, index).expect_err(text);
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_scenario_is_sent_by_the_way_that_is_asked_for() {
        let quick = Shipped::named("quick").expect("it is one").text;
        for way in WAYS {
            let sent = sent_by(quick, way);
            let cells = Scenario::parse_cells(&sent).expect("every way is one of a session");
            assert_eq!(cells.len(), 1);
            assert!(sent.contains(&format!("via = \"{way}\"")), "{sent}");
            let way_back = sent_by(&sent, "direct");
            assert!(way_back.contains("via = \"direct\""));
        }
        assert_eq!(sent_by("load = [", "scp-c"), "load = [");
    }
}
