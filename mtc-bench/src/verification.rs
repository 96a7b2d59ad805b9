//! Certificates to verify, and what it takes at least to verify them.
//!
//! ```text
//! entry ── P or ML-DSA key ──> subtree [0, 2^n) ──┬─> landmark-relative certificate, n proof hashes, in a full trust store
//!                                                 └─> standalone certificate, CA and witness cosigned with ML-DSA-44
//! ```
//!
//! The sibling hashes of the proof are made up and the trust store is told where they lead: whoever verifies cannot tell,
//! and twenty of them need no log of a million entries.

use std::num::NonZeroUsize;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{Certificate, CertificateError, CertificateFields, MtcProof};
use mtc_core::cosign::{CosignedMessage, Cosigner, KeyError, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, INDEX_BITS, IdError, LogId, LogNumber, TrustAnchorId, serial};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, ProofError, Subtree, evaluate_inclusion, leaf_hash};
use mtc_core::verify::{CaTrust, CosignerGroup, PolicyError, Rejection, TrustedSubtree};
use mtc_tls::identity::{NfSubject, SubjectError};
use sha2::block_api::compress256;
use thiserror::Error;
use uuid::Uuid;

/// Subtrees that a relying party holds: 169 active landmarks (7 days of one an hour) of two subtrees each.
pub const FULL_TRUST_STORE: u64 = 338;
/// Verified subtrees that are remembered in the cached case.
const CACHE: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// Any will do: the compression function takes the same time for all.
const INITIAL_STATE: [u32; 8] = [0x6a09_e667; 8];
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
const MAX_INDEX: u64 = (1 << INDEX_BITS) - 1;
/// When certificates begin to be valid: 2026-11-22.
pub const NOT_BEFORE: UnixTime = UnixTime(1_795_305_600);
/// Their last second.
pub const NOT_AFTER: UnixTime = UnixTime(NOT_BEFORE.0 + 7 * 86_400);

