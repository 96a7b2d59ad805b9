//! Checksums of what is stored: against damage, not against who can write the file.

use aws_lc_rs::digest::{SHA256, digest};
use mtc_core::hex;

/// The SHA-256 of `octets` in 64 hexadecimal digits.
pub fn sha256(octets: &[u8]) -> String {
    hex::encode(digest(&SHA256, octets).as_ref())
}
