//! Lines for people, which may have no reader: a closed pipe, a terminal that is gone, a full disk.
//!
//! ```text
//! MTC5G_LOG_FORMAT=json    warning: late  ─>  {"fields":{"message":"late"},"level":"WARN","timestamp":"2026-11-28T20:00:00Z"}
//! else                     warning: late  ─>  warning: late
//! ```
//!
//! `eprintln!` panics where nobody reads, and a panic in a command's shell leaves behind what the command would have cleared up.

use std::fmt;
use std::io::{self, Write as _};

use mtc_core::printable::printable_lines;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// With `json` in it, lines for people are JSON objects as the network functions log them with `--log-format json`: who
/// collects the output of containers then reads all of it alike.
pub const FORMAT_VARIABLE: &str = "MTC5G_LOG_FORMAT";

/// Whether [`FORMAT_VARIABLE`] asks for JSON.
pub fn is_json() -> bool {
    std::env::var_os(FORMAT_VARIABLE).is_some_and(|format| format == "json")
}

/// A message for people with the end of its line, in the form that [`FORMAT_VARIABLE`] asks for.
pub fn line(text: &str) -> String {
    if is_json() {
        json_line(text, OffsetDateTime::now_utc())
    } else {
        format!("{}\n", printable_lines(text))
    }
}

/// Says a line on standard error, as `eprintln!` does, to whoever still listens. Use it as [`tell!`](crate::tell).
pub fn tell(text: fmt::Arguments<'_>) {
    // Whole in one write, so that lines of several threads and processes are not mixed.
    let line = line(&text.to_string());
    // Where the one place for messages takes none, there is nobody to be told of it.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// A message as one line of JSON; its level is what it begins with.
fn json_line(text: &str, now: OffsetDateTime) -> String {
    let text = text.trim();
    let levels = [("error: ", "ERROR"), ("warning: ", "WARN")];
    let of_level = levels
        .iter()
        .find_map(|(prefix, level)| Some((*level, text.strip_prefix(prefix)?)));
    let (level, message) = of_level.unwrap_or(("INFO", text));
    let event = serde_json::json!({
        "timestamp": now.format(&Rfc3339).unwrap_or_default(),
        "level": level,
        "fields": { "message": message },
    });
    format!("{event}\n")
}

/// Says a line on standard error to whoever still listens: `eprintln!` without its panic.
#[macro_export]
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::terminal::tell(::std::format_args!($($argument)*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_json_with_the_level_that_it_begins_with() {
        let line = |text| json_line(text, OffsetDateTime::UNIX_EPOCH);
        let time = r#""timestamp":"1970-01-01T00:00:00Z""#;
        for (text, level, message) in [
            ("\nwrote a/b", "INFO", "wrote a/b"),
            ("warning: two\nlines", "WARN", r"two\nlines"),
            (
                r#"error: "x" is no duration"#,
                "ERROR",
                r#"\"x\" is no duration"#,
            ),
        ] {
            let expected = format!(
                "{{\"fields\":{{\"message\":\"{message}\"}},\"level\":\"{level}\",{time}}}\n"
            );
            assert_eq!(line(text), expected);
        }
    }
}
