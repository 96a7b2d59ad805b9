//! An MTCA's log in memory: what a log server shows of it, and the certificates in it.
//!
//! ```text
//! entry      0 ... 10 ... 256 . 290 . 300 ..... 590 . 600 ....... 700
//! landmark               1           2               3
//!                  └─ the NF ─┴──────────────────┘
//! ```

use std::sync::Arc;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::checkpoint::Checkpoint;
use mtc_core::cosign::{CosignedMessage, Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LandmarkNumber, LogId, LogNumber, TreeSize, TrustAnchorId, serial};
use mtc_core::note::SignedNote;
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    HashReader as _, MemoryTree, Subtree, covering_subtrees, inclusion_proof, leaf_hash,
    subtree_hash,
};
use mtc_core::verify::{CaTrust, CosignerGroup};
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{Credential, LandmarkCredential, MtcCredential};
use mtc_tls::identity::NfSubject;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use uuid::Uuid;

pub(crate) const FQDN: &str = "smf1.5gc.mnc001.mcc001.3gppnetwork.org";
/// Tree sizes of the landmarks, that of landmark 0 first. What landmark 1 needs lies in full tiles and at the right
/// edge, what landmark 2 needs in a tile that no other needs.
const LANDMARKS: [u64; 4] = [0, 256, 300, 600];
/// Entries that certify the NF, one below each landmark.
pub(crate) const CERTIFIED: [u64; 3] = [10, 290, 590];
/// Entries in the log.
pub(crate) const SIZE: u64 = 700;
pub(crate) const LIFETIME_SECONDS: u64 = 3600;

/// Someone who cosigns.
pub(crate) struct Signer {
    pub(crate) cosigner: Cosigner,
    secret: SecretKey,
}

impl Signer {
    pub(crate) fn new(id: &str) -> Self {
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        let id = id.parse().expect("a trust anchor ID");
        let key = secret.public_key().expect("a public half");
        Self {
            cosigner: Cosigner { id, key },
            secret,
        }
    }

    pub(crate) const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    pub(crate) const fn id(&self) -> TrustAnchorId {
        self.cosigner.id
    }
}

/// The log, who signs it, and the NF that is certified in it.
pub(crate) struct Log {
    pub(crate) id: LogId,
    pub(crate) ca: Arc<Signer>,
    pub(crate) witness: Arc<Signer>,
    pub(crate) now: UnixTime,
    tree: MemoryTree,
    subject: NfSubject,
    key: NfKey,
}

impl Log {
    /// The CA's first log.
    pub(crate) fn new() -> Self {
        let (ca, witness) = (Signer::new("32473.1"), Signer::new("32473.9"));
        let now = Clock::default().now();
        Self::of(Arc::new(ca), Arc::new(witness), LogNumber::FIRST, now)
    }

    /// Another log of the CA, of the same size and time.
    pub(crate) fn sibling(&self, number: u64) -> Self {
        let number = LogNumber::new(number).expect("a log number");
        Self::of(self.ca.clone(), self.witness.clone(), number, self.now)
    }

    fn of(ca: Arc<Signer>, witness: Arc<Signer>, number: LogNumber, now: UnixTime) -> Self {
        let subject = NfSubject::new(
            "DE",
            "5gc.mnc001.mcc001.3gppnetwork.org",
            Uuid::new_v4(),
            &["SMF".to_owned()],
            &[FQDN.to_owned()],
        );
        let mut log = Self {
            id: LogId::new(ca.id(), number).expect("a short ID"),
            ca,
            witness,
            now,
            tree: MemoryTree::new(),
            subject: subject.expect("legal"),
            key: NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness"),
        };
        for index in 0..SIZE {
            let entry = if CERTIFIED.contains(&index) {
                log.entry()
            } else {
                format!("entry {index}").into_bytes()
            };
            log.tree.push(leaf_hash(&entry));
        }
        log
    }

    /// Trust in the CA together with the witness.
    pub(crate) fn policy(&self) -> CaTrust {
        let certificate = CaCertificate {
            cosigner: self.ca.cosigner.clone(),
            min_serial: serial(LogNumber::FIRST, EntryIndex(0)).expect("an index"),
            max_serial: u64::MAX,
            prefix_url: None,
        };
        let witness = CosignerGroup::new(vec![self.witness.cosigner.clone()], 1);
        CaTrust::ca_alone(&certificate)
            .require(witness.expect("1 of 1"))
            .expect("not the CA")
    }

