//! `mtc5g plot RESULTS`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sbi::tell;

use super::exit::{DONE, INVALID, USAGE, fail};
use super::output::{put, usage};
use super::results_file::read;
use experiment::report;
use experiment::results::Outcome;

#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "SVG is the only format. A PDF for a paper: rsvg-convert -f pdf -o figure.pdf figure.svg, or without it: chromium --headless --no-pdf-header-footer --print-to-pdf=figure.pdf figure.svg"
)]
pub(super) struct PlotArguments {
    /// A run: its folder, or results.json in it
    results: PathBuf,
    /// Which figure: bytes, cpu, handshake, operation, time, landmarks, issuance
    #[arg(long, value_name = "NAME")]
    figure: String,
    /// File to write, NAME.svg [default: -, standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl PlotArguments {
    pub(super) fn run(self) -> ExitCode {
        if let Some(file) = self.output.as_deref().filter(|file| !takes_svg(file)) {
            return usage(&OtherFormat(file.to_owned()), "plot");
        }
        let results = match read(&self.results) {
            Ok(results) => results,
            Err(error) => return fail(&error),
        };
        if results.verdict.outcome == Outcome::Invalid {
            let reasons = results.verdict.violations.join("; ");
            tell!("warning: this run is not a valid measurement: {reasons}");
        }
        if let Some(why) = report::why_not_plotted(&results, &self.figure) {
            tell!(
                "error: nothing in the figure {:?} would be valid. {why}",
                self.figure
            );
            return ExitCode::from(INVALID);
        }
        let Some(svg) = report::plot(&results, &self.figure) else {
            tell!(
                "error: there is no figure {:?}; known: {}",
                self.figure,
                report::figure_names(&results).join(", ")
            );
            return ExitCode::from(USAGE);
        };
        let standard_output = Path::new("-");
        match put(self.output.as_deref().unwrap_or(standard_output), &svg) {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&error),
        }
    }
}

/// A file of this name would be taken for something else than SVG.
#[derive(Debug, thiserror::Error)]
#[error(
    "figures are SVG, and {} is not the name of an SVG file: write NAME.svg, and make a PDF of that with \
     rsvg-convert -f pdf -o NAME.pdf NAME.svg",
    .0.display()
)]
struct OtherFormat(PathBuf);

/// Whether the name is one of SVG, or of nothing in particular, such as `/dev/stdout`.
fn takes_svg(file: &Path) -> bool {
    file.extension()
        .is_none_or(|extension| extension.eq_ignore_ascii_case("svg"))
}
