//! The kinds of chart, as SVG without scripts: colours come from a style sheet. A third kind, `courses`, is as `percentiles`
//! with seconds or the settings of a sweep on its horizontal axis.
//!
//! ```text
//!  bars    x509-mldsa65                31,600 B     percentiles   ms │           ___/
//!          ████████████▒▒▒▒▒▒▒▒▒▒▒▒                     (log)     │   ____----
//!          one part    another                                       └──┬────┬────┬────┬─
//!                                                                       50   90   99   99.9 %
//! ```
//!
//! A chart is as wide as its figure and its text stays readable at the width of a phone. Each has a title and a
//! description for those who do not see it. Series differ in dash as well as in colour.

mod bars;
mod chart;
mod curves;
mod scale;

pub(super) use bars::{Bar, bars};
pub(super) use chart::{Caption, Chart};
pub(super) use curves::{Course, Curve, ENOUGH_BEYOND, Horizontal, Vertical, courses, percentiles};
