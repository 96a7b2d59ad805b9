//! Landmark verification allocates nothing: counted by an allocator that counts.

use allocation_counter::measure;
use mtc_bench::verification::Case;
use mtc_core::cosign::SignatureAlgorithm;

/// Allocations on this thread while `work` runs.
fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8]))), 1);
}

#[test]
fn landmark_verification_allocates_nothing() {
    for (leaf, proof_hashes) in [
        (SignatureAlgorithm::EcdsaP256, 7),
        (SignatureAlgorithm::MlDsa65, 20),
    ] {
        let case = Case::new(leaf, proof_hashes).expect("a certificate to verify");
        let count = allocations(|| {
            case.landmark_trust
                .verify_issuance(&case.landmark)
                .expect("the certificate verifies");
        });
        assert_eq!(count, 0, "{leaf}, {proof_hashes} hashes");
    }
}

#[test]
fn verifying_in_a_remembered_subtree_allocates_nothing() {
    let case = Case::new(SignatureAlgorithm::EcdsaP256, 7).expect("a certificate to verify");
    let count = allocations(|| {
        case.caching_trust
            .verify_issuance(&case.standalone)
            .expect("the certificate verifies");
    });
    assert_eq!(count, 0);
}
