//! An experiment as text goes in and as results and reports come out; no process is started here and no socket opened.
//!
//! ```text
//!  scenario.toml ──> scenario::Scenario ──(lab: topology, load)──> measure::LoadResult ─┐
//!                                          network functions' NfTotals ─────────────────┼──> results::Results ──> report
//!                                                     environment::Environment ─────────┘        (results.json)   table, HTML, Markdown
//!
//!  an estate, costs of a run ──> estimate::Estimate              what it would cost, without running anything
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)] // whoever calls decides where text goes

pub mod environment;
pub mod estimate;
pub mod files;
pub mod measure;
pub mod report;
pub mod results;
pub mod scenario;
