//! `mtc5g cert export FILE`

use std::path::PathBuf;
use std::process::ExitCode;

use mtc_core::id::{LandmarkNumber, TrustAnchorId};
use mtc_core::properties::{CertificateProperties, PropertiesError};
use mtc_core::wire::WireError;
use mtc_tls::pem;
use mtc_tools::certificate_file::{FileError, FileName, Filed, certificates};
use mtc_tools::chain_properties::{self, UnknownProperties, contradiction};
use thiserror::Error;

use crate::cli::exit::{DONE, fail};
use crate::cli::output::put;

/// A chain to write
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g cert export amf1/mtc-ml-dsa-65.pem
  mtc5g cert export --landmark 7 --out amf1.landmark.pem amf1/mtc-ml-dsa-65.landmark.pem
  mtc5g cert export --trust-anchor 32473.9 --only-if-named amf1/x509-ecdsa-p256-direct-ecdsa-p256.pem

`mtc5g identity export --properties` does it for all certificates of a network function, and knows their landmarks;
`mtc5g log prove --landmark-certificate` makes a landmark-relative certificate and says of which landmark it is.

Exit status: 0 written, 1 not, 2 usage.
Formats: docs/tools.md.")]
pub(in crate::cli) struct ExportArguments {
    /// A chain: a certificate in DER, or in PEM with its intermediates behind it; - reads standard input
    #[arg(value_name = "FILE")]
    file: FileName,
    /// The landmark of a landmark-relative certificate
    #[arg(long, value_name = "L", conflicts_with = "trust_anchor")]
    landmark: Option<u64>,
    /// The root of a directly-signed chain, by its trust anchor ID such as 32473.9
    #[arg(long, value_name = "ID")]
    trust_anchor: Option<TrustAnchorId>,
    /// For those alone who name the trust anchor or a group of it; a landmark-relative certificate always is
    #[arg(long)]
    only_if_named: bool,
    /// Write to this file, and not to standard output
    #[arg(
        long,
        value_name = "OUT",
        default_value = "-",
        hide_default_value = true
    )]
    out: PathBuf,
}

/// Why nothing is written.
#[derive(Debug, Error)]
enum Failure {
    #[error("{file}")]
    Read { file: FileName, source: FileError },
    #[error("{0}: properties before the certificate that cannot be read")]
    Properties(FileName, #[source] PropertiesError),
    #[error("{file}{hint}")]
    Unknown {
        file: FileName,
        hint: &'static str,
        source: UnknownProperties,
    },
    #[error("{file}: {what}")]
    Contradiction { file: FileName, what: String },
    #[error(
        "{0}: another chain begins at certificate {1}, with properties of its own; export one chain at a time"
    )]
    Chains(FileName, usize),
    #[error(transparent)]
    TooLong(#[from] WireError),
}

impl ExportArguments {
    pub(super) fn run(self) -> ExitCode {
        let text = match self.text() {
            Ok(text) => text,
            Err(error) => return fail(&error),
        };
        match put(&self.out, &text) {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&error),
        }
    }

    fn text(&self) -> Result<String, Failure> {
        let file = || self.file.clone();
        let read = self.file.read().and_then(|bytes| certificates(&bytes));
        let chain = read.map_err(|source| Failure::Read {
            file: file(),
            source,
        })?;
        let next = chain
            .iter()
            .skip(1)
            .position(|filed| filed.properties.is_some());
        if let Some(position) = next {
            return Err(Failure::Chains(file(), position + 2));
        }
        let properties = self.properties(&chain[0])?;
        if let Some(what) = contradiction(&properties, &chain[0].der) {
            return Err(Failure::Contradiction { file: file(), what });
        }
        let ders: Vec<&[u8]> = chain.iter().map(|filed| &*filed.der).collect();
        Ok(pem::chain_with_properties(&properties.encode()?, &ders))
    }

    /// What the arguments say, else the file, else the certificate.
    fn properties(&self, leaf: &Filed) -> Result<CertificateProperties, Failure> {
        let mut properties = match (self.trust_anchor, self.landmark, &leaf.properties) {
            (Some(id), ..) => CertificateProperties::of_anchor(id),
            (None, None, Some(Ok(stated))) => stated.clone(),
            (None, None, Some(Err(error))) => {
                return Err(Failure::Properties(self.file.clone(), error.clone()));
            }
            (None, landmark, _) => {
                let landmark = landmark.map(LandmarkNumber);
                chain_properties::properties(&leaf.der, landmark).map_err(|source| {
                    Failure::Unknown {
                        file: self.file.clone(),
                        hint: match source {
                            UnknownProperties::DirectlySigned => " (--trust-anchor)",
                            UnknownProperties::Landmark => " (--landmark)",
                            _ => "",
                        },
                        source,
                    }
                })?
            }
        };
        properties.negotiation |= self.only_if_named;
        Ok(properties)
    }
}
