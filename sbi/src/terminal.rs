//! Lines for people on standard error, which may have no reader: a closed pipe, a terminal that is gone, a full disk.
//!
//! `eprintln!` panics then, and a panic in a command's shell leaves behind what the command would have cleared up.

use std::fmt;
use std::io::{self, Write as _};

use mtc_core::printable::printable_lines;

/// Says a line on standard error, as `eprintln!` does, to whoever still listens. Use it as [`tell!`](crate::tell).
pub fn tell(line: fmt::Arguments<'_>) {
    // Whole in one write, so that lines of several threads and processes are not mixed.
    let line = format!("{}\n", printable_lines(&line.to_string()));
    // Where the one place for messages takes none, there is nobody to be told of it.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Says a line on standard error to whoever still listens: `eprintln!` without its panic.
#[macro_export]
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::terminal::tell(::std::format_args!($($argument)*))
    };
}
