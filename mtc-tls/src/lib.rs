//! Merkle Tree Certificates in rustls, beside the directly-signed X.509 that they are compared with.
//!
//! ```text
//! credentials::Store ──> Receiver ──> Endpoint ──┬─ verifier   by trust domain
//!  (what an NF has)                              ├─ resolver   which credential for which peer
//!                                                └─ hints      trust anchor names on the wire
//! handshake::{connect, accept} ──> a stream, who the peer is, what it cost
//!                                  └─ record: bytes by message; notes: what was signed and verified; tcp_info: TCP facts
//! memory::handshake            ──> the same of two endpoints in one thread, without sockets
//! ```
//!
//! The only crate that implements rustls' traits. It knows no HTTP and no NF beyond its identity in a certificate.

pub mod clock;
pub mod cpu;
pub mod credentials;
pub mod csr;
pub mod endpoint;
pub mod handshake;
mod hints;
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
mod seat;
pub mod tcp_info;
pub mod verification;
mod verifier;
mod wishes;
