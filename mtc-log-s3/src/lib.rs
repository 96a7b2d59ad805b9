//! An issuance log on an object store: [`mtc_log::Storage`] over conditional writes of the S3 protocol.
//!
//! ```text
//! s3://bucket/prefix/
//!   lock                      holder, writer, until when     swapped every ten seconds     Lease: who may begin to write
//!   state/signed-checkpoint   "writer <uuid>\n" and the note  swapped                      fence: who still may
//!   state/..., log/checkpoint, log/landmarks                  swapped
//!   log/tile/...                                              created; replaced only where no signed checkpoint covers them
//!
//! swap:    PUT If-Match <what this writer has read or written last>      412: somebody else wrote, so this writer stops
//! create:  PUT If-None-Match: *                                          412: equal bytes are as good; others, see below
//! ```
//!
//! A disk has a kernel that gives a lock up with its process. Here two things take its place. The **lease** keeps a second
//! writer from beginning while a first is alive; it trusts clocks, so it is for order and not for safety. The **fence** is
//! for safety: whoever opens a log swaps `state/signed-checkpoint` for one with its own writer line (an ETag may be a hash of
//! the content, so that writing the same bytes again would fence nobody out), and from that moment no checkpoint of an
//! earlier writer can be signed: its swap fails. Before anything else is replaced, the fence is read.
//!
//! | what an earlier writer still tries | what comes of it |
//! |---|---|
//! | a new tile | created, if the new writer has not been there: junk beyond the signed checkpoint, as after a crash |
//! | to replace a tile | it has read the tile first and the fence then; the tile that the new writer has signed has another ETag |
//! | to sign a checkpoint | refused: another writer line |
//! | to publish a checkpoint or landmark | the fence is read first. In the moment after that, what it publishes is true of a log that goes on from it, and the new writer's next swap fails rather than to undo it |
//!
//! **Lost answers**: where it is unknown whether a write was carried out, the object is read back; where that fails too, the next
//! write of it finds out first. **What changes is read once** and then known, since nobody else writes it: readers of the
//! log cost the store one request a tile and none a checkpoint.
//!
//! [`Storage`](mtc_log::Storage) is synchronous. Requests are made on a thread of this crate's, so that whoever waits for one need
//! not be in a runtime.

mod fence;
mod lease;
mod location;
mod objects;
mod s3;
mod storage;
mod store;
mod worker;

pub use self::location::Location;
pub use self::s3::{ConnectError, Credentials, connect};
pub use self::storage::ObjectStorage;
pub use self::store::Store;
