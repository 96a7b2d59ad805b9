//! The world in which inputs are judged: a CA with two logs, a witness, and everything that they have ever signed.
//!
//! All of it follows from constants, so that an input means the same in every process. Only ML-DSA signatures differ from
//! process to process; they are valid in all of them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mtc_core::cosign::{CosignedMessage, Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{EntryIndex, LogId, LogNumber, TreeSize, TrustAnchorId, serial};
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, MemoryTree, Subtree, consistency_proof, covering_subtrees, inclusion_proof, leaf_hash,
    subtree_hash,
};
use mtc_core::verify::{CaTrust, CosignerGroup, RevokedRange, TrustedSubtree};
use mtc_core::x509::extension;
use mtc_core::{der, oid};
use mtc_log::{CosigningKey, Object, Storage, StorageError};
use sha2::{Digest, Sha256};

use crate::oracle;

/// When everything happens.
pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);

/// PKCS#8 up to the 32 bytes from which the key follows (RFC 8410, RFC 5915, RFC 9881).
const ED25519_PKCS8: &[u8] = &[
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
const P256_PKCS8: &[u8] = &[
    0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 3, 1, 7, 4, 0x27, 0x30, 0x25, 2, 1, 1, 4, 0x20,
];
const ML_DSA_44_PKCS8: &[u8] = &[
    0x30, 0x34, 2, 1, 0, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17, 4, 0x22, 0x80,
    0x20,
];

/// The PKCS#8 form of the key that follows from `label`; of the algorithms that have one in 32 bytes and are used here.
pub(crate) fn pkcs8(algorithm: SignatureAlgorithm, label: &str) -> Vec<u8> {
    let head = match algorithm {
        SignatureAlgorithm::Ed25519 => ED25519_PKCS8,
        SignatureAlgorithm::EcdsaP256 => P256_PKCS8,
        SignatureAlgorithm::MlDsa44 => ML_DSA_44_PKCS8,
        other => unreachable!("no {other} key is used here"),
    };
    [head, &Sha256::digest(label)].concat()
}

pub(crate) fn secret(algorithm: SignatureAlgorithm, label: &str) -> SecretKey {
    SecretKey::from_pkcs8(algorithm, &pkcs8(algorithm, label)).expect("a key")
}

pub(crate) fn cosigner(algorithm: SignatureAlgorithm, id: &str) -> Cosigner {
    Cosigner {
        id: self::id(id),
        key: secret(algorithm, id).public_key().expect("a key"),
    }
}

pub(crate) fn cosigning_key(id: &str) -> CosigningKey {
    let secret = secret(SignatureAlgorithm::MlDsa44, id);
    CosigningKey::new(self::id(id), secret).expect("a key")
}

pub(crate) fn id(text: &str) -> TrustAnchorId {
    text.parse().expect("a trust anchor ID")
}

/// The CA. Its certificates are cosigned with Ed25519, its checkpoints signed with ML-DSA-44: the former is faster to
/// check, the latter is what notes need.
pub(crate) const CA: &str = "32473.1";
/// The witness. One more than the CA, so that a small change makes the two equal.
pub(crate) const WITNESS: &str = "32473.2";

pub(crate) fn log(number: u64) -> LogId {
    LogId::new(id(CA), LogNumber::new(number).expect("not 0")).expect("short")
}

/// What the CA has issued: an entry of its log 1 and the certificates for it.
pub(crate) struct IssuedEntry {
    pub(crate) entry: MtcLogEntry,
    pub(crate) standalone: Vec<u8>,
    pub(crate) landmark_relative: Vec<u8>,
}

/// Log 1 with its certificates, and a relying party.
pub(crate) struct Pki {
    pub(crate) issued: Vec<IssuedEntry>,
    /// Trusts the CA's and the witness's cosignatures.
    pub(crate) cosigners: CaTrust,
    /// Trusts the landmark's subtrees, too, and revokes an entry.
    pub(crate) trust: CaTrust,
    /// Trust in the CA that remembers verified subtrees.
    pub(crate) remembering: CaTrust,
    pub(crate) tree: MemoryTree,
    pub(crate) ca_certificate: CaCertificate,
}

/// Entries of the log; a batch's subtrees and a landmark's are then of unequal height and ragged.
const ENTRIES: u64 = 13;
/// Tree size at the landmark before.
const PREVIOUS_LANDMARK: u64 = 5;
/// The revoked entry of log 1: the sibling of one whose certificates are accepted.
const REVOKED: u64 = 1;
/// The entry with extensions in the log entry.
const EXTENDED: u64 = 7;

/// The serial number that the relying party refuses although its certificate is sound.
pub(crate) fn revoked_serial() -> u64 {
    serial(log(1).number(), EntryIndex(REVOKED)).expect("small")
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

impl Pki {
    fn new() -> Self {
        let log = log(1);
        let ca_certificate = CaCertificate {
            cosigner: cosigner(SignatureAlgorithm::Ed25519, CA),
            min_serial: 1 << 48,
            max_serial: (3 << 48) - 1,
            prefix_url: Some("http://nrf.test:8080".to_owned()),
        };
        let witness = cosigner(SignatureAlgorithm::Ed25519, WITNESS);
        let group = CosignerGroup::new(vec![witness], 1).expect("1 of 1");
        let cosigners = CaTrust::ca_alone(&ca_certificate)
            .require(group)
            .expect("the witness is not the CA");

        let entries: Vec<MtcLogEntry> = (0..ENTRIES).map(entry).collect();
        let tree: MemoryTree = entries
            .iter()
            .map(|entry| leaf_hash(&entry.encode().expect("short")))
            .collect();
        let landmark = covering_subtrees(PREVIOUS_LANDMARK, ENTRIES);
        let mut trust = cosigners.with_trusted_subtrees(landmark.map(|subtree| TrustedSubtree {
            log_number: log.number(),
            subtree,
            hash: hash_of(&tree, subtree),
        }));
        let revoked = revoked_serial();
        trust.revoke(RevokedRange {
            first: revoked,
            last: revoked,
        });
        let issued = entries
            .into_iter()
            .zip(0..)
            .map(|(entry, index)| IssuedEntry {
                standalone: certificate(&tree, index, batch_subtree(index), true),
                landmark_relative: landmark
                    .into_iter()
                    .find(|subtree| subtree.contains(EntryIndex(index)))
                    .map(|subtree| certificate(&tree, index, subtree, false))
                    .unwrap_or_default(),
                entry,
            })
            .collect();
        let capacity = NonZeroUsize::new(16).expect("not 0");
        Self {
            issued,
            remembering: trust.clone().remembering(capacity),
            cosigners,
            trust,
            ca_certificate,
            tree,
        }
    }

    /// Certificates that the relying party accepts, of few entries, so that each can be mutated often: the first of the log,
    /// the one with extensions, and the last, which stands at the ragged edge.
    pub(crate) fn acceptable(&self) -> Vec<Vec<u8>> {
        [0, EXTENDED, ENTRIES - 1]
            .iter()
            .map(|index| &self.issued[*index as usize])
            .flat_map(|issued| [issued.standalone.clone(), issued.landmark_relative.clone()])
            .filter(|certificate| !certificate.is_empty())
            .collect()
    }
}

/// The subtree of the batch `[0, 3)`, `[3, 8)` or `[8, 13)` that holds the entry.
fn batch_subtree(index: u64) -> Subtree {
    let (start, end) = match index {
        0..3 => (0, 3),
        3..8 => (3, 8),
        _ => (8, ENTRIES),
    };
    covering_subtrees(start, end)
        .into_iter()
        .find(|subtree| subtree.contains(EntryIndex(index)))
        .expect("covered")
}

pub(crate) fn hash_of(tree: &MemoryTree, subtree: Subtree) -> Hash {
    let Ok(hash) = subtree_hash(tree, subtree);
    hash
}

fn subject(index: u64) -> Vec<u8> {
    let value = der::element(der::UTF8_STRING, &[format!("nf{index}").as_bytes()]);
    let attribute = der::element(
        der::SEQUENCE,
        &[&der::element(der::OID, &[&[0x55, 4, 3]]), &value],
    );
    der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])])
}

