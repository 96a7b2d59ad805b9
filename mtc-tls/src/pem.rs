//! PEM text (RFC 7468) around DER; reading it is `rustls::pki_types`' work.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Label of a PKCS#8 private key.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of a SubjectPublicKeyInfo.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";
/// Label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";

/// Characters of base64 a line.
const LINE: usize = 64;

/// `der` between its `BEGIN` and `END` lines.
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn what_is_written_reads_back_at_every_line_length() {
        for length in [1, 47, 48, 49, 96, 1000] {
            let der = vec![7; length];
            let text = encode(CERTIFICATE, &der);
            assert!(text.lines().all(|line| line.len() <= LINE));
            assert_eq!(
                CertificateDer::from_pem_slice(text.as_bytes())
                    .unwrap()
                    .as_ref(),
                der
            );
        }
    }
}
