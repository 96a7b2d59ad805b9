//! The issuance log of a Merkle Tree CA on local disk, and the states of a witness and of a mirror.
//!
//! ```text
//! entry --Issuer--> queue --Sequencer--> IssuanceLog: tiles -> signed checkpoint      storage: Object by Object, each
//!                              |                                    |                 durable and whole or not there
//!                              |<-- covering subtrees, CA cosignatures
//!                              |--- add-checkpoint, sign-subtree --> Witness ( ... WitnessStore at the other end )
//!                              |
//!                              |                                   ( ... MirrorStore: with the entries )
//!                              |--> IssuanceLog: published checkpoint --> LandmarkStore: landmarks
//!                              v
//! Certified: index, standalone certificate       (Issued: what one is made of, for entries of other kinds)
//! ```
//!
//! Three promises. **Durable before visible**: a checkpoint, a certificate, a landmark or a cosignature leaves this crate only
//! when what it rests on would survive a power failure. **Never two histories**: after a failed write a log refuses to go on
//! until it has been opened again, opening checks what is stored against the signed checkpoint, and one process at a
//! time writes. **Nothing unchecked is signed**: what a batch has written is read back, hashed, and proven to extend the
//! old tree first; everything else is checked, when it is read, up to the signed root.
//!
//! A log costs what its batch costs, not what its size would: appending reads and writes the right edge, a proof reads one
//! tile of leaves, and the tiles above are few enough to stay in [`Trees`] (`benches/large_log.rs`).
//!
//! [`IssuanceLog`], [`LandmarkStore`], [`TreeReader`], [`WitnessStore`] and [`MirrorStore`] are synchronous and block on the storage;
//! [`Sequencer`] is asynchronous and calls the log on threads that may block. HTTP is left to others: a log is served
//! from [`DirectoryStorage::served_directory`] or by [`Object::served_at`], and a [`Witness`] is reached however its
//! implementor likes.
//!
//! Formats: c2sp.org/tlog-tiles, mtc-tlog, tlog-checkpoint, tlog-cosignature, tlog-witness, tlog-mirror; sections are those of
//! draft-ietf-plants-merkle-tree-certs as `mtc-core` has it.

mod checkpoint;
pub mod encoding;
mod issuance;
mod landmarks;
pub mod lock_file;
mod log;
mod mirror;
mod restore;
mod sequencer;
mod served;
mod step;
mod storage;
mod tiles;
mod witness;

pub use self::checkpoint::{CaCheckpoint, CosigningKey};
pub use self::issuance::{Witness, WitnessError, WitnessFailure};
pub use self::landmarks::{
    LandmarkPolicy, LandmarkProof, LandmarkStore, LandmarkStoreError, newest_landmark_size,
};
pub use self::log::{
    AppendError, Batch, CosignError, IssuanceLog, MAX_ENTRY_SIZE, MAX_LOG_SIZE, OpenError,
    Poisoned, PublishError,
};
pub use self::mirror::{
    LandmarkCopyError, LogFolders, LogStorages, MIRROR_INFO_CONTENT_TYPE, MirrorInfo,
    MirrorOpenError, MirrorProgress, MirrorStore, Package, Upload, UploadError, UploadHeader,
    UploadReader, UploadRefusal, Uploaded, upload_body,
};
pub use self::restore::{RestoreError, restore};
pub use self::sequencer::{
    Certified, CertifyError, Clock, IssueError, Issued, Issuer, Sequencer, SequencerConfig,
    SequencerConfigError, SequencerError,
};
pub use self::served::read_served;
pub use self::step::{BatchStep, Observer, WitnessFault};
pub use self::storage::{DirectoryStorage, Object, Storage, StorageError, read_object, superseded};
pub use self::tiles::{Inspection, Repaired, TreeError, TreeReader, Trees, repair};
pub use self::witness::{
    AddCheckpoint, CONFLICT_CONTENT_TYPE, MAX_PROOF_HASHES, MAX_REQUEST_SIZE, Refusal,
    RequestError, SignSubtree, WitnessOpenError, WitnessStore, WitnessedLog,
};
