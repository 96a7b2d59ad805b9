//! Landmark verification against `mtcs` 0.3.1: the same certificate and trust store, in turns.
//!
//! `cargo bench -p mtc-bench --bench against_mtcs`

use mtc_bench::measure::{Effort, Kernel, medians};
use mtc_bench::verification::{Case, FixtureError, Floor};
use mtc_core::cosign::SignatureAlgorithm;
use mtcs::verify_certificate_ignoring_validity;

/// Copies of each case, at places of their own in memory.
const COPIES: usize = 5;

struct Contest {
    case: Case,
    theirs: mtcs::TrustStore,
    floor: Floor,
}

impl Contest {
    fn new(leaf: SignatureAlgorithm, proof_hashes: u32) -> Result<Self, FixtureError> {
        let case = Case::new(leaf, proof_hashes)?;
        let mut ca = mtcs::CaTrust::from_ca_certificate(&case.ca_certificate)
            .expect("mtcs reads our CA certificate");
        ca.trusted_subtrees = case
            .trusted
            .iter()
            .map(|trusted| mtcs::TrustedSubtree {
                log_number: trusted.log_number.get(),
                start: trusted.subtree.start(),
                end: trusted.subtree.end(),
                hash: trusted.hash,
            })
            .collect();
        let mut theirs = mtcs::TrustStore::new();
        theirs.add_ca(ca);
        verify_certificate_ignoring_validity(&theirs, &case.landmark)
            .expect("mtcs accepts our certificate");
        Ok(Self {
            floor: Floor::of(&case),
            case,
            theirs,
        })
    }
}

fn main() {
    for (title, leaf, proof_hashes) in [
        ("P-256 key, 7 hashes", SignatureAlgorithm::EcdsaP256, 7),
        ("ML-DSA-65 key, 20 hashes", SignatureAlgorithm::MlDsa65, 20),
    ] {
        let contests = (0..COPIES)
            .map(|_| Contest::new(leaf, proof_hashes))
            .collect::<Result<Vec<_>, _>>()
            .expect("certificates to verify");
        let mut kernels = [
            Kernel::new("mtc-core", &contests, |contest| {
                let Contest { case, .. } = contest;
                case.landmark_trust.verify_issuance(&case.landmark).is_ok()
            }),
            Kernel::new("mtcs 0.3.1", &contests, |contest| {
                verify_certificate_ignoring_validity(&contest.theirs, &contest.case.landmark)
                    .is_ok()
            }),
            Kernel::new("SHA-256 floor", &contests, |contest| {
                contest.floor.by_message()
            }),
        ];
        let medians = medians(&mut kernels, Effort::NORMAL, |_| ());
        println!("{title}");
        for (kernel, ns) in kernels.iter().zip(&medians) {
            println!(
                "  {:<16}{ns:>10.0} ns{:>8.2} x mtc-core{:>8.2} x floor",
                kernel.name,
                ns / medians[0],
                ns / medians[2]
            );
        }
    }
}
