//! Decimal numbers in text formats.

use alloc::vec::Vec;

/// Digits of `u64::MAX`.
const MAX_DIGITS: usize = 20;

/// A decimal number without sign or leading zeros.
pub fn parse_decimal(text: &str) -> Option<u64> {
    let canonical =
        text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

/// Appends `number`: the formatting machinery of `core` would take longer than the hash of the message around it.
pub fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut first = MAX_DIGITS;
    loop {
        first -= 1;
        digits[first] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[first..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 1, 9, 10, 99, 32_473, 1 << 48, u64::MAX - 1, u64::MAX] {
            let mut written = b"x".to_vec();
            push_decimal(&mut written, number);
            let text = alloc::format!("x{number}");
            assert_eq!(written, text.as_bytes());
            assert_eq!(parse_decimal(&text[1..]), Some(number));
        }
    }
}
