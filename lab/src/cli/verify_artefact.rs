//! `mtc5g verify-artefact FILE`

use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mtc_core::tlog_proof::MAX_PROOF;
use mtc_core::verify::CaTrust;
use mtc_tools::artefact::{ArtefactDigest, Notarised, verify};
use mtc_tools::public_log::CheckpointSignature;
use serde::Serialize;
use thiserror::Error;

use super::exit::{DONE, fail};
use super::log::signatures_text;
use super::notarise::{digest_of, proof_of};
use super::output::{print_json, say, usage};
use super::trust::TrustArguments;

/// A file to verify
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g verify-artefact results.json --trust notary
  mtc5g verify-artefact --digest sha256:2c26... --proof image.tlog-proof --trust trust.toml

Nothing is fetched: the proof holds the checkpoint that the notary and its witnesses signed. When they signed is the time at which the file
was as it is now, at the latest.

Exit status: 0 verified, 1 not verified, 2 usage.
Formats: docs/notary.md.")]
pub(super) struct VerifyArtefactArguments {
    /// The file
    #[arg(required_unless_present = "digest", conflicts_with = "digest")]
    file: Option<PathBuf>,
    /// The digest of what is not here: sha256: and 64 hexadecimal digits
    #[arg(long, requires = "proof")]
    digest: Option<ArtefactDigest>,
    /// Its proof [default: FILE.tlog-proof]
    #[arg(long, value_name = "PROOF")]
    proof: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trust: TrustArguments,
}

#[derive(Debug, Error)]
enum Unverified {
    #[error("give --trust, the notary's trust.toml: anybody can write a proof")]
    NoTrust,
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

#[derive(Serialize)]
struct Document {
    digest: String,
    log: String,
    index: u64,
    size: u64,
    signatures: Vec<CheckpointSignature>,
}

impl VerifyArtefactArguments {
    pub(super) fn run(self) -> ExitCode {
        let command = "verify-artefact";
        let trust = match self.trust.resolve() {
            Ok(Some(trust)) => trust,
            Ok(None) => return usage(&Unverified::NoTrust, command),
            Err(error) => return usage(&error, command),
        };
        match self.verify(&trust) {
            Ok((digest, notarised)) => self.report(digest, notarised),
            Err(error) => return fail(&*error),
        }
        ExitCode::from(DONE)
    }

    fn verify(&self, trust: &CaTrust) -> Result<(ArtefactDigest, Notarised), Box<dyn Error>> {
        let unread = |path: &Path| {
            let path = path.to_owned();
            |source| Unverified::Read { path, source }
        };
        let digest = match (&self.file, self.digest) {
            (_, Some(digest)) => digest,
            (file, None) => {
                let file = file.as_deref().unwrap_or_else(|| Path::new("")); // clap requires one of the two
                digest_of(file).map_err(unread(file))?
            }
        };
        let beside = self.file.as_deref().map(proof_of);
        let path = self.proof.clone().or(beside).unwrap_or_default();
        let proof = read_proof(&path).map_err(unread(&path))?;
        Ok((digest, verify(digest, &proof, trust)?))
    }

    fn report(&self, digest: ArtefactDigest, notarised: Notarised) {
        let Notarised {
            index,
            origin,
            size,
            signatures,
        } = notarised;
        if self.json {
            return print_json(&Document {
                digest: digest.to_string(),
                log: origin,
                index: index.0,
                size: size.0,
                signatures,
            });
        }
        say(format_args!(
            "verified: {digest}\n  entry       {index} of {origin}, which had {size} entries\n  signatures  {}",
            signatures_text(&signatures)
        ));
    }
}

/// A byte more than a proof may have is read: it is then refused for its length.
fn read_proof(path: &Path) -> io::Result<Vec<u8>> {
    let mut proof = Vec::new();
    let most = MAX_PROOF as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut proof)?;
    Ok(proof)
}
