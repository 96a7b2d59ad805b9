//! Text of others within markup and addresses.

use mtc_core::printable::{is_hidden, printable};

/// Text that cannot become markup, in content and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What turns or hides the text around it.
            c if is_hidden(c) && c != '\n' && c != '\t' => {
                escaped.push_str(&printable(&c.to_string()))
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Everything but letters and digits, so that it can stand in a URL and in an attribute.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
