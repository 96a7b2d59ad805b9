//! `nf-smf --config FILE [--supervised]`: SMF instances in a process of their own.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    nf_smf::SmfArguments::parse().run().await
}
