//! Checksums of what is stored: against damage, not against who can write the file.

use aws_lc_rs::digest::{SHA256, digest};

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The SHA-256 of `octets` in 64 hexadecimal digits.
pub fn sha256(octets: &[u8]) -> String {
    hex(digest(&SHA256, octets).as_ref())
}
