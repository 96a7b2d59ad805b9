//! PEM as people keep it: several sections in one file, text between them, indented in another document, with headers of old encryption.
//!
//! One damaged section does not hide the others, which is why this is not the reader of [`mtc_tools::certificate_file`].

use std::iter::Peekable;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mtc_core::der::{self, Reader};
use mtc_core::printable::printable;
use mtc_core::properties::CertificateProperties;
use mtc_core::x509::Certificate;
use zeroize::Zeroizing;

use crate::der_file;
use crate::found::{Findings, Item};
use crate::model::Protection;
use crate::private_key::PrivateKey;

/// What a PEM section begins with.
pub(crate) const BEGIN: &str = "-----BEGIN ";
const PKCS7: &str = "PKCS7";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// The first octets of an OpenSSH private key.
const OPENSSH: &[u8] = b"openssh-key-v1\0";
/// Some writers leave padding out, or something in the bits that it leaves over.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 as PEM and Kubernetes have it: with or without padding, and with line ends in between.
pub(crate) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let packed: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.bytes()
            .filter(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))
            .collect(),
    );
    ENGINE.decode(&*packed).ok().map(Zeroizing::new)
}

/// Reads every section of a text.
pub(crate) fn read(text: &str, findings: &mut Findings) {
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let label = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(DASHES));
        let Some(label) = label else { continue };
        if label != PKCS7 {
            findings.next_position(); // of which each certificate counts
        }
        let section = Section::read(label, &mut lines);
        let shown = printable(label);
        match base64(&section.body) {
            _ if !is_of_interest(label) => findings.add_other(),
            bytes if !section.is_whole => {
                findings.fault(format!("PEM section {shown:?} has no end"));
                // It may be whole but for its last line.
                let bytes = bytes.filter(|bytes| Certificate::parse(bytes).is_ok());
                if let Some(bytes) = bytes {
                    der_file::certificate(&bytes, findings);
                }
            }
            None => findings.fault(format!("PEM section {shown:?} is not text in base64")),
            Some(_) if section.is_encrypted => {
                findings.add(Item::PrivateKey(PrivateKey::sealed(Protection::Encrypted)));
            }
            Some(bytes) => add(label, &bytes, findings),
        }
    }
}

/// What stands between two lines of dashes.
struct Section {
    body: Zeroizing<String>,
    /// Whether headers say that the body is encrypted.
    is_encrypted: bool,
    /// Whether its end is there.
    is_whole: bool,
}

impl Section {
    /// Reads to the end of the section, or to where the next one begins.
    fn read<'a>(label: &str, lines: &mut Peekable<impl Iterator<Item = &'a str>>) -> Self {
        let mut section = Self {
            body: Zeroizing::new(String::new()),
            is_encrypted: false,
            is_whole: false,
        };
        while let Some(line) = lines.next_if(|line| !line.starts_with(BEGIN)) {
            if let Some(end) = line.strip_prefix(END) {
                // What is behind it on its line is not looked at.
                let rest = end.strip_prefix(label);
                section.is_whole = rest.is_some_and(|rest| rest.starts_with(DASHES));
                break;
            }
            // Headers of RFC 1421, which OpenSSL writes around a key that it has encrypted in the old way.
            match line.split_once(':') {
                Some((name, value)) => {
                    section.is_encrypted |= name == "Proc-Type" && value.contains("ENCRYPTED");
                }
                None => section.body.push_str(line),
            }
        }
        section
    }
}

/// Whether a section is one of those that are looked for: others, of PGP for one, look the same and are not PEM.
fn is_of_interest(label: &str) -> bool {
    label.contains("CERTIFICATE")
        || label.ends_with("PRIVATE KEY")
        || [PKCS7, "X509 CRL"].contains(&label)
}

