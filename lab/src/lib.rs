//! The `mtc5g` command as a library: scenarios, load, measurement, results and reports.
//!
//! ```text
//!  scenario.toml ──> Scenario ──> Schedule ──> Engine (in the AMF's process) ──> LoadResult ─┐
//!                                                     network functions' NfTotals ────────────┼──> Results ──> report
//!                                                                  Environment ──────────────┘
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod capacity;
pub mod cli;
pub mod identity;
pub mod in_memory;
pub mod load;
pub mod notary;
pub mod observe;
pub mod pki;
mod preflight;
mod revocation;
pub mod run;
pub mod top;
pub mod topology;
