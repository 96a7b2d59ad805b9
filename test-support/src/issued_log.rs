//! A Merkle Tree CA with a witness and its log in a folder, and the files that people would have of them.
//!
//! ```text
//! FOLDER/trust.toml  ca.pem  ca.der  witness.pub  witness.der        whom to trust
//! FOLDER/log/log/{checkpoint,landmarks,tile/...}                      the log, as the NRF keeps it
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::checkpoint::sign_subtree_line;
use mtc_core::cosign::{Cosignature, CosignedMessage, Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{EntryIndex, LogId, LogNumber, TrustAnchorId, serial};
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{Subtree, covering_subtrees};
use mtc_log::{
    Batch, CosigningKey, DirectoryStorage, IssuanceLog, LandmarkPolicy, LandmarkStore, Storage,
};
use mtc_tls::identity::NfSubject;
use mtc_tls::pem;
use sbi::trust_file::{CosignerEntry, GroupEntry, TrustDocument};
use tempfile::TempDir;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);
/// What landmarks need to be apart; none is waited for.
const NO_TIME: Duration = Duration::from_secs(0);

/// The keys of a CA and its witness, from which logs can be made.
pub struct Keys {
    ca: Vec<u8>,
    witness: Vec<u8>,
    subject: Vec<u8>,
}

impl Keys {
    /// New keys.
    pub fn generate() -> Self {
        let secret = |algorithm| {
            SecretKey::generate(algorithm)
                .and_then(|key| key.to_pkcs8())
                .expect("a new key")
                .to_vec()
        };
        let subject = SecretKey::generate(SignatureAlgorithm::EcdsaP256)
            .and_then(|key| key.public_key())
            .expect("a new key");
        Self {
            ca: secret(SignatureAlgorithm::MlDsa44),
            witness: secret(SignatureAlgorithm::MlDsa44),
            subject: subject.to_spki(),
        }
    }

    fn secret(pkcs8: &[u8]) -> SecretKey {
        SecretKey::from_pkcs8(SignatureAlgorithm::MlDsa44, pkcs8).expect("its own encoding")
    }
}

/// A trust anchor ID.
pub fn id(text: &str) -> TrustAnchorId {
    text.parse().expect("a trust anchor ID")
}

/// Now, by the clock of the machine.
pub fn now() -> UnixTime {
    mtc_tls::clock::Clock::default().now()
}

/// A log and everything to make certificates of its entries.
pub struct IssuedLog {
    folder: TempDir,
    keys: Keys,
    /// The log.
    pub issuance: IssuanceLog,
    batches: Vec<Batch>,
    not_before: UnixTime,
}

impl IssuedLog {
    /// An empty log of CA 32473.1 with new keys.
    pub fn create() -> Self {
        Self::with(Keys::generate())
    }

    /// An empty log of CA 32473.1 with the keys of another: what a CA that lies to some would run.
    pub fn twin_of(other: &Self) -> Self {
        let Keys {
            ca,
            witness,
            subject,
        } = &other.keys;
        Self::with(Keys {
            ca: ca.clone(),
            witness: witness.clone(),
            subject: subject.clone(),
        })
    }

