//! `mtc5g report html`, `table`, `csv` and `merge`

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use sbi::tell;

use super::exit::{DONE, USAGE, fail, status};
use super::output::{print, print_results, put, say, tell_earlier};
use super::results_file::{folder_of, read as read_results, runs_of};
use experiment::files::write_whole;
use experiment::report::{self, Report, TableFormat};
use experiment::results::{Outcome, Part, Results, merge};

/// What `mtc5g run --lab` writes besides its results.
const PART_FILE: &str = "part.json";
/// What `mtc5g run` calls its page.
const PAGE: &str = "report.html";

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ReportCommand {
    /// Draw the report of a run from its results.json, or one report of all runs of a sweep
    Html(HtmlArguments),
    /// Print the table of a run from its results.json, or as a table for a paper
    Table(TableArguments),
    /// Write the comparison and all figures of a run, or of all runs of a sweep, as CSV files
    Csv(CsvArguments),
    /// Combine the parts of one run that several generators measured
    Merge(MergeArguments),
}

impl ReportCommand {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Html(arguments) => arguments.run(),
            Self::Table(arguments) => arguments.run(),
            Self::Csv(arguments) => arguments.run(),
            Self::Merge(arguments) => arguments.run(),
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct HtmlArguments {
    /// A run: its folder, or results.json in it; several, in their order, or the folder of a sweep, make the report of a sweep
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// File to write, - for standard output [default: report.html beside the results; of several runs, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl HtmlArguments {
    fn run(self) -> ExitCode {
        let runs: Vec<PathBuf> = self.results.iter().flat_map(|path| runs_of(path)).collect();
        let results: Result<Vec<Results>, _> = runs.iter().map(|run| read_results(run)).collect();
        let results = match results {
            Ok(results) => results,
            Err(error) => return fail(&error),
        };
        for (file, results) in runs.iter().zip(&results) {
            warn_of_invalid(file, results);
        }
        let page = match results.as_slice() {
            [results] => report::html(&Report::of(results)),
            runs => report::sweep_html(runs),
        };
        match put(&self.place(), &page) {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&error),
        }
    }

    /// Where the page goes.
    fn place(&self) -> PathBuf {
        match (&self.output, self.results.as_slice()) {
            (Some(file), _) => file.clone(),
            (None, [run]) => folder_of(run).join(PAGE),
            (None, _) => PAGE.into(),
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct TableArguments {
    /// A run: its folder, or results.json in it
    results: PathBuf,
    /// Print results.json instead of the table
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write the cost of each procedure of a UE (with --format csv, of each hop) instead of the comparison
    #[arg(long, conflicts_with = "json")]
    procedures: bool,
    /// How to write the table: for a terminal, or for a paper
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What a table is written for.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// The report as it is on a terminal
    #[default]
    Text,
    /// A Markdown table of the main figures
    #[value(alias = "md")]
    Markdown,
    /// A LaTeX tabular of the main figures, with the rules of booktabs
    #[value(alias = "tex")]
    Latex,
    /// Every column as comma-separated values
    Csv,
}

impl TableArguments {
    fn run(self) -> ExitCode {
        let results = match read_results(&self.results) {
            Ok(results) => results,
            Err(error) => return fail(&error),
        };
        let format = match self.format {
            Format::Text if !self.procedures => {
                print_results(&results, self.json);
                return ExitCode::from(DONE);
            }
            Format::Text | Format::Markdown => TableFormat::Markdown,
            Format::Latex => TableFormat::Latex,
            Format::Csv => TableFormat::Csv,
        };
        warn_of_invalid(&self.results, &results);
        let report = Report::of(&results);
        if !self.procedures {
            print(&report::comparison_table(&report, format));
            return ExitCode::from(DONE);
        }
        match report::procedure_table(&report, format) {
            Some(table) => {
                print(&table);
                ExitCode::from(DONE)
            }
            None => {
                let none: Box<dyn Error> =
                    "this run has no procedures: its operation is neither registration nor pdu-session"
                        .into();
                fail(&*none)
            }
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct CsvArguments {
    /// A run: its folder, or results.json in it; or the folder of a sweep
    results: PathBuf,
    /// Where the files go, made if it is missing [default: csv, beside the results]
    folder: Option<PathBuf>,
}

impl CsvArguments {
    fn run(self) -> ExitCode {
        match self.write() {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&*error),
        }
    }

    fn write(&self) -> Result<(), Box<dyn Error>> {
        let runs = runs_of(&self.results);
        let results: Vec<Results> = runs
            .iter()
            .map(|run| read_results(run))
            .collect::<Result<_, _>>()?;
        for (file, results) in runs.iter().zip(&results) {
            warn_of_invalid(file, results);
        }
        let files = match results.as_slice() {
            [results] => report::csv_files(results),
            runs => report::sweep_csv_files(runs),
        };
        let folder = self
            .folder
            .clone()
            .unwrap_or_else(|| folder_of(&self.results).join("csv"));
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        for (name, text) in &files {
            write_whole(&folder.join(name), text.as_bytes())?;
        }
        say(format_args!(
            "wrote {} files to {}",
            files.len(),
            folder.display()
        ));
        Ok(())
    }
}

/// Says what spoils a run to whoever takes its figures away.
fn warn_of_invalid(file: &Path, results: &Results) {
    if results.verdict.outcome == Outcome::Invalid {
        let reasons = results.verdict.violations.join("; ");
        let file = file.display();
        tell!("warning: {file} is not a valid measurement: {reasons}");
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct MergeArguments {
    /// Results of every generator: the folders that mtc5g run --lab DIR --shard I/N wrote, or part.json in them
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// Where the results of the whole run go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print results.json instead of the table
    #[arg(long)]
    json: bool,
}

impl MergeArguments {
    fn run(self) -> ExitCode {
        let parts: Result<Vec<_>, _> = self.parts.iter().map(|path| read(path)).collect();
        let results = match parts.and_then(|parts| Ok(merge(parts)?)) {
            Ok(results) => results,
            Err(error) => {
                tell!("error: {}", mtc_core::causes::Causes(&*error));
                return ExitCode::from(USAGE);
            }
        };
        match self.write(&results) {
            Ok(()) => ExitCode::from(status(&results)),
            Err(error) => fail(&*error),
        }
    }

    fn write(&self, results: &Results) -> Result<(), Box<dyn Error>> {
        print_results(results, self.json);
        std::fs::create_dir_all(&self.out)
            .map_err(|error| format!("cannot make {}: {error}", self.out.display()))?;
        tell_earlier(&report::write(results, None, &self.out)?);
        Ok(())
    }
}

fn read(path: &Path) -> Result<(PathBuf, Part), Box<dyn Error>> {
    let file = if path.is_dir() {
        path.join(PART_FILE)
    } else {
        path.to_owned()
    };
    let text = sbi::text_file::read(&file).map_err(|error| match error.kind() {
        // Of a run by itself there is none: it wants no merging.
        io::ErrorKind::NotFound if path.is_dir() => format!(
            "{} is no shard of a run: it has no {PART_FILE}, which each of several generators that load one lab writes: \
             mtc5g run SCENARIO --lab LAB --shard I/N --out FOLDER",
            path.display()
        ),
        _ => format!("cannot read {}: {error}", file.display()),
    })?;
    Ok((file.clone(), Part::from_json(&text, file)?))
}
