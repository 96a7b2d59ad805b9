//! Trust anchor IDs as BoringSSL wants them: the contents octets of a RELATIVE-OID.

/// Longest binary form.
const MAX: usize = 32;

/// The binary form of a dotted ID; none if it is not one.
pub(crate) fn binary(dotted: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for component in dotted.split('.') {
        let value: u64 = component.parse().ok()?;
        let groups = (u64::BITS - value.leading_zeros()).div_ceil(7).max(1);
        for group in (0..groups).rev() {
            let more = if group == 0 { 0 } else { 0x80 };
            bytes.push(more | ((value >> (7 * group)) & 0x7f) as u8);
        }
    }
    (bytes.len() <= MAX).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_octets_of_the_draft() {
        assert_eq!(binary("32473.1"), Some(vec![0x81, 0xfd, 0x59, 1]));
        assert_eq!(binary("0"), Some(vec![0]));
        assert_eq!(binary("1..2"), None);
        assert_eq!(binary(""), None);
        assert_eq!(binary(&["1"; 33].join(".")), None);
    }
}
