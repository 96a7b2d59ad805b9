//! PEM text (RFC 7468) around DER; reading it is `rustls::pki_types`' work.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Label of a PKCS#8 private key.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of a SubjectPublicKeyInfo.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";
/// Label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a certificate revocation list.
pub const X509_CRL: &str = "X509 CRL";

/// Label of what belongs to the chain behind it, [`mtc_core::properties`].
pub const CERTIFICATE_PROPERTIES: &str = "CERTIFICATE PROPERTIES";

/// Octets a line, as 64 characters of base64.
const LINE: usize = 48;

/// `der` between its `BEGIN` and `END` lines. It may be a key: no other copy of it is made, so the text has room for all of it.
pub fn encode(label: &str, der: &[u8]) -> String {
    let lines = der.len().div_ceil(LINE);
    let mut text =
        String::with_capacity(der.len().div_ceil(3) * 4 + lines + 2 * (label.len() + 18));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in der.chunks(LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

/// A chain with its certificate properties before it, as servers of others read it (`application/pem-certificate-chain-with-properties`;
/// draft-ietf-tls-trust-anchor-ids, Section 7.4). `properties` is an encoded [`mtc_core::properties::CertificateProperties`].
pub fn chain_with_properties<T: AsRef<[u8]>>(properties: &[u8], chain: &[T]) -> String {
    let certificates = chain.iter().map(|der| encode(CERTIFICATE, der.as_ref()));
    let before = encode(CERTIFICATE_PROPERTIES, properties);
    std::iter::once(before).chain(certificates).collect()
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
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(
                CertificateDer::from_pem_slice(text.as_bytes())
                    .unwrap()
                    .as_ref(),
                der
            );
        }
    }
}
