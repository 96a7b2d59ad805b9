//! Lines for people on standard error, which may have no reader: a closed pipe, a terminal that is gone, a full disk.
//!
//! `eprintln!` panics then, and a panic in a command's shell leaves behind what the command would have cleared up.

use std::fmt;
use std::io::{self, Write as _};

/// Says a line on standard error, as `eprintln!` does, to whoever still listens. Use it as [`tell!`](crate::tell).
pub fn tell(line: fmt::Arguments<'_>) {
    // Whole in one write, so that lines of several threads and processes are not mixed.
    let line = format!("{}\n", printable_lines(&line.to_string()));
    // Where the one place for messages takes none, there is nobody to be told of it.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Text of others as it may go to a terminal, in a line: control and format characters are written as escapes, so that no name can
/// move the cursor, look like another line or turn the order of what follows.
pub fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// The same for text of several lines, whose breaks and tabs stay.
pub fn printable_lines(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character.to_string(),
            _ => shown(character),
        })
        .collect()
}

/// Whether a character is not shown as itself: it controls the terminal, or changes how others look.
pub fn is_hidden(character: char) -> bool {
    // Bidirectional overrides and invisible characters are no control characters.
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}'
        )
}

fn shown(character: char) -> String {
    if is_hidden(character) {
        character.escape_default().to_string()
    } else {
        character.to_string()
    }
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
    fn text_of_others_cannot_move_the_cursor_or_turn_what_follows() {
        let hostile = "a\u{1b}[2J\tb\r\n\u{202e}c\u{9b}\u{200b}ü";
        let shown = "a\\u{1b}[2J\\tb\\r\\n\\u{202e}c\\u{9b}\\u{200b}ü";
        assert_eq!(printable(hostile), shown);
        assert_eq!(
            printable_lines(hostile),
            shown.replace("\\t", "\t").replace("\\n", "\n")
        );
    }
}