fn with_fields<T>(index: u64, work: impl FnOnce(&CertificateFields<'_>) -> T) -> T {
    let key_usage = extension(oid::KEY_USAGE, true, &[3, 2, 7, 0x80]);
    let key = cosigner(SignatureAlgorithm::Ed25519, &format!("32473.7.{index}")).key;
    work(&CertificateFields {
        issuer: &id(CA),
        not_before: NOW,
        not_after: UnixTime(NOW.0 + 7 * 86_400),
        subject: &subject(index),
        spki: &key.to_spki(),
        extensions: &der::element(der::SEQUENCE, &[&key_usage]),
    })
}

fn entry_extensions(index: u64) -> Vec<(u16, Vec<u8>)> {
    if index == EXTENDED {
        vec![(1, vec![1, 2, 3]), (2, Vec::new())]
    } else {
        Vec::new()
    }
}

fn entry(index: u64) -> MtcLogEntry {
    let entry = with_fields(index, |fields| fields.log_entry().expect("a key"));
    MtcLogEntry {
        extensions: entry_extensions(index),
        ..entry
    }
}

fn certificate(tree: &MemoryTree, index: u64, subtree: Subtree, signed: bool) -> Vec<u8> {
    let Ok(proof) = inclusion_proof(tree, EntryIndex(index), subtree);
    let (log, hash) = (log(1), hash_of(tree, subtree));
    let cosign = |name: &str| {
        let message = CosignedMessage {
            cosigner: &id(name),
            log: &log,
            timestamp: UnixTime(0),
            subtree,
            hash: &hash,
        };
        message
            .sign(&secret(SignatureAlgorithm::Ed25519, name))
            .expect("a key that signs")
    };
    let cosigners: &[&str] = if signed { &[CA, WITNESS] } else { &[] };
    let proof = MtcProof {
        extensions: entry_extensions(index),
        subtree,
        inclusion_proof: proof,
        signatures: cosigners.iter().map(|name| cosign(name)).collect(),
    };
    with_fields(index, |fields| {
        fields
            .certificate(log.number(), EntryIndex(index), &proof)
            .expect("within all bounds")
    })
}

/// Entries of the longest tree of each history.
pub(crate) const HISTORY_LENGTH: u64 = 21;
/// Entries that both histories have in common.
pub(crate) const COMMON: u64 = 6;

/// What a CA that cheats has signed: two histories of its log 1, with a checkpoint for every size of both, and an empty tree
/// that is not empty.
pub(crate) struct Histories {
    pub(crate) forks: [Fork; 2],
    /// A checkpoint note of size 0 with [`FALSE_ROOT`].
    pub(crate) false_empty: Vec<u8>,
    pub(crate) ca: CosigningKey,
    pub(crate) witness: Cosigner,
}

/// One of them.
pub(crate) struct Fork {
    pub(crate) leaves: Vec<Hash>,
    /// By size: the checkpoint note, signed by the CA.
    pub(crate) notes: Vec<Vec<u8>>,
}

/// A root that is not that of the empty tree.
pub(crate) const FALSE_ROOT: Hash = [7; 32];

pub(crate) static HISTORIES: LazyLock<Histories> = LazyLock::new(Histories::new);

impl Histories {
    fn new() -> Self {
        let fork = |number: u8| {
            let leaf = |index: u64| leaf_hash(&[number * u8::from(index >= COMMON), index as u8]);
            let leaves: Vec<Hash> = (0..HISTORY_LENGTH).map(leaf).collect();
            let notes = (0..=leaves.len())
                .map(|size| signed_note(size as u64, oracle::tree_hash(&leaves[..size])))
                .collect();
            Fork { leaves, notes }
        };
        Self {
            forks: [fork(0), fork(1)],
            false_empty: signed_note(0, FALSE_ROOT),
            ca: cosigning_key(CA),
            witness: cosigner(SignatureAlgorithm::MlDsa44, WITNESS),
        }
    }

    /// A checkpoint note of log 1 with the witness's cosignature below the CA's.
    pub(crate) fn cosigned(&self, note: &[u8]) -> Vec<u8> {
        let log = log(1);
        let signed = SignedCheckpoint::parse(note, &log).expect("a checkpoint");
        let key = secret(SignatureAlgorithm::MlDsa44, WITNESS);
        let line = signed
            .checkpoint
            .cosign(&log, &id(WITNESS), &key, NOW)
            .expect("a key that signs");
        [note, line.to_line().as_bytes()].concat()
    }

    /// Whether the CA has signed a tree of this size with this root.
    pub(crate) fn was_signed(&self, size: u64, root: Hash) -> bool {
        self.forks.iter().any(|fork| fork.root(size) == Some(root))
            || (size, root) == (0, FALSE_ROOT)
    }
}

impl Fork {
    /// The tree's root when it had this size, if it ever had.
    pub(crate) fn root(&self, size: u64) -> Option<Hash> {
        self.hash(0, size)
    }

    /// The tree hash of some of the leaves.
    pub(crate) fn hash(&self, start: u64, end: u64) -> Option<Hash> {
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        self.leaves.get(range).map(oracle::tree_hash)
    }

    /// The consistency proof of a subtree in the tree of some size; empty when there is none.
    pub(crate) fn proof(&self, subtree: Subtree, size: u64) -> Vec<Hash> {
        let tree: MemoryTree = self.leaves.iter().take(size as usize).copied().collect();
        let Ok(proof) = consistency_proof(&tree, subtree, TreeSize(size));
        proof
    }
}

fn signed_note(size: u64, root: Hash) -> Vec<u8> {
    let log = log(1);
    let checkpoint = Checkpoint {
        origin: log.origin(),
        size: TreeSize(size),
        root,
    };
    let key = secret(SignatureAlgorithm::MlDsa44, CA);
    let line = checkpoint
        .cosign(&log, &id(CA), &key, NOW)
        .expect("a key that signs");
    let note = SignedNote {
        text: checkpoint.to_text(),
        signatures: vec![line],
    };
    note.encode().into_bytes()
}

/// A storage in memory whose writes can be made to fail.
#[derive(Default)]
pub(crate) struct MemoryStorage {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    next_write: AtomicU8,
}

/// What the next write does.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Fails, and nothing is stored.
    Lost = 1,
    /// Fails, though the bytes are stored.
    Stored = 2,
}

impl MemoryStorage {
    pub(crate) fn fail_next_write(&self, fault: Fault) {
        self.next_write.store(fault as u8, Ordering::Relaxed);
    }

    pub(crate) fn stored(&self) -> Vec<Vec<u8>> {
        self.objects().values().cloned().collect()
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        let fault = self.next_write.swap(0, Ordering::Relaxed);
        if fault != Fault::Lost as u8 {
            self.objects().insert(object.to_string(), bytes.to_vec());
        }
        if fault == 0 {
            return Ok(());
        }
        Err(StorageError::Io {
            operation: "write",
            path: object.to_string().into(),
            source: std::io::ErrorKind::StorageFull.into(),
        })
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.objects().get(&object.to_string()).cloned())
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.objects().is_empty())
    }
}
