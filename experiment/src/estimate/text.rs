//! An estimate for people: the same tables on a terminal and in Markdown.

use std::fmt::Write as _;

use super::estate::DAY;
use super::{Against, Cadence, Estimate, VariantEstimate};
use crate::report::{count, markdown_escape};

/// Head and rows; the first column stands left, the others right.
type Rows = Vec<Vec<String>>;

/// Tables for a terminal.
pub fn estimate_table(estimate: &Estimate) -> String {
    written(estimate, aligned, |text| text.to_owned())
}

/// Tables in Markdown.
pub fn estimate_markdown(estimate: &Estimate) -> String {
    written(estimate, pipes, markdown_escape)
}

impl Against {
    /// A table for a terminal.
    pub fn table(&self) -> String {
        let mut rows = vec![head(&[
            "variant", "bytes", "measured", "off", "CPU us", "measured", "off", "",
        ])];
        rows.extend(self.variants.iter().map(|variant| {
            vec![
                variant.name.clone(),
                whole(variant.bytes),
                whole(variant.measured_bytes),
                percent(variant.bytes_off()),
                whole(variant.cpu_us),
                whole(variant.measured_cpu_us),
                percent(variant.cpu_off()),
                if variant.holds() {
                    ""
                } else {
                    "beyond what is tolerated"
                }
                .to_owned(),
            ]
        }));
        format!(
            "The model beside the run {:?}, per handshake; CPU times from {}, scaled by the first variant\n\n{}",
            self.run,
            self.costs,
            aligned(&rows)
        )
    }
}

fn written(estimate: &Estimate, table: fn(&Rows) -> String, escape: fn(&str) -> String) -> String {
    let estate = &estimate.estate;
    let mut out = format!("Estimate for {}\n\n", escape(&estate.name));
    for assumption in &estate.assumptions {
        let _ = writeln!(out, "- {}", escape(assumption));
    }
    for line in basis(estimate) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    let parts = [
        ("A handshake", handshakes(&estimate.variants)),
        ("The estate", totals(&estimate.variants)),
        ("The log of the Merkle Tree CA", log(estimate)),
        ("Landmarks: how often, and what follows", cadences(estimate)),
    ];
    for (title, rows) in parts {
        let _ = write!(out, "\n{title}\n\n{}", table(&rows));
    }
    out
}

/// What the figures rest on.
fn basis(estimate: &Estimate) -> Vec<String> {
    let estate = &estimate.estate;
    let mut lines = vec![
        format!(
            "{} instances, {} handshakes and {} requests a second, round trips of {}",
            whole(estimate.instances),
            short(estimate.handshakes_per_second),
            short(estimate.requests_per_second),
            String::from(estate.rtt)
        ),
        format!(
            "certificates for {}, a landmark every {}, {} of CA and witnesses",
            String::from(estate.certificate_lifetime),
            String::from(estate.landmark_interval),
            cosigners(estate.witnesses)
        ),
        format!("CPU times: {}", estimate.costs),
    ];
    if let Some(audit) = &estimate.audit {
        let each = audit.by_key_algorithm.iter();
        let each: Vec<String> = each
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        lines.push(format!(
            "inventory: {} leaf certificates: {}",
            audit.leaf_certificates,
            each.join(", ")
        ));
    }
    lines
}

fn cosigners(witnesses: f64) -> String {
    format!("{} cosignatures", short(1.0 + witnesses))
}

fn handshakes(variants: &[VariantEstimate]) -> Rows {
    let mut rows = vec![head(&[
        "variant",
        "bytes, client",
        "bytes, server",
        "to first",
        "CPU us",
        "to first",
        "round trips",
        "to first answer",
        "ms",
    ])];
    rows.extend(variants.iter().map(|variant| {
        vec![
            variant.name.clone(),
            whole(variant.bytes_client),
            whole(variant.bytes_server),
            times(variant.bytes_to_first),
            whole(variant.cpu_us),
            times(variant.cpu_to_first),
            format!("{:.2}", variant.round_trips),
            format!("{:.2}", variant.first_answer_round_trips),
            short(variant.first_answer_ms),
        ]
    }));
    rows
}

