//! The inventory as one HTML file, in the style of reports: no script, no font, no request.
//!
//! ```text
//!  verdict, figures      <- the first screen
//!  certificates          those that expire first before the others; remarks and places unfold
//!  private keys, TLS ports
//!  what was not read
//! ```

use experiment::report::{html_page, scroll};
use inventory::{
    Algorithm, CertificateEntry, EndpointEntry, Inventory, KeyEntry, Place, Protection, Quantum,
    Role, Summary,
};
use maud::{Markup, html};

/// The inventory as a page.
pub(super) fn page(inventory: &Inventory) -> String {
    let content = html! {
        (opening(inventory))
        (certificates(inventory))
        (keys(inventory))
        (endpoints(inventory))
        (unread(inventory))
    };
    html_page("certificate inventory", &content)
}

fn opening(inventory: &Inventory) -> Markup {
    let summary = &inventory.summary;
    let class = if summary.quantum_vulnerable + summary.expired + summary.open_private_keys > 0 {
        "verdict failed"
    } else {
        "verdict"
    };
    html! {
        header {
            p.kicker { "mtc5g audit, " (inventory.made) }
            h1 { "Certificate inventory" }
            p.note { "Of " (inventory.targets.join(", ")) }
        }
        div class=(class) {
            strong { (summary.quantum_vulnerable) " of " (summary.certificates) " certificates are quantum-vulnerable." }
            " " (summary.expired) " have expired, " (summary.renewal_due) " more are due for renewal; "
            (summary.open_private_keys) " of " (summary.private_keys) " private keys are open to others than their owner."
            @if summary.endpoints > 0 {
                " " (summary.vulnerable_key_exchanges) " of " (summary.endpoints) " TLS ports were seen with a key exchange that a quantum computer breaks."
            }
        }
        (by_algorithm(summary))
    }
}

fn by_algorithm(summary: &Summary) -> Markup {
    let table = html! {
        table {
            thead { tr { th scope="col" { "Key" } th scope="col" { "Of end entities" } th scope="col" { "Of authorities" } } }
            tbody {
                @for (algorithm, count) in &summary.by_key_algorithm {
                    tr { th scope="row" { (algorithm) } td { (count.leaves) } td { (count.authorities) } }
                }
            }
        }
    };
    html! {
        @if !summary.by_key_algorithm.is_empty() { (scroll("Certificates by key", &table)) }
    }
}

const CERTIFICATE_COLUMNS: [&str; 7] = [
    "Expires",
    "Days left",
    "Renew from",
    "Role",
    "Key, signature",
    "Quantum",
    "Bytes, chain",
];
/// What names and places need; numbers are narrow.
const WIDE: &str = "min-width: 19rem";

fn certificates(inventory: &Inventory) -> Markup {
    let table = html! {
        table.cards {
            thead {
                tr {
                    th scope="col" style=(WIDE) { "Subject, and where" }
                    @for heading in CERTIFICATE_COLUMNS { th scope="col" { (heading) } }
                }
            }
            tbody { @for entry in &inventory.certificates { (certificate(entry)) } }
        }
    };
    html! {
        @if !inventory.certificates.is_empty() {
            section id="certificates" {
                h2 { "Certificates" }
                (scroll("Certificates", &table))
                p.note {
                    "Those that expire first come first. A certificate is due for renewal when two thirds of its lifetime have passed. \
                     A chain is the longest that was found to begin with the certificate."
                }
            }
        }
    }
}

fn certificate(entry: &CertificateEntry) -> Markup {
    let renewal = if entry.renewal.due {
        "due"
    } else {
        date(&entry.renewal.date)
    };
    let role = match (entry.role, entry.kind.as_str()) {
        (Role::Authority, _) => "CA",
        (Role::Leaf, "directly-signed") => "leaf",
        (Role::Leaf, _) => "leaf, MTC",
    };
    let cells = [
        html! { (date(&entry.not_after)) },
        html! { (entry.days_left) },
        html! { (renewal) },
        html! { (role) },
        html! { (entry.key.name) br; small { (entry.signature.name) } },
        html! { (entry.key.quantum.as_str()) br; small { (entry.signature.quantum.as_str()) } },
        html! { (entry.bytes) br; small { (entry.chain.bytes) } },
    ];
    html! {
        "\n"
        tr {
            th scope="row" {
                (entry.subject)
                @for remark in &entry.remarks { small.broken { (remark) } }
                (places(&entry.places))
                (keys_of(&entry.private_keys))
                @if !entry.same_key.is_empty() { small { "the same key in " (entry.same_key.len()) " more" } }
            }
            @for (label, cell) in CERTIFICATE_COLUMNS.iter().zip(cells) { td data-label=(label) { (cell) } }
        }
    }
}

/// Where the private key of a certificate lies: the first place; the others unfold.
fn keys_of(places: &[String]) -> Markup {
    html! {
        @if let [first, more @ ..] = places {
            small { "its key: " (first) }
            @if !more.is_empty() {
                details {
                    summary { "and at " (more.len()) " more" }
                    @for place in more { small { (place) } }
                }
            }
        }
    }
}

