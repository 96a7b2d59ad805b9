//! `mtc5g identity export LAB NF DIR`, `mtc5g identity connect LAB NF ADDRESS NAME`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::exit::{DONE, fail};
use super::output::say;
use crate::identity::{Form, connect, export};
use mtc_core::verify::Basis;
use mtc_tls::handshake::Connected;
use mtc_tls::profile::ConnectionProfile;

/// What to do with the identities of a lab.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum IdentityCommand {
    /// Write the keys and certificates of a network function for openssl, curl, Python and others
    Export(ExportArguments),
    /// Connect to a server as a network function would, and say who is there and by what that was verified
    Connect(ConnectArguments),
}

impl IdentityCommand {
    pub(super) async fn run(self) -> ExitCode {
        match self {
            Self::Export(arguments) => arguments.run(),
            Self::Connect(arguments) => arguments.run().await,
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
    /// Write PEM, and before each Merkle Tree Certificate the properties by which servers of others choose it
    #[arg(long)]
    properties: bool,
    /// Write DER, a file a certificate
    #[arg(long, conflicts_with_all = ["pem", "properties"])]
    der: bool,
}

impl ExportArguments {
    fn run(self) -> ExitCode {
        let form = match (self.der, self.properties) {
            (true, _) => Form::Der,
            (false, true) => Form::PemWithProperties,
            (false, false) => Form::Pem,
        };
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

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g identity connect lab amf1 127.0.0.1:7777 nrf1.5gc.mnc001.mcc001.3gppnetwork.org
  mtc5g identity connect lab amf1 127.0.0.1:9443 smf1.5gc.mnc001.mcc001.3gppnetwork.org --profile mtc-standalone/ecdsa-p256/X25519

The server may be of any kind; it must show a certificate of the lab for the name. A profile is what both ends trust, the keys and the
key exchange, as in the results of a run.

Exit status: 0 a handshake, 1 none, 2 usage.")]
pub(super) struct ConnectArguments {
    /// Folder of the lab
    lab: PathBuf,
    /// As which network function: amf1, its FQDN or its instance id
    nf: String,
    /// Where the server is
    address: SocketAddr,
    /// The server's name, which its certificate must have
    name: String,
    /// In which way
    #[arg(long, default_value = "mtc-landmark/ecdsa-p256/X25519MLKEM768")]
    profile: ConnectionProfile,
}

impl ConnectArguments {
    async fn run(self) -> ExitCode {
        let connected = connect(&self.lab, &self.nf, self.address, &self.name, self.profile);
        match connected.await {
            Ok(connected) => {
                say(format_args!("{}", text(&connected)));
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }
}

/// Who was met, in a line, and in others by what and for how much.
fn text(connected: &Connected) -> String {
    let Connected { peer, cost, .. } = connected;
    let basis = match peer.verification.basis {
        Some(Basis::TrustedSubtree) => "in a trusted subtree",
        Some(Basis::VerifiedSubtree | Basis::Cosignatures) => "by its cosignatures",
        None => "below its root",
    };
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    format!(
        "server       {} ({}), {}\n\
         certificate  {}, verified {basis}\n\
         presented    {}\n\
         negotiated   {}, {}, {}, ALPN {}\n\
         bytes        {} sent, {} received",
        peer.identity.instance_id,
        peer.identity.nf_types.join(", "),
        peer.identity.fqdns.join(", "),
        peer.kind,
        or_none(cost.presented.map(mtc_tls::kind::CertificateKind::as_str)),
        or_none(cost.negotiated.version),
        or_none(cost.negotiated.cipher_suite),
        or_none(cost.group.as_deref()),
        or_none(cost.negotiated.alpn.as_deref()),
        cost.bytes_sent,
        cost.bytes_received,
    )
}
