//! What a certificate may be used for, and the checks of RFC 5280 that need neither issuer nor peer.

use crate::der::{self, DerError, Reader};
use crate::printable::printable;
use crate::time::UnixTime;
use thiserror::Error;

use super::Certificate;
use super::name::{GeneralName, alternative_names, is_name_of};
use super::oid::{self, dotted, extension_name};

/// What the key of a TLS 1.3 peer is used for.
const DIGITAL_SIGNATURE: &str = "digitalSignature";
/// Key usages by bit (RFC 5280 section 4.2.1.3).
const KEY_USAGES: [&str; 9] = [
    DIGITAL_SIGNATURE,
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

/// Critical extensions whose rules are kept here; the names are for whoever has a peer to compare with.
const PROCESSED: [&[u8]; 5] = [
    oid::KEY_USAGE,
    oid::EXT_KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::BASIC_CONSTRAINTS,
    oid::NF_TYPES,
];

/// The part in the TLS handshake of the party that presents a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It opened the connection: `id-kp-clientAuth`.
    Client,
    /// It accepted the connection: `id-kp-serverAuth`.
    Server,
}

impl Role {
    /// The purpose that extKeyUsage must name.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Client => "clientAuth",
            Self::Server => "serverAuth",
        }
    }
}

/// Why a certificate cannot be used as an end entity's, whoever issued it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// Its validity has not begun.
    #[error("not valid before {not_before}; it is {at}")]
    NotYetValid {
        /// First valid second.
        not_before: UnixTime,
        /// The time that was asked about.
        at: UnixTime,
    },
    /// Its validity is over.
    #[error("expired: not valid after {not_after}; it is {at}")]
    Expired {
        /// Last valid second.
        not_after: UnixTime,
        /// The time that was asked about.
        at: UnixTime,
    },
    /// It is a CA's.
    #[error("basicConstraints say that it is a CA's, not an end entity's")]
    Ca,
    /// keyUsage does not allow signatures, or is missing where there is a peer to judge.
    #[error("keyUsage does not allow digitalSignature, which TLS 1.3 needs")]
    KeyUsage,
    /// extKeyUsage is missing or lacks the purpose of the role.
    #[error("extKeyUsage lacks {0}")]
    Purpose(&'static str),
    /// The peer was called by a name that is not in subjectAltName.
    #[error("it is not for {wanted:?} but for {}", if names.is_empty() { "nobody" } else { names })]
    Name {
        /// The name that was asked about.
        wanted: String,
        /// The dNSNames that it has, with commas.
        names: String,
    },
    /// A critical extension that is not processed here.
    #[error("critical extension {0} is not known here, so the certificate must not be used")]
    UnknownCritical(String),
    /// An extension has not the form that its definition gives.
    #[error("extension {extension} is malformed")]
    Malformed {
        /// Which.
        extension: &'static str,
        /// What is wrong with it.
        source: DerError,
    },
}

fn malformed(extension: &'static str) -> impl Fn(DerError) -> UsageError + Copy {
    move |source| UsageError::Malformed { extension, source }
}

/// Checks a certificate as an end entity's at a time: validity (both ends inclusive), basicConstraints, keyUsage where there is
/// one, and critical extensions. Not the names and not extKeyUsage: those depend on the peer.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_end_entity(certificate: &Certificate<'_>, at: UnixTime) -> Result<(), UsageError> {
    let statement = &certificate.statement;
    let (not_before, not_after) = (statement.not_before, statement.not_after);
    if at < not_before {
        return Err(UsageError::NotYetValid { not_before, at });
    }
    if at > not_after {
        return Err(UsageError::Expired { not_after, at });
    }
    if let Some(constraints) = statement.extension(oid::BASIC_CONSTRAINTS)
        && is_ca(constraints.value).map_err(malformed("basicConstraints"))?
    {
        return Err(UsageError::Ca);
    }
    if let Some(usage) = statement.extension(oid::KEY_USAGE)
        && !key_usages(usage.value)
            .map_err(malformed("keyUsage"))?
            .contains(&DIGITAL_SIGNATURE)
    {
        return Err(UsageError::KeyUsage);
    }
    let unknown = statement
        .extensions
        .iter()
        .find(|extension| extension.critical && !PROCESSED.contains(&extension.oid));
    match unknown {
        Some(unknown) => Err(UsageError::UnknownCritical(extension_name(unknown.oid))),
        None => Ok(()),
    }
}