    /// The landmarks document up to landmark `newest`.
    pub(crate) fn landmarks(&self, newest: usize) -> String {
        let mut document = format!("{newest}\n");
        for number in (1..=newest).rev() {
            let expiry = self.now.0 + LIFETIME_SECONDS + number as u64;
            document.push_str(&format!("{} {expiry}\n", LANDMARKS[number]));
        }
        document + "0 0\n"
    }

    /// The checkpoint of the first `size` entries with the cosignatures of `signers`.
    pub(crate) fn checkpoint(&self, size: u64, signers: &[&Signer]) -> Vec<u8> {
        let Ok(root) = subtree_hash(&self.tree, Subtree::whole(TreeSize(size)));
        let checkpoint = Checkpoint {
            origin: self.id.origin(),
            size: TreeSize(size),
            root,
        };
        let sign = |signer: &&Signer| {
            checkpoint
                .cosign(&self.id, &signer.id(), &signer.secret, self.now)
                .expect("a key that signs")
        };
        let note = SignedNote {
            text: checkpoint.to_text(),
            signatures: signers.iter().map(sign).collect(),
        };
        note.encode().into_bytes()
    }

    /// The hash tiles of the first `size` entries by their paths.
    pub(crate) fn tiles(&self, size: u64) -> Vec<(TilePath, Vec<u8>)> {
        let mut tiles = Vec::new();
        for level in 0.. {
            let (kind, size) = (TileKind::Hashes(level), TreeSize(size));
            let hashes = kind.count_in(size);
            if hashes == 0 {
                return tiles;
            }
            for first in (0..hashes).step_by(TILE_WIDTH as usize) {
                let path = TilePath::holding(kind, first, size);
                let path = path.expect("on this level");
                let node = |index| {
                    let Ok(hash) = self.tree.node(TILE_HEIGHT * level, index);
                    hash
                };
                let hashes = first..first + u64::from(path.width);
                tiles.push((path, hashes.flat_map(node).collect()));
            }
        }
        tiles
    }

    /// What the NF presents for entry `index`: a standalone certificate, and the one of its landmark.
    pub(crate) fn credential(&self, index: u64) -> MtcCredential {
        let landmark = LANDMARKS.iter().position(|size| index < *size);
        let landmark = landmark.expect("an entry below a landmark");
        let covering = covering_subtrees(LANDMARKS[landmark - 1], LANDMARKS[landmark]);
        let subtree = covering
            .into_iter()
            .find(|subtree| subtree.contains(EntryIndex(index)))
            .expect("covering subtrees cover");
        let standalone = self.certificate(
            index,
            Subtree::whole(TreeSize(SIZE)),
            &[&self.ca, &self.witness],
        );
        let landmark = LandmarkCredential {
            log_number: self.id.number(),
            landmark: LandmarkNumber(landmark as u64),
            credential: self.certificate(index, subtree, &[]),
        };
        MtcCredential::new(standalone, Some(landmark))
    }

    fn certificate(&self, index: u64, subtree: Subtree, signers: &[&Signer]) -> Credential {
        let Ok(hash) = subtree_hash(&self.tree, subtree);
        let cosign = |signer: &&Signer| {
            let message = CosignedMessage {
                cosigner: &signer.cosigner.id,
                log: &self.id,
                timestamp: UnixTime(0),
                subtree,
                hash: &hash,
            };
            message.sign(&signer.secret).expect("a key that signs")
        };
        let Ok(inclusion_proof) = inclusion_proof(&self.tree, EntryIndex(index), subtree);
        let proof = MtcProof {
            extensions: Vec::new(),
            subtree,
            inclusion_proof,
            signatures: signers.iter().map(cosign).collect(),
        };
        let certificate = self
            .with_fields(|fields| fields.certificate(self.id.number(), EntryIndex(index), &proof));
        let chain = vec![certificate.expect("a short proof")];
        Credential::new(chain, &self.key, self.not_after()).expect("a certificate of the key")
    }

    fn entry(&self) -> Vec<u8> {
        let entry = self.with_fields(|fields| fields.log_entry());
        entry.expect("a key").encode().expect("short")
    }

    fn with_fields<T>(&self, work: impl FnOnce(CertificateFields<'_>) -> T) -> T {
        work(CertificateFields {
            issuer: self.id.ca(),
            not_before: UnixTime(self.now.0 - LIFETIME_SECONDS),
            not_after: self.not_after(),
            subject: &self.subject.name_der(),
            spki: self.key.spki_der(),
            extensions: &self.subject.extensions_der(),
        })
    }

    const fn not_after(&self) -> UnixTime {
        UnixTime(self.now.0 + LIFETIME_SECONDS)
    }
}
