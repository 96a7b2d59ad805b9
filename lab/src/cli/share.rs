//! `mtc5g share`

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit::{DONE, fail};

/// As /tmp: everybody may make files, which only their owner and that of the folder may remove.
const SHARED: u32 = 0o1777;
/// Whether somebody else may write.
const OTHERS_WRITE: u32 = 0o002;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ShareArguments {
    /// The folder
    folder: PathBuf,
}

impl ShareArguments {
    pub(super) fn run(&self) -> ExitCode {
        match share(&self.folder) {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&error),
        }
    }
}

/// Lets every user write into a folder, unless they may already. Blocks on the disk.
fn share(folder: &Path) -> io::Result<()> {
    let failed = |error: io::Error| {
        let text = format!("cannot let others write into {}: {error}", folder.display());
        io::Error::new(error.kind(), text)
    };
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & OTHERS_WRITE != 0 {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(SHARED)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn others_may_write_into_a_shared_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (before, after) in [(0o755, SHARED), (0o700, SHARED), (0o777, 0o777)] {
            fs::set_permissions(folder.path(), Permissions::from_mode(before)).unwrap();
            share(folder.path()).unwrap();
            assert_eq!(mode(folder.path()), after);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = share(Path::new("/nowhere/results")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot let others write into /nowhere/results: No such file or directory (os error 2)"
        );
    }
}
