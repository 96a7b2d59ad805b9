//! The SCP: the witness of the NRF's issuance log, and an NF. Routing of requests comes later.
//!
//! ```text
//!   witness_api   add-checkpoint, sign-subtree ──> mtc_log::WitnessStore: consistent or refused, stored before signed
//!   scp           enrols and registers like any NF
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod config;
pub mod metrics;
mod scp;
pub mod witness_api;

pub use self::scp::{ScpError, run};
