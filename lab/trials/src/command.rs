//! Which command is tried, and how long anything may take.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;

/// How long anything may take: far more than it does, so that only what hangs is caught.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static CHOSEN: OnceLock<Chosen> = OnceLock::new();

struct Chosen {
    binary: PathBuf,
    keep: Option<PathBuf>,
}

/// The command cannot be tried.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error("no {}: build it with `cargo build -p lab`, or name it with --command", .0.display())]
    Missing(PathBuf),
    #[error("where is this program? {0}")]
    Own(#[from] std::io::Error),
}

/// Chooses the command, by default the sibling of this program, and where the lab of a violation is kept.
pub(crate) fn choose(binary: Option<PathBuf>, keep: Option<PathBuf>) -> Result<(), CommandError> {
    let binary = match binary {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("mtc5g"),
    };
    if !binary.is_file() {
        return Err(CommandError::Missing(binary));
    }
    let binary = binary.canonicalize()?;
    CHOSEN.get_or_init(|| Chosen { binary, keep });
    Ok(())
}

fn chosen() -> &'static Chosen {
    CHOSEN.get().expect("chosen before any trial begins")
}

/// The command's file.
pub(crate) fn binary() -> PathBuf {
    chosen().binary.clone()
}

/// Where the lab of a violation is copied to.
pub(crate) fn keep() -> Option<&'static Path> {
    chosen().keep.as_deref()
}
