//! `nf-scp --config FILE`: the SCP alone.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    nf_scp::ScpArguments::parse().run().await
}
