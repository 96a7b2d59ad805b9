//! Reports: [`Results`](crate::results::Results) in, text out, nothing else.
//!
//! ```text
//!             ┌─> findings  what the figures say, in sentences ─┐            ┌─> table    for a terminal
//!  Results ───┼─> columns   what tables show of a variant ──────┼─> Report ──┼─> summary  Markdown
//!             └─> wording   verdict, load, environment ─────────┘            ├─> html     with charts ─> svg
//!                                                                            └─> json     with the results
//! ```

mod charts;
mod columns;
mod comparison;
mod content;
mod escape;
mod findings;
mod html;
mod json;
mod learning;
mod legs;
mod markdown;
mod messages;
mod numbers;
mod observed;
mod plot;
mod procedure;
mod scenario_text;
mod storm;
mod summary;
mod svg;
mod sweep;
mod table;
mod tables;
mod ways;
mod wording;
mod written;

pub use comparison::comparison;
pub use content::Report;
pub use html::{html, html_page, scroll};
pub use json::{json, sweep_json};
pub(crate) use markdown::escape as markdown_escape;
pub(crate) use numbers::count;
pub use plot::{figure_names, plot, why_not_plotted};
pub use summary::summary;
pub use sweep::{sweep, sweep_html, sweep_verdict};
pub use table::{table, table_within};
pub use tables::{
    CsvFile, TableFormat, comparison_table, csv_files, procedure_table, sweep_csv_files,
};
pub use written::{NotWritten, Written, write, write_files};
