//! Certificates and keys as people keep them: DER, PEM, PEM with several certificates, standard input.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mtc_core::cosign::{KeyError, PublicKey};
use mtc_core::der;
use mtc_core::properties::{CertificateProperties, PropertiesError};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use thiserror::Error;

/// Longest file: a bundle of all web root certificates in PEM has a quarter of a megabyte.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// How the names of certificates end, for people.
const CERTIFICATE_NAMES: &str = "*.pem, *.der, *.crt or *.cer";
/// What begins every PEM section.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
/// The lines around the properties of the chain behind them (draft-ietf-tls-trust-anchor-ids, Section 7).
const PROPERTIES_BEGIN: &str = "-----BEGIN CERTIFICATE PROPERTIES-----";
const PROPERTIES_END: &str = "-----END CERTIFICATE PROPERTIES-----";
/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file gives no certificate or key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// It is a folder in which no name is one of a certificate.
    #[error("a folder, with no file {CERTIFICATE_NAMES} in it")]
    Folder,
    /// It is longer than any certificate file.
    #[error("longer than {MAX_FILE} bytes")]
    TooLong,
    /// It holds nothing.
    #[error("the file is empty")]
    Empty,
    /// It begins neither as DER nor holds a PEM section.
    #[error("neither DER nor PEM (which has a line such as -----BEGIN CERTIFICATE-----)")]
    UnknownForm,
    /// A PEM section is malformed.
    #[error("malformed PEM: {0}")]
    Pem(String),
    /// A line begins as the first of a section and does not end as one.
    #[error("malformed PEM: no section begins with the line {0:?}")]
    SectionStart(String),
    /// A PEM section has no end.
    #[error("malformed PEM: section {0:?} has no end; is the file truncated?")]
    Cut(String),
    /// A section CERTIFICATE PROPERTIES is none.
    #[error("malformed PEM: section \"CERTIFICATE PROPERTIES\" is not text in base64")]
    PropertiesText,
    /// Properties are those of the chain behind them.
    #[error("a section CERTIFICATE PROPERTIES without a section CERTIFICATE behind it")]
    PropertiesAlone,
    /// There are PEM sections, but on none of their lines does one begin.
    #[error(
        "PEM whose lines do not begin with -----BEGIN: remove what is before it (spaces, quotation marks)"
    )]
    Indented,
    /// PEM, but of other things.
    #[error("PEM without a section {wanted}; it has: {found}")]
    NoSection {
        /// What was looked for.
        wanted: &'static str,
        /// Labels of what is there.
        found: String,
    },
    /// The key is none that can be used.
    #[error(
        "not a usable public key (a PEM section PUBLIC KEY, or the DER of a SubjectPublicKeyInfo)"
    )]
    Key(#[from] KeyError),
}

/// Where to read from: a path, or `-` for standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileName {
    /// Standard input.
    Stdin,
    /// A file.
    Path(PathBuf),
}

impl FromStr for FileName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Stdin,
            path => Self::Path(path.into()),
        })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl FileName {
    /// The files that it stands for: itself or, of a folder, those in it that are named as certificates are, in the order of
    /// their names; nothing below its folders. Blocks on the disk.
    ///
    /// # Errors
    /// A folder that cannot be read, or has no such file.
    pub fn files(&self) -> Result<Vec<Self>, FileError> {
        let folder = match self {
            Self::Path(path) if path.is_dir() => path,
            _ => return Ok(vec![self.clone()]),
        };
        let mut files = Vec::new();
        for found in folder.read_dir()? {
            let path = found?.path();
            if is_named_as_certificate(&path) && path.is_file() {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(FileError::Folder);
        }
        files.sort_unstable();
        Ok(files.into_iter().map(Self::Path).collect())
    }

    /// The bytes. Blocks.
    ///
    /// # Errors
    /// They cannot be read, are none, or too many.
    pub fn read(&self) -> Result<Vec<u8>, FileError> {
        match self {
            Self::Stdin => read_bounded(io::stdin().lock()),
            Self::Path(path) => read_file(path),
        }
    }
}

fn is_named_as_certificate(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| CERTIFICATE_NAMES.contains(&format!("*.{extension}")))
}

fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    read_bounded(File::open(path)?)
}

fn read_bounded(source: impl io::Read) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    source.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0 => Err(FileError::Empty),
        length if length > MAX_FILE => Err(FileError::TooLong),
        _ => Ok(bytes),
    }
}

/// A certificate of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its DER.
    pub der: Vec<u8>,
    /// The properties of the chain that begins with it, if the file has some before it. Those that cannot be read do not make the
    /// certificate unreadable: revisions of their draft differ in form.
    pub properties: Option<Result<CertificateProperties, PropertiesError>>,
}

/// The certificates in a file's bytes, at least one: the bytes themselves if they are DER, or every PEM section CERTIFICATE.
///
/// # Errors
/// Neither DER nor PEM, malformed PEM, or PEM without a certificate.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Filed>, FileError> {
    let bytes = without_mark(bytes);
    let filed = |der| Filed {
        der,
        properties: None,
    };
    if !is_pem(bytes)? {
        return Ok(vec![filed(bytes.to_vec())]);
    }
    let mut all = Vec::new();
    for Part { properties, rest } in parts(bytes)? {
        let sections = CertificateDer::pem_slice_iter(rest).collect::<Result<Vec<_>, _>>();
        let sections = sections.map_err(malformed)?;
        let mut found = sections.iter().map(|section| filed(section.to_vec()));
        if let Some(properties) = properties {
            let first = found.next().ok_or(FileError::PropertiesAlone)?;
            all.push(Filed {
                properties: Some(CertificateProperties::parse(&properties)),
                ..first
            });
        }
        all.extend(found);
    }
    if all.is_empty() {
        return Err(no_section("CERTIFICATE", bytes));
    }
    Ok(all)
}

/// A part of a PEM file.
struct Part<'a> {
    /// What a section CERTIFICATE PROPERTIES holds; none before the first.
    properties: Option<Vec<u8>>,
    /// What is behind it up to the next.
    rest: &'a [u8],
}

/// A file without and with the sections CERTIFICATE PROPERTIES in it, which readers of PEM do not know.
fn parts(pem: &[u8]) -> Result<Vec<Part<'_>>, FileError> {
    let is = |line: &[u8], wanted: &str| line.trim_ascii_end() == wanted.as_bytes();
    let mut lines = pem.split_inclusive(|byte| *byte == b'\n');
    let (mut parts, mut at) = (Vec::new(), 0);
    let (mut properties, mut start) = (None, 0);
    while let Some(line) = lines.next() {
        let line_at = at;
        at += line.len();
        if !is(line, PROPERTIES_BEGIN) {
            continue;
        }
        let rest = &pem[start..line_at];
        parts.push(Part { properties, rest });
        let mut base64 = Vec::new();
        loop {
            let line = lines.next();
            let line = line.ok_or_else(|| FileError::Cut("CERTIFICATE PROPERTIES".to_owned()))?;
            at += line.len();
            if is(line, PROPERTIES_END) {
                break;
            }
            base64.extend_from_slice(line.trim_ascii_end());
        }
        let decoded = STANDARD.decode(base64);
        properties = Some(decoded.map_err(|_| FileError::PropertiesText)?);
        start = at;
    }
    let rest = &pem[start..];
    parts.push(Part { properties, rest });
    Ok(parts)
}

/// The first certificate (DER) of a file. Blocks.
///
/// # Errors
/// As [`certificates`], or the file cannot be read.
pub fn read_certificate(path: &Path) -> Result<Vec<u8>, FileError> {
    Ok(certificates(&read_file(path)?)?.swap_remove(0).der)
}

/// The public key in a file: the DER of a SubjectPublicKeyInfo, or a PEM section PUBLIC KEY. Blocks.
///
/// # Errors
/// The file cannot be read, or holds no usable key.
pub fn read_public_key(path: &Path) -> Result<PublicKey, FileError> {
    let file = read_file(path)?;
    let bytes = without_mark(&file);
    if !is_pem(bytes)? {
        return Ok(PublicKey::from_spki(bytes)?);
    }
    match SubjectPublicKeyInfoDer::from_pem_slice(bytes) {
        Ok(spki) => Ok(PublicKey::from_spki(&spki)?),
        Err(pem::Error::NoItemsFound) => Err(no_section("PUBLIC KEY", bytes)),
        Err(error) => Err(malformed(error)),
    }
}

