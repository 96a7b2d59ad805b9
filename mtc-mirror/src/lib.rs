//! A mirror of the CA's issuance logs (c2sp.org/tlog-mirror), a process of its own: it stores what it cosigns, and serves it.
//!
//! ```text
//!   api         add-checkpoint, add-entries, sign-subtree ──> mtc_log::MirrorStore: proven, stored, then signed
//!               GET <origin hash>/... <── checkpoint, tiles, landmarks
//!   landmarks   asks the log for its landmarks, which no tile has, and keeps a copy
//!   mirror      the process: configuration, ports, stop
//! ```
//!
//! It is no network function: it needs no certificate, and nothing of it is on the way of a request. It shares no process with the
//! SCP, so that a gigabyte of entries that somebody uploads takes nothing from routing; and it should share no disk with the NRF, since it
//! is there for when that is lost.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod api;
pub mod config;
mod landmarks;
pub mod metrics;
mod mirror;

pub use self::mirror::{MirrorError, run};
