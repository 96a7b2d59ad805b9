//! Pieces of Markdown.

use std::fmt::Write as _;

use mtc_core::printable::{is_hidden, printable};

/// A list, an item a line.
pub(super) fn bullets(out: &mut String, lines: impl IntoIterator<Item = String>) {
    for line in lines {
        writeln!(out, "- {line}").expect("writing to a string does not fail");
    }
}

/// Keeps outside text from becoming markup or breaking a table.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' => {
                escaped.extend(['\\', c])
            }
            c if is_hidden(c) => escaped.push_str(&printable(&c.to_string())),
            c => escaped.push(c),
        }
    }
    escaped
}
