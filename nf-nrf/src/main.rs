//! `nf-nrf --config FILE [--create-log]`: the NRF alone.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    nf_nrf::NrfArguments::parse().run().await
}
