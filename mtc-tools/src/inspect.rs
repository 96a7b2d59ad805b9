//! What a certificate says and what its bytes are spent on: the report of `mtc5g cert inspect`.
//!
//! ```text
//! bytes ──> x509::Certificate ─┬─ id-alg-mtcProof ──> mtc_core: log, entry, subtree, cosigners
//!                              ├─ id-alg-unsigned ──> mtc_core: the CA certificate of an MTCA
//!                              └─ anything else       directly signed
//! ```
//!
//! Nothing is verified. What is wrong with a part is told among the faults, and the other parts are shown all the same.

use std::fmt::{self, Write as _};

use mtc_core::ca::CaCertificate;
use mtc_core::causes::Causes;
use mtc_core::certificate::{Certificate as MtcCertificate, CertificateError, ParsedProof, is_mtc};
use mtc_core::hex;
use mtc_core::id::{EntryIndex, split_serial};
use mtc_core::oid;
use mtc_core::properties::{CertificateProperties, PropertiesError};
use mtc_core::tree::{HASH_SIZE, inclusion_proof_length};
use serde::Serialize;

use mtc_core::x509::{self, Certificate, GeneralName, X509Error};

use crate::chain_properties;

/// Octets of an entry extension that the report shows; it tells the length of longer ones.
const SHOWN_EXTENSION: usize = 32;
/// Column at which the values of the report for people begin.
const LABEL_WIDTH: usize = 18;

/// How a certificate is vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An MTC with cosignatures.
    Standalone,
    /// An MTC without: its subtree must be trusted already.
    LandmarkRelative,
    /// It says that it is an MTC, and its proof cannot be read.
    MalformedMtc,
    /// The unsigned certificate of a Merkle Tree CA.
    Mtca,
    /// Today's X.509: signed by its issuer.
    DirectlySigned,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// How it is vouched for.
    pub kind: Kind,
    /// The issuer: a trust anchor ID or a distinguished name.
    pub issuer: String,
    /// The serial number in hexadecimal.
    pub serial_hex: String,
    /// The serial number in decimal, if it is not negative and has at most 64 bits; text, because JSON readers round large numbers.
    pub serial: Option<String>,
    /// First second of validity.
    pub not_before: String,
    /// Last second of validity.
    pub not_after: String,
    /// The subject's distinguished name.
    pub subject: String,
    /// Subject alternative names.
    pub alternative_names: Vec<GeneralName>,
    /// NF types (RFC 9310).
    pub nf_types: Vec<String>,
    /// Algorithm of the subject's key.
    pub key_algorithm: String,
    /// Length of the subject's key without its wrapping, in bytes.
    pub key_bytes: usize,
    /// Key usages; none when the extension is not there.
    pub key_usage: Option<Vec<&'static str>>,
    /// Extended key usages; none when the extension is not there.
    pub extended_key_usage: Option<Vec<String>>,
    /// All extensions.
    pub extensions: Vec<ExtensionSummary>,
    /// The signature algorithm.
    pub signature_algorithm: String,
    /// What makes it a Merkle Tree Certificate.
    pub mtc: Option<MtcSummary>,
    /// What a CA certificate says of its MTCA.
    pub ca: Option<CaSummary>,
    /// For whom a server may choose the chain that begins with it, where the file says so ([`Self::with_properties`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<PropertiesSummary>,
    /// What its bytes are spent on.
    pub sizes: Sizes,
    /// What is wrong with it as far as it alone can tell.
    pub faults: Vec<String>,
}

/// One extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtensionSummary {
    /// Its name, or its dotted OID.
    pub name: String,
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
    /// Length of its value.
    pub bytes: usize,
}

/// What makes a certificate a Merkle Tree Certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MtcSummary {
    /// Number of the issuance log.
    pub log: Option<u16>,
    /// Index of the entry.
    pub index: Option<EntryIndex>,
    /// First index of the subtree in which inclusion is proven.
    pub start: u64,
    /// One past the last index of the subtree.
    pub end: u64,
    /// Hashes of the inclusion proof.
    pub proof_hashes: usize,
    /// Hash of the log entry, in hexadecimal.
    pub leaf_hash: String,
    /// Who cosigned the subtree.
    pub cosigners: Vec<CosignerSummary>,
    /// Extensions of the log entry.
    pub entry_extensions: Vec<EntryExtensionSummary>,
}

