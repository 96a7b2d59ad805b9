//! Merkle Tree Certificates in rustls, beside the directly-signed X.509 that they are compared with.
//!
//! ```text
//! credentials::Store ──> Receiver ──> Endpoint ──┬─ verifier   by trust domain
//!  (what an NF has)                              ├─ resolver   which credential for which peer
//!                                                └─ hints      trust anchor names on the wire; trust_anchors: the real ones
//! handshake::{connect, accept} ──> a stream, who the peer is, what it cost
//!                                  └─ record: bytes by message; notes: what was signed and verified; tcp_info: TCP facts
//! revocation                   ──> CRLs and OCSP responses of X.509 CAs
//! https                        ──> X.509 certificates for clients of others, who show none
//! signing                      ──> what an NF signs beside handshakes, and whose it is
//! memory::handshake            ──> the same of two endpoints in one thread, without sockets
//! ```
//!
//! The only crate that implements rustls' traits. It knows no HTTP and no NF beyond its identity in a certificate.

pub mod anchor_bytes;
pub mod clock;
pub mod cpu;
pub mod credentials;
pub mod csr;
pub mod downgrade;
pub mod endpoint;
mod grease;
pub mod handshake;
mod hints;
pub mod https;
pub mod https_client;
pub mod identity;
pub mod key;
pub mod key_log;
pub mod kind;
pub mod memory;
mod notes;
pub mod peer;
pub mod pem;
mod pool;
mod presented;
pub mod profile;
pub mod provider;
pub mod record;
mod resolver;
mod resumption;
pub mod revocation;
mod seat;
pub mod signal;
pub mod signing;
pub mod tcp_info;
pub mod trust_anchors;
pub mod verification;
mod verifier;
mod wishes;
