//! `mtc5g cert inspect FILE...`

use std::process::ExitCode;

use mtc_core::causes::Causes;
use serde::Serialize;

use super::read_all;
use crate::cli::exit::{COULD_NOT_RUN, DONE};
use crate::cli::output::{print, print_json};
use mtc_tools::certificate_file::{FileName, Filed};
use mtc_tools::inspect::Inspection;

/// Certificates to look at
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g cert inspect amf1.pem
  mtc5g cert inspect --json *.der | jq '.certificates[].mtc'
  openssl s_client -connect amf1.example.org:443 </dev/null | mtc5g cert inspect -

Exit status: 0 all were read and are well formed, 1 some cannot be read or have a fault, 2 usage.
Formats: docs/tools.md.")]
pub(in crate::cli) struct InspectArguments {
    /// Certificates in DER or PEM, a bundle of several too, or a folder of them; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<FileName>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    certificates: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    inspection: Option<Inspection>,
}

impl InspectArguments {
    pub(super) fn run(self) -> ExitCode {
        let certificates: Vec<Entry> = read_all(&self.files)
            .into_iter()
            .map(|(file, read)| {
                let inspected = match &read {
                    Ok(Filed { der, properties }) => Inspection::of(der)
                        .map(|inspection| match properties {
                            Some(properties) => inspection.with_properties(properties, der),
                            None => inspection,
                        })
                        .map_err(|error| format!("not a certificate: {}", Causes(&error))),
                    Err(error) => Err(Causes(error).to_string()),
                };
                let (inspection, error) = match inspected {
                    Ok(inspection) => (Some(inspection), None),
                    Err(error) => (None, Some(error)),
                };
                Entry {
                    file,
                    error,
                    inspection,
                }
            })
            .collect();
        let well_formed = certificates.iter().all(|entry| {
            entry
                .inspection
                .as_ref()
                .is_some_and(|inspection| inspection.faults.is_empty())
        });
        if self.json {
            print_json(&Document { certificates });
        } else {
            certificates.iter().for_each(|entry| print(&entry.text()));
        }
        ExitCode::from(if well_formed { DONE } else { COULD_NOT_RUN })
    }
}

impl Entry {
    fn text(&self) -> String {
        match (&self.inspection, &self.error) {
            (Some(inspection), _) => format!("{}\n{inspection}", self.file),
            (None, error) => format!(
                "{}: unreadable: {}\n",
                self.file,
                error.as_deref().unwrap_or_default()
            ),
        }
    }
}