/// One cosignature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CosignerSummary {
    /// The cosigner's trust anchor ID.
    pub id: String,
    /// Length of the signature.
    pub signature_bytes: usize,
}

/// One extension of a log entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryExtensionSummary {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: u16,
    /// Its length.
    pub bytes: usize,
    /// Its first bytes, in hexadecimal.
    pub data: String,
}

/// What a CA certificate says of its MTCA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaSummary {
    /// The CA's trust anchor ID.
    pub id: String,
    /// Algorithm of the CA cosigner's key.
    pub cosigner_algorithm: String,
    /// Lowest serial number that relying parties accept.
    pub min_serial: String,
    /// Highest serial number that relying parties accept.
    pub max_serial: String,
    /// Where the CA's logs are served.
    pub prefix_url: Option<String>,
}

/// The certificate properties of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PropertiesSummary {
    /// ID of the trust anchor that issued it.
    pub trust_anchor: Option<String>,
    /// Groups of trust anchors that it is in, as patterns of their IDs.
    pub groups: Vec<String>,
    /// Whether it is for those alone who name the trust anchor or a group.
    pub negotiation: bool,
    /// Types of properties that are not known here.
    pub unknown: Vec<u16>,
}

/// What a certificate's bytes are spent on: `whole` is the sum of `tbs`, `proof_hashes`, `cosignatures`, `entry_extensions`,
/// `signature` and `overhead`; `tbs` is the sum of `spki` and `tbs_other`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// All bytes.
    pub whole: usize,
    /// The part that states something.
    pub tbs: usize,
    /// The subject's key with its wrapping.
    pub spki: usize,
    /// The rest of the TBS.
    pub tbs_other: usize,
    /// Hashes of the inclusion proof.
    pub proof_hashes: usize,
    /// Each cosignature with its cosigner's ID and length prefixes.
    pub cosignatures: Vec<CosignatureSize>,
    /// Extensions of the log entry.
    pub entry_extensions: usize,
    /// The issuer's signature, of a directly-signed certificate.
    pub signature: usize,
    /// Tags, lengths, algorithm identifiers, the subtree's interval.
    pub overhead: usize,
}

/// The bytes of one cosignature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CosignatureSize {
    /// The cosigner's trust anchor ID.
    pub id: String,
    /// Its bytes.
    pub bytes: usize,
}

impl Inspection {
    /// Looks at a certificate of any kind.
    ///
    /// # Errors
    /// The bytes are not an X.509 certificate.
    pub fn of(der: &[u8]) -> Result<Self, X509Error> {
        let certificate = Certificate::parse(der)?;
        let mut faults = Vec::new();
        let statement = &certificate.statement;
        let (key_algorithm, key_bytes) = x509::public_key(certificate.spki).unwrap_or_else(|| {
            faults.push("subjectPublicKeyInfo is malformed".to_owned());
            ("unknown".to_owned(), 0)
        });
        let serial = unsigned(certificate.serial);
        if certificate
            .serial
            .first()
            .is_some_and(|first| first & 0x80 != 0)
        {
            faults.push("the serial number is negative (RFC 5280 section 4.1.2.2)".to_owned());
        }
        let mut inspection = Self {
            kind: Kind::DirectlySigned,
            issuer: name(statement.issuer, "issuer", &mut faults),
            serial_hex: hex::encode(certificate.serial),
            serial: serial.map(|serial| serial.to_string()),
            not_before: statement.validity[0].clone(),
            not_after: statement.validity[1].clone(),
            subject: name(statement.subject, "subject", &mut faults),
            alternative_names: Vec::new(),
            nf_types: Vec::new(),
            key_algorithm,
            key_bytes,
            key_usage: None,
            extended_key_usage: None,
            extensions: Vec::new(),
            signature_algorithm: x509::signature_algorithm(certificate.signature_algorithm),
            mtc: None,
            ca: None,
            properties: None,
            sizes: Sizes::of(&certificate),
            faults,
        };
        inspection.read_extensions(&certificate);
        if is_mtc(der) {
            inspection.read_proof(der);
        } else if inspection.signature_algorithm == "id-alg-unsigned" {
            inspection.read_ca(der);
        } else if let Err(error @ CertificateError::Experimental) = MtcCertificate::parse(der) {
            inspection.faults.push(error.to_string());
        }
        Ok(inspection)
    }

