//! The inventory as a document: what `mtc5g audit --json` prints, and what every other form of it is made of.
//!
//! Times are texts as RFC 3339 has them, in UTC. Names of others are escaped so that they can go to a terminal.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::algorithm::{Algorithm, Quantum};

/// The version of the document: raised when something in it changes its meaning or goes.
pub(crate) const FORMAT: u32 = 1;

/// A certificate inventory.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "Certificate inventory of mtc5g audit")]
pub struct Inventory {
    /// Version of this document: 1.
    pub format: u32,
    /// When it was made.
    pub made: String,
    /// What was looked at, as it was named.
    pub targets: Vec<String>,
    /// The figures that matter first.
    pub summary: Summary,
    /// Every certificate once, those that expire first before the others.
    pub certificates: Vec<CertificateEntry>,
    /// Every private key that was found, by place. Nothing secret of it is in here.
    pub private_keys: Vec<KeyEntry>,
    /// Certification requests.
    pub requests: Vec<RequestEntry>,
    /// TLS ports.
    pub endpoints: Vec<EndpointEntry>,
    /// Files that configurations name and that are not there.
    pub unresolved_references: Vec<UnresolvedReference>,
    /// What could not be read, or only in part. The first 1,000.
    pub problems: Vec<Problem>,
}

/// The figures that matter first.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Summary {
    /// Certificates, each counted once.
    pub certificates: usize,
    /// Those of end entities.
    pub leaves: usize,
    /// Those of authorities.
    pub authorities: usize,
    /// Those whose key or signature a quantum computer breaks, or whose algorithm is not known.
    pub quantum_vulnerable: usize,
    /// Those that are not valid any more.
    pub expired: usize,
    /// Those whose renewal date has passed, expired ones not counted.
    pub renewal_due: usize,
    /// Merkle Tree Certificates.
    pub merkle_tree_certificates: usize,
    /// Certificates by the algorithm of their key.
    pub by_key_algorithm: BTreeMap<String, Count>,
    /// Private keys.
    pub private_keys: usize,
    /// Those that others than their owner can use: readable by group or others, and protected by no password of their own.
    pub open_private_keys: usize,
    /// Certificate revocation lists.
    pub revocation_lists: usize,
    /// TLS ports that were asked.
    pub endpoints: usize,
    /// Those of which a key exchange was seen that a quantum computer breaks.
    pub vulnerable_key_exchanges: usize,
    /// Files that were read.
    pub files: usize,
    /// What could not be read, or only in part.
    pub problems: usize,
}

/// Certificates with one algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// Of end entities.
    pub leaves: usize,
    /// Of authorities.
    pub authorities: usize,
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An end entity's.
    Leaf,
    /// An authority's: basicConstraints says so, or it is a Merkle Tree CA's.
    Authority,
}

/// A certificate.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CertificateEntry {
    /// SHA-256 of its DER, in hexadecimal. Other entries refer to it by this.
    pub fingerprint: String,
    /// `standalone` or `landmark-relative` (Merkle Tree Certificates), `malformed-mtc`, `mtca` (the unsigned certificate of a Merkle Tree
    /// CA), or `directly-signed` (today's X.509).
    pub kind: String,
    /// Whose it is.
    pub role: Role,
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's, or the trust anchor ID of a Merkle Tree CA.
    pub issuer: String,
    /// The serial number, in hexadecimal.
    pub serial: String,
    /// Subject alternative names, each with its type before it: `DNS:amf1.example.org`.
    pub alternative_names: Vec<String>,
    /// NF types (RFC 9310).
    pub nf_types: Vec<String>,
    /// The subject's key.
    pub key: Algorithm,
    /// What vouches for it.
    pub signature: Algorithm,
    /// Whether key or signature are vulnerable to a quantum computer, or of an algorithm that is not known.
    pub quantum_vulnerable: bool,
    /// Length of its DER in bytes.
    pub bytes: usize,
    /// The longest chain that was found to begin with it.
    pub chain: Chain,
    /// First second of its validity.
    pub not_before: String,
    /// Last second of its validity.
    pub not_after: String,
    /// Whole days until then; negative after it.
    pub days_left: i64,
    /// When to renew it.
    pub renewal: Renewal,
    /// Everywhere it was found.
    pub places: Vec<Place>,
    /// Where its private key was found.
    pub private_keys: Vec<String>,
    /// Fingerprints of other certificates for the same key.
    pub same_key: Vec<String>,
    /// What is wrong with it, or weak already today.
    pub remarks: Vec<String>,
}

