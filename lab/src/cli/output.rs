//! Results on standard output, and usage errors that clap cannot find.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;

use super::USAGE;

/// Prints text. A closed pipe is not an error: whoever reads has read enough.
pub(super) fn print(text: &str) {
    let _ = try_print(text);
}

/// Prints text, and says whether somebody still reads.
pub(super) fn try_print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints one JSON document.
pub(super) fn print_json(document: &impl Serialize) {
    let text =
        serde_json::to_string_pretty(document).expect("documents have string keys and do not fail");
    print(&format!("{text}\n"));
}

/// Says what is wrong with the arguments, as clap does for what it finds itself.
pub(super) fn usage(error: &dyn std::error::Error, command: &str) -> ExitCode {
    eprintln!(
        "error: {}\n\nFor more information, try 'mtc5g {command} --help'.",
        sbi::telemetry::Causes(error)
    );
    ExitCode::from(USAGE)
}
