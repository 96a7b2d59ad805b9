//! The certificates as CSV (RFC 4180): a line each, for spreadsheets.

use crate::model::{CertificateEntry, Inventory, Role};

const HEADER: [&str; 22] = [
    "fingerprint",
    "kind",
    "role",
    "subject",
    "issuer",
    "serial",
    "alternative_names",
    "key",
    "key_quantum",
    "signature",
    "signature_quantum",
    "quantum_vulnerable",
    "bytes",
    "chain_bytes",
    "not_before",
    "not_after",
    "days_left",
    "renew_from",
    "places",
    "uses",
    "private_keys",
    "remarks",
];

/// The certificates of an inventory, a line each below a header. Several values in one field have `; ` between them.
pub fn csv(inventory: &Inventory) -> String {
    let header = HEADER.map(str::to_owned);
    let lines = std::iter::once(header).chain(inventory.certificates.iter().map(fields));
    lines
        .map(|fields| format!("{}\r\n", fields.map(|text| quoted(&text)).join(",")))
        .collect()
}

fn fields(entry: &CertificateEntry) -> [String; 22] {
    let places = entry.places.iter().map(ToString::to_string);
    let uses = entry
        .places
        .iter()
        .flat_map(|place| place.uses.iter().cloned());
    [
        entry.fingerprint.clone(),
        entry.kind.clone(),
        match entry.role {
            Role::Leaf => "leaf".to_owned(),
            Role::Authority => "authority".to_owned(),
        },
        entry.subject.clone(),
        entry.issuer.clone(),
        entry.serial.clone(),
        entry.alternative_names.join("; "),
        entry.key.name.clone(),
        entry.key.quantum.as_str().to_owned(),
        entry.signature.name.clone(),
        entry.signature.quantum.as_str().to_owned(),
        entry.quantum_vulnerable.to_string(),
        entry.bytes.to_string(),
        entry.chain.bytes.to_string(),
        entry.not_before.clone(),
        entry.not_after.clone(),
        entry.days_left.to_string(),
        entry.renewal.date.clone(),
        places.collect::<Vec<_>>().join("; "),
        uses.collect::<Vec<_>>().join("; "),
        entry.private_keys.join("; "),
        entry.remarks.join("; "),
    ]
}

/// A field. What a spreadsheet would take for a formula, of which names are others' to choose, has an apostrophe before it.
fn quoted(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok();
    let text = if text.starts_with(['=', '+', '-', '@']) && !is_number {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (text, field) in [
            ("CN=a", "CN=a"),
            ("C=XX, CN=a", "\"C=XX, CN=a\""),
            ("a\"b", "\"a\"\"b\""),
            ("-5", "-5"),
            ("=1+1", "'=1+1"),
            ("@SUM(1)", "'@SUM(1)"),
        ] {
            assert_eq!(quoted(text), field);
        }
    }
}