/// The bytes without the byte order mark that some editors put before text.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

fn malformed(error: pem::Error) -> FileError {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match error {
        // Their own texts have what is in the file as lists of numbers.
        pem::Error::MissingSectionEnd { end_marker } => FileError::Cut(text(&end_marker)),
        pem::Error::IllegalSectionStart { line } => FileError::SectionStart(text(&line)),
        error => FileError::Pem(error.to_string()),
    }
}

/// Whether the bytes are to be read as PEM; DER, malformed or not, begins with a SEQUENCE.
fn is_pem(bytes: &[u8]) -> Result<bool, FileError> {
    if der::only(bytes, der::SEQUENCE).is_ok() {
        return Ok(false);
    }
    if bytes.windows(PEM_BEGIN.len()).any(|at| at == PEM_BEGIN) {
        return Ok(true);
    }
    // DER with a damaged length is still better told as such than as an unknown form.
    match bytes {
        [der::SEQUENCE, 0x80..=0xff, ..] => Ok(false),
        _ => Err(FileError::UnknownForm),
    }
}

fn no_section(wanted: &'static str, bytes: &[u8]) -> FileError {
    let text = String::from_utf8_lossy(bytes);
    let mut labels: Vec<_> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("-----BEGIN ")?
                .trim_end()
                .strip_suffix("-----")
        })
        .map(mtc_core::printable::printable)
        .collect();
    labels.dedup();
    if labels.is_empty() {
        return FileError::Indented;
    }
    FileError::NoSection {
        wanted,
        found: labels.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use mtc_tls::pem;

    use super::*;

    const DER: [u8; 4] = [0x30, 2, 5, 0];

    fn ders(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
        let filed = certificates(bytes)?.into_iter();
        Ok(filed.map(|filed| filed.der).collect())
    }

    #[test]
    fn der_and_every_certificate_of_a_pem_bundle_are_read() {
        assert_eq!(ders(&DER).unwrap(), [DER]);
        let bundle = format!(
            "comment\n{}{}{}",
            pem::encode(pem::CERTIFICATE, &DER),
            pem::encode(pem::PUBLIC_KEY, &DER),
            pem::encode(pem::CERTIFICATE, &DER)
        );
        assert_eq!(ders(bundle.as_bytes()).unwrap(), [DER, DER]);
    }

    #[test]
    fn properties_belong_to_the_chain_behind_them() {
        let standalone = CertificateProperties::standalone(&"32473.1".parse().unwrap());
        let properties = pem::encode(pem::CERTIFICATE_PROPERTIES, &standalone.encode().unwrap());
        let certificate = pem::encode(pem::CERTIFICATE, &DER);
        let key = pem::encode(pem::PRIVATE_KEY, &DER);
        let of = |text: &str| -> Vec<_> {
            let read = certificates(text.as_bytes()).expect("well formed");
            read.into_iter().map(|filed| filed.properties).collect()
        };
        let with = || Some(Ok(standalone.clone()));
        assert_eq!(of(&certificate), [None]);
        assert_eq!(of(&[&*properties, &certificate].concat()), [with()]);
        // As servers of others have several credentials in a file, here with the line ends of another system.
        let chains = [
            &*certificate,
            &properties,
            &certificate,
            &certificate,
            &key,
            &properties,
            &certificate,
        ];
        let expected = [None, with(), None, with()];
        assert_eq!(of(&chains.concat()), expected);
        assert_eq!(of(&chains.concat().replace('\n', "\r\n")), expected);
        // Another revision's list, or a damaged one, leaves the certificate readable.
        let other = pem::encode(pem::CERTIFICATE_PROPERTIES, &[0, 1, 0]);
        let read = of(&[&*other, &certificate].concat());
        assert!(matches!(read[..], [Some(Err(PropertiesError::Form(_)))]));
    }

    #[test]
    fn properties_that_are_no_text_or_nobodys_say_so() {
        let properties = pem::encode(pem::CERTIFICATE_PROPERTIES, &[0, 0]);
        let certificate = pem::encode(pem::CERTIFICATE, &DER);
        let refusal = |text: &str| certificates(text.as_bytes()).unwrap_err().to_string();
        let alone = "a section CERTIFICATE PROPERTIES without a section CERTIFICATE behind it";
        assert_eq!(refusal(&properties), alone);
        assert_eq!(refusal(&[&*certificate, &properties].concat()), alone);
        assert_eq!(
            refusal(&[&*properties, &properties, &certificate].concat()),
            alone
        );
        assert_eq!(
            refusal(&[&properties.replace("AAA=", "AAA"), &*certificate].concat()),
            "malformed PEM: section \"CERTIFICATE PROPERTIES\" is not text in base64"
        );
        let (cut, _) = properties.split_once("-----END").unwrap();
        assert_eq!(
            refusal(&[&certificate, cut].concat()),
            "malformed PEM: section \"CERTIFICATE PROPERTIES\" has no end; is the file truncated?"
        );
    }

    #[test]
    fn a_folder_stands_for_the_certificates_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.pem", "a.der", "c.key", "p", "d.crt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("e.pem")).unwrap();
        let files = FileName::Path(folder.path().to_owned()).files().unwrap();
        let expected = ["a.der", "b.pem", "d.crt"].map(|name| folder.path().join(name));
        assert_eq!(files, expected.map(FileName::Path));
        let file = FileName::Path(folder.path().join("c.key"));
        assert_eq!(
            file.files().unwrap(),
            std::slice::from_ref(&file),
            "named by somebody"
        );
    }

    // A byte order mark gave "it has: ", indented PEM "without a section CERTIFICATE; it has: CERTIFICATE", and a cut file the
    // missing line as an array of numbers.
    #[test]
    fn pem_that_was_edited_or_cut_is_read_or_says_what_is_wrong() {
        let text = pem::encode(pem::CERTIFICATE, &DER);
        let marked = format!("\u{feff}{text}");
        assert_eq!(ders(marked.as_bytes()).unwrap(), [DER]);
        let refusal = |text: &str| certificates(text.as_bytes()).unwrap_err().to_string();
        let indented = text.replace("-----BEGIN", "  -----BEGIN");
        assert_eq!(
            refusal(&indented),
            "PEM whose lines do not begin with -----BEGIN: remove what is before it (spaces, quotation marks)"
        );
        let (cut, _) = text.split_once("-----END").unwrap();
        assert_eq!(
            refusal(cut),
            "malformed PEM: section \"CERTIFICATE\" has no end; is the file truncated?"
        );
        assert_eq!(
            refusal("-----BEGIN CERTIFICATE"),
            "malformed PEM: no section begins with the line \"-----BEGIN CERTIFICATE\""
        );
    }

    #[test]
    fn what_is_no_certificate_is_told_apart() {
        assert!(matches!(
            certificates(b"hello"),
            Err(FileError::UnknownForm)
        ));
        let key = pem::encode(pem::PRIVATE_KEY, &DER);
        assert!(matches!(
            certificates(key.as_bytes()),
            Err(FileError::NoSection { found, .. }) if found == "PRIVATE KEY"
        ));
        let cut = pem::encode(pem::CERTIFICATE, &DER).replace("-----END", "");
        assert!(matches!(
            certificates(cut.as_bytes()),
            Err(FileError::Cut(_))
        ));
        assert!(matches!(read_bounded(io::empty()), Err(FileError::Empty)));
        assert!(matches!(
            read_bounded(io::repeat(0)),
            Err(FileError::TooLong)
        ));
        let folder = tempfile::tempdir().unwrap();
        let in_folder = FileName::Path(folder.path().to_owned()).files();
        assert!(matches!(in_folder, Err(FileError::Folder)));
        // A certificate whose end was lost is malformed DER, not an unknown form.
        assert_eq!(certificates(&[0x30, 0x82, 1, 0]).unwrap().len(), 1);
    }
}