/// Why there is nothing to time.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// An identifier.
    #[error("identifier")]
    Id(#[from] IdError),
    /// A key.
    #[error("key")]
    Key(#[from] KeyError),
    /// A certificate could not be made.
    #[error("certificate")]
    Certificate(#[from] CertificateError),
    /// Its subject.
    #[error("subject of the certificate")]
    Subject(#[from] SubjectError),
    /// The proof.
    #[error("inclusion proof")]
    Proof(#[from] ProofError),
    /// The policy.
    #[error("policy")]
    Policy(#[from] PolicyError),
    /// A certificate that was made here does not verify, which is a defect.
    #[error("a certificate made for the benchmark does not verify")]
    Rejected(#[from] Rejection),
}

/// An NF's certificate in its two forms, with relying parties for both.
pub struct Case {
    /// The landmark-relative certificate, DER.
    pub landmark: Vec<u8>,
    /// The standalone certificate, DER.
    pub standalone: Vec<u8>,
    /// The CA's certificate, DER.
    pub ca_certificate: Vec<u8>,
    /// A full trust store, the certificates' subtree last.
    pub trusted: Vec<TrustedSubtree>,
    /// Trusts the subtree, among [`FULL_TRUST_STORE`] of them.
    pub landmark_trust: CaTrust,
    /// Trusts the CA and requires the witness; holds no subtree and remembers none.
    pub cosigner_trust: CaTrust,
    /// A relying party that has the cosigners' keys and remembers subtrees that it has verified.
    pub caching_trust: CaTrust,
    /// Whose cosignatures the standalone certificate carries: the key, the message, the signature.
    pub cosignatures: Vec<(Cosigner, Vec<u8>, Vec<u8>)>,
    /// Blocks of SHA-256 in each message that a verification hashes: SubjectPublicKeyInfo, entry, and each node.
    pub blocks: Vec<usize>,
}

impl Case {
    /// A case with this key in the certificate and so many hashes in the inclusion proof, at most 40.
    ///
    /// # Errors
    /// See [`FixtureError`].
    pub fn new(leaf: SignatureAlgorithm, proof_hashes: u32) -> Result<Self, FixtureError> {
        let spki = SecretKey::generate(leaf)?.public_key()?.to_spki();
        Self::certifying(&nf_subject()?, &spki, proof_hashes)
    }

    /// A case for this subject and its key, a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// See [`FixtureError`].
    pub fn certifying(
        subject: &NfSubject,
        spki: &[u8],
        proof_hashes: u32,
    ) -> Result<Self, FixtureError> {
        let ca: TrustAnchorId = "32473.1".parse()?;
        let log = LogId::new(ca, LogNumber::FIRST)?;
        let subtree = Subtree::new(0, 1 << proof_hashes)?;
        let index = (subtree.end() - 1) / 3;

        let fields = CertificateFields {
            issuer: &ca,
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            subject: &subject.name_der(),
            spki,
            extensions: &subject.extensions_der(),
        };
        let siblings: Vec<Hash> = (0..proof_hashes)
            .map(|level| leaf_hash(&level.to_be_bytes()))
            .collect();
        let mut proof = MtcProof {
            extensions: Vec::new(),
            subtree,
            inclusion_proof: siblings,
            signatures: Vec::new(),
        };
        let landmark = fields.certificate(log.number(), EntryIndex(index), &proof)?;
        let parsed = Certificate::parse(&landmark)?;
        let hash = evaluate_inclusion(
            EntryIndex(index),
            subtree,
            parsed.leaf_hash(),
            &proof.inclusion_proof,
        )?;

        let mut cosignatures = Vec::new();
        for id in [ca, "32473.2".parse()?] {
            let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
            let message = CosignedMessage {
                cosigner: &id,
                log: &log,
                timestamp: UnixTime(0),
                subtree,
                hash: &hash,
            };
            let cosignature = message.sign(&secret)?;
            let key = secret.public_key()?;
            cosignatures.push((
                Cosigner { id, key },
                message.encode(),
                cosignature.signature.clone(),
            ));
            proof.signatures.push(cosignature);
        }
        let standalone = fields.certificate(log.number(), EntryIndex(index), &proof)?;

        let [(ca_cosigner, ..), (witness, ..)] = cosignatures.as_slice() else {
            return Err(PolicyError::NoCaCosignature(ca).into());
        };
        let ca_certificate = CaCertificate {
            cosigner: ca_cosigner.clone(),
            min_serial: serial(log.number(), EntryIndex(0))?,
            max_serial: serial(log.number(), EntryIndex(MAX_INDEX))?,
            prefix_url: None,
        };
        let cosigner_trust = CaTrust::ca_alone(&ca_certificate)
            .require(CosignerGroup::new(vec![witness.clone()], 1)?)?;
        let trusted = TrustedSubtree {
            log_number: log.number(),
            subtree,
            hash,
        };
        let trusted: Vec<_> = neighbours(&trusted)?.into_iter().chain([trusted]).collect();
        let case = Self {
            ca_certificate: ca_certificate.to_der(NOT_BEFORE, NOT_AFTER),
            landmark_trust: cosigner_trust.with_trusted_subtrees(trusted.iter().copied()),
            trusted,
            caching_trust: cosigner_trust.clone().remembering(CACHE),
            blocks: blocks(&landmark, spki.len(), proof_hashes)?,
            cosigner_trust,
            cosignatures,
            landmark,
            standalone,
        };
        case.landmark_trust.verify_issuance(&case.landmark)?;
        case.caching_trust.verify_issuance(&case.standalone)?;
        case.cosigner_trust.verify_issuance(&case.standalone)?;
        Ok(case)
    }
}

/// What the lab's NRF puts into the certificate of an AMF.
fn nf_subject() -> Result<NfSubject, SubjectError> {
    let domain = "5gc.mnc001.mcc001.3gppnetwork.org";
    NfSubject::new(
        "NO",
        domain,
        Uuid::from_u128(0x5d3c_8a1e_0b7f_4c21_9e64_d2a8_f013_b596),
        &["AMF".to_owned()],
        &[format!("amf1.{domain}")],
    )
}

/// The subtrees of other landmarks in a full trust store.
fn neighbours(trusted: &TrustedSubtree) -> Result<Vec<TrustedSubtree>, ProofError> {
    let length = trusted.subtree.len();
    (1..FULL_TRUST_STORE)
        .map(|place| {
            Ok(TrustedSubtree {
                subtree: Subtree::new(place * length, (place + 1) * length)?,
                ..*trusted
            })
        })
        .collect()
}

fn blocks(
    certificate: &[u8],
    spki_length: usize,
    proof_hashes: u32,
) -> Result<Vec<usize>, CertificateError> {
    let entry = Certificate::parse(certificate)?.log_entry()?.encode()?;
    // A message is followed by at least one byte and its length in eight.
    let padded = |length: usize| (length + 9).div_ceil(BLOCK);
    let nodes = std::iter::repeat_n(padded(1 + 32 + 32), proof_hashes as usize);
    Ok([padded(spki_length), padded(1 + entry.len())]
        .into_iter()
        .chain(nodes)
        .collect())
}

/// The SHA-256 floor of a verification: nothing but its blocks, put where the compression function wants them beforehand.
pub struct Floor {
    blocks: Vec<[u8; BLOCK]>,
    /// Where each message ends in `blocks`.
    ends: Vec<usize>,
}

impl Floor {
    /// The floor of a case.
    pub fn of(case: &Case) -> Self {
        let ends: Vec<usize> = case
            .blocks
            .iter()
            .scan(0, |end, blocks| {
                *end += blocks;
                Some(*end)
            })
            .collect();
        let blocks = (0..case.blocks.iter().sum::<usize>())
            .map(|place| std::array::from_fn(|byte| (place * 31 + byte * 7) as u8))
            .collect();
        Self { blocks, ends }
    }

    /// How many blocks.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Compresses each message by itself, as a verification must: every one starts from the initial state.
    pub fn by_message(&self) -> u32 {
        let mut start = 0;
        self.ends.iter().fold(0, |sum, end| {
            let mut state = INITIAL_STATE;
            compress256(&mut state, &self.blocks[start..*end]);
            start = *end;
            sum ^ state[0]
        })
    }

    /// Compresses them all in one call, as if they were one message: less than any verification can reach.
    pub fn in_one_call(&self) -> u32 {
        let mut state = INITIAL_STATE;
        compress256(&mut state, &self.blocks);
        state[0]
    }
}
