//! The line that a stored signed checkpoint has before its note: who has opened the log last.

use bytes::Bytes;
use uuid::Uuid;

const WRITER: &str = "writer ";

/// A note as `writer` stores it.
pub(crate) fn with_writer(writer: Uuid, note: &[u8]) -> Bytes {
    let line = format!("{WRITER}{writer}\n");
    [line.as_bytes(), note].concat().into()
}

/// Who has stored it. Nobody known, if it came from a folder.
pub(crate) fn writer_of(stored: &[u8]) -> Option<Uuid> {
    let end = stored.iter().position(|byte| *byte == b'\n')?;
    let line = str::from_utf8(&stored[..end]).ok()?;
    line.strip_prefix(WRITER)?.parse().ok()
}

/// The note.
pub(crate) fn without_writer(stored: &[u8]) -> &[u8] {
    let end = stored.iter().position(|byte| *byte == b'\n');
    match end.filter(|_| writer_of(stored).is_some()) {
        Some(end) => &stored[end + 1..],
        None => stored,
    }
}
