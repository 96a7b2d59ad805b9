//! What is timed, by `mtc5g bench` and by the benches of `mtc-core` and `mtc-log` alike.
//!
//! ```text
//! verification   certificates, relying parties, the SHA-256 floor ─┐
//! issuance       a CA, a log, a witness, a thousand requests      ─┤
//! handshake      an AMF and an SMF, certificates judged or not    ─┼─> suite: mtc5g bench [--json]
//! measure        kernels that take turns, medians                 ─┘
//! ```
//!
//! What is timed are the functions that the lab's network functions run; beside them stand floors, and handshakes in which
//! nobody is judged.

pub mod handshake;
pub mod issuance;
pub mod measure;
pub mod suite;
pub mod verification;
