//! A CA, a witness, their keys, and what a log should look like.

use std::sync::Arc;

use mtc_core::checkpoint::Checkpoint;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TreeSize, TrustAnchorId};
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, MemoryTree, leaf_hash};
use mtc_log::{CosigningKey, IssuanceLog, OpenError, Storage, TreeReader};

/// When everything happens.
pub const NOW: UnixTime = UnixTime(1_800_000_000);

/// The names and keys of a CA and a witness. Keys are kept encoded, since those who sign own theirs.
pub struct World {
    /// The log's ID.
    pub log: LogId,
    ca: Vec<u8>,
    witness: Vec<u8>,
}

impl World {
    /// New names and keys, and log 1.
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let log = LogId::new(id("32473.1"), LogNumber::FIRST).expect("a short ID");
        Self {
            log,
            ca: secret(),
            witness: secret(),
        }
    }

    /// A world with this one's CA and witness, and log `number` of that CA.
    pub fn with_log(&self, number: u64) -> Self {
        let number = LogNumber::new(number).expect("a log number");
        Self {
            log: LogId::new(*self.log.ca(), number).expect("a short ID"),
            ca: self.ca.clone(),
            witness: self.witness.clone(),
        }
    }

    /// The key that the log is signed with.
    pub fn ca_key(&self) -> CosigningKey {
        key(*self.log.ca(), &self.ca)
    }

    /// The witness's key.
    pub fn witness_key(&self) -> CosigningKey {
        key(id("32473.9"), &self.witness)
    }

    /// The key of a witness beside the world's, a new one each time.
    pub fn another_witness_key(&self, witness: &str) -> CosigningKey {
        key(id(witness), &secret())
    }

    /// The public half of [`World::ca_key`].
    pub fn ca(&self) -> Cosigner {
        self.ca_key().cosigner().clone()
    }

    /// The note of a checkpoint that the CA has signed, whether or not there is such a log.
    pub fn signed_note(&self, size: u64, root: Hash) -> Vec<u8> {
        let checkpoint = Checkpoint {
            origin: self.log.origin(),
            size: TreeSize(size),
            root,
        };
        let secret = secret_key(&self.ca);
        let line = checkpoint.cosign(&self.log, self.log.ca(), &secret, NOW);
        let note = SignedNote {
            text: checkpoint.to_text(),
            signatures: vec![line.expect("an ML-DSA-44 key")],
        };
        note.encode().into_bytes()
    }

    /// Creates the log.
    pub fn create<S: Storage>(&self, storage: &Arc<S>) -> IssuanceLog {
        let storage: Arc<dyn Storage> = storage.clone();
        IssuanceLog::create(storage, self.log, self.ca_key(), NOW)
            .expect("an empty storage that works")
    }

    /// Opens the log.
    ///
    /// # Errors
    /// There is none, or it cannot go on.
    pub fn open<S: Storage>(&self, storage: &Arc<S>) -> Result<IssuanceLog, OpenError> {
        IssuanceLog::open(storage.clone(), self.log, self.ca_key())
    }
}

/// A trust anchor ID.
pub fn id(text: &str) -> TrustAnchorId {
    text.parse().expect("a trust anchor ID")
}

fn secret() -> Vec<u8> {
    SecretKey::generate(SignatureAlgorithm::MlDsa44)
        .and_then(|key| key.to_pkcs8())
        .expect("a new key")
        .to_vec()
}

fn secret_key(pkcs8: &[u8]) -> SecretKey {
    SecretKey::from_pkcs8(SignatureAlgorithm::MlDsa44, pkcs8).expect("its own encoding")
}

fn key(id: TrustAnchorId, pkcs8: &[u8]) -> CosigningKey {
    CosigningKey::new(id, secret_key(pkcs8)).expect("a key with a public half")
}

/// Entries that tell where they come from.
pub fn entries(label: &str, count: u64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| format!("{label} {number}").into_bytes())
        .collect()
}

/// Every entry of a tree, from its bundles.
pub fn all_entries(reader: &TreeReader) -> Vec<Vec<u8>> {
    let bundles = 0..reader.size().0.div_ceil(256);
    bundles
        .flat_map(|number| reader.bundle(number).expect("a bundle of the tree"))
        .collect()
}

/// The tree over entries, made without tiles.
pub fn tree_of(entries: &[Vec<u8>]) -> MemoryTree {
    entries.iter().map(|entry| leaf_hash(entry)).collect()
}