    /// Adds what stood before the certificate `der`, of which this is the inspection.
    #[must_use]
    pub fn with_properties(
        mut self,
        properties: &Result<CertificateProperties, PropertiesError>,
        der: &[u8],
    ) -> Self {
        match properties {
            Ok(properties) => {
                let contradiction = chain_properties::contradiction(properties, der);
                let contradiction = contradiction.map(|what| format!("properties: {what}"));
                self.faults.extend(contradiction);
                self.properties = Some(PropertiesSummary::of(properties));
            }
            Err(error) => self.faults.push(format!("properties: {}", Causes(error))),
        }
        self
    }

    fn read_extensions(&mut self, certificate: &Certificate<'_>) {
        for extension in &certificate.statement.extensions {
            let name = oid::name(extension.oid);
            let value = extension.value;
            let read = match extension.oid {
                oid::KEY_USAGE => {
                    x509::key_usages(value).map(|usages| self.key_usage = Some(usages))
                }
                oid::EXT_KEY_USAGE => {
                    x509::purposes(value).map(|purposes| self.extended_key_usage = Some(purposes))
                }
                oid::SUBJECT_ALT_NAME => {
                    x509::alternative_names(value).map(|names| self.alternative_names = names)
                }
                oid::NF_TYPES => x509::nf_types(value).map(|types| self.nf_types = types),
                _ => Ok(()),
            };
            if let Err(error) = read {
                self.faults
                    .push(format!("extension {name} is malformed: {error}"));
            }
            self.extensions.push(ExtensionSummary {
                name,
                critical: extension.critical,
                bytes: value.len(),
            });
        }
    }

    fn read_proof(&mut self, der: &[u8]) {
        self.kind = Kind::MalformedMtc;
        let certificate = match MtcCertificate::parse(der) {
            Ok(certificate) => certificate,
            Err(error) => return self.faults.push(Causes(&error).to_string()),
        };
        let proof = &certificate.proof;
        self.kind = if certificate.is_landmark_relative() {
            Kind::LandmarkRelative
        } else {
            Kind::Standalone
        };
        let entry = match split_serial(certificate.serial) {
            Ok((log, index)) => Some((log.get(), index)),
            Err(error) => {
                self.faults
                    .push(format!("the serial number names no log: {error}"));
                None
            }
        };
        let subtree = proof.subtree;
        let index = entry.map(|(_, index)| index);
        if let Some(index) = index.filter(|index| !subtree.contains(*index)) {
            self.faults.push(format!(
                "entry {index} is not in the subtree {subtree}: no proof can be valid"
            ));
        } else if let Some(index) = index {
            let due = inclusion_proof_length(index, subtree);
            if due != proof.inclusion_proof.len() {
                self.faults.push(format!(
                    "entry {index} in {subtree} needs a proof of {due} hashes: this one cannot be valid"
                ));
            }
        }
        let extensions = certificate
            .log_entry()
            .map(|entry| entry.extensions)
            .unwrap_or_default();
        self.mtc = Some(MtcSummary {
            log: entry.map(|(log, _)| log),
            index,
            start: subtree.start(),
            end: subtree.end(),
            proof_hashes: proof.inclusion_proof.len(),
            leaf_hash: hex::encode(&certificate.leaf_hash()),
            cosigners: cosigners(proof),
            entry_extensions: extensions
                .iter()
                .map(|(kind, data)| EntryExtensionSummary {
                    kind: *kind,
                    bytes: data.len(),
                    data: hex::encode(&data[..data.len().min(SHOWN_EXTENSION)]),
                })
                .collect(),
        });
        let extension_bytes = extensions.iter().map(|(_, data)| 4 + data.len()).sum();
        self.sizes.take_proof(proof, extension_bytes);
    }

