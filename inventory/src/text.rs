//! The inventory for people: what matters first, then certificates, keys, ports, and what could not be read.

use std::fmt::Write as _;

use crate::algorithm::Quantum;
use crate::model::{CertificateEntry, EndpointEntry, Inventory, Place, Protection, Role, Summary};

/// Characters of a subject in the table; the rest is in the other forms.
const SUBJECT: usize = 44;
/// Certificates whose expiry the summary names.
const NEXT: usize = 3;
/// Lines of a list of problems; all are in the other forms.
const LISTED: usize = 20;

/// The inventory as text, with a table of certificates, those that expire first before the others.
pub fn text(inventory: &Inventory) -> String {
    let mut text = summary(inventory);
    certificates(inventory, &mut text);
    duplicates(inventory, &mut text);
    keys(inventory, &mut text);
    endpoints(inventory, &mut text);
    remarks(inventory, &mut text);
    let unresolved: Vec<_> = inventory
        .unresolved_references
        .iter()
        .map(|reference| format!("{}: {}", reference.from, reference.path))
        .collect();
    list(
        "Named in a configuration, and not there",
        &unresolved,
        &mut text,
    );
    let problems: Vec<_> = inventory
        .problems
        .iter()
        .map(|problem| format!("{}: {}", problem.place, problem.reason))
        .collect();
    list("Not read, or only in part", &problems, &mut text);
    text
}

fn summary(inventory: &Inventory) -> String {
    let summary = &inventory.summary;
    let mut text = format!(
        "{} ({} of end entities, {} of authorities), {}, {}; {} read\n",
        counted(summary.certificates, "certificate"),
        summary.leaves,
        summary.authorities,
        counted(summary.private_keys, "private key"),
        counted(summary.endpoints, "TLS port"),
        counted(summary.files, "file"),
    );
    for (label, value) in figures(summary).into_iter().chain(next(inventory)) {
        let _ = writeln!(text, "  {label:<22}{value}"); // a String takes everything
    }
    for (algorithm, count) in &summary.by_key_algorithm {
        let (leaves, authorities) = (count.leaves, count.authorities);
        let _ = writeln!(
            text,
            "  {algorithm:<22}{leaves} of end entities, {authorities} of authorities"
        ); // the same
    }
    text
}

fn figures(summary: &Summary) -> Vec<(&'static str, String)> {
    let mut vulnerable = format!(
        "{} of {} certificates",
        summary.quantum_vulnerable, summary.certificates
    );
    if summary.endpoints > 0 {
        vulnerable += &format!(
            "; key exchange of {} of {} TLS ports",
            summary.vulnerable_key_exchanges, summary.endpoints
        );
    }
    let mut lines = vec![
        ("quantum-vulnerable", vulnerable),
        ("expired", summary.expired.to_string()),
        ("renewal due", summary.renewal_due.to_string()),
        ("open private keys", summary.open_private_keys.to_string()),
    ];
    if summary.merkle_tree_certificates > 0 {
        lines.push((
            "Merkle Tree",
            counted(summary.merkle_tree_certificates, "certificate"),
        ));
    }
    if summary.problems > 0 {
        lines.push(("not read", format!("{}; see below", summary.problems)));
    }
    lines
}

/// What expires next.
fn next(inventory: &Inventory) -> Option<(&'static str, String)> {
    let valid = inventory
        .certificates
        .iter()
        .filter(|entry| entry.days_left >= 0);
    let next = valid
        .take(NEXT)
        .map(|entry| format!("{} {}", date(&entry.not_after), short(&entry.subject)));
    let next = next.collect::<Vec<_>>().join("; ");
    (!next.is_empty()).then_some(("next to expire", next))
}

fn certificates(inventory: &Inventory, text: &mut String) {
    let mut rows = vec![
        [
            "EXPIRES",
            "DAYS",
            "RENEW",
            "ROLE",
            "KEY",
            "SIGNATURE",
            "QUANTUM",
            "BYTES",
            "CHAIN",
            "SUBJECT",
            "WHERE",
        ]
        .map(str::to_owned),
    ];
    rows.extend(inventory.certificates.iter().map(row));
    if rows.len() > 1 {
        text.push('\n');
        table(&rows, text);
    }
}

fn row(entry: &CertificateEntry) -> [String; 11] {
    let place = entry.places.first().map(described).unwrap_or_default();
    let more = match entry.places.len() {
        0 | 1 => String::new(),
        all => format!(" (+{})", all - 1),
    };
    [
        date(&entry.not_after).to_owned(),
        entry.days_left.to_string(),
        if entry.renewal.due {
            "due".to_owned()
        } else {
            date(&entry.renewal.date).to_owned()
        },
        match (entry.role, &*entry.kind) {
            (Role::Authority, _) => "CA",
            (Role::Leaf, "directly-signed") => "leaf",
            (Role::Leaf, _) => "leaf, MTC",
        }
        .to_owned(),
        entry.key.name.clone(),
        entry.signature.name.clone(),
        quantum(entry),
        entry.bytes.to_string(),
        entry.chain.bytes.to_string(),
        short(&entry.subject),
        format!("{place}{more}"),
    ]
}

