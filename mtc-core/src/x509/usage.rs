//! What a certificate may be used for: the one set of rules (RFC 5280, TS 33.310 clause 6.1.3c) for whoever verifies one, and the
//! values of the extensions by name.

use crate::der::{self, DerError, Reader};
use crate::oid;
use crate::printable::printable;
use crate::time::UnixTime;
use thiserror::Error;

use super::name::{GeneralName, alternative_names, is_name_of};
use super::{EndEntity, X509Error, in_field};

/// Purposes that allow one part or the other in a TLS handshake.
const ANY_ROLE: [&[u8]; 3] = [
    oid::CLIENT_AUTH,
    oid::SERVER_AUTH,
    oid::ANY_EXTENDED_KEY_USAGE,
];
/// Key usages by bit (RFC 5280 section 4.2.1.3).
const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
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
    const fn purpose(self) -> (&'static [u8], &'static str) {
        match self {
            Self::Client => (oid::CLIENT_AUTH, "clientAuth"),
            Self::Server => (oid::SERVER_AUTH, "serverAuth"),
        }
    }
}

/// Why a certificate may not be used, whoever signed or logged it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// It cannot be read, or an extension has not the form that its definition gives.
    #[error("malformed certificate")]
    Malformed(#[from] X509Error),
    /// Its validity has not begun.
    #[error(
        "certificate: notBefore {not_before} is {} s after the time of this check, {now}; is a clock wrong?",
        not_before.0.saturating_sub(now.0)
    )]
    NotYetValid {
        /// First valid second.
        not_before: UnixTime,
        /// The verifier's clock.
        now: UnixTime,
    },
    /// Its validity is over.
    #[error(
        "certificate: notAfter {not_after} was {} s before the time of this check, {now}; not renewed, or is a clock wrong?",
        now.0.saturating_sub(not_after.0)
    )]
    Expired {
        /// Last valid second.
        not_after: UnixTime,
        /// The verifier's clock.
        now: UnixTime,
    },
    /// A critical extension that is not processed here.
    #[error("certificate: critical extension {0} is unknown")]
    UnknownCriticalExtension(String),
    /// It is the certificate of a CA.
    #[error("certificate: basicConstraints say CA, not end entity")]
    CaCertificate,
    /// keyUsage lacks digitalSignature, or is missing where it must be there.
    #[error("certificate: keyUsage lacks digitalSignature")]
    KeyUsage,
    /// extKeyUsage lacks the purpose of the role, or is missing where it must be there.
    #[error("certificate: extKeyUsage lacks {0}")]
    ExtendedKeyUsage(&'static str),
    /// The peer was called by a name that is not in subjectAltName.
    #[error("it is not for {wanted:?} but for {}", if names.is_empty() { "nobody" } else { names })]
    Name {
        /// The name that was asked about.
        wanted: String,
        /// The dNSNames that it has, with commas.
        names: String,
    },
}

