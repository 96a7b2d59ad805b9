//! What is fuzzed: one function for each thing that the project reads from outside.
//!
//! ```text
//! bytes ──> certificate, mtc_proof, ca_certificate, log_entry, der, identifier     mtc-core: DER and TLS structures
//!      ├──> landmarks, checkpoint, revocation_list, tlog_proof, verifier_key, tile_path  mtc-core: texts
//!      ├──> tree, trust                                                            mtc-core: proofs, relying party
//!      ├──> witness_request, witness_history, mirror_upload                        mtc-log
//!      ├──> csr, nf_identity, revocation                                           mtc-tls
//!      ├──> certificate_properties                                                 mtc-core, mtc-tools
//!      ├──> nf_profile, json_patch, multipart, sbi_headers, pod_token, trusted_set sbi
//!      ├──> discovery_query, subscription, access_token                            nf-nrf, jose
//!      ├──> inventory                                                              inventory
//!      └──> cmp, acme                                                                cmp, acme
//! ```
//!
//! Every function panics when an invariant of its module's documentation does not hold, and otherwise says whether the
//! input was accepted. Two callers: the targets of cargo-fuzz in `fuzz/fuzz_targets`, and `tests/corpus.rs`, which needs
//! neither nightly nor libFuzzer. How to run both is in `docs/testing.md`.
//!
//! An invariant is one of three kinds, the strongest that can be had: *agreement* with a second implementation that is
//! written for clarity (`oracle`); *no forgery*, since the fixture's keys are known to nobody who mutates bytes; and *one
//! encoding*, that what is accepted is encoded to the very bytes that were read.

mod access_token;
mod acme;
mod ca_certificate;
mod certificate;
mod certificate_properties;
mod checkpoint;
mod cmp;
mod csr;
mod der;
mod discovery_query;
mod fixture;
mod identifier;
mod inventory;
mod json_patch;
mod landmarks;
mod log_entry;
mod mirror_upload;
mod mtc_proof;
mod multipart;
mod nf_identity;
mod nf_profile;
mod oracle;
mod pod_token;
mod revocation;
mod revocation_list;
mod sbi_headers;
mod subscription;
mod tile_path;
mod tlog_proof;
mod tree;
mod trust;
mod trusted_set;
mod verifier_key;
mod witness_history;
mod witness_request;

pub use self::access_token::access_token;
pub use self::acme::acme;
pub use self::ca_certificate::ca_certificate;
pub use self::certificate::certificate;
pub use self::certificate_properties::certificate_properties;
pub use self::checkpoint::checkpoint;
pub use self::cmp::cmp;
pub use self::csr::csr;
pub use self::der::der;
pub use self::discovery_query::discovery_query;
pub use self::identifier::identifier;
pub use self::inventory::inventory;
pub use self::json_patch::json_patch;
pub use self::landmarks::landmarks;
pub use self::log_entry::log_entry;
pub use self::mirror_upload::mirror_upload;
pub use self::mtc_proof::mtc_proof;
pub use self::multipart::multipart;
pub use self::nf_identity::nf_identity;
pub use self::nf_profile::nf_profile;
pub use self::pod_token::pod_token;
pub use self::revocation::revocation;
pub use self::revocation_list::revocation_list;
pub use self::sbi_headers::sbi_headers;
pub use self::subscription::subscription;
pub use self::tile_path::tile_path;
pub use self::tlog_proof::tlog_proof;
pub use self::tree::tree;
pub use self::trust::trust;
pub use self::trusted_set::trusted_set;
pub use self::verifier_key::verifier_key;
pub use self::witness_history::witness_history;
pub use self::witness_request::witness_request;

/// Whether an input was taken for what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It was, and everything that follows from that was checked.
    Accepted,
    /// It was refused with an error.
    Refused,
}

impl Verdict {
    const fn of(accepted: bool) -> Self {
        if accepted {
            Self::Accepted
        } else {
            Self::Refused
        }
    }
}

/// A function to fuzz, and valid inputs to start from.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the function, of cargo-fuzz's target and of the folder with regression inputs.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]) -> Verdict,
    /// Inputs that must be accepted.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "certificate",
        run: certificate,
        seeds: certificate::seeds,
    },
    Target {
        name: "certificate_properties",
        run: certificate_properties,
        seeds: certificate_properties::seeds,
    },
    Target {
        name: "mtc_proof",
        run: mtc_proof,
        seeds: mtc_proof::seeds,
    },
    Target {
        name: "ca_certificate",
        run: ca_certificate,
        seeds: ca_certificate::seeds,
    },
    Target {
        name: "log_entry",
        run: log_entry,
        seeds: log_entry::seeds,
    },
    Target {
        name: "der",
        run: der,
        seeds: der::seeds,
    },
    Target {
        name: "identifier",
        run: identifier,
        seeds: identifier::seeds,
    },
    Target {
        name: "inventory",
        run: inventory,
        seeds: inventory::seeds,
    },
    Target {
        name: "landmarks",
        run: landmarks,
        seeds: landmarks::seeds,
    },
    Target {
        name: "revocation_list",
        run: revocation_list,
        seeds: revocation_list::seeds,
    },
    Target {
        name: "tlog_proof",
        run: tlog_proof,
        seeds: tlog_proof::seeds,
    },
    Target {
        name: "checkpoint",
        run: checkpoint,
        seeds: checkpoint::seeds,
    },
    Target {
        name: "tile_path",
        run: tile_path,
        seeds: tile_path::seeds,
    },
    Target {
        name: "tree",
        run: tree,
        seeds: tree::seeds,
    },
    Target {
        name: "trust",
        run: trust,
        seeds: trust::seeds,
    },
    Target {
        name: "verifier_key",
        run: verifier_key,
        seeds: verifier_key::seeds,
    },
    Target {
        name: "witness_request",
        run: witness_request,
        seeds: witness_request::seeds,
    },
    Target {
        name: "witness_history",
        run: witness_history,
        seeds: witness_history::seeds,
    },
    Target {
        name: "mirror_upload",
        run: mirror_upload,
        seeds: mirror_upload::seeds,
    },
    Target {
        name: "revocation",
        run: revocation,
        seeds: revocation::seeds,
    },
    Target {
        name: "csr",
        run: csr,
        seeds: csr::seeds,
    },
    Target {
        name: "acme",
        run: acme,
        seeds: acme::seeds,
    },
    Target {
        name: "cmp",
        run: cmp,
        seeds: cmp::seeds,
    },
    Target {
        name: "nf_identity",
        run: nf_identity,
        seeds: nf_identity::seeds,
    },
    Target {
        name: "nf_profile",
        run: nf_profile,
        seeds: nf_profile::seeds,
    },
    Target {
        name: "discovery_query",
        run: discovery_query,
        seeds: discovery_query::seeds,
    },
    Target {
        name: "subscription",
        run: subscription,
        seeds: subscription::seeds,
    },
    Target {
        name: "access_token",
        run: access_token,
        seeds: access_token::seeds,
    },
    Target {
        name: "pod_token",
        run: pod_token,
        seeds: pod_token::seeds,
    },
    Target {
        name: "json_patch",
        run: json_patch,
        seeds: json_patch::seeds,
    },
    Target {
        name: "trusted_set",
        run: trusted_set,
        seeds: trusted_set::seeds,
    },
    Target {
        name: "multipart",
        run: multipart,
        seeds: multipart::seeds,
    },
    Target {
        name: "sbi_headers",
        run: sbi_headers,
        seeds: sbi_headers::seeds,
    },
];
