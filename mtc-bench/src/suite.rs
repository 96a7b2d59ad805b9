//! Everything that `mtc5g bench` prints.

use std::collections::BTreeMap;

use mtc_core::cosign::pure::{MlDsaPublicKey, MlDsaSecretKey};
use mtc_core::cosign::{
    CosignedMessage, PublicKey, SecretKey, SignatureAlgorithm, Signer, Verifier,
};
use mtc_core::id::{LogId, LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use serde::Serialize;
use thiserror::Error;

use crate::handshake::{Meeting, MeetingError};
use crate::issuance::{IssuanceError, IssuanceFixture, LogStorage};
use crate::measure::{Effort, Kernel, medians};
use crate::verification::{Case, FixtureError, Floor};

/// Copies of each case, at places of their own in memory.
const COPIES: usize = 5;
/// Certificates in a batch.
const BATCH: usize = 1000;
/// Proof hashes of a landmark of about a hundred certificates, and of one of a million.
const SHORT_PROOF: u32 = 7;
const LONG_PROOF: u32 = 20;
/// Handshakes of each kind for one round of the kernels.
const HANDSHAKES_PER_ROUND: usize = 10;

/// Why there are no figures.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// Certificates to verify.
    #[error("certificates to verify")]
    Fixture(#[from] FixtureError),
    /// Issuing.
    #[error("issuing certificates")]
    Issuance(#[from] IssuanceError),
    /// Handshakes.
    #[error("handshakes")]
    Meeting(#[from] MeetingError),
}

/// The figures of this machine.
#[derive(Clone, Debug, Serialize)]
pub struct SuiteResults {
    /// Of each signature algorithm.
    pub sizes: BTreeMap<&'static str, Sizes>,
    /// Of the certificates that were verified, in bytes of DER.
    pub certificate_bytes: BTreeMap<&'static str, usize>,
    /// Blocks of SHA-256 in the floors.
    pub sha256_blocks: BTreeMap<&'static str, usize>,
    /// Median nanoseconds per operation.
    pub ns: BTreeMap<String, f64>,
    /// Operations per second and core: CPU time of the whole process, the median of batches.
    pub per_second: BTreeMap<&'static str, f64>,
    /// Operations per second on the wall, in the same batch.
    pub per_second_wall: BTreeMap<&'static str, f64>,
    /// What follows from the above.
    pub ratios: BTreeMap<&'static str, f64>,
}

/// Bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The bare public key.
    pub public_key: usize,
    /// A signature; the longest of a few where it varies.
    pub signature: usize,
}

/// What runs, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Round so many of so many.
    Round(usize, usize),
    /// Batches are being issued.
    Issuing,
}

/// Measures everything.
///
/// # Errors
/// What is to be timed could not be made.
pub fn run(effort: Effort, mut progress: impl FnMut(Progress)) -> Result<SuiteResults, SuiteError> {
    let keys = SignatureAlgorithm::ALL
        .into_iter()
        .map(Keys::new)
        .collect::<Result<Vec<_>, _>>()?;
    let p256 = copies(SignatureAlgorithm::EcdsaP256, SHORT_PROOF)?;
    let ml_dsa = copies(SignatureAlgorithm::MlDsa65, LONG_PROOF)?;
    let meeting = Meeting::new()?;
    let of_meeting = std::slice::from_ref(&meeting);
    let p256_floors: Vec<Floor> = p256.iter().map(Floor::of).collect();
    let ml_dsa_floors: Vec<Floor> = ml_dsa.iter().map(Floor::of).collect();

    let mut kernels = Vec::new();
    for keys in &keys {
        keys.kernels(&mut kernels);
    }
    kernels.extend([
        Kernel::new("landmark_verify_p256_7", &p256, |case| {
            case.landmark_trust.verify_issuance(&case.landmark).is_ok()
        }),
        Kernel::new("sha256_floor_p256_7", &p256_floors, Floor::by_message),
        Kernel::new("sha256_one_call_p256_7", &p256_floors, Floor::in_one_call),
        Kernel::new("landmark_verify_mldsa65_20", &ml_dsa, |case| {
            case.landmark_trust.verify_issuance(&case.landmark).is_ok()
        }),
        Kernel::new("sha256_floor_mldsa65_20", &ml_dsa_floors, Floor::by_message),
        Kernel::new(
            "sha256_one_call_mldsa65_20",
            &ml_dsa_floors,
            Floor::in_one_call,
        ),
        Kernel::new("landmark_verify_mldsa65_10", of_meeting, |meeting| {
            let Case { landmark, .. } = &meeting.server_case;
            meeting
                .server_case
                .landmark_trust
                .verify_issuance(landmark)
                .is_ok()
        }),
        Kernel::new("standalone_verify_first", &p256, |case| {
            case.cosigner_trust
                .verify_issuance(&case.standalone)
                .is_ok()
        }),
        Kernel::new("standalone_verify_cached", &p256, |case| {
            case.caching_trust.verify_issuance(&case.standalone).is_ok()
        }),
        Kernel::new("standalone_cosignatures", &p256, |case| {
            let mut cosignatures = case.cosignatures.iter();
            cosignatures
                .all(|(cosigner, message, signature)| cosigner.key.verifies(message, signature))
        }),
    ]);
    let rounds = effort.rounds;
    let medians = medians(&mut kernels, effort, |round| {
        progress(Progress::Round(round, rounds));
    });
    let mut ns: BTreeMap<String, f64> = kernels
        .iter()
        .map(|kernel| kernel.name.clone())
        .zip(medians)
        .collect();
    drop(kernels);
    let costs = meeting.costs(effort.rounds * HANDSHAKES_PER_ROUND)?;
    for (name, time) in [
        ("handshake_landmark_mldsa65", costs.judged),
        ("handshake_unverified_mldsa65", costs.unjudged),
        ("verify_in_handshake_mldsa65_10", costs.judgement),
    ] {
        ns.insert(name.to_owned(), time.as_nanos() as f64);
    }

    progress(Progress::Issuing);
    let batches = effort.rounds.div_ceil(2);
    let mut per_second = BTreeMap::new();
    let mut per_second_wall = BTreeMap::new();
    for (name, storage) in [
        ("issue_batch_1000", LogStorage::Memory),
        ("issue_batch_1000_durable", LogStorage::Directory),
    ] {
        let fixture = IssuanceFixture::new(storage, BATCH)?;
        fixture.verify(&fixture.issue()?)?;
        let cost = fixture.cost(batches)?;
        per_second.insert(name, cost.per_cpu_second());
        per_second_wall.insert(name, cost.per_second());
    }

    Ok(SuiteResults {
        sizes: keys
            .iter()
            .map(|keys| (keys.algorithm.as_str(), keys.sizes()))
            .collect(),
        certificate_bytes: [("p256_7", &p256), ("mldsa65_20", &ml_dsa)]
            .into_iter()
            .flat_map(|(name, cases)| Some((name, cases.first()?)))
            .flat_map(|(name, case)| match name {
                "p256_7" => [
                    ("landmark_p256_7", case.landmark.len()),
                    ("standalone_p256_7", case.standalone.len()),
                ],
                _ => [
                    ("landmark_mldsa65_20", case.landmark.len()),
                    ("standalone_mldsa65_20", case.standalone.len()),
                ],
            })
            .collect(),
        sha256_blocks: [("p256_7", &p256_floors), ("mldsa65_20", &ml_dsa_floors)]
            .into_iter()
            .flat_map(|(name, floors)| Some((name, floors.first()?.blocks())))
            .collect(),
        ratios: ratios(&ns),
        ns,
        per_second,
        per_second_wall,
    })
}

fn copies(leaf: SignatureAlgorithm, proof_hashes: u32) -> Result<Vec<Case>, FixtureError> {
    (0..COPIES).map(|_| Case::new(leaf, proof_hashes)).collect()
}

/// The ratios that the project promises, from figures of one run.
fn ratios(ns: &BTreeMap<String, f64>) -> BTreeMap<&'static str, f64> {
    let of = |name: &str| ns.get(name).copied().unwrap_or(f64::NAN);
    BTreeMap::from([
        (
            "landmark_handshake_to_unverified",
            of("handshake_landmark_mldsa65") / of("handshake_unverified_mldsa65"),
        ),
        (
            "verify_in_handshake_to_landmark_verify",
            of("verify_in_handshake_mldsa65_10") / of("landmark_verify_mldsa65_10"),
        ),
        (
            "landmark_to_sha256_floor_p256_7",
            of("landmark_verify_p256_7") / of("sha256_floor_p256_7"),
        ),
        (
            "landmark_to_sha256_floor_mldsa65_20",
            of("landmark_verify_mldsa65_20") / of("sha256_floor_mldsa65_20"),
        ),
        (
            "ecdsa_p256_to_landmark",
            of("ecdsa_p256_verify") / of("landmark_verify_p256_7"),
        ),
        (
            "standalone_first_to_its_signatures",
            of("standalone_verify_first") / of("standalone_cosignatures"),
        ),
        (
            "standalone_cached_to_landmark",
            of("standalone_verify_cached") / of("landmark_verify_p256_7"),
        ),
    ])
}

