//! Reports: [`Results`] in, text out, nothing else.
//!
//! ```text
//!             ┌─> findings  what the figures say, in sentences ─┐
//!  Results ───┤                                                 ├─> table (terminal), summary (Markdown), html
//!             └─> figures   how a figure is written ────────────┘                                       └─ svg
//! ```

mod charts;
mod comparison;
mod figures;
mod findings;
mod html;
mod plot;
mod summary;
mod svg;
mod sweep;
mod table;

use std::path::Path;

use crate::results::Results;

pub use comparison::comparison;
pub use findings::{Finding, Tone, caveats, findings, headline};
pub use html::html;
pub use plot::{figure_names, plot};
pub use summary::summary;
pub use sweep::{sweep, sweep_html};
pub use table::table;

/// Writes `results.json`, `summary.md` and `report.html` into a folder that exists. Blocks on the disk.
///
/// # Errors
/// The disk refuses.
pub fn write(results: &Results, folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("results.json"), results.to_json())?;
    std::fs::write(folder.join("summary.md"), summary(results))?;
    std::fs::write(folder.join("report.html"), html(results))
}
