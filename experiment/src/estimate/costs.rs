//! CPU time of a full handshake, both ends together, as the sum of what it consists of (docs/estimate.md, "CPU time").
//!
//! ```text
//!  costs.json ──(of the project's published run)──> Costs ──> cpu(way, proofs, bytes)
//!  results.json of this machine ──> fit ──────────────┘
//! ```

use std::collections::BTreeMap;

use mtc_tls::key::KeyAlgorithm;
use mtc_tls::profile::TrustDomain;
use serde::{Deserialize, Serialize};

use super::sizes::{Bytes, Proofs};
use super::way::Way;

const ALGORITHMS: usize = KeyAlgorithm::ALL.len();
/// What is timed: the six below, signing and verifying with each algorithm.
pub(super) const PARTS: usize = 6 + 2 * ALGORITHMS;
/// Both ends do what one end does.
const ENDS: f64 = 2.0;

/// How often each part occurs.
pub(super) type Counts = [f64; PARTS];

#[derive(Clone, Copy)]
enum Part {
    /// TLS, X25519, sockets, and whatever is the same in every handshake.
    Handshake,
    /// ML-KEM-768 beside it.
    Hybrid,
    /// A thousand bytes: encrypted, hashed, copied.
    Kilobyte,
    /// Reading and judging an X.509 certificate without its signature.
    X509Certificate,
    /// The same of a Merkle Tree Certificate without its proof.
    MtcCertificate,
    /// A hash of an inclusion proof.
    ProofHash,
    Sign(KeyAlgorithm),
    Verify(KeyAlgorithm),
}

impl Part {
    fn all() -> [Self; PARTS] {
        let mut all = [Self::Handshake; PARTS];
        let single = [
            Self::Handshake,
            Self::Hybrid,
            Self::Kilobyte,
            Self::X509Certificate,
            Self::MtcCertificate,
            Self::ProofHash,
        ];
        let signatures = KeyAlgorithm::ALL.map(Self::Sign);
        let verifications = KeyAlgorithm::ALL.map(Self::Verify);
        let parts = single.into_iter().chain(signatures).chain(verifications);
        for (place, part) in all.iter_mut().zip(parts) {
            *place = part;
        }
        all
    }

    fn place(self) -> usize {
        let of = |algorithm: KeyAlgorithm| {
            let mut all = KeyAlgorithm::ALL.into_iter();
            all.position(|known| known == algorithm)
                .expect("ALL has every algorithm")
        };
        match self {
            Self::Handshake => 0,
            Self::Hybrid => 1,
            Self::Kilobyte => 2,
            Self::X509Certificate => 3,
            Self::MtcCertificate => 4,
            Self::ProofHash => 5,
            Self::Sign(algorithm) => 6 + of(algorithm),
            Self::Verify(algorithm) => 6 + ALGORITHMS + of(algorithm),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Handshake => "handshake".to_owned(),
            Self::Hybrid => "ml-kem-768".to_owned(),
            Self::Kilobyte => "kilobyte".to_owned(),
            Self::X509Certificate => "x509-certificate".to_owned(),
            Self::MtcCertificate => "mtc-certificate".to_owned(),
            Self::ProofHash => "proof-hash".to_owned(),
            Self::Sign(algorithm) => format!("{algorithm}-sign"),
            Self::Verify(algorithm) => format!("{algorithm}-verify"),
        }
    }
}

/// CPU times of the parts of a handshake, and whence they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Document", try_from = "Document")]
pub struct Costs {
    /// Which run on which machine.
    pub origin: String,
    pub(super) us: Counts,
}

/// As JSON has them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    origin: String,
    /// Microseconds by part.
    us: BTreeMap<String, f64>,
}

impl From<Costs> for Document {
    fn from(costs: Costs) -> Self {
        let us = Part::all().into_iter().zip(costs.us);
        Self {
            origin: costs.origin,
            us: us.map(|(part, us)| (part.name(), us)).collect(),
        }
    }
}

/// Costs that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum CostsError {
    /// A part is missing.
    #[error("us.{0} is missing")]
    Missing(String),
    /// No time.
    #[error("us.{name} must be a time in microseconds from 0 to 1000000, is {us}")]
    NoTime {
        /// The part.
        name: String,
        /// What is there.
        us: f64,
    },
}