/// A key pair with a signature on what cosigners sign, in every implementation that there is.
struct Keys {
    algorithm: SignatureAlgorithm,
    message: Vec<u8>,
    fast: [Pair<SecretKey, PublicKey>; 1],
    pure: Option<[Pair<MlDsaSecretKey, MlDsaPublicKey>; 1]>,
}

struct Pair<S, P> {
    secret: S,
    public: P,
    signature: Vec<u8>,
}

impl Keys {
    fn new(algorithm: SignatureAlgorithm) -> Result<Self, FixtureError> {
        let ca: TrustAnchorId = "32473.1".parse()?;
        let message = CosignedMessage {
            cosigner: &ca,
            log: &LogId::new(ca, LogNumber::FIRST)?,
            timestamp: UnixTime(0),
            subtree: Subtree::new(0, 128)?,
            hash: &[7; 32],
        }
        .encode();
        let secret = SecretKey::generate(algorithm)?;
        let fast = [Pair {
            public: secret.public_key()?,
            signature: secret.sign(&message)?,
            secret,
        }];
        let pure = match MlDsaSecretKey::from_seed(algorithm, &[7; 32]) {
            Err(_) => None,
            Ok(secret) => Some([Pair {
                public: MlDsaPublicKey::from_raw(algorithm, &secret.public_key())?,
                signature: secret.sign(&message)?,
                secret,
            }]),
        };
        Ok(Self {
            algorithm,
            message,
            fast,
            pure,
        })
    }

    fn sizes(&self) -> Sizes {
        let [pair] = &self.fast;
        Sizes {
            public_key: pair.public.raw().len(),
            signature: pair.signature.len(),
        }
    }

    fn kernels<'a>(&'a self, kernels: &mut Vec<Kernel<'a>>) {
        let name = self.algorithm.as_str().replace('-', "_");
        pair_kernels(kernels, &name, "", &self.message, &self.fast);
        if let Some(pure) = &self.pure {
            pair_kernels(kernels, &name, "_pure", &self.message, pure);
        }
    }
}

fn pair_kernels<'a, S: Signer, P: Verifier>(
    kernels: &mut Vec<Kernel<'a>>,
    name: &str,
    suffix: &str,
    message: &'a [u8],
    pair: &'a [Pair<S, P>],
) {
    kernels.push(Kernel::new(
        format!("{name}_verify{suffix}"),
        pair,
        move |pair| pair.public.verifies(message, &pair.signature),
    ));
    kernels.push(Kernel::new(
        format!("{name}_sign{suffix}"),
        pair,
        move |pair| pair.secret.sign(message),
    ));
}
