//! `mtc5g identity export LAB NF DIR`

use std::path::PathBuf;
use std::process::ExitCode;

use super::exit::{DONE, fail};
use super::output::say;
use crate::identity::{Form, export};

/// What to do with the identities of a lab.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum IdentityCommand {
    /// Write the keys and certificates of a network function for openssl, curl, Python and others
    Export(ExportArguments),
}

impl IdentityCommand {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Export(arguments) => arguments.run(),
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Example:
  mtc5g identity export lab amf1 amf1
  openssl x509 -in amf1/x509-ed25519-intermediate-ed25519.pem -noout -text

How to talk to the NRF with them: docs/own-tools.md.")]
pub(super) struct ExportArguments {
    /// Folder of the lab
    lab: PathBuf,
    /// Which network function: amf1, its FQDN or its instance id
    nf: String,
    /// Folder to write to, which is made; private keys go into it
    folder: PathBuf,
    /// Write PEM, which is what openssl, curl and Python read [default]
    #[arg(long)]
    pem: bool,
    /// Write DER, a file a certificate
    #[arg(long, conflicts_with = "pem")]
    der: bool,
}

impl ExportArguments {
    fn run(self) -> ExitCode {
        let form = if self.der { Form::Der } else { Form::Pem };
        match export(&self.lab, &self.nf, &self.folder, form) {
            Ok(written) => {
                for file in written {
                    say(format_args!("{}", file.display()));
                }
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }
}
