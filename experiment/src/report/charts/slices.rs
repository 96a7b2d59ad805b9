//! Figures over the slices of a run: a line for each variant.

use super::super::numbers::time;
use super::super::svg::{Caption, Course, Horizontal, Vertical, courses};
use super::figure::{Data, Figure};
use crate::results::{Results, Slice, VariantResult};

/// A value of each slice, drawn over the time of the run.
pub(super) struct OverSlices {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) vertical: Vertical,
    /// The value, none where nothing was measured.
    pub(super) value: fn(&Slice) -> Option<f64>,
    /// What stands behind a variant's name above its column.
    pub(super) unit: &'static str,
    /// How a value is written in the table.
    pub(super) written: fn(f64) -> String,
    /// What the figure shows, of the least and the greatest value.
    pub(super) sentence: fn(Option<(f64, f64)>) -> String,
}

impl OverSlices {
    /// The figure of these variants, each with its place among all of them.
    pub(super) fn figure<'a>(
        &self,
        results: &Results,
        variants: impl Iterator<Item = (usize, &'a VariantResult)>,
    ) -> Figure {
        let lines: Vec<Course<'_>> = variants
            .map(|(series, variant)| Course {
                label: &variant.name,
                series,
                values: variant.slices.iter().map(self.value).collect(),
            })
            .collect();
        let known = || lines.iter().flat_map(|line| line.values.iter().flatten());
        let least = known().copied().reduce(f64::min);
        let range = least.zip(known().copied().reduce(f64::max));
        let cell = |line: &Course<'_>, slice: usize| {
            let value = line.values.get(slice).copied().flatten();
            value.map_or_else(|| time(None), self.written)
        };
        let row = |slice: usize| {
            std::iter::once(slice.to_string())
                .chain(lines.iter().map(|line| cell(line, slice)))
                .collect()
        };
        let slices = lines.iter().map(|line| line.values.len()).max();
        let names = lines
            .iter()
            .map(|line| format!("{}{}", line.label, self.unit));
        Figure {
            caption: Caption {
                id: self.id.to_owned(),
                title: self.title.clone(),
                sentence: (self.sentence)(range),
            },
            chart: courses(
                &Horizontal::Seconds(results.run.measured_s),
                self.vertical,
                &lines,
            ),
            data: Data {
                head: std::iter::once("slice".to_owned()).chain(names).collect(),
                rows: (0..slices.unwrap_or_default()).map(row).collect(),
            },
        }
    }
}
