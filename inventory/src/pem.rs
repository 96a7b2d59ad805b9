//! PEM as people keep it: several sections in one file, text between them, indented in another document, with headers of old encryption.
//!
//! One damaged section does not hide the others, which is why this is not the reader of [`mtc_tools::certificate_file`].

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mtc_core::der::{self, Reader};
use mtc_core::printable::printable;
use mtc_core::properties::CertificateProperties;
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
/// Padding is left out by some writers.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 as PEM and Kubernetes have it: with or without padding, and with line ends in between.
pub(crate) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let packed: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    ENGINE.decode(&*packed).ok().map(Zeroizing::new)
}

/// Reads every section of a text.
pub(crate) fn read(text: &str, findings: &mut Findings) {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let label = line
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(DASHES));
        let Some(label) = label else { continue };
        if label != PKCS7 {
            findings.next_position(); // of which each certificate counts
        }
        let mut body = Zeroizing::new(String::new());
        let mut is_encrypted = false;
        let mut is_whole = false;
        for line in lines.by_ref() {
            if let Some(end) = line.trim().strip_prefix(END) {
                // What is behind it on its line is not looked at.
                let rest = end.strip_prefix(label);
                is_whole = rest.is_some_and(|rest| rest.starts_with(DASHES));
                break;
            }
            // Headers of RFC 1421, which OpenSSL writes around a key that it has encrypted in the old way.
            match line.split_once(':') {
                Some((name, value)) => {
                    is_encrypted |= name.trim() == "Proc-Type" && value.contains("ENCRYPTED");
                }
                None if line.trim().starts_with(BEGIN) => break,
                None => body.push_str(line.trim()),
            }
        }
        let shown = printable(label);
        match base64(&body) {
            _ if !is_whole => findings.fault(format!("PEM section {shown:?} has no end")),
            None => findings.fault(format!("PEM section {shown:?} is not text in base64")),
            Some(_) if is_encrypted => {
                findings.add(Item::PrivateKey(PrivateKey::sealed(Protection::Encrypted)));
            }
            Some(bytes) => section(label, &bytes, findings),
        }
    }
}

fn section(label: &str, bytes: &[u8], findings: &mut Findings) {
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
