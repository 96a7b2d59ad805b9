//! A Merkle Tree CA in memory, with its witnesses, made of nothing but mtc-core's public interface.
//!
//! ```text
//! append ─> entry in the log ─┬─> certificate(index, subtree of the batch, cosigners)     standalone
//!                             └─> certificate(index, subtree of a landmark, nobody)       landmark-relative
//! ```

use std::ops::RangeInclusive;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::cosign::{
    Cosignature, CosignedMessage, Cosigner, PublicKey, SecretKey, SignatureAlgorithm,
};
use mtc_core::der;
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{EntryIndex, LogId, LogNumber, TrustAnchorId, serial};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, MemoryTree, Subtree, covering_subtrees, inclusion_proof, leaf_hash, subtree_hash,
};
use mtc_core::verify::TrustedSubtree;
use mtc_core::x509::extension;

/// First second of validity of everything issued here, 2026-11-22.
pub const NOT_BEFORE: UnixTime = UnixTime(1_795_305_600);
/// Last second of validity.
pub const NOT_AFTER: UnixTime = UnixTime(NOT_BEFORE.0 + 7 * 86_400);

/// PKCS#8 of an Ed25519 key up to its 32 secret bytes (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// KeyUsage: digitalSignature.
const DIGITAL_SIGNATURE: &[u8] = &[3, 2, 7, 0x80];

/// Entry extensions: type and data.
pub type EntryExtensions = Vec<(u16, Vec<u8>)>;

/// Someone who cosigns: the public part and the key.
pub struct Signer {
    /// The public half.
    pub cosigner: Cosigner,
    secret: SecretKey,
}

impl Signer {
    /// Ed25519 keys follow from the ID, so that tests over every byte of a certificate see the same bytes every time.
    pub fn new(id: &str, algorithm: SignatureAlgorithm) -> Self {
        let id: TrustAnchorId = id.parse().expect("a trust anchor ID");
        let secret = match algorithm {
            SignatureAlgorithm::Ed25519 => {
                let seed = leaf_hash(id.as_bytes());
                let pkcs8 = [&ED25519_PKCS8[..], &seed].concat();
                SecretKey::from_pkcs8(algorithm, &pkcs8).expect("a key")
            }
            _ => SecretKey::generate(algorithm).expect("randomness"),
        };
        let key = secret.public_key().expect("a key");
        Self {
            cosigner: Cosigner { id, key },
            secret,
        }
    }

    /// Its cosignature of a subtree, as certificates carry it.
    pub fn cosignature(&self, log: &LogId, subtree: Subtree, hash: &Hash) -> Cosignature {
        self.sign(&CosignedMessage {
            cosigner: &self.cosigner.id,
            log,
            timestamp: UnixTime(0),
            subtree,
            hash,
        })
    }

    /// Its signature on any message.
    pub fn sign(&self, message: &CosignedMessage<'_>) -> Cosignature {
        message.sign(&self.secret).expect("a key that signs")
    }
}

impl Clone for Signer {
    fn clone(&self) -> Self {
        let pkcs8 = self.secret.to_pkcs8().expect("a key");
        Self {
            cosigner: self.cosigner.clone(),
            secret: SecretKey::from_pkcs8(self.secret.algorithm(), &pkcs8).expect("the same key"),
        }
    }
}

/// What one entry certifies.
struct Subject {
    name: Vec<u8>,
    key: PublicKey,
    entry_extensions: EntryExtensions,
}

/// The CA, its witnesses and its one log.
pub struct Mtca {
    /// The CA's cosigner.
    pub ca: Signer,
    /// The other cosigners.
    pub witnesses: Vec<Signer>,
    /// Its log.
    pub log: LogId,
    /// The log's entries, hashed.
    pub tree: MemoryTree,
    subjects: Vec<Subject>,
}

impl Mtca {
    /// A CA with an empty log and a witness for each of the algorithms given last.
    pub fn new(
        id: &str,
        log_number: u64,
        algorithm: SignatureAlgorithm,
        witnesses: &[SignatureAlgorithm],
    ) -> Self {
        let ca = Signer::new(id, algorithm);
        let number = LogNumber::new(log_number).expect("a log number");
        Self {
            log: LogId::new(ca.cosigner.id, number).expect("short"),
            witnesses: (1..)
                .zip(witnesses)
                .map(|(position, algorithm)| {
                    Signer::new(&format!("32473.9.{position}"), *algorithm)
                })
                .collect(),
            ca,
            tree: MemoryTree::new(),
            subjects: Vec::new(),
        }
    }

