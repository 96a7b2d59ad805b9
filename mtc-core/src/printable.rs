//! Text of others, made fit to be shown: names in certificates, checkpoints and files come from whoever wrote them.

use alloc::string::{String, ToString as _};

/// Text of others as it may go to a terminal, in a line: control and format characters are written as escapes, so that no name can
/// move the cursor, look like another line or turn the order of what follows.
pub fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// Text of others in several lines: as [`printable`], but for breaks and tabs, which stay.
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
