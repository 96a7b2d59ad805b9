//! Merkle Tree Certificates (draft-ietf-plants-merkle-tree-certs-07): the pure part.
//!
//! In scope: identifiers, the tree and its proofs, log entries, certificates, cosignatures, checkpoints, landmarks, and
//! the relying party's verification. Out of scope: storage (`mtc-log`), TLS and the rest of X.509 (`mtc-tls`). Nothing
//! here does I/O or reads a clock; signing and key generation alone draw on the system's randomness.
//!
//! Section numbers are those of the draft's revision -07, the one wire format that is implemented; C2SP documents are
//! cited by name. Reading order: [`id`], [`tree`], [`entry`], [`certificate`], [`cosign`], [`landmark`], [`verify`].
//!
//! Without the feature `std` the base layer remains, on `no_std` with `alloc`: everything that needs no keys, which is
//! identifiers, tree, entries, certificates, tiles and landmarks. The feature `ml-dsa` adds `cosign::pure`.
//!
//! ```
//! use mtc_core::id::EntryIndex;
//! use mtc_core::tree::{MemoryTree, Subtree, evaluate_inclusion, inclusion_proof, leaf_hash};
//!
//! let tree: MemoryTree = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry)).into_iter().collect();
//! let whole = Subtree::whole(tree.size());
//! let Ok(proof) = inclusion_proof(&tree, EntryIndex(2), whole);
//! assert_eq!(evaluate_inclusion(EntryIndex(2), whole, leaf_hash(b"c"), &proof), Ok(tree.root()));
//! ```
//!
//! To verify certificates, begin with [`verify::RelyingParty`].

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod ca;
pub mod causes;
pub mod certificate;
#[cfg(feature = "std")]
pub mod checkpoint;
pub mod cosign;
pub mod decimal;
pub mod der;
pub mod entry;
pub mod hex;
pub mod id;
pub mod landmark;
#[cfg(feature = "std")]
pub mod note;
pub mod oid;
pub mod printable;
pub mod properties;
#[cfg(feature = "std")]
pub mod revocation_list;
mod sha256;
pub mod tile;
pub mod time;
#[cfg(feature = "std")]
pub mod tlog_proof;
pub mod tree;
#[cfg(feature = "std")]
pub mod verify;
#[cfg(feature = "std")]
pub mod vkey;
pub mod wire;
#[cfg(feature = "std")]
pub mod x509;

/// The program of the README, so that `cargo test` compiles it.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