/// Checks that a certificate is for a peer called by a host name, in a role: subjectAltName has the name (RFC 9525), and
/// keyUsage and extKeyUsage are there and allow it, as TS 33.310 clause 6.1.3c wants of network functions.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_peer(certificate: &Certificate<'_>, name: &str, role: Role) -> Result<(), UsageError> {
    let statement = &certificate.statement;
    let names = match statement.extension(oid::SUBJECT_ALT_NAME) {
        Some(names) => alternative_names(names.value).map_err(malformed("subjectAltName"))?,
        None => Vec::new(),
    };
    let hosts: Vec<&str> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::Dns(host) => Some(host.as_str()),
            _ => None,
        })
        .collect();
    if !hosts.iter().any(|presented| is_name_of(presented, name)) {
        return Err(UsageError::Name {
            wanted: name.to_owned(),
            names: hosts.join(", "),
        });
    }
    if statement.extension(oid::KEY_USAGE).is_none() {
        return Err(UsageError::KeyUsage);
    }
    let purposes = match statement.extension(oid::EXT_KEY_USAGE) {
        Some(usage) => purposes(usage.value).map_err(malformed("extKeyUsage"))?,
        None => Vec::new(),
    };
    if !purposes.iter().any(|purpose| purpose == role.purpose()) {
        return Err(UsageError::Purpose(role.purpose()));
    }
    Ok(())
}

/// `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`.
fn is_ca(value: &[u8]) -> Result<bool, DerError> {
    let mut constraints = Reader::new(der::only(value, der::SEQUENCE)?);
    let ca = constraints.optional(der::BOOLEAN)?;
    constraints.optional(der::INTEGER)?;
    constraints.finish()?;
    Ok(ca.is_some_and(|ca| ca.contents != [0]))
}

/// The names in the value of a keyUsage extension.
///
/// # Errors
/// Not the DER of a named bit list.
pub fn key_usages(value: &[u8]) -> Result<Vec<&'static str>, DerError> {
    let [0..=7, octets @ ..] = der::only(value, der::BIT_STRING)? else {
        return Err(DerError::InvalidValue("BIT STRING"));
    };
    let is_set = |bit: usize| {
        octets
            .get(bit / 8)
            .is_some_and(|octet| octet & (0x80 >> (bit % 8)) != 0)
    };
    Ok((0..KEY_USAGES.len())
        .filter(|bit| is_set(*bit))
        .map(|bit| KEY_USAGES[bit])
        .collect())
}

/// The purposes in the value of an extKeyUsage extension, by name or dotted OID.
///
/// # Errors
/// Not the DER of a list of OIDs.
pub fn purposes(value: &[u8]) -> Result<Vec<String>, DerError> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut purposes = Vec::new();
    while !list.is_empty() {
        purposes.push(match list.contents(der::OID)? {
            [0x2b, 6, 1, 5, 5, 7, 3, 1] => "serverAuth".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 2] => "clientAuth".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 3] => "codeSigning".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 4] => "emailProtection".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 8] => "timeStamping".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 9] => "OCSPSigning".to_owned(),
            [0x55, 0x1d, 37, 0] => "anyExtendedKeyUsage".to_owned(),
            other => dotted(other),
        });
    }
    Ok(purposes)
}

