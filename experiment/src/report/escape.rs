//! Text of others within markup and addresses.

use maud::html;
use mtc_core::printable::printable_lines;

/// Text that cannot become markup, in content and in attributes between double quotes, nor turn or hide the text around it.
pub(super) fn escape(text: &str) -> String {
    html! { (printable_lines(text)) }.into_string()
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