fn add(label: &str, bytes: &[u8], findings: &mut Findings) {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => der_file::certificate(bytes, findings),
        // A certificate, and behind it what OpenSSL trusts it for.
        "TRUSTED CERTIFICATE" => match Reader::new(bytes).expect(der::SEQUENCE) {
            Ok(certificate) => der_file::certificate(certificate.whole, findings),
            Err(error) => findings.fault(format!("PEM section {label:?}: {error}")),
        },
        "CERTIFICATE PROPERTIES" => {
            if let Err(error) = CertificateProperties::parse(bytes) {
                let causes = mtc_core::causes::Causes(&error);
                findings.fault(format!("PEM section {label:?}: {causes}"));
            }
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => der_file::request(bytes, findings),
        "X509 CRL" => findings.add(Item::RevocationList),
        PKCS7 => der_file::pkcs7(bytes, findings),
        "OPENSSH PRIVATE KEY" => findings.add(Item::PrivateKey(openssh(bytes))),
        label if label.ends_with("PRIVATE KEY") => match PrivateKey::read(bytes) {
            Some(key) => findings.add(Item::PrivateKey(key)),
            None => {
                // A key all the same: of a form that is not known here, and nothing says that it is protected.
                findings.add(Item::PrivateKey(PrivateKey::sealed(Protection::None)));
            }
        },
        _ => {} // public keys, parameters, what else there is in PEM
    }
}

/// `openssh-key-v1`, then as a string the name of the cipher.
fn openssh(bytes: &[u8]) -> PrivateKey {
    let cipher = bytes
        .strip_prefix(OPENSSH)
        .and_then(|rest| rest.split_first_chunk::<4>())
        .map(|(length, rest)| (u32::from_be_bytes(*length) as usize, rest))
        .and_then(|(length, rest)| rest.get(..length));
    PrivateKey::sealed(match cipher {
        Some(b"none") | None => Protection::None,
        Some(_) => Protection::Encrypted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a text: a word for each.
    fn words(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        read(text, &mut findings);
        let word = |item| match item {
            Item::PrivateKey(key) => format!("{:?} key", key.protection),
            Item::RevocationList => "list".to_owned(),
            Item::Fault(reason) => reason,
            _ => "other".to_owned(),
        };
        findings
            .into_found()
            .into_iter()
            .map(|found| word(found.item))
            .collect()
    }

    fn block(label: &str, body: &str) -> String {
        format!("{BEGIN}{label}-----\n{body}\n{END}{label}-----\n")
    }

    #[test]
    fn a_damaged_section_does_not_hide_the_next() {
        let list = block("X509 CRL", "AAAA");
        let cut = list.replace("-----END X509 CRL-----\n", "");
        let no_end = "PEM section \"X509 CRL\" has no end";
        assert_eq!(
            words(&format!("text\n{list}more\n{list}")),
            ["list", "list"]
        );
        assert_eq!(
            words(&block("X509 CRL", "?!")),
            ["PEM section \"X509 CRL\" is not text in base64"]
        );
        assert_eq!(
            words(&format!("{}{list}", block("X509 CRL", "?!"))).len(),
            2
        );
        assert_eq!(words(&cut), [no_end]);
        // Cut short before another: that is read too.
        assert_eq!(words(&format!("{cut}{list}")), [no_end, "list"]);
        assert_eq!(
            words(&list.replace("-----END X509 CRL", "-----END CERTIFICATE")),
            [no_end]
        );
    }

    #[test]
    fn keys_of_every_kind_are_told_by_what_protects_them() {
        let old = block(
            "RSA PRIVATE KEY",
            "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA",
        );
        assert_eq!(words(&old), ["Encrypted key"]);
        let openssh = |cipher: &str| {
            let length = [0, 0, 0, cipher.len() as u8];
            let bytes = [OPENSSH, &length, cipher.as_bytes()].concat();
            block("OPENSSH PRIVATE KEY", &ENGINE.encode(bytes))
        };
        assert_eq!(words(&openssh("none")), ["None key"]);
        assert_eq!(words(&openssh("aes256-ctr")), ["Encrypted key"]);
        assert_eq!(words(&block("MADE-UP PRIVATE KEY", "AAAA")), ["None key"]);
    }

    #[test]
    fn what_only_looks_like_pem_is_left_alone() {
        assert_eq!(words(&block("PGP PUBLIC KEY BLOCK", "?!")), [""; 0]);
        assert_eq!(words(&block("PUBLIC KEY", "AAAA")), [""; 0]);
        assert_eq!(
            words(&format!("    {}", block("X509 CRL", "    AAAA\n    "))),
            ["list"],
            "indented"
        );
    }
}