impl EndEntity<'_> {
    /// Checks validity (both ends inclusive), critical extensions, basicConstraints, keyUsage and extKeyUsage. Not the names: that
    /// is [`Self::check_name`].
    ///
    /// Whoever presents the certificate in a handshake has a role, and keyUsage and extKeyUsage must be there and allow it
    /// (TS 33.310 clause 6.1.3c). Without a role they may be missing (RFC 5280 sections 4.2.1.3 and 4.2.1.12); extKeyUsage must then
    /// allow either role or any purpose.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_usage(&self, now: UnixTime, role: Option<Role>) -> Result<(), UsageError> {
        let Self {
            not_before,
            not_after,
            ..
        } = *self;
        if now < not_before {
            return Err(UsageError::NotYetValid { not_before, now });
        }
        if now > not_after {
            return Err(UsageError::Expired { not_after, now });
        }
        if let Some(unknown) = self.unknown_critical {
            return Err(UsageError::UnknownCriticalExtension(oid::name(unknown)));
        }
        if let Some(constraints) = self.basic_constraints
            && is_ca(constraints).map_err(in_field("basicConstraints"))?
        {
            return Err(UsageError::CaCertificate);
        }
        let allows_signatures = match self.key_usage {
            Some(usage) => has_digital_signature(usage).map_err(in_field("keyUsage"))?,
            None => role.is_none(),
        };
        if !allows_signatures {
            return Err(UsageError::KeyUsage);
        }
        let (purposes, missing): (&[&[u8]], _) = match role.map(Role::purpose) {
            Some((purpose, name)) => (&[purpose], name),
            None => (&ANY_ROLE, "clientAuth and serverAuth"),
        };
        let allows_role = match self.ext_key_usage {
            Some(usage) => has_one_of(usage, purposes).map_err(in_field("extKeyUsage"))?,
            None => role.is_none(),
        };
        if allows_role {
            Ok(())
        } else {
            Err(UsageError::ExtendedKeyUsage(missing))
        }
    }

    /// Checks that subjectAltName has a host name (RFC 9525).
    ///
    /// # Errors
    /// It has not, or is malformed.
    pub fn check_name(&self, host: &str) -> Result<(), UsageError> {
        let names = match self.subject_alt_name {
            Some(names) => alternative_names(names).map_err(in_field("subjectAltName"))?,
            None => Vec::new(),
        };
        let hosts: Vec<&str> = names
            .iter()
            .filter_map(|name| match name {
                GeneralName::Dns(host) => Some(host.as_str()),
                _ => None,
            })
            .collect();
        if hosts.iter().any(|presented| is_name_of(presented, host)) {
            return Ok(());
        }
        Err(UsageError::Name {
            wanted: host.to_owned(),
            names: hosts.join(", "),
        })
    }
}

/// `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`: cA. Some issuers write the
/// default out.
///
/// # Errors
/// Not the DER of these constraints.
pub fn is_ca(value: &[u8]) -> Result<bool, DerError> {
    let mut constraints = Reader::new(der::only(value, der::SEQUENCE)?);
    let ca = match constraints.optional(der::BOOLEAN)?.map(|ca| ca.contents) {
        None | Some([0]) => false,
        Some([0xff]) => true,
        Some(_) => return Err(DerError::InvalidValue("BOOLEAN")),
    };
    constraints.optional(der::INTEGER)?;
    constraints.finish()?;
    Ok(ca)
}

/// The octets of a named bit list, the first bit uppermost.
fn named_bits(value: &[u8]) -> Result<&[u8], DerError> {
    match der::only(value, der::BIT_STRING)? {
        [0..=7, octets @ ..] => Ok(octets),
        _ => Err(DerError::InvalidValue("BIT STRING")),
    }
}

/// digitalSignature is bit 0.
fn has_digital_signature(value: &[u8]) -> Result<bool, DerError> {
    let octets = named_bits(value)?;
    Ok(octets.first().is_some_and(|first| first & 0x80 != 0))
}

fn has_one_of(value: &[u8], wanted: &[&[u8]]) -> Result<bool, DerError> {
    let mut purposes = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut found = false;
    while !purposes.is_empty() {
        found |= wanted.contains(&purposes.contents(der::OID)?);
    }
    Ok(found)
}

