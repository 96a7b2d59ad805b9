//! The fuzz targets without a fuzzer: on valid inputs, on thousands of mutations of them, and on every input that has once
//! found something.
//!
//! The mutations are the same in every run, but for the bytes of ML-DSA and ECDSA signatures. `docs/testing.md` says how to
//! turn what libFuzzer finds into a file below `fuzz/corpus-regressions`.

mod mutation;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use mtc_fuzz_entry::{TARGETS, Target, Verdict};

use crate::mutation::mutations;

/// One test a target, so that they run side by side and a failure names its target.
macro_rules! targets {
    ($($name:ident: $mutations:literal),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), $mutations);
            }
        )*

        #[test]
        fn every_target_is_run_here_and_by_cargo_fuzz() {
            let named = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            let run_here: BTreeSet<String> = named(&[$(stringify!($name)),*]);
            let declared: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
            assert_eq!(run_here, declared);
            let files = entries(&fuzz_folder().join("fuzz_targets"));
            let fuzzed = files.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned));
            assert_eq!(fuzzed.collect::<BTreeSet<_>>(), declared);
        }
    };
}

// How many mutations: what a target costs decides.
targets! {
    certificate: 20_000,
    certificate_properties: 20_000,
    mtc_proof: 20_000,
    ca_certificate: 10_000,
    log_entry: 20_000,
    der: 20_000,
    identifier: 10_000,
    landmarks: 10_000,
    checkpoint: 4_000,
    tile_path: 10_000,
    revocation_list: 4_000,
    tlog_proof: 4_000,
    tree: 4_000,
    trust: 1_000,
    verifier_key: 2_000,
    witness_request: 3_000,
    witness_history: 400,
    mirror_upload: 2_000,
    revocation: 10_000,
    csr: 10_000,
    cmp: 4_000,
    acme: 10_000,
    nf_identity: 10_000,
    nf_profile: 4_000,
    discovery_query: 10_000,
    subscription: 4_000,
    access_token: 4_000,
    pod_token: 10_000,
    json_patch: 10_000,
    multipart: 10_000,
    trusted_set: 10_000,
    inventory: 3_000,
    sbi_headers: 4_000,
}

fn run(name: &str, count: usize) {
    let target = target(name);
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        assert_eq!(
            judge(target, seed, &format!("seed {number}")),
            Verdict::Accepted,
            "seed {number} is valid"
        );
    }
    let mutations = mutations(&seeds, count);
    assert!(mutations.len() >= count / 2, "too few: {}", mutations.len());
    let refused = mutations
        .iter()
        .enumerate()
        .filter(|(number, mutation)| {
            judge(target, mutation, &format!("mutation {number}")) == Verdict::Refused
        })
        .count();
    // Were there none, the mutations would miss what is checked.
    assert!(refused > 0, "every mutation of {name} was accepted");
}

#[test]
fn inputs_that_once_found_something() {
    for folder in entries(&fuzz_folder().join("corpus-regressions")) {
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().and_then(|name| name.to_str());
        let target = target(name.expect("the name of a target"));
        for file in entries(&folder) {
            let input = fs::read(&file).expect("readable");
            let _ = judge(target, &input, &file.display().to_string());
        }
    }
}

/// Runs a target; when an invariant fails, says for which input.
fn judge(target: &Target, input: &[u8], origin: &str) -> Verdict {
    panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).unwrap_or_else(|cause| {
        eprintln!(
            "{}: {origin}, {} bytes: {}",
            target.name,
            input.len(),
            input.escape_ascii()
        );
        panic::resume_unwind(cause)
    })
}

fn target(name: &str) -> &'static Target {
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target is named {name}"))
}

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths
}
