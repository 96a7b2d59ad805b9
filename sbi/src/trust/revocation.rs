//! What the CA has revoked, as its newest log shows it: a signed list ([`mtc_core::revocation_list`]).
//!
//! ```text
//!  log N ── revoked ──> signed by the CA? ──> number greater than before? ──> kept on disk ──> trust
//!                              no: refused          smaller, or the same with other contents: refused, the last list stays
//! ```
//!
//! A list that is stale is still true: nothing that is revoked becomes good again. So it stays in force and is told of, and whoever keeps
//! the next list from being fetched does not get a revoked certificate accepted that was refused before.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::HeaderValue;
use mtc_core::causes::Causes;
use mtc_core::cosign::Cosigner;
use mtc_core::id::LogNumber;
use mtc_core::revocation_list::{RevocationList, RevocationListError};
use mtc_web::Tagged;
use tokio::task::spawn_blocking;

use super::TrustError;
use super::source::LogSource;
use crate::durable::Folder;

/// The list that was applied last, in the folder of a process's state.
const FILE: &str = "revoked";

/// Why a list is not applied; the one before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// It is not one, or not the CA's.
    #[error("the list of revoked serial numbers")]
    List(#[from] RevocationListError),
    /// An older one than was applied before.
    #[error("the list of revoked serial numbers went back from number {before} to {now}")]
    WentBack {
        /// The number of the list that was applied last.
        before: u64,
        /// The number of this one.
        now: u64,
    },
    /// The CA has signed two lists with one number.
    #[error("there are two lists of revoked serial numbers with number {0}")]
    Forked(u64),
    /// There was one before.
    #[error("the log serves no list of revoked serial numbers any more; the last was number {0}")]
    Gone(u64),
    /// The list that was applied last cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not the one that was written.
    #[error(
        "{} is damaged: restore it, or remove it, after which any list of the CA is taken, an old one too",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RevocationListError,
    },
}

/// The list that is in force, and where it is kept.
#[derive(Debug, Default)]
pub(super) struct Revocation {
    list: Option<RevocationList>,
    /// The bytes of the list, which are most often the same again.
    note: Bytes,
    /// The log that shows the list in force, and the list's tag there: it need not be sent again.
    tag: Option<(LogNumber, HeaderValue)>,
    kept: Option<Arc<Folder>>,
}

impl Revocation {
    /// What is in force; none if the CA has shown none yet.
    pub(super) const fn list(&self) -> Option<&RevocationList> {
        self.list.as_ref()
    }

    /// The signed list that is in force.
    pub(super) const fn note(&self) -> &Bytes {
        &self.note
    }

    /// Keeps lists in a folder from now on, and begins with the one that is there. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read, or is not the CA's.
    pub(super) fn keep_in(&mut self, folder: &Path, ca: &Cosigner) -> Result<(), RevocationError> {
        let path = folder.join(FILE);
        let failed = |source| RevocationError::Read {
            path: path.clone(),
            source,
        };
        let kept = Folder::open(folder.to_owned()).map_err(failed)?;
        match std::fs::read(&path) {
            Ok(note) => {
                let list = RevocationList::verify(&note, ca);
                let list = list.map_err(|source| RevocationError::Damaged { path, source })?;
                (self.list, self.note) = (Some(list), note.into());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        self.kept = Some(Arc::new(kept));
        Ok(())
    }

    /// Asks a log for the list, and returns whether there is another one than before.
    ///
    /// Dropping the future keeps the list that was in force.
    ///
    /// # Errors
    /// See [`TrustError`]; the list that was in force stays.
    pub(super) async fn update(
        &mut self,
        source: &LogSource,
        log: LogNumber,
        ca: &Cosigner,
    ) -> Result<bool, TrustError> {
        let known = { self.tag.take() }.filter(|(of, _)| *of == log);
        let tag = known.as_ref().map(|(_, tag)| tag);
        let fetched = source.fetch_unless(log, "revoked", tag).await;
        let Tagged { bytes: note, tag } = match (fetched, &self.list) {
            (Ok(Some(file)), _) => file,
            (Ok(None), _) => {
                self.tag = known;
                return Ok(false);
            }
            (Err(error), list) if error.status() == Some(StatusCode::NOT_FOUND) => {
                return match list {
                    None => Ok(false),
                    Some(list) => Err(RevocationError::Gone(list.number).into()),
                };
            }
            (Err(error), _) => return Err(error),
        };
        let tag = tag.map(|tag| (log, tag));
        // A list that is refused is to be sent again.
        let applied = self.take(note, ca).await?;
        self.tag = tag;
        Ok(applied)
    }

    /// Applies a list, and returns whether it is another one than before.
    ///
    /// # Errors
    /// It is none of the CA, or is not newer than the one in force, which stays.
    pub(super) async fn take(
        &mut self,
        note: Bytes,
        ca: &Cosigner,
    ) -> Result<bool, RevocationError> {
        if note == self.note {
            return Ok(false);
        }
        let list = RevocationList::verify(&note, ca)?;
        if let Some(before) = &self.list {
            if list.number < before.number {
                let (before, now) = (before.number, list.number);
                return Err(RevocationError::WentBack { before, now });
            }
            if list.number == before.number {
                // The same, signed once more, is no other.
                return if list == *before {
                    Ok(false)
                } else {
                    Err(RevocationError::Forked(list.number))
                };
            }
        }
        self.keep(note.clone()).await;
        tracing::info!(
            number = list.number,
            ranges = list.ranges.len(),
            "applying another list of revoked serial numbers"
        );
        (self.list, self.note) = (Some(list), note);
        Ok(true)
    }

    /// That a list cannot be kept is no reason not to apply it.
    async fn keep(&self, note: Bytes) {
        let Some(folder) = self.kept.clone() else {
            return;
        };
        let written = spawn_blocking(move || folder.replace(FILE, &note)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(error = %Causes(&error), "cannot keep the list of revoked serial numbers: a restart would take an older one");
        }
    }
}