fn totals(variants: &[VariantEstimate]) -> Rows {
    let mut rows = vec![head(&[
        "variant",
        "bit/s",
        "processors",
        "bytes a day",
        "CPU h a day",
        "round trips a day",
        "bytes a request",
    ])];
    rows.extend(variants.iter().map(|variant| {
        vec![
            variant.name.clone(),
            prefixed(variant.bits_per_second),
            short(variant.processors),
            prefixed(variant.bytes_per_day),
            short(variant.cpu_seconds_per_day / 3600.0),
            prefixed(variant.round_trips_per_day),
            variant
                .bytes_per_request
                .map_or_else(|| "–".to_owned(), short),
        ]
    }));
    rows
}

fn log(estimate: &Estimate) -> Rows {
    let log = &estimate.log;
    let rows = [
        ("certificates issued a second", short(log.issued_per_second)),
        ("checkpoints a second", short(log.checkpoints_per_second)),
        ("cosignatures a second", short(log.cosignatures_per_second)),
        ("entries a day", prefixed(log.entries_per_day)),
        ("entries a year", prefixed(log.entries_per_year)),
        ("bytes a day", prefixed(log.bytes_per_day)),
        ("bytes a year", prefixed(log.bytes_per_year)),
        (
            "hashes of a standalone certificate",
            short(log.standalone_hashes),
        ),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    std::iter::once(head(&["", ""])).chain(rows).collect()
}

fn cadences(estimate: &Estimate) -> Rows {
    let mut rows = vec![head(&[
        "a landmark every",
        "entries",
        "hashes",
        "landmark hits",
        "bytes a handshake",
        "active",
        "state, bytes",
        "fetches a day",
        "bytes of them",
    ])];
    let now = (&estimate.log.now, " (this estate)");
    let others = estimate.cadences.iter().map(|cadence| (cadence, ""));
    rows.extend(
        std::iter::once(now)
            .chain(others)
            .map(|(of, note)| cadence(of, note)),
    );
    rows
}

fn cadence(of: &Cadence, note: &str) -> Vec<String> {
    vec![
        format!("{}{note}", interval(of.landmark_interval_s)),
        prefixed(of.entries),
        format!("{:.1}", of.proof_hashes),
        share(of.hit_share),
        whole(of.bytes_per_handshake),
        whole(of.active_landmarks),
        prefixed(of.state_bytes),
        short(of.fetches_per_day),
        prefixed(of.fetched_bytes_per_day),
    ]
}

fn interval(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= DAY => format!("{} d", short(seconds / DAY)),
        seconds if seconds >= 3600.0 => format!("{} h", short(seconds / 3600.0)),
        seconds if seconds >= 60.0 => format!("{} min", short(seconds / 60.0)),
        seconds => format!("{} s", short(seconds)),
    }
}

fn head(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|&title| title.to_owned()).collect()
}

fn whole(number: f64) -> String {
    count(number.round() as u64)
}

/// Three digits, as far as they say something.
fn short(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        number if number >= 99.95 => whole(number),
        number if number >= 9.995 => trimmed(format!("{number:.1}")),
        number if number >= 0.001 => trimmed(format!("{number:.3}")),
        number => format!("{number:.1e}"),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// With a decimal prefix.
fn prefixed(number: f64) -> String {
    let prefixes = [
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
    ];
    match prefixes.into_iter().find(|(least, _)| number >= *least) {
        Some((least, prefix)) => format!("{:.3} {prefix}", number / least),
        None => short(number),
    }
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}×")
}

fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

/// A share that is near one, so that what is missing shows.
fn share(of: f64) -> String {
    format!("{:.3} %", of * 100.0)
}

fn aligned(rows: &Rows) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows
        .iter()
        .filter(|row| row.iter().any(|cell| !cell.is_empty()))
    {
        let cells = row.iter().zip(&widths).enumerate();
        let line: Vec<String> = cells
            .map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        let _ = writeln!(out, "{}", line.join("  ").trim_end());
    }
    out
}

fn pipes(rows: &Rows) -> String {
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let _ = writeln!(out, "| {} |", row.join(" | "));
        if number == 0 {
            let rules = row.iter().enumerate();
            let rules = rules.map(|(column, _)| if column == 0 { "---" } else { "---:" });
            let _ = writeln!(out, "|{}|", rules.collect::<Vec<_>>().join("|"));
        }
    }
    out
}