/// The names in the value of a keyUsage extension.
///
/// # Errors
/// Not the DER of a named bit list.
pub fn key_usages(value: &[u8]) -> Result<Vec<&'static str>, DerError> {
    let octets = named_bits(value)?;
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
        purposes.push(oid::name(list.contents(der::OID)?));
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
    use crate::x509::{Certificate, extension};

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

    const NOW: UnixTime = UnixTime(1500);

    fn check(extensions: &[Vec<u8>], now: UnixTime, role: Option<Role>) -> Result<(), UsageError> {
        let der = certificate(extensions);
        EndEntity::parse(&der)?.check_usage(now, role)
    }

    fn usages(purposes: &[&[u8]]) -> [Vec<u8>; 2] {
        let purposes: Vec<u8> = purposes
            .iter()
            .flat_map(|purpose| der::element(der::OID, &[purpose]))
            .collect();
        [
            extension(oid::KEY_USAGE, true, &[3, 2, 7, 0x80]),
            extension(
                oid::EXT_KEY_USAGE,
                false,
                &der::element(der::SEQUENCE, &[&purposes]),
            ),
        ]
    }

    #[test]
    fn both_ends_of_the_validity_are_inclusive() {
        let at = |second| check(&[], UnixTime(second), None);
        assert_eq!(at(1000), Ok(()));
        assert_eq!(at(2000), Ok(()));
        assert!(matches!(at(999), Err(UsageError::NotYetValid { .. })));
        assert!(matches!(at(2001), Err(UsageError::Expired { .. })));
    }

    #[test]
    fn extensions_that_forbid_use_are_heeded() {
        for (oid, critical, value, verdict) in [
            (
                oid::BASIC_CONSTRAINTS,
                true,
                &[0x30, 3, 1, 1, 0xff][..],
                Err(UsageError::CaCertificate),
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
                Err(UsageError::UnknownCriticalExtension(
                    "nameConstraints".to_owned(),
                )),
            ),
            (&[0x55, 0x1d, 30], false, &[0x30, 0], Ok(())),
        ] {
            assert_eq!(
                check(&[extension(oid, critical, value)], NOW, None),
                verdict
            );
        }
        let broken = extension(oid::KEY_USAGE, true, &[5, 0]);
        assert!(matches!(
            check(&[broken], NOW, None),
            Err(UsageError::Malformed(X509Error::Field {
                field: "keyUsage",
                ..
            }))
        ));
    }

    #[test]
    fn a_role_needs_both_usages_and_nobody_may_be_without_any() {
        const MAIL: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];
        let roles = [None, Some(Role::Client), Some(Role::Server)];
        let of = |extensions: &[Vec<u8>]| roles.map(|role| check(extensions, NOW, role));
        let lacks = |purpose| Err(UsageError::ExtendedKeyUsage(purpose));
        let key_usage = Err(UsageError::KeyUsage);
        assert_eq!(of(&[]), [Ok(()), key_usage.clone(), key_usage]);
        assert_eq!(
            of(&usages(&[])[..1]),
            [Ok(()), lacks("clientAuth"), lacks("serverAuth")]
        );
        assert_eq!(
            of(&usages(&[MAIL, oid::CLIENT_AUTH])),
            [Ok(()), Ok(()), lacks("serverAuth")]
        );
        assert_eq!(
            of(&usages(&[oid::ANY_EXTENDED_KEY_USAGE])),
            [Ok(()), lacks("clientAuth"), lacks("serverAuth")]
        );
        assert_eq!(
            of(&usages(&[MAIL])),
            [
                lacks("clientAuth and serverAuth"),
                lacks("clientAuth"),
                lacks("serverAuth")
            ]
        );
    }

    #[test]
    fn both_readers_refuse_an_extension_that_occurs_twice() {
        for (oid, name) in [
            (oid::KEY_USAGE, "keyUsage"),
            (oid::SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier"),
        ] {
            let other = extension(&[0x2a, 3], false, &[5, 0]);
            let one = extension(oid, false, &[5, 0]);
            let twice = certificate(&[one.clone(), other, one]);
            let error = X509Error::DuplicateExtension(name.to_owned());
            assert_eq!(EndEntity::parse(&twice), Err(error.clone()));
            assert_eq!(Certificate::parse(&twice).err(), Some(error));
        }
    }

    #[test]
    fn ca_is_read_with_its_default_left_out_or_written() {
        assert_eq!(is_ca(&[0x30, 0]), Ok(false));
        assert_eq!(is_ca(&[0x30, 3, 1, 1, 0]), Ok(false));
        assert_eq!(is_ca(&[0x30, 3, 1, 1, 0xff]), Ok(true));
        assert_eq!(is_ca(&[0x30, 6, 1, 1, 0xff, 2, 1, 0]), Ok(true));
        assert!(is_ca(&[0x30, 3, 4, 1, 0xff]).is_err());
        assert!(is_ca(&[0x30, 3, 1, 1, 1]).is_err(), "no BOOLEAN of DER");
        assert_eq!(
            is_ca(&[0x30, 9, 1, 1, 0xff, 2, 1, 0, 1, 1, 0xff]),
            Err(DerError::TrailingBytes(3))
        );
    }
}
