//! The relying party's procedure (Section 7.2), rule by rule, as others see it: certificates in, verdicts out.
//!
//! `interop` asks whether another implementation thinks alike; here every verdict is written out.

mod algorithms;
mod errors;
mod for_a_peer;
mod large;
mod logs;
mod remembered;
mod revocation;
mod single_change;

use mtc_core::ca::CaCertificate;
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::id::{EntryIndex, serial};
use mtc_core::tree::Subtree;
use mtc_core::verify::{CaTrust, PolicyError, Rejection};

use test_support::mtca::{Mtca, Signer};

const CA: &str = "32473.1";

/// Trust in a CA for the serial numbers of all its logs, by nothing but its cosignature.
fn trust_in(ca: &Signer) -> CaTrust {
    CaTrust::ca_alone(&CaCertificate {
        cosigner: ca.cosigner.clone(),
        min_serial: 1 << 48,
        max_serial: u64::MAX,
        prefix_url: None,
    })
}

/// A log of `size` entries, each with another subject, key and entry extension.
fn log_of(number: u64, size: u64) -> Mtca {
    let mut mtca = Mtca::new(CA, number, SignatureAlgorithm::Ed25519, &[]);
    for index in 0..size {
        let subject = Signer::new(&format!("32473.5.{index}"), SignatureAlgorithm::Ed25519);
        let extensions = vec![(7, number.to_be_bytes().to_vec())];
        mtca.append(&subject.cosigner.key, extensions);
    }
    mtca
}

/// Every valid subtree of a log of this size that has an entry.
fn subtrees(size: u64) -> impl Iterator<Item = Subtree> {
    (0..size).flat_map(move |start| {
        (start + 1..=size).filter_map(move |end| Subtree::new(start, end).ok())
    })
}

fn unsigned(ca: &Mtca) -> Rejection {
    PolicyError::NoCaCosignature(ca.ca.cosigner.id).into()
}

fn serial_of(mtca: &Mtca, index: u64) -> u64 {
    serial(mtca.log.number(), EntryIndex(index)).expect("below 2^48")
}