/// What a quantum computer breaks of it.
fn quantum(entry: &CertificateEntry) -> String {
    match (entry.key.quantum, entry.signature.quantum) {
        (key, signature) if key == signature || signature == Quantum::Unsigned => {
            key.as_str().to_owned()
        }
        (key, Quantum::Vulnerable | Quantum::Unknown) if !key.is_exposed() => {
            "vulnerable signature".to_owned()
        }
        (Quantum::Vulnerable | Quantum::Unknown, _) => "vulnerable key".to_owned(),
        (key, signature) => format!("{}, {}", key.as_str(), signature.as_str()),
    }
}

fn duplicates(inventory: &Inventory, text: &mut String) {
    let places: Vec<_> = inventory
        .certificates
        .iter()
        .filter(|entry| {
            entry
                .places
                .iter()
                .filter(|place| place.link_to.is_none())
                .count()
                > 1
        })
        .map(|entry| {
            let places: Vec<_> = entry.places.iter().map(ToString::to_string).collect();
            format!("{}: {}", short(&entry.subject), places.join(", "))
        })
        .collect();
    list("At several places", &places, text);
    let keys: Vec<_> = inventory
        .certificates
        .iter()
        .filter(|entry| {
            entry
                .same_key
                .iter()
                .all(|other| *other > entry.fingerprint)
                && !entry.same_key.is_empty()
        })
        .map(|entry| {
            let place = entry
                .places
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!(
                "{place}: {} and {} more",
                short(&entry.subject),
                entry.same_key.len()
            )
        })
        .collect();
    list("Certificates for one key", &keys, text);
}

fn keys(inventory: &Inventory, text: &mut String) {
    if inventory.private_keys.is_empty() {
        return;
    }
    let mut rows = vec![
        [
            "PRIVATE KEY",
            "PROTECTED BY",
            "MODE",
            "CERTIFICATES",
            "WHERE",
        ]
        .map(str::to_owned),
    ];
    rows.extend(inventory.private_keys.iter().map(|key| {
        let protection = match key.protection {
            Protection::None => "nothing",
            Protection::KnownPassword => "a password everybody knows",
            Protection::Encrypted => "a password",
        };
        let mode = key.mode.clone().unwrap_or_default();
        [
            key.algorithm.as_ref().map_or_else(
                || "(encrypted)".to_owned(),
                |algorithm| algorithm.name.clone(),
            ),
            protection.to_owned(),
            if key.open {
                format!("{mode} OPEN")
            } else {
                mode
            },
            key.certificates.len().to_string(),
            described(&key.place),
        ]
    }));
    text.push('\n');
    table(&rows, text);
}

fn endpoints(inventory: &Inventory, text: &mut String) {
    if inventory.endpoints.is_empty() {
        return;
    }
    let mut rows = vec![
        [
            "TLS PORT",
            "VERSION",
            "KEY EXCHANGE",
            "QUANTUM",
            "SIGNATURE",
            "CIPHER SUITE",
            "CLIENT CERTIFICATE",
            "CHAIN",
        ]
        .map(str::to_owned),
    ];
    rows.extend(inventory.endpoints.iter().map(port));
    text.push('\n');
    table(&rows, text);
}

fn port(port: &EndpointEntry) -> [String; 8] {
    let field = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    [
        port.address.clone(),
        field(&port.version),
        field(&port.group.as_ref().map(|group| group.name.clone())),
        field(
            &port
                .group
                .as_ref()
                .map(|group| group.quantum.as_str().to_owned()),
        ),
        field(&port.signature_scheme),
        field(&port.cipher_suite),
        if port.asks_for_client_certificate {
            "asked for"
        } else {
            "-"
        }
        .to_owned(),
        counted(port.chain.len(), "certificate"),
    ]
}

fn remarks(inventory: &Inventory, text: &mut String) {
    let remarks: Vec<_> = inventory
        .certificates
        .iter()
        .flat_map(|entry| {
            let place = entry
                .places
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            entry
                .remarks
                .iter()
                .map(move |remark| format!("{place}: {remark}"))
        })
        .collect();
    list("Remarks", &remarks, text);
}

fn list(title: &str, lines: &[String], text: &mut String) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title} ({}):", lines.len()); // a String takes everything
    for line in lines.iter().take(LISTED) {
        let _ = writeln!(text, "  {line}");
    }
    if lines.len() > LISTED {
        let _ = writeln!(text, "  and {} more: see --json", lines.len() - LISTED);
    }
}

/// A place, and what it is for.
fn described(place: &Place) -> String {
    match place.uses.first() {
        None => place.to_string(),
        Some(usage) => format!("{place} [{usage}]"),
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn date(moment: &str) -> &str {
    moment.split_once('T').map_or(moment, |(date, _)| date)
}

fn short(subject: &str) -> String {
    if subject.chars().count() <= SUBJECT {
        return subject.to_owned();
    }
    let start: String = subject.chars().take(SUBJECT - 1).collect();
    format!("{start}…")
}

/// Columns as wide as their widest cell, but for the last.
fn table<const N: usize>(rows: &[[String; N]], text: &mut String) {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
