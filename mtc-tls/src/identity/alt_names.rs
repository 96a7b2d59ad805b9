//! The subject alternative names of an NF: FQDNs as dNSName and the NF instance as a `urn:uuid` URI.

use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid;
use mtc_core::x509::{EndEntity, extension, is_name_of};
use uuid::Uuid;

/// FQDNs in one certificate; an NF serves under one or two.
pub const MAX_FQDNS: usize = 16;

/// Room that is made for them at once.
const USUAL_FQDNS: usize = 1;

/// GeneralName `[2] dNSName`.
const DNS_NAME: u8 = der::context_primitive(2);
/// GeneralName `[6] uniformResourceIdentifier`.
const UNIFORM_RESOURCE_IDENTIFIER: u8 = der::context_primitive(6);

const URN_UUID: &[u8] = b"urn:uuid:";
/// Characters of a UUID with hyphens, the only form that a URN has (RFC 9562 Section 4).
const HYPHENATED_UUID_LENGTH: usize = 36;

/// Why subject alternative names are not those of an NF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AltNamesError {
    /// Not the DER of GeneralNames.
    #[error("subjectAltName is malformed")]
    Malformed(#[from] DerError),
    /// More than one `urn:uuid:` name, which leaves the identity open.
    #[error("subjectAltName has more than one urn:uuid")]
    SeveralInstanceIds,
    /// A `urn:uuid:` name that is no UUID.
    #[error("subjectAltName has a urn:uuid that is not a UUID")]
    InvalidInstanceId,
    /// A dNSName that is empty or not printable ASCII.
    #[error("subjectAltName has a dNSName that is not text")]
    InvalidFqdn,
    /// More dNSNames than the bound of this implementation.
    #[error("subjectAltName has more than {MAX_FQDNS} dNSNames")]
    TooManyFqdns,
}

/// The names of the two forms that identify an NF; names of other forms are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AltNames {
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) fqdns: Vec<String>,
}

impl AltNames {
    /// The names in a certificate; none without the extension.
    pub(crate) fn of(leaf: &EndEntity<'_>) -> Result<Self, AltNamesError> {
        leaf.subject_alt_name
            .map_or_else(|| Ok(Self::default()), Self::parse)
    }

    /// Reads the value of a subjectAltName extension.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, AltNamesError> {
        let mut reader = Reader::new(der::only(value, der::SEQUENCE)?);
        let mut names = Self {
            instance_id: None,
            fqdns: Vec::with_capacity(USUAL_FQDNS),
        };
        while !reader.is_empty() {
            let name = reader.element()?;
            match name.tag {
                DNS_NAME if names.fqdns.len() == MAX_FQDNS => {
                    return Err(AltNamesError::TooManyFqdns);
                }
                DNS_NAME => names.fqdns.push(parse_fqdn(name.contents)?),
                UNIFORM_RESOURCE_IDENTIFIER => {
                    let uuid = parse_urn_uuid(name.contents)?;
                    if uuid.is_some() && names.instance_id.is_some() {
                        return Err(AltNamesError::SeveralInstanceIds);
                    }
                    names.instance_id = names.instance_id.or(uuid);
                }
                _ => {}
            }
        }
        Ok(names)
    }

    /// Whether a server called by this host name is meant.
    pub(crate) fn include(&self, host: &str) -> bool {
        self.fqdns.iter().any(|name| is_name_of(name, host))
    }

    /// The critical subjectAltName extension: a dNSName for every FQDN, then the `urn:uuid` of the NF instance.
    pub(crate) fn extension_der(instance_id: Uuid, fqdns: &[String]) -> Vec<u8> {
        let mut names: Vec<u8> = fqdns
            .iter()
            .flat_map(|fqdn| der::element(DNS_NAME, &[fqdn.as_bytes()]))
            .collect();
        let uri = instance_id.urn().to_string();
        names.extend(der::element(UNIFORM_RESOURCE_IDENTIFIER, &[uri.as_bytes()]));
        let value = der::element(der::SEQUENCE, &[&names]);
        extension(oid::SUBJECT_ALT_NAME, true, &value)
    }
}

/// Printable ASCII without spaces, looked at whole, which takes a tenth of the instructions that stopping at the first other character
/// takes.
pub(super) fn graphic_text(octets: &[u8]) -> Option<&str> {
    let graphic = octets
        .iter()
        .fold(true, |graphic, octet| graphic & octet.is_ascii_graphic());
    std::str::from_utf8(octets).ok().filter(|_| graphic)
}

/// Names end up in logs and comparisons, hence printable ASCII without spaces; whether one is a legal or wildcard
/// name matters to who compares it.
fn parse_fqdn(octets: &[u8]) -> Result<String, AltNamesError> {
    graphic_text(octets)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .ok_or(AltNamesError::InvalidFqdn)
}

/// The UUID of a `urn:uuid:` URI, or nothing for another URI.
fn parse_urn_uuid(uri: &[u8]) -> Result<Option<Uuid>, AltNamesError> {
    match uri.split_at_checked(URN_UUID.len()) {
        Some((prefix, uuid)) if prefix.eq_ignore_ascii_case(URN_UUID) => {
            if uuid.len() != HYPHENATED_UUID_LENGTH {
                return Err(AltNamesError::InvalidInstanceId);
            }
            Uuid::try_parse_ascii(uuid)
                .map(Some)
                .map_err(|_| AltNamesError::InvalidInstanceId)
        }
        _ => Ok(None),
    }
}
