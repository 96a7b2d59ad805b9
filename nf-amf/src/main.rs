//! `nf-amf --config FILE [--supervised]`: AMF instances in a process of their own.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    nf_amf::AmfArguments::parse().run().await
}
