//! What others have sent, in a log of ours: so much of it, and so often, that they cannot fill a disk with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Octets of what is quoted. Names and reasons are shorter; what is longer is the sender's doing.
pub const MAX_QUOTED: usize = 255;

/// Lines of a kind in a [`WINDOW`]. With 2 kB each they are 100 MB a day at the most.
const LINES: u32 = 6;
const WINDOW: Duration = Duration::from_secs(10);

/// A sender's words, cut to [`MAX_QUOTED`] octets.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= MAX_QUOTED {
            return f.write_str(self.0);
        }
        let boundary = (0..=MAX_QUOTED)
            .rev()
            .find(|end| self.0.is_char_boundary(*end));
        let end = boundary.unwrap_or(0);
        write!(f, "{}... ({} octets)", &self.0[..end], self.0.len())
    }
}

/// Bounds how many lines of one kind are written, whoever causes them.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// A throttle that has let nothing through.
    pub const fn new() -> Self {
        Self(Mutex::new(Window {
            began: None,
            lines: 0,
            left_out: 0,
        }))
    }

    /// Whether a line may be written now: then how many have been left out since the last one, to be told with it.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began| now.saturating_duration_since(began) >= WINDOW;
        if window.began.is_none_or(is_over) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines == LINES {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_between_characters() {
        assert_eq!(Quoted("short").to_string(), "short");
        let exact = "a".repeat(MAX_QUOTED);
        assert_eq!(Quoted(&exact).to_string(), exact);
        let long = "\u{e4}".repeat(60_000);
        let quoted = Quoted(&long).to_string();
        assert!(
            quoted.len() < 2 * MAX_QUOTED && quoted.ends_with("... (120000 octets)"),
            "{quoted}"
        );
    }

    #[test]
    fn a_flood_is_a_few_lines_and_a_count() {
        let (throttle, begin) = (Throttle::new(), Instant::now());
        let passed = (0..400).filter(|_| throttle.pass_at(begin).is_some());
        assert_eq!(passed.count(), LINES as usize);
        assert_eq!(
            throttle.pass_at(begin + WINDOW),
            Some(400 - u64::from(LINES))
        );
        assert_eq!(throttle.pass_at(begin + WINDOW), Some(0));
    }
}
