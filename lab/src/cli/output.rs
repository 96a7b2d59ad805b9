//! Results on standard output, and usage errors that clap cannot find.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use sbi::tell;
use sbi::terminal::{is_json, line};
use serde::Serialize;

use super::exit::USAGE;
use crate::topology::remove_abandoned;
use experiment::files::{WriteError, write_whole};
use experiment::report::{self, Report, Written};
use experiment::results::Results;

/// Whether something that was to be printed was not, and somebody should have had it.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints text. A closed pipe is not an error: whoever reads has read enough. Whatever else keeps it from standard output is told, and
/// [`is_lost`] then says so.
pub(super) fn print(text: &str) {
    if let Err(error) = try_print(text)
        && error.kind() != io::ErrorKind::BrokenPipe
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        tell!("error: cannot write to standard output: {error}");
    }
}

/// Prints a line as [`print`] prints text.
pub(super) fn say(line: fmt::Arguments<'_>) {
    print(&format!("{line}\n"));
}

/// Writes text to a file, and says so; prints it where the file is called `-`.
///
/// # Errors
/// The disk refuses.
pub(super) fn put(file: &Path, text: &str) -> Result<(), WriteError> {
    if file == Path::new("-") {
        print(text);
        return Ok(());
    }
    write_whole(file, text.as_bytes())?;
    // Not into a pipe or /dev/stdout, behind what it has just taken.
    if file.is_file() {
        say(format_args!("wrote {}", file.display()));
    }
    Ok(())
}

/// Whether standard output did not take something that was printed, as a full disk does not.
pub(super) fn is_lost() -> bool {
    IS_LOST.load(Ordering::Relaxed)
}

/// Prints text, and says whether somebody still reads.
pub(super) fn try_print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Removes those of the labs whose run was killed, and says so.
pub(super) fn clear_killed(labs: &[PathBuf]) {
    for lab in labs {
        match remove_abandoned(lab) {
            Ok(false) => {}
            Ok(true) => tell!(
                "removed {}: a run that was killed had left its lab there, with private keys",
                lab.display()
            ),
            Err(error) => tell!("warning: {}", mtc_core::causes::Causes(&error)),
        }
    }
}

/// Prints one JSON document.
pub(super) fn print_json(document: &impl Serialize) {
    let text =
        serde_json::to_string_pretty(document).expect("documents have string keys and do not fail");
    print(&format!("{text}\n"));
}

/// Prints the table of a run, or its results.json.
pub(super) fn print_results(results: &Results, json: bool) {
    let report = Report::of(results);
    print(&if json {
        report::json(&report)
    } else if is_json() {
        line(&report::table(&report))
    } else if let Some(columns) = terminal_columns() {
        report::table_within(&report, columns)
    } else {
        report::table(&report)
    });
}

/// How wide the terminal is that standard output goes to, if it is one and says so.
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

/// Says where results of an earlier run in the same folder are now.
pub(super) fn tell_earlier(written: &Written) {
    if let Some(earlier) = &written.earlier {
        tell!(
            "results of an earlier run were moved to {}",
            earlier.display()
        );
    }
}

/// Says what is wrong with the arguments, as clap does for what it finds itself.
pub(super) fn usage(error: &dyn std::error::Error, command: &str) -> ExitCode {
    tell!(
        "error: {}\n\nFor more information, try 'mtc5g {command} --help'.",
        mtc_core::causes::Causes(error)
    );
    ExitCode::from(USAGE)
}