impl TryFrom<Document> for Costs {
    type Error = CostsError;

    fn try_from(document: Document) -> Result<Self, CostsError> {
        let mut us = [0.0; PARTS];
        for (place, part) in us.iter_mut().zip(Part::all()) {
            let name = part.name();
            let Some(&found) = document.us.get(&name) else {
                return Err(CostsError::Missing(name));
            };
            if !(0.0..=1e6).contains(&found) {
                return Err(CostsError::NoTime { name, us: found });
            }
            *place = found;
        }
        Ok(Self {
            origin: document.origin,
            us,
        })
    }
}

impl Costs {
    /// Those of the run that the project has published, on the machine that `origin` names.
    pub fn published() -> Self {
        serde_json::from_str(include_str!("costs.json")).expect("a test reads it")
    }

    /// CPU time of a full handshake of both ends, in microseconds.
    pub(super) fn cpu_us(&self, way: Way, proofs: Proofs, bytes: Bytes) -> f64 {
        self.sum(&whole(way, proofs.on(way.domain).0, bytes.both()))
    }

    /// Everything so many times as long.
    #[must_use]
    pub(super) fn scaled(&self, factor: f64) -> Self {
        Self {
            origin: self.origin.clone(),
            us: self.us.map(|us| us * factor),
        }
    }

    pub(super) fn sum(&self, counts: &Counts) -> f64 {
        counts
            .iter()
            .zip(self.us)
            .map(|(count, us)| count * us)
            .sum()
    }
}

/// The parts of both ends' certificate verification.
pub(super) fn verification(way: Way, hashes: f64) -> Counts {
    let mut counts = [0.0; PARTS];
    match way.domain {
        TrustDomain::X509(profile) => {
            let certificates = 1.0 + f64::from(profile.intermediates.count());
            counts[Part::X509Certificate.place()] = ENDS * certificates;
            counts[Part::Verify(profile.ca_signature).place()] = ENDS * certificates;
        }
        // The cosignatures of a subtree are verified once and remembered.
        _ => {
            counts[Part::MtcCertificate.place()] = ENDS;
            counts[Part::ProofHash.place()] = ENDS * hashes;
        }
    }
    counts
}

/// The parts of both ends' signatures in CertificateVerify.
pub(super) fn signing(way: Way) -> Counts {
    let mut counts = [0.0; PARTS];
    counts[Part::Sign(way.leaf_key).place()] = ENDS;
    counts
}

/// The parts of a whole handshake of so many bytes.
pub(super) fn whole(way: Way, hashes: f64, bytes: f64) -> Counts {
    let mut counts = verification(way, hashes);
    counts[Part::Handshake.place()] = 1.0;
    counts[Part::Hybrid.place()] = f64::from(u8::from(way.is_hybrid()));
    counts[Part::Kilobyte.place()] = bytes / 1000.0;
    counts[Part::Sign(way.leaf_key).place()] += ENDS;
    counts[Part::Verify(way.leaf_key).place()] += ENDS;
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_place_and_a_name_of_its_own() {
        let all = Part::all();
        let mut names: Vec<String> = all.iter().map(|part| part.name()).collect();
        for (place, part) in all.into_iter().enumerate() {
            assert_eq!(part.place(), place);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARTS);
    }

    #[test]
    fn costs_that_cannot_be_are_refused_by_name() {
        let text = serde_json::to_string(&Costs::published()).unwrap();
        assert_eq!(
            serde_json::from_str::<Costs>(&text).unwrap(),
            Costs::published()
        );
        let without = text.replace("\"proof-hash\"", "\"proof\"");
        let error = serde_json::from_str::<Costs>(&without).unwrap_err();
        assert!(error.to_string().contains("us.proof-hash is missing"));
        let mut costs = Costs::published();
        costs.us[0] = -1.0;
        let text = serde_json::to_string(&costs).unwrap();
        let error = serde_json::from_str::<Costs>(&text).unwrap_err();
        assert!(
            error.to_string().contains("us.handshake must be"),
            "{error}"
        );
    }
}