/// The first place; the others unfold.
fn places(places: &[Place]) -> Markup {
    html! {
        @if let [first, more @ ..] = places {
            small { (described(first)) }
            @if !more.is_empty() {
                details {
                    summary { "and at " (more.len()) " more" }
                    @for place in more { small { (described(place)) } }
                }
            }
        }
    }
}

/// An algorithm, and what a quantum computer does to it unless that is nothing.
fn judged(algorithm: &Algorithm) -> String {
    match algorithm.quantum {
        Quantum::Resistant | Quantum::Unsigned => algorithm.name.clone(),
        quantum => format!("{} ({})", algorithm.name, quantum.as_str()),
    }
}

fn keys(inventory: &Inventory) -> Markup {
    let table = html! {
        table.cards {
            thead {
                tr {
                    th scope="col" style=(WIDE) { "Where" }
                    @for heading in KEY_COLUMNS { th scope="col" { (heading) } }
                }
            }
            tbody { @for key in &inventory.private_keys { (private_key(key)) } }
        }
    };
    html! {
        @if !inventory.private_keys.is_empty() {
            section id="private-keys" {
                h2 { "Private keys" }
                (scroll("Private keys", &table))
            }
        }
    }
}

const KEY_COLUMNS: [&str; 4] = ["Algorithm", "Protected by", "Mode", "Certificates"];

fn private_key(key: &KeyEntry) -> Markup {
    let algorithm = key
        .algorithm
        .as_ref()
        .map_or_else(|| "encrypted".to_owned(), judged);
    let protection = match key.protection {
        Protection::None => "nothing",
        Protection::KnownPassword => "a password everybody knows",
        Protection::Encrypted => "a password",
    };
    let cells = [
        algorithm,
        protection.to_owned(),
        key.mode.clone().unwrap_or_default(),
        key.certificates.len().to_string(),
    ];
    html! {
        "\n"
        tr {
            th scope="row" {
                (described(&key.place))
                @if key.open { small.broken { "open: others than its owner can read it" } }
            }
            @for (label, cell) in KEY_COLUMNS.iter().zip(cells) { td data-label=(label) { (cell) } }
        }
    }
}

const PORT_COLUMNS: [&str; 6] = [
    "Version",
    "Key exchange",
    "Signature",
    "Cipher suite",
    "Client certificate",
    "Chain",
];

fn endpoints(inventory: &Inventory) -> Markup {
    let table = html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { "Port" }
                    @for heading in PORT_COLUMNS { th scope="col" { (heading) } }
                }
            }
            tbody { @for port in &inventory.endpoints { (endpoint(port)) } }
        }
    };
    html! {
        @if !inventory.endpoints.is_empty() {
            section id="ports" {
                h2 { "TLS ports" }
                (scroll("TLS ports", &table))
                p.note {
                    "What one handshake showed that offers TLS 1.2 and 1.3 and prefers hybrid key exchange. A server that chooses by \
                     trust_anchors shows what it has for clients which name none."
                }
            }
        }
    }
}

fn endpoint(port: &EndpointEntry) -> Markup {
    let field = |value: &Option<String>| value.clone().unwrap_or_default();
    let group = port.group.as_ref().map(|group| match group.quantum {
        Quantum::Vulnerable => format!("{} (vulnerable)", group.name),
        _ => group.name.clone(),
    });
    let cells = [
        field(&port.version),
        field(&group),
        field(&port.signature_scheme),
        field(&port.cipher_suite),
        if port.asks_for_client_certificate {
            "asked for"
        } else {
            ""
        }
        .to_owned(),
        port.chain.len().to_string(),
    ];
    html! {
        "\n"
        tr {
            th scope="row" {
                (port.address)
                @if let Some(error) = &port.error { small.broken { (error) } }
            }
            @for (label, cell) in PORT_COLUMNS.iter().zip(cells) { td data-label=(label) { (cell) } }
        }
    }
}

fn unread(inventory: &Inventory) -> Markup {
    html! {
        @if !inventory.unresolved_references.is_empty() {
            section {
                h2 { "Named in a configuration, and not there" }
                ul { @for reference in &inventory.unresolved_references { li { (reference.from) ": " code { (reference.path) } } } }
            }
        }
        @if !inventory.problems.is_empty() {
            section {
                h2 { "Not read, or only in part" }
                ul { @for problem in &inventory.problems { li { (problem.place) ": " (problem.reason) } } }
            }
        }
    }
}

fn described(place: &Place) -> String {
    let linked = place
        .link_to
        .as_ref()
        .map(|file| format!(", a link to {file}"));
    let uses: String = place
        .uses
        .iter()
        .map(|usage| format!(" [{usage}]"))
        .collect();
    format!("{place}{}{uses}", linked.unwrap_or_default())
}

fn date(moment: &str) -> &str {
    moment.split_once('T').map_or(moment, |(date, _)| date)
}
