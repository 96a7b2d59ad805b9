//! The SCP: the witness of the NRF's issuance log, and an NF through which others communicate. Further witnesses are processes of
//! their own, of the same code.
//!
//! ```text
//!   witness       opened and served here, or in a process of its own
//!   witness_api   add-checkpoint, sign-subtree ──> mtc_log::WitnessStore: consistent or refused, stored before signed
//!   routing       requests of consumers ──> their producers, named (model C) or discovered for them (model D)
//!   scp           enrols and registers like any NF
//! ```
//!
//! Each of its two ports has limits of its own, so that neither role can starve the other.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod config;
pub mod metrics;
pub mod routing;
mod scp;
pub mod witness;
pub mod witness_api;

pub use self::scp::{ScpError, profile, run};