/// The NF types in the value of an RFC 9310 extension, in order, whatever they are.
///
/// # Errors
/// Not the DER of a list of IA5Strings.
pub fn nf_types(value: &[u8]) -> Result<Vec<String>, DerError> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut types = Vec::new();
    while !list.is_empty() {
        let text = list.contents(der::IA5_STRING)?;
        // In lists with commas, no type can look like two.
        types.push(printable(&String::from_utf8_lossy(text)).replace(',', "\\,"));
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_bits_have_their_names() {
        assert_eq!(key_usages(&[3, 2, 7, 0x80]), Ok(vec!["digitalSignature"]));
        assert_eq!(
            key_usages(&[3, 3, 7, 0x06, 0x80]),
            Ok(vec!["keyCertSign", "cRLSign", "decipherOnly"])
        );
        assert_eq!(key_usages(&[3, 1, 0]), Ok(vec![]));
        assert!(key_usages(&[3, 2, 8, 0x80]).is_err());
        assert!(key_usages(&[3, 0]).is_err());
    }

    /// A certificate with these extensions, valid from second 1000 to second 2000.
    fn certificate(extensions: &[Vec<u8>]) -> Vec<u8> {
        let identifier = der::element(der::SEQUENCE, &[&[6, 3, 0x2b, 0x65, 0x70]]);
        let empty = der::element(der::SEQUENCE, &[]);
        let validity = [UnixTime(1000).to_der(), UnixTime(2000).to_der()].concat();
        let list = der::element(der::SEQUENCE, &[&extensions.concat()]);
        let tbs = [
            &[0xa0, 3, 2, 1, 2][..],
            &der::unsigned_integer(1),
            &identifier,
            &empty,
            &der::element(der::SEQUENCE, &[&validity]),
            &empty,
            &empty,
            &der::element(der::context(3), &[&list]),
        ]
        .concat();
        let tbs = der::element(der::SEQUENCE, &[&tbs]);
        der::element(der::SEQUENCE, &[&tbs, &identifier, &der::bit_string(&[])])
    }

    fn check(extensions: &[Vec<u8>], at: u64) -> Result<(), UsageError> {
        let der = certificate(extensions);
        check_end_entity(&Certificate::parse(&der).unwrap(), UnixTime(at))
    }

    #[test]
    fn both_ends_of_the_validity_are_inclusive() {
        assert_eq!(check(&[], 1000), Ok(()));
        assert_eq!(check(&[], 2000), Ok(()));
        assert!(matches!(
            check(&[], 999),
            Err(UsageError::NotYetValid { .. })
        ));
        assert!(matches!(check(&[], 2001), Err(UsageError::Expired { .. })));
    }

    #[test]
    fn extensions_that_forbid_use_are_heeded() {
        use crate::ca::extension;
        let at = 1500;
        for (oid, critical, value, verdict) in [
            (
                oid::BASIC_CONSTRAINTS,
                true,
                &[0x30, 3, 1, 1, 0xff][..],
                Err(UsageError::Ca),
            ),
            (oid::BASIC_CONSTRAINTS, true, &[0x30, 0], Ok(())),
            (
                oid::KEY_USAGE,
                true,
                &[3, 2, 1, 6],
                Err(UsageError::KeyUsage),
            ),
            (oid::KEY_USAGE, true, &[3, 2, 7, 0x80], Ok(())),
            (
                &[0x55, 0x1d, 30],
                true,
                &[0x30, 0],
                Err(UsageError::UnknownCritical("nameConstraints".to_owned())),
            ),
            (&[0x55, 0x1d, 30], false, &[0x30, 0], Ok(())),
        ] {
            assert_eq!(check(&[extension(oid, critical, value)], at), verdict);
        }
        let broken = extension(oid::KEY_USAGE, true, &[5, 0]);
        assert!(matches!(
            check(&[broken], at),
            Err(UsageError::Malformed {
                extension: "keyUsage",
                ..
            })
        ));
        let twice = certificate(&[
            extension(oid::KEY_USAGE, true, &[3, 2, 7, 0x80]),
            extension(oid::KEY_USAGE, true, &[3, 2, 7, 0x80]),
        ]);
        assert!(matches!(
            Certificate::parse(&twice),
            Err(crate::x509::X509Error::DuplicateExtension(name)) if name == "keyUsage"
        ));
    }

    #[test]
    fn ca_is_read_with_its_default_left_out_or_written() {
        assert_eq!(is_ca(&[0x30, 0]), Ok(false));
        assert_eq!(is_ca(&[0x30, 3, 1, 1, 0]), Ok(false));
        assert_eq!(is_ca(&[0x30, 3, 1, 1, 0xff]), Ok(true));
        assert_eq!(is_ca(&[0x30, 6, 1, 1, 0xff, 2, 1, 0]), Ok(true));
        assert!(is_ca(&[0x30, 3, 4, 1, 0xff]).is_err());
    }
}
