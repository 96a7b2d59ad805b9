//! Verification and what it is made of, each by itself: `cargo bench -p mtc-bench --bench verification`.
//!
//! Ratios of figures taken at the same time come from `mtc5g bench`, which times the same kernels.

use divan::{Bencher, black_box};
use mtc_bench::verification::{Case, Floor};
use mtc_core::certificate::Certificate;
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::tree::evaluate_inclusion;

/// The two cases of docs/performance.md: key of the leaf, hashes in the inclusion proof.
const CASES: [(SignatureAlgorithm, u32); 2] = [
    (SignatureAlgorithm::EcdsaP256, 7),
    (SignatureAlgorithm::MlDsa65, 20),
];

fn main() {
    divan::main();
}

fn case(place: usize) -> Case {
    let (leaf, proof_hashes) = CASES[place];
    Case::new(leaf, proof_hashes).expect("a certificate to verify")
}

#[divan::bench(args = [0, 1])]
fn sha256_floor(bencher: Bencher<'_, '_>, place: usize) {
    let floor = Floor::of(&case(place));
    bencher.bench_local(|| floor.by_message());
}

#[divan::bench(args = [0, 1])]
fn landmark(bencher: Bencher<'_, '_>, place: usize) {
    let case = case(place);
    bencher.bench_local(|| {
        case.landmark_trust
            .verify_issuance(black_box(&case.landmark))
    });
}

#[divan::bench(args = [0, 1])]
fn standalone_first(bencher: Bencher<'_, '_>, place: usize) {
    let case = case(place);
    bencher.bench_local(|| {
        case.cosigner_trust
            .verify_issuance(black_box(&case.standalone))
    });
}

#[divan::bench(args = [0, 1])]
fn standalone_cached(bencher: Bencher<'_, '_>, place: usize) {
    let case = case(place);
    bencher.bench_local(|| {
        case.caching_trust
            .verify_issuance(black_box(&case.standalone))
    });
}

#[divan::bench(args = [0, 1])]
fn parse(bencher: Bencher<'_, '_>, place: usize) {
    let case = case(place);
    bencher.bench_local(|| Certificate::parse(black_box(&case.landmark)).is_ok());
}

#[divan::bench(args = [0, 1])]
fn leaf_hash(bencher: Bencher<'_, '_>, place: usize) {
    let case = case(place);
    let certificate = Certificate::parse(&case.landmark).expect("a certificate");
    bencher.bench_local(|| black_box(&certificate).leaf_hash());
}

#[divan::bench(args = [0, 1])]
fn inclusion_proof(bencher: Bencher<'_, '_>, place: usize) {
    let case = case(place);
    let certificate = Certificate::parse(&case.landmark).expect("a certificate");
    let (_, index) = certificate.entry().expect("a log");
    let (leaf, proof) = (certificate.leaf_hash(), &certificate.proof);
    bencher.bench_local(|| {
        evaluate_inclusion(index, proof.subtree, black_box(leaf), proof.inclusion_proof)
    });
}
