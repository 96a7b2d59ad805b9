//! `mtc5g notarise FILE...`

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use experiment::files::{WriteError, write_whole};
use mtc_core::id::TrustAnchorId;
use mtc_tools::artefact::ArtefactDigest;
use serde::Serialize;
use thiserror::Error;
use tokio::task::spawn_blocking;

use super::exit::{DONE, fail};
use super::output::{print_json, say};
use crate::notary::Notary;

/// What a proof's file is called, behind the name of the artefact (c2sp.org/tlog-proof).
const EXTENSION: &str = ".tlog-proof";

/// Files to notarise
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g notarise results.json --notary notary --id 32473.100     makes the notary, once
  mtc5g notarise nrf.toml amf.toml --notary notary
  mtc5g notarise --digest sha256:2c26... --notary notary         an image that is in a registry

Each digest becomes an entry of the notary's log; its proof is written to FILE.tlog-proof, or sha256-HEX.tlog-proof here. Whoever has the
proof and the notary's trust.toml checks the file with mtc5g verify-artefact, without a network.

Exit status: 0 notarised, 1 not, 2 usage.
Formats: docs/notary.md.")]
pub(super) struct NotariseArguments {
    /// Files whose digests are logged
    #[arg(required_unless_present = "digests")]
    files: Vec<PathBuf>,
    /// A digest to log as it is: sha256: and 64 hexadecimal digits
    #[arg(long = "digest", value_name = "DIGEST")]
    digests: Vec<ArtefactDigest>,
    /// Folder of the notary: its key, its log, and the trust.toml that goes to whoever verifies
    #[arg(long, value_name = "DIR")]
    notary: PathBuf,
    /// Trust anchor ID of the notary, with which it is made if it is not there yet, such as 32473.100
    #[arg(long, value_name = "ID")]
    id: Option<TrustAnchorId>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Why nothing was logged.
#[derive(Debug, Error)]
enum Refused {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{} is there already: it proves an earlier time than a new one would; move it away if the artefact has changed",
        .0.display()
    )]
    Exists(PathBuf),
}

/// What was notarised, in the JSON document.
#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    digest: String,
    index: u64,
    proof: String,
}

impl NotariseArguments {
    pub(super) async fn run(self) -> ExitCode {
        match self.notarise().await {
            Ok(rows) if self.json => print_json(&rows),
            Ok(rows) => {
                for Row {
                    digest,
                    index,
                    proof,
                    ..
                } in rows
                {
                    say(format_args!("wrote {proof}: {digest} is entry {index}"));
                }
            }
            Err(error) => return fail(&*error),
        }
        ExitCode::from(DONE)
    }

    async fn notarise(&self) -> Result<Vec<Row>, Box<dyn Error>> {
        let files = self.files.iter().map(|path| {
            let digest = digest_of(path).map_err(|source| Refused::Read {
                path: path.clone(),
                source,
            })?;
            Ok((Some(path.display().to_string()), digest, proof_of(path)))
        });
        let digests = self.digests.iter().map(|digest| {
            let name = digest.to_string().replace(':', "-");
            Ok((None, *digest, proof_of(Path::new(&name))))
        });
        let wanted: Vec<_> = files.chain(digests).collect::<Result<_, Refused>>()?;
        let mut proofs = wanted.iter().map(|(_, _, proof)| proof);
        if let Some(proof) = proofs.find(|proof| proof.exists()) {
            return Err(Refused::Exists(proof.clone()).into());
        }
        let (folder, id) = (self.notary.clone(), self.id);
        let notary = spawn_blocking(move || Notary::open(&folder, id)).await??;
        let digests: Vec<_> = wanted.iter().map(|(_, digest, _)| *digest).collect();
        let proofs = notary.notarise(&digests).await?;
        let rows = wanted.into_iter().zip(proofs);
        let rows = rows.map(|((file, digest, path), proof)| {
            write_whole(&path, proof.encode().as_bytes())?;
            Ok(Row {
                file,
                digest: digest.to_string(),
                index: proof.index.0,
                proof: path.display().to_string(),
            })
        });
        Ok(rows.collect::<Result<_, WriteError>>()?)
    }
}

/// The digest of a file.
pub(super) fn digest_of(path: &Path) -> io::Result<ArtefactDigest> {
    ArtefactDigest::of(File::open(path)?)
}

/// Where the proof of a file is.
pub(super) fn proof_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(EXTENSION);
    name.into()
}

/// Notarises a file with a notary that is there, and writes its proof beside it in place of an earlier one.
///
/// # Errors
/// The file cannot be read, the notary not be used, or the proof not be written.
pub(super) async fn notarise_file(path: &Path, notary: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let digest = digest_of(path)?;
    let folder = notary.to_owned();
    let notary = spawn_blocking(move || Notary::open(&folder, None)).await??;
    let place = proof_of(path);
    for proof in notary.notarise(&[digest]).await? {
        write_whole(&place, proof.encode().as_bytes())?;
    }
    Ok(place)
}
