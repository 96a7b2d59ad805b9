//! Merkle Tree Certificates and the logs behind them, as anybody looks at them: no key, no network function, nothing but what is public.
//!
//! ```text
//!  certificate file ──> certificate_file ──> inspect         what it says
//!                                        ├─> chain_properties for whom a server may choose it
//!                                        └─> trust_text      whom mtc_core::verify::RelyingParty is to believe, in plain text
//!  log in a folder or at a URL ──> public_log ─┬─> audit      everything in it hashes to what was signed
//!                                              ├─> monitor    what is new, and whether it is the log that it was
//!                                              └─> inclusion  a certificate is in it, with the proof
//!  artefact and its proof ──> artefact                        a log's checkpoint, cosigned to policy, holds the artefact's digest
//! ```
//!
//! X.509 itself is read by [`mtc_core::x509`]; tiles, bundles and checkpoints by [`mtc_log`].

pub mod artefact;
pub mod audit;
pub mod certificate_file;
pub mod chain_properties;
pub mod entry;
pub mod inclusion;
pub mod inspect;
pub mod monitor;
pub mod public_log;
pub mod trust_text;
