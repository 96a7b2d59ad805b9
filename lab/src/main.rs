//! The `mtc5g` command.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

use std::process::ExitCode;

use clap::Parser;
use lab::cli::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse().run().await
}