    fn with(keys: Keys) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage: Arc<dyn Storage> =
            Arc::new(DirectoryStorage::create(folder.path().join("log")).expect("a new folder"));
        let log = LogId::new(id("32473.1"), LogNumber::FIRST).expect("a short ID");
        let key = CosigningKey::new(*log.ca(), Keys::secret(&keys.ca)).expect("a public half");
        let issuance = IssuanceLog::create(storage, log, key, now()).expect("an empty storage");
        let made = Self {
            folder,
            keys,
            issuance,
            batches: Vec::new(),
            not_before: now().minus(DAY),
        };
        made.write_trust();
        made
    }

    fn write_trust(&self) {
        let public = |pkcs8: &[u8]| Keys::secret(pkcs8).public_key().expect("a key");
        let certificate = CaCertificate {
            cosigner: Cosigner {
                id: id("32473.1"),
                key: public(&self.keys.ca),
            },
            min_serial: serial(LogNumber::FIRST, EntryIndex(0)).expect("below 2^48"),
            max_serial: u64::MAX,
            prefix_url: Some("http://nrf.test:8080".to_owned()),
        };
        let witness = Cosigner {
            id: id("32473.2"),
            key: public(&self.keys.witness),
        };
        let ca = certificate.to_der(self.not_before, self.not_before.plus(365 * DAY));
        let spki = witness.key.to_spki();
        self.write("ca.der", &ca);
        self.write("ca.pem", pem::encode(pem::CERTIFICATE, &ca).as_bytes());
        self.write("witness.der", &spki);
        self.write(
            "witness.pub",
            pem::encode(pem::PUBLIC_KEY, &spki).as_bytes(),
        );
        let document = TrustDocument {
            ca_certificate: "ca.pem".into(),
            remember_subtrees: 0,
            token_keys: None,
            logs: vec![1],
            cosigners: vec![CosignerEntry::from(&witness)],
            groups: vec![GroupEntry {
                required: 1,
                members: vec!["32473.2".to_owned()],
            }],
        };
        self.write("trust.toml", document.to_toml().expect("text").as_bytes());
    }

    /// Writes a file into the folder; its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file in a temporary folder");
        path
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of what the log serves under this name.
    pub fn served(&self, object: &str) -> PathBuf {
        self.path("log/log").join(object)
    }

    /// Changes one byte of what the log serves.
    pub fn flip(&self, object: &str, position: usize) {
        let path = self.served(object);
        let mut bytes = std::fs::read(&path).expect("a served object");
        bytes[position] ^= 1;
        std::fs::write(&path, bytes).expect("writable");
    }

    fn with_fields<T>(&self, label: &str, make: impl Fn(&CertificateFields<'_>) -> T) -> T {
        // One instance for all: the label alone tells entries apart.
        let subject = NfSubject::new(
            "XX",
            "5gc.mnc001.mcc001.3gppnetwork.org",
            Uuid::from_u128(7),
            &["AMF".to_owned()],
            &[format!("{label}.5gc.mnc001.mcc001.3gppnetwork.org")],
        )
        .expect("a good subject");
        make(&CertificateFields {
            issuer: &id("32473.1"),
            not_before: self.not_before,
            not_after: self.not_before.plus(2 * DAY),
            subject: &subject.name_der(),
            spki: &self.keys.subject,
            extensions: &subject.extensions_der(),
        })
    }

    /// Logs an entry for each label in one batch and publishes the checkpoint, cosigned by the witness.
    pub fn log(&mut self, labels: &[&str]) {
        let entries: Vec<Vec<u8>> = labels
            .iter()
            .map(|label| {
                let entry = self.with_fields(label, |fields| fields.log_entry());
                entry.expect("good fields").encode().expect("short")
            })
            .collect();
        self.log_raw(&entries);
    }

    /// Logs a null entry.
    pub fn log_null(&mut self) {
        self.log_raw(&[MtcLogEntry::NULL.encode().expect("short")]);
    }

    /// Logs entries whatever they are.
    pub fn log_raw(&mut self, entries: &[Vec<u8>]) {
        let batch = self.issuance.append(entries, now()).expect("written");
        self.batches.push(batch);
        self.publish();
    }

    fn publish(&mut self) {
        let signed = self.issuance.signed();
        let mut note = SignedNote::parse(&signed.to_note()).expect("its own encoding");
        let line = sign_subtree_line(
            self.issuance.id(),
            &id("32473.2"),
            &Keys::secret(&self.keys.witness),
            now(),
            Subtree::whole(signed.size()),
            &signed.root(),
        );
        note.signatures.push(line.expect("a key that signs"));
        let note = note.encode();
        self.issuance.publish(note.as_bytes()).expect("published");
    }

    /// Allocates a landmark at the published checkpoint.
    pub fn landmark(&self) {
        let policy = LandmarkPolicy {
            time_between: NO_TIME,
            first_time_between: NO_TIME,
            max_certificate_lifetime: 2 * DAY,
        };
        let published = self.issuance.published().expect("published");
        let mut landmarks = LandmarkStore::open(self.issuance.storage(), policy, Some(published))
            .expect("good landmarks");
        landmarks.allocate(published, now()).expect("grown");
    }

    /// The standalone certificate of entry `index`, logged for `label`, cosigned by the CA and, if wished, by the witness.
    pub fn standalone(&self, label: &str, index: u64, witness: bool) -> Vec<u8> {
        let batch = self
            .batches
            .iter()
            .find(|batch| (batch.start..batch.end).contains(&index))
            .expect("a logged entry");
        let subtree = covering_subtrees(batch.start, batch.end)
            .into_iter()
            .find(|subtree| subtree.contains(EntryIndex(index)))
            .expect("an entry of the batch");
        let (_, by_ca) = self.issuance.cosign_subtree(subtree).expect("signed");
        let mut signatures = vec![by_ca];
        if witness {
            signatures.push(self.witness_cosignature(subtree));
        }
        self.certificate(label, index, subtree, signatures)
    }

    /// The certificate of entry `index` with a proof in `subtree` and no cosignature.
    pub fn unsigned(&self, label: &str, index: u64, subtree: Subtree) -> Vec<u8> {
        self.certificate(label, index, subtree, Vec::new())
    }

    fn witness_cosignature(&self, subtree: Subtree) -> Cosignature {
        let hash = self.subtree_hash(subtree);
        let message = CosignedMessage {
            cosigner: &id("32473.2"),
            log: self.issuance.id(),
            timestamp: UnixTime(0),
            subtree,
            hash: &hash,
        };
        message
            .sign(&Keys::secret(&self.keys.witness))
            .expect("a key that signs")
    }

    /// The hash of a subtree of the log.
    pub fn subtree_hash(&self, subtree: Subtree) -> mtc_core::tree::Hash {
        let tree = self.issuance.reader().expect("a good log");
        tree.subtree_hash(subtree).expect("in the tree")
    }

    fn certificate(
        &self,
        label: &str,
        index: u64,
        subtree: Subtree,
        signatures: Vec<Cosignature>,
    ) -> Vec<u8> {
        let tree = self.issuance.reader().expect("a good log");
        let proof = MtcProof {
            extensions: Vec::new(),
            subtree,
            inclusion_proof: tree
                .inclusion_proof(EntryIndex(index), subtree)
                .expect("in the tree"),
            signatures,
        };
        self.with_fields(label, |fields| {
            fields.certificate(LogNumber::FIRST, EntryIndex(index), &proof)
        })
        .expect("good fields")
    }
}