    fn read_ca(&mut self, der: &[u8]) {
        match CaCertificate::parse(der) {
            Ok(ca) => {
                self.kind = Kind::Mtca;
                self.ca = Some(CaSummary {
                    id: ca.cosigner.id.to_string(),
                    cosigner_algorithm: ca.cosigner.key.algorithm().to_string(),
                    min_serial: ca.min_serial.to_string(),
                    max_serial: ca.max_serial.to_string(),
                    prefix_url: ca.prefix_url.as_deref().map(mtc_core::printable::printable),
                });
            }
            Err(error) => self.faults.push(format!(
                "unsigned, and not the certificate of an MTCA: {}",
                Causes(&error)
            )),
        }
    }
}

fn cosigners(proof: &ParsedProof<'_>) -> Vec<CosignerSummary> {
    proof
        .signatures()
        .map(|(id, signature)| CosignerSummary {
            id: id.to_string(),
            signature_bytes: signature.len(),
        })
        .collect()
}

impl Sizes {
    fn of(certificate: &Certificate<'_>) -> Self {
        let (whole, tbs, spki) = (
            certificate.whole.len(),
            certificate.tbs.len(),
            certificate.spki.len(),
        );
        let signature = certificate.signature.len();
        Self {
            whole,
            tbs,
            spki,
            tbs_other: tbs - spki,
            signature,
            overhead: whole - tbs - signature,
            ..Self::default()
        }
    }

    /// Divides the signature of an MTC, which is a proof, into its parts.
    fn take_proof(&mut self, proof: &ParsedProof<'_>, entry_extensions: usize) {
        self.proof_hashes = HASH_SIZE * proof.inclusion_proof.len();
        self.cosignatures = proof
            .signatures()
            .map(|(id, signature)| CosignatureSize {
                id: id.to_string(),
                bytes: 1 + id.as_bytes().len() + 2 + signature.len(),
            })
            .collect();
        self.entry_extensions = entry_extensions;
        let cosignatures: usize = self.cosignatures.iter().map(|one| one.bytes).sum();
        self.overhead += self.signature - self.proof_hashes - cosignatures - self.entry_extensions;
        self.signature = 0;
    }
}

fn name(der: &[u8], field: &'static str, faults: &mut Vec<String>) -> String {
    x509::distinguished_name(der).unwrap_or_else(|error| {
        faults.push(format!("{field} is malformed: {error}"));
        hex::encode(der)
    })
}

/// The value of an INTEGER's contents octets, if it is not negative and has at most 64 bits.
fn unsigned(contents: &[u8]) -> Option<u64> {
    mtc_core::der::unsigned(contents).ok()
}

/// The report for people, without the certificate's name.
impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines::default();
        lines.line("kind", self.kind_text());
        lines.line("issuer", &self.issuer);
        lines.line("serial", self.serial_text());
        if let Some(mtc) = &self.mtc {
            mtc.write(&mut lines);
        }
        if let Some(ca) = &self.ca {
            ca.write(&mut lines);
        }
        lines.line(
            "validity",
            format!("{} to {}", self.not_before, self.not_after),
        );
        lines.line("subject", &self.subject);
        lines.list("names", &self.alternative_names);
        if !self.nf_types.is_empty() {
            lines.line("NF types", self.nf_types.join(", "));
        }
        lines.line(
            "key",
            format!("{}, {} bytes", self.key_algorithm, self.key_bytes),
        );
        if let Some(usages) = &self.key_usage {
            lines.line("key usage", usages.join(", "));
        }
        if let Some(purposes) = &self.extended_key_usage {
            lines.line("extended usage", purposes.join(", "));
        }
        lines.line("extensions", self.extensions_text());
        if matches!(self.kind, Kind::DirectlySigned) {
            lines.line(
                "signature",
                format!(
                    "{}, {} bytes",
                    self.signature_algorithm, self.sizes.signature
                ),
            );
        }
        if let Some(properties) = &self.properties {
            properties.write(&mut lines);
        }
        self.sizes.write(&mut lines);
        for fault in &self.faults {
            lines.line("FAULT", fault);
        }
        f.write_str(&lines.text)
    }
}

