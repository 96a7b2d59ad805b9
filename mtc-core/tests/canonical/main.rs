//! One value, one spelling: every other form of what mtc-core reads is rejected.
//!
//! The unit tests beside each codec give examples; here the other forms are enumerated: every DER element at every depth
//! in every form that BER allows, every number in a text in every form that a lenient reader would take.

mod ca_certificates;
mod certificates;
mod identifiers;
mod landmarks;
mod notes;
mod tile_paths;

use mtc_core::ca::CaCertificate;
use mtc_core::cosign::SignatureAlgorithm;

use test_support::mtca::{Mtca, Signer};

const CA: &str = "32473.1";

/// A log with one entry.
fn one_entry() -> Mtca {
    let mut mtca = Mtca::new(CA, 1, SignatureAlgorithm::Ed25519, &[]);
    let subject = Signer::new("32473.5", SignatureAlgorithm::EcdsaP256);
    mtca.append(&subject.cosigner.key, vec![(1, vec![2, 3])]);
    mtca
}

fn ca_certificate() -> CaCertificate {
    CaCertificate {
        cosigner: Signer::new(CA, SignatureAlgorithm::Ed25519).cosigner,
        min_serial: 1 << 48,
        max_serial: u64::MAX,
        prefix_url: Some("http://nrf.test".to_owned()),
    }
}