/// A certificate and those that vouch for it, as they stand together at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Chain {
    /// Certificates, the first counted.
    pub certificates: usize,
    /// Bytes of their DER.
    pub bytes: usize,
}

/// When to renew a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Renewal {
    /// From this date on.
    pub date: String,
    /// Whether that is in the past.
    pub due: bool,
    /// Who says so: `cert-manager`, by the `renewalTime` of the Certificate whose secret it is in, or nobody, and then it is `two-thirds` of
    /// the lifetime, as cert-manager and most ACME clients have it.
    pub rule: String,
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The file, `-` for standard input, or `HOST:PORT`.
    pub location: String,
    /// Where in the file: `#2` in a bundle, an alias of a key store, `Secret core/amf, tls.crt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The file behind it, where the location is reached by a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_to: Option<String>,
    /// What it is used for there, and who says so.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub uses: Vec<String>,
}

/// What protects a private key within its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Nothing.
    None,
    /// A password that everybody knows: the empty one or `changeit`.
    KnownPassword,
    /// A password.
    Encrypted,
}

/// A private key.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyEntry {
    /// Where it was found.
    pub place: Place,
    /// Its algorithm; none where that is encrypted too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// What protects it within its file.
    pub protection: Protection,
    /// Mode of the file, in octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether others than its owner can use it: readable by group or others, and protected by no password of its own.
    pub open: bool,
    /// Fingerprints of the certificates for it.
    pub certificates: Vec<String>,
}

/// A certification request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RequestEntry {
    /// Where it was found.
    pub place: Place,
    /// The subject's distinguished name.
    pub subject: String,
    /// The key for which a certificate is asked.
    pub key: Algorithm,
}

/// What one handshake with a TLS port showed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EndpointEntry {
    /// `HOST:PORT`.
    pub address: String,
    /// The address that was connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The name in `server_name`; none for an IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// `TLS 1.2` or `TLS 1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cipher suite, as IANA registers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher_suite: Option<String>,
    /// The group of the key exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// How the server signed the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_scheme: Option<String>,
    /// The application protocol (ALPN) that the server chose of `h2` and `http/1.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_protocol: Option<String>,
    /// Whether it asks for the client's certificate.
    pub asks_for_client_certificate: bool,
    /// Fingerprints of the certificates that it showed, in their order.
    pub chain: Vec<String>,
    /// Why the handshake did not come to its end, or was not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A group of a key exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Group {
    /// As IANA registers it: `X25519MLKEM768`.
    pub name: String,
    /// What a quantum computer does to it, also to what was recorded today.
    pub quantum: Quantum,
}

/// A file that a configuration names and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnresolvedReference {
    /// The configuration, and where in it.
    pub from: Place,
    /// The name of the file.
    pub path: String,
}

/// What could not be read, or only in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// The JSON Schema of [`Inventory`], as text.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Inventory);
    let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    format!("{text}\n")
}

impl Place {
    /// A whole file, standard input or a port.
    pub(crate) fn of(location: &str, part: Option<String>) -> Self {
        Self {
            location: mtc_core::printable::printable(location),
            part,
            link_to: None,
            uses: Vec::new(),
        }
    }
}

impl std::fmt::Display for Place {
    /// `FILE#2`, `FILE: Secret core/amf, tls.crt`, `HOST:PORT`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part.as_deref() {
            None => f.write_str(&self.location),
            Some(part) if part.starts_with('#') => write!(f, "{}{part}", self.location),
            Some(part) => write!(f, "{}: {part}", self.location),
        }
    }
}
