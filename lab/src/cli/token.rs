//! `mtc5g token DIR INSTANCE`

mod acme;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use experiment::files::{self, WriteError};
use mtc_core::time::UnixTime;
use nf_nrf::config::NrfConfig;
use sbi::config::ConfigError;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::exit::{DONE, fail};
use super::output::say;
use crate::pki::{CmpEnrolment, PkiError, PlannedInstance, mint_cmp, mint_token, renew_token};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct TokenArguments {
    /// Folder of the lab, made by mtc5g init
    folder: PathBuf,
    /// NF instance id of the network function that will enrol again, as in [[instance]] of its configuration; with --nf-type, any UUID
    #[arg(value_parser = instance_id)]
    instance: Uuid,
    /// NF type of an instance that is new to the lab, such as that of a sidecar, up to 32 characters
    #[arg(
        long,
        value_name = "TYPE",
        requires = "fqdn",
        conflicts_with = "protocol"
    )]
    nf_type: Option<String>,
    /// FQDN of an instance that is new to the lab
    #[arg(long, requires = "nf_type")]
    fqdn: Option<String>,
    /// Hours for which the token is valid
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
    hours: u64,
    /// Mint a reference number and secret for CMP (RFC 9810) instead, as a configuration of openssl cmp; nrf.toml must have [cmp]
    #[arg(long, group = "protocol")]
    cmp: bool,
    /// Mint an external account for ACME (RFC 8555) instead, as a configuration of certbot; nrf.toml must have [acme]
    #[arg(long, group = "protocol")]
    acme: bool,
    /// Profile of the certificate that is asked for by CMP or ACME: mtc, or an X.509 one such as x509-ecdsa-p256-intermediate
    #[arg(long, default_value = sbi::enrolment::MTC_PROFILE, requires = "protocol")]
    profile: String,
}

/// Why nothing is minted for CMP or ACME.
#[derive(Debug, thiserror::Error)]
enum MintError {
    /// What the NRF serves is not known.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The NRF does not serve the protocol.
    #[error(
        "the NRF serves no {protocol}: add these lines at the end of {}, with a free port, and start it again\n\n{lines}",
        configuration.display()
    )]
    NotServed {
        /// Which.
        protocol: &'static str,
        /// Of the NRF.
        configuration: PathBuf,
        /// What it lacks.
        lines: &'static str,
    },
    /// Minting.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The file.
    #[error("cannot create {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Reads an NF instance id; what is none is told where those of a lab are.
pub(super) fn instance_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| {
        "not an NF instance id: the lab's tokens/ID.jwt and id in [[instance]] of amf.toml, smf.toml and scp.toml have them".to_owned()
    })
}

impl TokenArguments {
    pub(super) fn run(self) -> ExitCode {
        let now = mtc_tls::clock::Clock::default().now();
        let lifetime = Duration::from_secs(self.hours * 3600);
        if self.cmp {
            return match self.write_cmp(lifetime, now) {
                Ok(path) => {
                    say(format_args!(
                        "wrote {path}, valid for {} h and one certificate; use it with\n  openssl cmp -config {path} -newkey KEY.pem -certout CERT.pem",
                        self.hours,
                        path = path.display(),
                    ));
                    ExitCode::from(DONE)
                }
                Err(error) => fail(&error),
            };
        }
        if self.acme {
            return match self.write_acme(lifetime, now) {
                Ok(acme::Written { path, root }) => {
                    say(format_args!(
                        "wrote {path}, valid for {} h and one account; use it with\n  REQUESTS_CA_BUNDLE={root} certbot certonly --config {path}",
                        self.hours,
                        path = path.display(),
                        root = root.display(),
                    ));
                    ExitCode::from(DONE)
                }
                Err(error) => fail(&error),
            };
        }
        let minted = match self.nf_type.clone().zip(self.fqdn.clone()) {
            None => renew_token(&self.folder, self.instance, lifetime, now),
            Some((nf_type, fqdn)) => {
                let new = PlannedInstance {
                    nf_type,
                    instance_id: self.instance,
                    fqdn,
                };
                mint_token(&self.folder, &new, lifetime, now)
            }
        };
        match minted {
            Ok(path) => {
                say(format_args!(
                    "wrote {}, valid for {} h and one certificate",
                    path.display(),
                    self.hours
                ));
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }

    fn write_cmp(&self, lifetime: Duration, now: UnixTime) -> Result<PathBuf, MintError> {
        let nrf = self.folder.join("nrf.toml");
        let server = sbi::config::load::<NrfConfig>(&nrf)?.cmp;
        let server = server.ok_or(MintError::NotServed {
            protocol: "CMP",
            configuration: nrf,
            lines: "[cmp]\nlisten = \"127.0.0.10:7780\"\nsecrets = \"enrolment/cmp.key\"\n",
        })?;
        let server = server.listen;
        let minted = mint_cmp(&self.folder, self.instance, lifetime, now)?;
        let path = self
            .folder
            .join("tokens")
            .join(format!("{}.cmp.cnf", self.instance));
        let text = openssl_configuration(
            self.instance,
            &server.to_string(),
            &self.profile,
            &minted,
            &path,
        );
        files::write_whole_as(&path, files::SECRET, text.as_bytes())
            .map_err(|WriteError { path, source }| MintError::Write { path, source })?;
        Ok(path)
    }
}

/// The section `cmp` of an OpenSSL configuration, which `openssl cmp -config` reads its options from.
fn openssl_configuration(
    instance: Uuid,
    server: &str,
    profile: &str,
    minted: &CmpEnrolment,
    path: &Path,
) -> Zeroizing<String> {
    let CmpEnrolment { reference, secret } = minted;
    Zeroizing::new(format!(
        "# Enrolment of NF instance {instance} by CMP, once. Whoever has this file can enrol as that instance.
#   openssl cmp -config {path} -newkey KEY.pem -certout CERT.pem
[cmp]
cmd = ir
server = {server}
path = /.well-known/cmp/p/{profile}
ref = {reference}
secret = pass:{secret}
# A Merkle Tree Certificate has no signature by whose hash a client could confirm that it has it.
implicit_confirm = 1
",
        path = path.display(),
        reference = reference.as_str(),
        secret = secret.as_str(),
    ))
}