impl Inspection {
    fn kind_text(&self) -> &'static str {
        match self.kind {
            Kind::Standalone => "standalone Merkle Tree Certificate",
            Kind::LandmarkRelative => {
                "landmark-relative Merkle Tree Certificate: valid for those who trust its subtree"
            }
            Kind::MalformedMtc => "Merkle Tree Certificate whose proof cannot be read",
            Kind::Mtca => "CA certificate of a Merkle Tree CA, unsigned (RFC 9925)",
            Kind::DirectlySigned => "directly-signed certificate, not a Merkle Tree Certificate",
        }
    }

    fn serial_text(&self) -> String {
        // The first bit of two's complement is the sign.
        let first = self
            .serial_hex
            .chars()
            .next()
            .and_then(|digit| digit.to_digit(16));
        let decimal = match (self.serial.as_deref(), first) {
            (Some(serial), _) => serial,
            (None, None) => "none",
            (None, Some(8..)) => "negative",
            (None, Some(_)) => "more than 64 bits",
        };
        let mut text = format!("{decimal} (0x{})", self.serial_hex);
        let entry = self
            .mtc
            .as_ref()
            .and_then(|mtc| Some((mtc.log?, mtc.index?)));
        if let Some((log, index)) = entry {
            text.push_str(&format!(": log {log}, entry {index}"));
        }
        text
    }

    fn extensions_text(&self) -> String {
        let texts: Vec<_> = self
            .extensions
            .iter()
            .map(|extension| {
                let critical = if extension.critical { " critical" } else { "" };
                format!("{}{critical}", extension.name)
            })
            .collect();
        if texts.is_empty() {
            "none".to_owned()
        } else {
            texts.join(", ")
        }
    }
}

impl MtcSummary {
    fn write(&self, lines: &mut Lines) {
        let Self {
            start,
            end,
            proof_hashes,
            ..
        } = self;
        let plural = if *proof_hashes == 1 { "" } else { "es" };
        lines.line(
            "subtree",
            format!("[{start}, {end}), inclusion proof of {proof_hashes} hash{plural}"),
        );
        lines.line("leaf hash", &self.leaf_hash);
        let cosigners = self
            .cosigners
            .iter()
            .map(|cosigner| format!("{}, {} bytes", cosigner.id, cosigner.signature_bytes))
            .collect::<Vec<_>>();
        if cosigners.is_empty() {
            lines.line("cosigners", "none");
        }
        lines.list("cosigners", &cosigners);
        let extensions = self
            .entry_extensions
            .iter()
            .map(|extension| {
                let cut = if extension.bytes > SHOWN_EXTENSION {
                    "..."
                } else {
                    ""
                };
                format!(
                    "type {}, {} bytes: {}{cut}",
                    extension.kind, extension.bytes, extension.data
                )
            })
            .collect::<Vec<_>>();
        if extensions.is_empty() {
            lines.line("entry extensions", "none");
        }
        lines.list("entry extensions", &extensions);
    }
}

impl PropertiesSummary {
    fn of(properties: &CertificateProperties) -> Self {
        let id = properties.trust_anchor_id;
        Self {
            trust_anchor: id.map(|id| id.to_string()),
            groups: properties.groups.iter().map(ToString::to_string).collect(),
            negotiation: properties.negotiation,
            unknown: properties.unknown().map(|(kind, _)| kind).collect(),
        }
    }

