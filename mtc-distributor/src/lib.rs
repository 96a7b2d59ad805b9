//! The distributor of landmarks: one process a node follows the CA's logs, does all checks of a relying party, and publishes what it has
//! verified as files, which the network functions and sidecars of the node read instead of asking the logs each by itself.
//!
//! ```text
//!  logs ── sbi::trust ──> verified ──> release: at once, or after `hold` ──┐
//!                              │                                            ├──> sets: the next set, or none ──> folder ──> readers
//!                              └── what is revoked: always at once ─────────┘         ^
//!                                                                       operator ── rollback, pin, unpin
//! ```
//!
//! The folder is the only state: what the operator has ordered stands in the current set, and both this process and the command that orders
//! hold the folder's lock while they decide by it. Readers verify all again, so the folder is not believed, and what it can do at the worst
//! is to be old.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod config;
mod distributor;
pub mod metrics;
mod release;
pub mod sets;

pub use self::distributor::{DistributorError, run};
pub use self::release::Release;
