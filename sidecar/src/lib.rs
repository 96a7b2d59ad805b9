//! The sidecar: a process beside an unmodified program, which speaks mutual TLS in the program's place.
//!
//! ```text
//!                 ┌──────────── this host ────────────┐
//!  peers ── TLS ──> inbound ── cleartext ──> program ──.
//!                 │    `─ who may? who is it?           │ cleartext
//!  peers <── TLS ── outbound <── whom does it mean? ────'
//!                 └───────────────────────────────────┘
//! ```
//!
//! It enrols as an NF instance does and has its certificates, trust, renewal and measurements, but registers nothing: what the program is,
//! the program tells.
//!
//! * [`config`]: the configuration file
//! * `inbound`, `outbound`: requests of HTTP in both directions
//! * `tunnel`: streams of octets in both directions; `upgrade`: those that begin as a request
//! * `allow`: who may, and as whom the program knows a peer
//! * `peers`: whom the program means
//! * [`program`]: how the program is reached; [`local_address`]: how it reaches the sidecar
//! * `relay`: what is done with each request; `forward`: one on its way, either way; `http1`: to a program that speaks nothing newer
//! * [`metrics`]: what Prometheus is told

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

mod allow;
pub mod config;
mod forward;
mod http1;
mod inbound;
pub mod local_address;
pub mod metrics;
mod outbound;
mod peers;
pub mod program;
mod relay;
mod sidecar;
mod tunnel;
mod upgrade;

pub use self::sidecar::{PROCESS, SidecarError, run};
