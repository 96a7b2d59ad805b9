//! `mtc5g cert ...`

mod export;
mod inspect;
mod verify;

use std::process::ExitCode;

use mtc_tools::certificate_file::{FileError, FileName, Filed, certificates};

/// What to do with certificates.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum CertCommand {
    /// Show what certificates contain and how many bytes each part takes; verifies nothing
    Inspect(inspect::InspectArguments),
    /// Verify Merkle Tree Certificates as a relying party would
    Verify(verify::VerifyArguments),
    /// Write a chain as servers of others read it, with the certificate properties by which they choose (PEM)
    Export(export::ExportArguments),
}

impl CertCommand {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Inspect(arguments) => arguments.run(),
            Self::Verify(arguments) => arguments.run(),
            Self::Export(arguments) => arguments.run(),
        }
    }
}

/// The certificates of the files, and of those in the folders, each with the name under which it is told of: `FILE`, or `FILE#2` in a bundle. A file
/// that gives none has one line with the reason.
fn read_all(files: &[FileName]) -> Vec<(String, Result<Filed, FileError>)> {
    let mut named = Vec::new();
    for named_file in files {
        let files = named_file.files().unwrap_or_else(|error| {
            named.push((named_file.to_string(), Err(error)));
            Vec::new()
        });
        for file in files {
            let read = file.read().and_then(|bytes| certificates(&bytes));
            match read {
                Ok(certificates) => {
                    let bundle = certificates.len() > 1;
                    for (position, filed) in certificates.into_iter().enumerate() {
                        let name = if bundle {
                            format!("{file}#{}", position + 1)
                        } else {
                            file.to_string()
                        };
                        named.push((name, Ok(filed)));
                    }
                }
                Err(error) => named.push((file.to_string(), Err(error))),
            }
        }
    }
    named
}
