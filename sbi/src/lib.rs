//! The SBI runtime: what two network functions would otherwise both write.
//!
//! A request travels top-down through these modules:
//!
//! ```text
//!   server    bytes of one connection -> Request { method, path, query, headers, body, peer }
//!   uri       path segments to match on, query parameters; apiRoot
//!   model     the TS 29.5xx types in the body; multipart for those with binary parts
//!   problem   what went wrong, and the one mapping from there to an answer
//!   client    the same in the other direction
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod access_token;
pub mod address;
pub mod admin;
pub mod backoff;
pub mod body;
pub mod budget;
pub mod checksum;
pub mod client;
pub mod client_credentials;
pub mod clock;
pub mod command_line;
pub mod config;
pub mod cosigner;
pub mod credentials;
pub mod durable;
pub mod enrolment;
pub mod enrolment_claims;
pub mod header;
pub mod indirect;
pub mod instance;
pub mod json_patch;
mod known;
pub mod landmark_demand;
pub mod lanes;
pub mod ledger;
pub mod limits;
pub mod listener;
pub mod message;
pub mod metrics;
pub mod model;
pub mod multipart;
pub mod nf;
pub mod nf_status;
pub mod nnrf;
pub mod operation;
pub mod orders;
mod outcome;
pub mod pool;
pub mod problem;
pub mod process;
pub mod response;
pub mod selection;
pub mod server;
pub mod service_account;
pub mod telemetry;
pub mod terminal;
pub mod text_file;
pub mod trace;
pub mod trust;
pub mod trust_file;
pub mod uri;
pub mod vault;
pub mod x509_status;
