//! `mtc5g top`: a running lab on a terminal.
//!
//! ```text
//!  Places ─ every interval ─> scrape: GET /metrics of each process ─> Scrape ─┬─> View (rates and quantiles over a window) ─> draw
//!   targets/*.json, lab.toml, addresses                                       └─ kept for as long as the window
//! ```
//!
//! [`text`] and [`view`] are pure; [`mod@scrape`] speaks HTTP, [`draw`] to a terminal.

mod draw;
pub mod scrape;
pub mod text;
pub mod view;

pub use draw::{Scroll, draw, plain};
pub use scrape::{Places, Scrape, UNNAMED, scrape};
pub use view::View;

use std::collections::VecDeque;
use std::time::Duration;

/// What rates and quantiles are of: the last so long, as far as there is so much.
pub const WINDOW: Duration = Duration::from_secs(10);

/// The scrapes of a window.
#[derive(Debug, Default)]
pub struct History(VecDeque<Scrape>);

impl History {
    /// Adds a scrape, and returns what the window shows now.
    pub fn add(&mut self, scrape: Scrape) -> View {
        let at = scrape.at;
        self.0.push_back(scrape);
        // One that is as old as the window stays, so that it is whole.
        while self.0.len() > 2 && self.0.get(1).is_some_and(|second| at - second.at >= WINDOW) {
            self.0.pop_front();
        }
        View::new(self.0.make_contiguous())
    }
}
