//! `mtc5g mirror`

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mtc_mirror::config::MirrorConfig;
use mtc_tls::key::{KeyAlgorithm, NfKey, NfKeyError};
use sbi::command_line::NfArguments;
use sbi::config::ConfigError;
use sbi::cosigner::{self, CosignerError};
use sbi::trust_file::{CosignerEntry, GroupEntry};
use serde::Serialize;
use thiserror::Error;

use super::exit::{DONE, fail};
use super::output::print;

/// Arguments of the mirror's process.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "See docs/runbook.md, \"A mirror\".")]
pub(super) struct MirrorArguments {
    #[command(flatten)]
    process: NfArguments,
    /// Make the private key that the configuration names, unless there is one, print what belongs into trust.toml, and end
    #[arg(long)]
    create_key: bool,
}

/// Why there is no key.
#[derive(Debug, Error)]
enum KeyError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot make a key")]
    Key(#[from] NfKeyError),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Cosigner(#[from] CosignerError),
}

/// What belongs into a trust file.
#[derive(Serialize)]
struct Tables {
    cosigner: [CosignerEntry; 1],
    group: [GroupEntry; 1],
}

impl MirrorArguments {
    /// Runs the mirror until it ends.
    pub(super) async fn run(self) -> ExitCode {
        if !self.create_key {
            return self.process.run(mtc_mirror::run).await;
        }
        match create_key(&self.process.config) {
            Ok(tables) => {
                print(&tables);
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }
}

/// Makes the key that a configuration names, and tells how others know it. Blocks on the disk.
fn create_key(config: &Path) -> Result<String, KeyError> {
    let config = MirrorConfig::load(config)?;
    let pem = NfKey::generate(KeyAlgorithm::MlDsa44)?.to_pem()?;
    match write_new(&config.key, pem.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        written => written.map_err(|source| KeyError::Write {
            path: config.key.clone(),
            source,
        })?,
    }
    let key = cosigner::read_key(&config.id, &config.key)?;
    let tables = Tables {
        cosigner: [CosignerEntry::from(key.cosigner())],
        group: [GroupEntry {
            required: 1,
            members: vec![config.id],
        }],
    };
    let tables = toml::to_string(&tables).expect("texts and a number have a TOML form");
    Ok(format!("\n{tables}"))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
