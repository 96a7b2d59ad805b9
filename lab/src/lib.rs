//! The `mtc5g` command as a library: scenarios, load, measurement, results and reports.
//!
//! ```text
//!  scenario.toml ──> Scenario ──> Schedule ──> Engine (in the AMF's process) ──> LoadResult ─┐
//!                                                     network functions' NfTotals ────────────┼──> Results ──> report
//!                                                                  Environment ──────────────┘
//! ```

pub mod cli;
pub mod environment;
pub mod load;
pub mod measure;
pub mod pki;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod topology;
