//! Sweeps: one file that stands for several runs, which differ in the values of a few keys.
//!
//! ```text
//!  [sweep]
//!  load.connections.reused = [1, 10, 100]        2 axes, 6 cells: every value of one with every value of the other,
//!  lab.preload = [0, 1_000_000]                  the last axis changing fastest
//! ```
//!
//! A cell is the document with the values put where the keys say, read like any other. So every key of every table can be
//! swept except those of the array `[[variant]]`, whose elements are compared within a run, and a fault of a value is
//! reported where the value stands.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Reader, Refusal};

/// Cells of one sweep.
const MAX_CELLS: usize = 100;
const TABLE: &str = "sweep";
/// A key whose list of values is an axis also where it stands: the plainest way to say what is swept most often.
const LISTED_IN_PLACE: &str = "load.connections.reused";
/// A key that needs no table in `[sweep]`, and which it is.
const SHORT: (&str, &str) = ("upgraded", "lab.upgraded");

/// A key of the scenario and the value that a cell gives it, as written, without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, e.g. `load.connections.reused`.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// One run of a sweep: a document without axes, and what is particular to it; nothing when nothing is swept.
pub(super) struct CellDocument<'t> {
    pub(super) root: DeTable<'t>,
    pub(super) settings: Vec<Setting>,
}

struct Axis<'t> {
    key: String,
    span: Range<usize>,
    values: Vec<Spanned<DeValue<'t>>>,
}

/// Takes the axes out of a document and makes its cells; none when the axes are faulty.
pub(super) fn cells<'t>(
    reader: &mut Reader<'_>,
    text: &str,
    mut root: DeTable<'t>,
) -> Option<Vec<CellDocument<'t>>> {
    let axes = take_axes(reader, &mut root)?;
    let count: usize = axes.iter().map(|axis| axis.values.len()).product();
    if count > MAX_CELLS {
        let span = axes.first().map_or(0, |axis| axis.span.start);
        let rule = format!("makes {count} runs; a sweep has at most {MAX_CELLS}");
        reader.fault(span, TABLE, Refusal::new(rule));
        return None;
    }
    let mut cells = vec![CellDocument {
        root,
        settings: Vec::new(),
    }];
    for axis in &axes {
        let mut next = Vec::with_capacity(cells.len() * axis.values.len());
        for cell in &cells {
            for value in &axis.values {
                next.push(set(reader, text, cell, axis, value)?);
            }
        }
        cells = next;
    }
    Some(cells)
}

fn take_axes<'t>(reader: &mut Reader<'_>, root: &mut DeTable<'t>) -> Option<Vec<Axis<'t>>> {
    let mut axes = Vec::new();
    if let Some(table) = root.remove(TABLE) {
        let span = table.span();
        let DeValue::Table(table) = table.into_inner() else {
            reader.fault(
                span.start,
                TABLE,
                Refusal::new("must be a table of keys and their values"),
            );
            return None;
        };
        collect(reader, "", table, &mut axes)?;
    }
    if let Some((span, values)) = listed_in_place(root) {
        axes.push(Axis {
            key: LISTED_IN_PLACE.to_owned(),
            span,
            values,
        });
    }
    for axis in &axes {
        let first = axis.key.split('.').next().unwrap_or_default();
        if axis.values.is_empty() {
            reader.fault(
                axis.span.start,
                &format!("{TABLE}.{}", axis.key),
                Refusal::new("has no values"),
            );
            return None;
        }
        if !axis.key.contains('.') || first == "variant" {
            let refusal = Refusal::new("is not a key that can be swept")
                .hint("name a table and a key of it, as in load.connections.reused");
            reader.fault(axis.span.start, &format!("{TABLE}.{}", axis.key), refusal);
            return None;
        }
    }
    Some(axes)
}

/// Dotted keys are tables in tables; a quoted key with dots means the same.
fn collect<'t>(
    reader: &mut Reader<'_>,
    prefix: &str,
    table: DeTable<'t>,
    axes: &mut Vec<Axis<'t>>,
) -> Option<()> {
    for (key, value) in table {
        let name = key.get_ref();
        let key = if prefix.is_empty() {
            name.to_string()
        } else {
            format!("{prefix}.{name}")
        };
        let key = if key == SHORT.0 {
            SHORT.1.to_owned()
        } else {
            key
        };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(values) => axes.push(Axis {
                key,
                span,
                values: values.iter().cloned().collect(),
            }),
            DeValue::Table(inner) => collect(reader, &key, inner, axes)?,
            _ => {
                let refusal =
                    Refusal::new("must be a list of values").hint("as in lab.preload = [0, 1000]");
                reader.fault(span.start, &format!("{TABLE}.{key}"), refusal);
                return None;
            }
        }
    }
    Some(())
}

type Listed<'t> = (Range<usize>, Vec<Spanned<DeValue<'t>>>);

fn listed_in_place<'t>(root: &DeTable<'t>) -> Option<Listed<'t>> {
    let mut segments = LISTED_IN_PLACE.split('.');
    let first = root.get(segments.next()?)?;
    let found = segments.try_fold(first, |value, segment| {
        value.get_ref().as_table()?.get(segment)
    })?;
    let values = found.get_ref().as_array()?.iter().cloned().collect();
    Some((found.span(), values))
}

/// A copy of `cell` in which one more key is set.
fn set<'t>(
    reader: &mut Reader<'_>,
    text: &str,
    cell: &CellDocument<'t>,
    axis: &Axis<'t>,
    value: &Spanned<DeValue<'t>>,
) -> Option<CellDocument<'t>> {
    let mut root = cell.root.clone();
    let (path, last) = axis.key.rsplit_once('.')?;
    let mut table = &mut root;
    for segment in path.split('.') {
        if !table.contains_key(segment) {
            let empty = DeValue::Table(DeTable::new());
            table.insert(
                Spanned::new(axis.span.clone(), segment.to_owned().into()),
                Spanned::new(axis.span.clone(), empty),
            );
        }
        let Some(DeValue::Table(inner)) = table.get_mut(segment).map(Spanned::get_mut) else {
            let rule = format!("needs {segment:?} to be a table");
            reader.fault(
                axis.span.start,
                &format!("{TABLE}.{}", axis.key),
                Refusal::new(rule),
            );
            return None;
        };
        table = inner;
    }
    table.remove(last);
    table.insert(
        Spanned::new(value.span(), last.to_owned().into()),
        value.clone(),
    );
    let mut settings = cell.settings.clone();
    settings.push(Setting {
        key: axis.key.clone(),
        value: written(text, value.span()),
    });
    Some(CellDocument { root, settings })
}

/// A value as the file has it, without quotes.
fn written(text: &str, span: Range<usize>) -> String {
    let value = text.get(span).unwrap_or_default().trim();
    value.trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests;
