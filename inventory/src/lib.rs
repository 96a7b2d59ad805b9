//! The certificate inventory: which certificates and private keys there are, where, until when, and which of them a quantum computer breaks.
//!
//! ```text
//!  files, folders ──> walk ──> form ─┬─ pem, der ───────────────> certificates, keys, requests, CRLs
//!  standard input ───────────> form ─┼─ pkcs12, java_store ─────> the same, from key stores
//!                                    └─ tree ──> document ──────> the same, from Kubernetes objects and kubeconfigs,
//!                                                                 and references to files, from configurations of NFs
//!  HOST:PORT ──> endpoint ──────────────────────────────────────> what a handshake shows: version, group, signature, chain
//!                                                                     │
//!                                         collector <─────────────────┘   each certificate once, with all its places
//!                                             │
//!                                         Inventory ──> text, csv, cbom, JSON; Condition judges it
//! ```
//!
//! What a file is, its bytes say; its name only helps where they do not. Nothing is verified, and nothing that is found wrong ends the
//! inventory: it is listed, and the rest is read. Private keys are told of, never kept: what is read of one is its algorithm and its
//! public half.
//!
//! "Audit" is what operators call this; what audits a *log* is [`mtc_tools::audit`].

mod algorithm;
mod auditor;
mod cbom;
mod collector;
mod condition;
mod csv;
mod der_file;
mod description;
mod document;
mod endpoint;
mod form;
mod found;
mod java_store;
mod model;
mod passwords;
mod pem;
mod pkcs12;
mod private_key;
mod text;
mod tree;
mod walk;

pub use self::algorithm::{Algorithm, Quantum};
pub use self::auditor::{Auditor, TargetError};
pub use self::cbom::cbom;
pub use self::condition::{Condition, UnknownCondition};
pub use self::csv::csv;
pub use self::endpoint::{Endpoint, EndpointError};
pub use self::model::{
    CertificateEntry, Chain, Count, EndpointEntry, Group, Inventory, KeyEntry, Place, Problem,
    Protection, Renewal, RequestEntry, Role, Summary, UnresolvedReference, schema,
};
pub use self::passwords::Passwords;
pub use self::text::text;
