//! A Merkle Tree CA and its witness in memory.
//!
//! ```text
//! log, log, sequence ──> a batch      ──> standalone certificates, cosigned by CA and witness
//! landmark           ──> its subtrees ──> landmark-relative certificates
//! ```

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::cosign::{CosignedMessage, Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LandmarkNumber, LogId, LogNumber, TrustAnchorId, serial};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    MemoryTree, Subtree, covering_subtrees, inclusion_proof, leaf_hash, subtree_hash,
};
use mtc_core::verify::{CaTrust, CosignerGroup, TrustedSubtree};

use crate::nf::Leaf;

/// Someone who cosigns.
pub(crate) struct Signer {
    cosigner: Cosigner,
    secret: SecretKey,
}

impl Signer {
    pub(crate) fn new(id: &str) -> Self {
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        let id = id.parse().expect("a trust anchor ID");
        let key = secret.public_key().expect("a key");
        Self {
            cosigner: Cosigner { id, key },
            secret,
        }
    }

    pub(crate) const fn id(&self) -> TrustAnchorId {
        self.cosigner.id
    }
}

/// The CA, its one witness and its one log.
pub(crate) struct Mtca {
    pub(crate) ca: Signer,
    pub(crate) witness: Signer,
    log: LogId,
    tree: MemoryTree,
    leaves: Vec<Leaf>,
    /// Tree sizes at which batches end, after a 0.
    batches: Vec<u64>,
    /// Tree sizes of the landmarks, that of landmark 0 first.
    landmarks: Vec<u64>,
}

impl Mtca {
    pub(crate) fn new(id: &str) -> Self {
        let ca = Signer::new(id);
        Self {
            log: LogId::new(ca.id(), LogNumber::FIRST).expect("short"),
            ca,
            witness: Signer::new("32473.9"),
            tree: MemoryTree::new(),
            leaves: Vec::new(),
            batches: vec![0],
            landmarks: vec![0],
        }
    }

    pub(crate) const fn log_id(&self) -> &LogId {
        &self.log
    }

    /// The index of the leaf's entry, which this logs.
    pub(crate) fn log(&mut self, leaf: &Leaf) -> u64 {
        let entry = self
            .fields(leaf)
            .log_entry()
            .expect("a key")
            .encode()
            .expect("short");
        let index = self.tree.size().0;
        self.tree.push(leaf_hash(&entry));
        self.leaves.push(leaf.clone());
        index
    }

    /// The index of the first entry for a key.
    pub(crate) fn index_of(&self, spki: &[u8]) -> u64 {
        self.leaves
            .iter()
            .position(|leaf| leaf.spki == spki)
            .expect("a logged key") as u64
    }

    /// Ends a batch with the entries that were logged so far.
    pub(crate) fn sequence(&mut self) {
        self.batches.push(self.tree.size().0);
    }

    /// Makes a landmark of the batches so far.
    pub(crate) fn landmark(&mut self) {
        self.landmarks.push(self.tree.size().0);
    }

    /// The serial number of entry `index`.
    pub(crate) fn serial(&self, index: u64) -> u64 {
        serial(self.log.number(), EntryIndex(index)).expect("below 2^48")
    }

    /// The standalone certificate of entry `index` as relying parties want it.
    pub(crate) fn standalone(&self, index: u64) -> Vec<u8> {
        self.certificate(index, self.batch_subtree(index), &[&self.ca, &self.witness])
    }

    /// The number of the landmark for entry `index`, and the landmark-relative certificate.
    pub(crate) fn landmark_relative(&self, index: u64) -> (LandmarkNumber, Vec<u8>) {
        let (landmark, subtree) = holding(&self.landmarks, index);
        (
            LandmarkNumber(landmark),
            self.certificate(index, subtree, &[]),
        )
    }

    /// The subtree of its batch that holds entry `index`.
    pub(crate) fn batch_subtree(&self, index: u64) -> Subtree {
        holding(&self.batches, index).1
    }

    /// The subtree of its landmark that holds entry `index`.
    pub(crate) fn landmark_subtree(&self, index: u64) -> Subtree {
        holding(&self.landmarks, index).1
    }

    /// The certificate for entry `index` with a proof to `subtree` and the cosignatures of `signers`.
    pub(crate) fn certificate(&self, index: u64, subtree: Subtree, signers: &[&Signer]) -> Vec<u8> {
        let hash = self.trusted(subtree).hash;
        let cosign = |signer: &&Signer| {
            let message = CosignedMessage {
                cosigner: &signer.cosigner.id,
                log: &self.log,
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
        let leaf = &self.leaves[usize::try_from(index).expect("an entry in memory")];
        self.fields(leaf)
            .certificate(self.log.number(), EntryIndex(index), &proof)
            .expect("a key and a short proof")
    }

    /// Trust in CA and witness.
    pub(crate) fn trust(&self) -> CaTrust {
        let certificate = CaCertificate {
            cosigner: self.ca.cosigner.clone(),
            min_serial: self.serial(0),
            max_serial: self.serial((1 << 48) - 1),
            prefix_url: None,
        };
        let witness = CosignerGroup::new(vec![self.witness.cosigner.clone()], 1);
        CaTrust::ca_alone(&certificate)
            .require(witness.expect("1 of 1"))
            .expect("not the CA")
    }

    /// The subtrees of the landmarks up to `newest`.
    pub(crate) fn trusted_subtrees(&self, newest: LandmarkNumber) -> Vec<TrustedSubtree> {
        let known = usize::try_from(newest.0).expect("a small number") + 1;
        self.landmarks[..known]
            .windows(2)
            .flat_map(|sizes| covering_subtrees(sizes[0], sizes[1]))
            .filter(|subtree| subtree.start() < subtree.end())
            .map(|subtree| self.trusted(subtree))
            .collect()
    }

    fn trusted(&self, subtree: Subtree) -> TrustedSubtree {
        let Ok(hash) = subtree_hash(&self.tree, subtree);
        TrustedSubtree {
            log_number: self.log.number(),
            subtree,
            hash,
        }
    }

    fn fields<'a>(&'a self, leaf: &'a Leaf) -> CertificateFields<'a> {
        CertificateFields {
            issuer: &self.ca.cosigner.id,
            not_before: leaf.validity.not_before,
            not_after: leaf.validity.not_after,
            subject: &leaf.subject,
            spki: &leaf.spki,
            extensions: &leaf.extensions,
        }
    }
}

/// Between which of these tree sizes entry `index` came, and the covering subtree that holds it.
fn holding(sizes: &[u64], index: u64) -> (u64, Subtree) {
    let number = sizes
        .iter()
        .position(|size| index < *size)
        .expect("a sequenced entry");
    let subtrees = covering_subtrees(sizes[number - 1], sizes[number]);
    let subtree = subtrees
        .into_iter()
        .find(|subtree| subtree.contains(EntryIndex(index)));
    (number as u64, subtree.expect("covering subtrees cover"))
}
