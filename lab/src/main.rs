//! The `mtc5g` command.

use std::process::ExitCode;

use clap::Parser;
use lab::cli::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse().run().await
}