    fn write(&self, lines: &mut Lines) {
        let id = self.trust_anchor.as_deref();
        lines.line("trust anchor", id.unwrap_or("none"));
        lines.list("in groups", &self.groups);
        lines.line(
            "negotiation",
            if self.negotiation {
                "for those alone who name the trust anchor or a group"
            } else {
                "also for those who name nothing"
            },
        );
        let unknown: Vec<_> = self
            .unknown
            .iter()
            .map(|kind| format!("type {kind}, not known here"))
            .collect();
        lines.list("properties", &unknown);
    }
}

impl CaSummary {
    fn write(&self, lines: &mut Lines) {
        lines.line("CA ID", &self.id);
        lines.line("CA cosigner key", &self.cosigner_algorithm);
        lines.line(
            "serial numbers",
            format!("{} to {}", self.min_serial, self.max_serial),
        );
        lines.line(
            "log prefix URL",
            self.prefix_url.as_deref().unwrap_or("none"),
        );
    }
}

impl Sizes {
    fn write(&self, lines: &mut Lines) {
        lines.line("size", format!("{} bytes:", self.whole));
        lines.size(
            "TBS",
            self.tbs,
            &format!("SPKI {} and the rest {}", self.spki, self.tbs_other),
        );
        let hashes = self.proof_hashes / HASH_SIZE;
        if hashes > 0 {
            lines.size(
                "proof hashes",
                self.proof_hashes,
                &format!("{hashes} of {HASH_SIZE}"),
            );
        }
        for cosignature in &self.cosignatures {
            lines.size("cosignature", cosignature.bytes, &cosignature.id);
        }
        if self.entry_extensions > 0 {
            lines.size("entry extensions", self.entry_extensions, "");
        }
        if self.signature > 0 {
            lines.size("signature", self.signature, "");
        }
        lines.size("overhead", self.overhead, "");
    }
}

/// Labels and values in two columns.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, label: &str, value: impl fmt::Display) {
        writeln!(self.text, "  {label:<LABEL_WIDTH$}{value}")
            .expect("writing to a String does not fail");
    }

    /// The first value beside the label, the others below it; nothing without values.
    fn list<T: fmt::Display>(&mut self, label: &str, values: &[T]) {
        for (position, value) in values.iter().enumerate() {
            self.line(if position == 0 { label } else { "" }, value);
        }
    }

    fn size(&mut self, part: &str, bytes: usize, remark: &str) {
        let value = format!("{bytes:>6}  {remark}");
        self.line(&format!("  {part}"), value.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SerialNumber, date_time_ymd};

    use super::*;

    fn der() -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2023, 11, 14);
        params.not_after = date_time_ymd(2027, 1, 15);
        params.serial_number = Some(SerialNumber::from_slice(&[0x12, 0x34]));
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .to_vec()
    }

    /// Inspects `der` with `new` in the place of `old`, which is as long.
    fn with(mut der: Vec<u8>, old: &[u8], new: &[u8]) -> Inspection {
        let at = der.windows(old.len()).position(|window| window == old);
        let at = at.expect("it is in the certificate");
        der[at..at + new.len()].copy_from_slice(new);
        Inspection::of(&der).expect("a certificate")
    }

    // It was printed as 1970-01-01 without a word.
    #[test]
    fn dates_before_1970_are_themselves() {
        let inspection = with(der(), b"231114000000Z", b"500203040506Z");
        assert_eq!(inspection.not_before, "1950-02-03T04:05:06Z");
        assert_eq!(inspection.not_after, "2027-01-15T00:00:00Z");
        let inspection = with(der(), b"231114000000Z", b"700101000000Z");
        assert_eq!(inspection.not_before, "1970-01-01T00:00:00Z");
    }

    // It was called longer than 64 bits.
    #[test]
    fn a_negative_serial_number_is_named_so() {
        let der = der();
        let serial = Certificate::parse(&der)
            .expect("a certificate")
            .serial
            .to_vec();
        let mut negative = serial.clone();
        negative[0] |= 0x80;
        let inspection = with(der, &serial, &negative);
        assert_eq!(inspection.serial, None);
        let text = inspection.to_string();
        assert!(text.contains("negative (0x"), "{text}");
        assert!(text.contains("the serial number is negative"), "{text}");
    }
}