    /// Another log of the same CA, empty.
    pub fn another_log(&self, number: u64) -> Self {
        let number = LogNumber::new(number).expect("a log number");
        Self {
            log: LogId::new(self.ca.cosigner.id, number).expect("short"),
            ca: self.ca.clone(),
            witnesses: self.witnesses.clone(),
            tree: MemoryTree::new(),
            subjects: Vec::new(),
        }
    }

    /// The serial numbers of the log.
    pub fn serials(&self) -> RangeInclusive<u64> {
        let serial = |index| serial(self.log.number(), index).expect("below 2^48");
        serial(EntryIndex(0))..=serial(EntryIndex((1 << 48) - 1))
    }

    /// The CA certificate that admits these serial numbers.
    pub fn ca_certificate(&self, admitted: RangeInclusive<u64>) -> Vec<u8> {
        CaCertificate {
            cosigner: self.ca.cosigner.clone(),
            min_serial: *admitted.start(),
            max_serial: *admitted.end(),
            prefix_url: Some("http://nrf.test:8080".to_owned()),
        }
        .to_der(NOT_BEFORE, NOT_AFTER)
    }

    /// Logs the next entry and returns its index. Every subject has another name, so every entry another hash.
    pub fn append(&mut self, key: &PublicKey, entry_extensions: EntryExtensions) -> u64 {
        let index = self.tree.size().0;
        let subject = Subject {
            name: common_name(&format!("nf-{index}.test")),
            key: key.clone(),
            entry_extensions,
        };
        let entry = MtcLogEntry {
            extensions: subject.entry_extensions.clone(),
            ..self
                .with_fields(&subject, |fields| fields.log_entry())
                .expect("well-formed fields")
        };
        self.tree.push(leaf_hash(&entry.encode().expect("short")));
        self.subjects.push(subject);
        index
    }

    /// The certificate for entry `index` with a proof to `subtree` and the cosignatures of `signers`.
    pub fn certificate(&self, index: u64, subtree: Subtree, signers: &[&Signer]) -> Vec<u8> {
        let proof = self.proof(index, subtree, signers);
        let subject = &self.subjects[index as usize];
        self.with_fields(subject, |fields| {
            fields.certificate(self.log.number(), EntryIndex(index), &proof)
        })
        .expect("well-formed fields and a short proof")
    }

    /// The certificate for entry `index` from the batch of everything logged since `previous_size`.
    pub fn standalone(&self, index: u64, previous_size: u64, signers: &[&Signer]) -> Vec<u8> {
        let holding = covering_subtrees(previous_size, self.tree.size().0)
            .into_iter()
            .find(|subtree| subtree.contains(EntryIndex(index)))
            .expect("an entry of the batch");
        self.certificate(index, holding, signers)
    }

    /// The MTCProof of entry `index` in `subtree` with the cosignatures of `signers`.
    pub fn proof(&self, index: u64, subtree: Subtree, signers: &[&Signer]) -> MtcProof {
        let hash = self.hash(subtree);
        let Ok(inclusion_proof) = inclusion_proof(&self.tree, EntryIndex(index), subtree);
        MtcProof {
            extensions: self.subjects[index as usize].entry_extensions.clone(),
            subtree,
            inclusion_proof,
            signatures: signers
                .iter()
                .map(|signer| signer.cosignature(&self.log, subtree, &hash))
                .collect(),
        }
    }

    /// The hash of a subtree of the log.
    pub fn hash(&self, subtree: Subtree) -> Hash {
        let Ok(hash) = subtree_hash(&self.tree, subtree);
        hash
    }

    /// The subtree as a relying party would trust it.
    pub fn trusted(&self, subtree: Subtree) -> TrustedSubtree {
        TrustedSubtree {
            log_number: self.log.number(),
            subtree,
            hash: self.hash(subtree),
        }
    }

    fn with_fields<T>(&self, subject: &Subject, make: impl Fn(&CertificateFields<'_>) -> T) -> T {
        let key_usage = extension(KEY_USAGE, true, DIGITAL_SIGNATURE);
        make(&CertificateFields {
            issuer: &self.ca.cosigner.id,
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            subject: &subject.name,
            spki: &subject.key.to_spki(),
            extensions: &der::element(der::SEQUENCE, &[&key_usage]),
        })
    }
}

/// DER of a name with one common name.
fn common_name(text: &str) -> Vec<u8> {
    let attribute = [
        der::element(der::OID, &[COMMON_NAME]),
        der::element(der::UTF8_STRING, &[text.as_bytes()]),
    ]
    .concat();
    let rdn = der::element(der::SET, &[&der::element(der::SEQUENCE, &[&attribute])]);
    der::element(der::SEQUENCE, &[&rdn])
}
