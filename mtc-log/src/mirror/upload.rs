//! One upload: packages are proven one by one, and stored some at a time.

use std::ops::Range;
use std::sync::Arc;

use mtc_core::time::UnixTime;

use super::UploadRefusal;
use super::log::MirroredLog;
use super::request::{MirrorInfo, Package, UploadError, UploadHeader};
use crate::checkpoint::CaCheckpoint;

/// So much is stored at a time: making it durable takes as long as for a single package.
const BATCH_ENTRIES: usize = 32 * 256;
/// As before, in bytes.
const BATCH_BYTES: usize = 4 << 20;

/// An upload that may go on. Its methods block on the storage.
pub struct Upload {
    log: Arc<MirroredLog>,
    /// What the proofs lead to.
    target: CaCheckpoint,
    header: UploadHeader,
    /// Index of the first entry that has not been proven.
    next: u64,
    /// Proven and not stored; the last ones before `next`.
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
}

/// What an upload has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// All entries are stored: the mirror's cosignature lines on the checkpoint.
    Mirrored(Vec<u8>),
    /// Some are, and this is where to go on.
    Partly(MirrorInfo),
}

impl Upload {
    pub(super) fn new(log: Arc<MirroredLog>, target: CaCheckpoint, header: &UploadHeader) -> Self {
        Self {
            log,
            target,
            header: header.clone(),
            next: header.start,
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// The entries of the next package; none after the last.
    pub fn expected(&self) -> Option<Range<u64>> {
        let rest = UploadHeader {
            start: self.next,
            ..self.header.clone()
        };
        rest.packages().next()
    }

    /// Whether it has brought anything, or has nothing to bring.
    pub const fn has_some(&self) -> bool {
        let UploadHeader { start, end, .. } = self.header;
        self.next > start || start == end
    }

    /// Bytes of entries that it holds: 4 MiB at most, and a package.
    pub const fn held(&self) -> usize {
        self.batch_bytes
    }

    /// Takes the next package.
    ///
    /// # Errors
    /// Its proof does not hold, or the storage failed. The upload is over then.
    pub fn add(&mut self, package: Package) -> Result<(), UploadRefusal> {
        self.log
            .check(self.next, &package, &self.batch, &self.target)?;
        self.next += package.entries.len() as u64;
        self.batch_bytes += package.entries.iter().map(Vec::len).sum::<usize>();
        self.batch.extend(package.entries);
        if self.batch.len() >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES {
            self.save()?;
            if self.next < self.header.end {
                self.log.remember(self.header.end)?;
            }
        }
        Ok(())
    }

    /// Stores what has come. If that was all, the checkpoint becomes the mirror's, and is cosigned.
    ///
    /// # Errors
    /// There was no package where there should be one; the checkpoint has been overtaken; the clock is wrong; the storage failed.
    pub fn finish(mut self, now: UnixTime) -> Result<Uploaded, UploadRefusal> {
        let UploadHeader { start, end, .. } = self.header;
        if start < end && self.next == start {
            return Err(UploadError::NoPackage.into());
        }
        self.save()?;
        if self.next < end {
            return self.log.remember(end).map(Uploaded::Partly);
        }
        self.log.mirror(&self.target, now).map(Uploaded::Mirrored)
    }

    fn save(&mut self) -> Result<(), UploadRefusal> {
        let start = self.next - self.batch.len() as u64;
        self.log.save(start, &self.batch, self.header.end)?;
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}
