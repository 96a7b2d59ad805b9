//! What a file is, by its bytes first and by its name where they do not say.

use mtc_core::der;
use mtc_core::x509::Certificate;

use crate::document;
use crate::found::{Findings, Found, Item};
use crate::passwords::Passwords;
use crate::private_key::PrivateKey;
use crate::tree::{self, Language};
use crate::{der_file, java_store, pem, pkcs12};

/// Documents within documents: a key store in a secret in a list in a ConfigMap is four.
const MAX_DEPTH: usize = 5;
/// Names of certificates and keys end in these. A file of such a name that holds none is told of.
const NAMED_AS_CERTIFICATE: [&str; 14] = [
    "pem",
    "crt",
    "cer",
    "der",
    "cert",
    "key",
    "p12",
    "pfx",
    "jks",
    "jceks",
    "keystore",
    "truststore",
    "p7b",
    "csr",
];
/// What every JKS store begins with is no text either; this is U+FEFF in UTF-8, which some editors put before text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Reads a file. `name` is its name, without its folder; whether it held anything that is looked for, or was to.
pub(crate) fn read(name: &str, bytes: &[u8], passwords: &Passwords) -> Vec<Found> {
    let mut findings = Findings::default();
    read_within(name, bytes, passwords, 0, &mut findings);
    if findings.is_empty() && is_named_as_certificate(name) {
        findings.fault(if bytes.is_empty() {
            "is empty"
        } else {
            "holds no certificate and no key"
        });
    }
    findings.into_found()
}

/// Reads what may be a document within another.
pub(crate) fn read_within(
    name: &str,
    bytes: &[u8],
    passwords: &Passwords,
    depth: usize,
    findings: &mut Findings,
) {
    if depth == MAX_DEPTH {
        return findings.fault(format!(
            "documents within documents, more than {MAX_DEPTH} deep"
        ));
    }
    if java_store::is_store(bytes) {
        return java_store::read(bytes, passwords, findings);
    }
    if bytes.first() == Some(&der::SEQUENCE) && read_der(bytes, passwords, findings) {
        return;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        // Text with a comment in another encoding still has its sections.
        if bytes
            .windows(pem::BEGIN.len())
            .any(|at| at == pem::BEGIN.as_bytes())
        {
            pem::read(&String::from_utf8_lossy(bytes), findings);
        }
        return;
    };
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let Some(language) = language(name, text) else {
        return pem::read(text, findings);
    };
    match tree::read(text, language) {
        Ok(documents) => {
            for document in &documents {
                let inner = |name: &str, bytes: &[u8], findings: &mut Findings| {
                    read_within(name, bytes, passwords, depth + 1, findings);
                };
                document::read(document, depth > 0, &inner, findings);
            }
        }
        // Not what its name says. What is in PEM in it can be read all the same.
        Err(error) => {
            let before = findings.len();
            pem::read(text, findings);
            if findings.len() > before || document::is_worth_telling(text) {
                findings.fault(format!("cannot be read as {language}: {error}"));
            }
        }
    }
}

/// Reads a file that begins as DER; whether it was something that is looked for.
fn read_der(bytes: &[u8], passwords: &Passwords, findings: &mut Findings) -> bool {
    if Certificate::parse(bytes).is_ok() {
        der_file::certificate(bytes, findings);
    } else if pkcs12::is_store(bytes) {
        pkcs12::read(bytes, passwords, findings);
    } else if der_file::signed_certificates(bytes).is_ok() {
        der_file::pkcs7(bytes, findings);
    } else if der_file::is_request(bytes).is_ok() {
        der_file::request(bytes, findings);
    } else if der_file::is_revocation_list(bytes).is_ok() {
        findings.add(Item::RevocationList);
    } else if let Some(key) = PrivateKey::read(bytes) {
        findings.add(Item::PrivateKey(key));
    } else {
        return false;
    }
    true
}

fn extension(name: &str) -> Option<String> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(extension.to_ascii_lowercase())
}

/// Whether a file is called as certificates, keys and their stores are.
pub(crate) fn is_named_as_certificate(name: &str) -> bool {
    extension(name).is_some_and(|extension| NAMED_AS_CERTIFICATE.contains(&extension.as_str()))
}

/// In which language a text is a document, if it is to be read as one.
fn language(name: &str, text: &str) -> Option<Language> {
    let start = text.trim_start();
    let by_name = match extension(name).as_deref() {
        Some("yaml" | "yml") => Some(Language::Yaml),
        Some("json") => Some(Language::Json),
        Some("toml") => Some(Language::Toml),
        _ => None,
    };
    match by_name {
        // YAML that kubectl has printed as JSON.
        Some(Language::Yaml) | None if start.starts_with('{') => Some(Language::Json),
        Some(language) => Some(language),
        // kubeconfigs are called config, admin.conf, kubelet.conf.
        None if start.lines().any(|line| line.starts_with("apiVersion:")) => Some(Language::Yaml),
        None => None,
    }
}
