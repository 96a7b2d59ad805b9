//! Sending a mirror the entries of a job's checkpoint (c2sp.org/tlog-mirror).
//!
//! ```text
//! add-checkpoint ──> add-entries from where it is believed to be ──> 202, 409: from where it says ──> ... ──> 200: cosignature
//! ```

use std::sync::Arc;

use mtc_core::id::TreeSize;
use tokio::task::spawn_blocking;

use super::{Job, Witness, WitnessError};
use crate::mirror::{MirrorInfo, UploadHeader, Uploaded, upload_body};

/// Answers that ask for no later entry than the one before: the first tells where the mirror is.
const MAX_SETBACKS: usize = 2;

/// Sends a mirror, which knows the job's checkpoint, what it lacks of it. The answer is cosignature lines.
pub(super) async fn upload<W: Witness>(
    mirror: &W,
    job: &Job,
    believed: TreeSize,
) -> Result<Vec<u8>, WitnessError> {
    let size = job.checkpoint.size();
    let mut header = UploadHeader {
        origin: job.log.origin(),
        start: believed.0,
        end: size.0,
        ticket: Vec::new(),
    };
    let mut setbacks = 0;
    loop {
        let MirrorInfo {
            size: wanted,
            next,
            ticket,
        } = match mirror.add_entries(body(job, header.clone()).await?).await? {
            Uploaded::Mirrored(lines) => return Ok(lines),
            Uploaded::Partly(info) => info,
        };
        setbacks += usize::from(next <= header.start);
        if wanted != size || next > size.0 || setbacks > MAX_SETBACKS {
            return Err(WitnessError::Stalled { next, size: wanted });
        }
        header.start = next;
        header.ticket = ticket;
    }
}

async fn body(job: &Job, header: UploadHeader) -> Result<Vec<u8>, WitnessError> {
    let (trees, root) = (Arc::clone(&job.trees), job.checkpoint.root());
    let make = move || upload_body(&header, &trees.open(TreeSize(header.end), root)?);
    Ok(spawn_blocking(make).await??)
}
