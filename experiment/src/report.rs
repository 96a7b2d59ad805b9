//! Reports: [`Results`](crate::results::Results) in, text out, nothing else.
//!
//! ```text
//!             ┌─> findings  what the figures say, in sentences ─┐
//!  Results ───┤                                                 ├─> table (terminal), summary (Markdown), html
//!             └─> figures   how a figure is written ────────────┘                                       └─ svg
//! ```

mod charts;
mod comparison;
mod escape;
mod figures;
mod findings;
mod html;
mod markdown;
mod plot;
mod summary;
mod svg;
mod sweep;
mod table;
mod written;

pub use comparison::comparison;
pub use findings::{Finding, Tone, caveats, findings, headline};
pub use html::html;
pub use plot::{figure_names, plot};
pub use summary::summary;
pub use sweep::{sweep, sweep_html};
pub use table::table;
pub use written::{NotWritten, Written, write, write_files};
