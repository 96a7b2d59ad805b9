//! Distinguished names and subject alternative names as text that is safe to print.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::der::{self, DerError, Element, Reader};
use crate::hex;
use crate::id::TrustAnchorId;
use crate::oid;
use crate::printable::{is_hidden, printable};

/// Names in one certificate. The largest public ones have a few hundred.
const MAX_NAMES: usize = 1000;

/// TeletexString, which issuers use for Latin-1.
const TELETEX_STRING: u8 = 0x14;
/// BMPString, UTF-16 in big-endian order.
const BMP_STRING: u8 = 0x1e;

/// A distinguished name: `C=XX, O=5gc.mnc001.mcc001.3gppnetwork.org`. The name of an MTCA is its trust anchor ID, `32473.1`; an
/// empty name is `(empty)`.
///
/// Values are escaped as RFC 4514 says. Deviation: attributes are in the certificate's order, not in the opposite one, with a space after the comma,
/// as people know them from other tools.
///
/// # Errors
/// Not the DER of a name.
pub fn distinguished_name(name: &[u8]) -> Result<String, DerError> {
    if let Ok(id) = TrustAnchorId::from_name(name) {
        return Ok(id.to_string());
    }
    let mut parts = Vec::new();
    let mut relative = Reader::new(der::only(name, der::SEQUENCE)?);
    while !relative.is_empty() {
        let mut attributes = Reader::new(relative.contents(der::SET)?);
        let mut texts = Vec::new();
        while !attributes.is_empty() {
            let mut attribute = Reader::new(attributes.contents(der::SEQUENCE)?);
            let kind = attribute.contents(der::OID)?;
            let value = attribute.element()?;
            attribute.finish()?;
            texts.push(format!("{}={}", oid::name(kind), value_text(&value)));
        }
        parts.push(texts.join("+"));
    }
    if parts.is_empty() {
        return Ok("(empty)".to_owned());
    }
    Ok(parts.join(", "))
}

fn value_text(value: &Element<'_>) -> String {
    let text = match value.tag {
        der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING => {
            std::str::from_utf8(value.contents).ok().map(str::to_owned)
        }
        TELETEX_STRING => Some(value.contents.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (units, rest) = value.contents.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    };
    text.map_or_else(
        || format!("#{}", hex::encode(value.whole)),
        |text| escaped(&text),
    )
}

/// A value as RFC 4514 section 2.4 writes it, so that one attribute cannot look like several: what has a meaning in the text of a name is
/// escaped, and so are characters that a terminal would obey, as the octets of their UTF-8.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (position, character) in value.chars().enumerate() {
        let at_an_end = position == 0 || position == last;
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' if position == 0 => text.push_str("\\#"),
            ' ' if at_an_end => text.push_str("\\ "),
            _ if is_hidden(character) => {
                let mut octets = [0; 4];
                for octet in character.encode_utf8(&mut octets).bytes() {
                    text.push_str(&format!("\\{octet:02x}"));
                }
            }
            _ => text.push(character),
        }
    }
    text
}

/// One subject alternative name (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "kebab-case", tag = "type", content = "value")
)]
pub enum GeneralName {
    /// dNSName.
    Dns(String),
    /// uniformResourceIdentifier.
    Uri(String),
    /// rfc822Name.
    Email(String),
    /// iPAddress.
    Ip(String),
    /// directoryName.
    Directory(String),
    /// A name of another form: its tag and value in hexadecimal.
    Other(String),
}

impl GeneralName {
    fn read(name: &Element<'_>) -> Result<Self, DerError> {
        let text = || printable(&String::from_utf8_lossy(name.contents));
        Ok(match name.tag {
            0x81 => Self::Email(text()),
            0x82 => Self::Dns(text()),
            0x86 => Self::Uri(text()),
            0x87 => Self::Ip(address(name.contents).unwrap_or_else(|| hex::encode(name.contents))),
            0xa4 => Self::Directory(distinguished_name(name.contents)?),
            _ => Self::Other(hex::encode(name.whole)),
        })
    }
}

impl std::fmt::Display for GeneralName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (form, value) = match self {
            Self::Dns(value) => ("DNS", value),
            Self::Uri(value) => ("URI", value),
            Self::Email(value) => ("email", value),
            Self::Ip(value) => ("IP", value),
            Self::Directory(value) => ("directory", value),
            Self::Other(value) => ("other", value),
        };
        write!(f, "{form}:{value}")
    }
}

fn address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|octets| Ipv6Addr::from(octets).to_string())
}

/// The names in the value of a subjectAltName extension, in order.
///
/// # Errors
/// Not the DER of GeneralNames, or more names than anybody has.
pub fn alternative_names(value: &[u8]) -> Result<Vec<GeneralName>, DerError> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut names = Vec::new();
    while !list.is_empty() {
        if names.len() == MAX_NAMES {
            return Err(DerError::InvalidValue("number of names"));
        }
        names.push(GeneralName::read(&list.element()?)?);
    }
    Ok(names)
}

/// Whether a dNSName of a certificate names a server called by this host name (RFC 9525 section 6.3): they are equal but for
/// case, or the certificate has `*` in place of the first label, before at least two others.
pub fn is_name_of(presented: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match presented.strip_prefix("*.") {
        Some(parent) => {
            parent.contains('.')
                && host
                    .split_once('.')
                    .is_some_and(|(_, of_host)| of_host.eq_ignore_ascii_case(parent))
        }
        // Most are equal in case too, and that is seen many octets at a time.
        None => presented == host || presented.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let attribute = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::OID, &[oid]),
                &der::element(tag, &[value]),
            ],
        );
        der::element(der::SET, &[&attribute])
    }

    fn name(attributes: &[Vec<u8>]) -> String {
        let name = der::element(der::SEQUENCE, &[&attributes.concat()]);
        distinguished_name(&name).expect("a name")
    }

    #[test]
    fn names_are_read_in_every_string_type() {
        let latin = attribute(&[0x55, 4, 10], TELETEX_STRING, &[b'M', 0xfc]);
        let utf16 = attribute(&[0x55, 4, 3], BMP_STRING, &[0, b'a', 0x20, 0xac]);
        let odd = attribute(&[0x55, 4, 3], BMP_STRING, &[0]);
        let unknown = attribute(&[0x2a, 3], der::UTF8_STRING, b"x");
        assert_eq!(
            name(&[latin, utf16, odd, unknown]),
            "O=M\u{fc}, CN=a\u{20ac}, CN=#1e0100, 1.2.3=x"
        );
        assert_eq!(name(&[]), "(empty)");
        let id: TrustAnchorId = "32473.1".parse().unwrap();
        assert_eq!(distinguished_name(&id.to_name()), Ok("32473.1".to_owned()));
    }

    #[test]
    fn no_name_reaches_the_terminal_unescaped() {
        let hostile = attribute(
            &[0x55, 4, 3],
            der::UTF8_STRING,
            "a\u{1b}[2J\n\u{202e}b".as_bytes(),
        );
        assert_eq!(name(&[hostile]), "CN=a\\1b[2J\\0a\\e2\\80\\aeb");
    }

    // One CN was printed as three attributes, in JSON too.
    #[test]
    fn one_attribute_is_never_read_as_several() {
        for (value, shown) in [
            (
                "evil, O=Trusted Org, CN=nrf1.example.org",
                r"evil\, O=Trusted Org\, CN=nrf1.example.org",
            ),
            ("a+CN=b", r"a\+CN=b"),
            (r"a\", r"a\\"),
            ("#0403", r"\#0403"),
            (" a b ", r"\ a b\ "),
            (" ", r"\ "),
            ("<\"a\";>", r#"\<\"a\"\;\>"#),
            ("a#b", "a#b"),
            ("", ""),
        ] {
            let common = attribute(&[0x55, 4, 3], der::UTF8_STRING, value.as_bytes());
            assert_eq!(name(&[common]), format!("CN={shown}"), "{value}");
        }
    }

    #[test]
    fn alternative_names_of_every_form() {
        let names = [
            der::element(0x82, &[b"amf1.example.org"]),
            der::element(0x86, &[b"urn:uuid:1"]),
            der::element(0x81, &[b"a@b"]),
            der::element(0x87, &[&[127, 0, 0, 1]]),
            der::element(0x87, &[&[1, 2]]),
            der::element(0x88, &[&[0x2a, 3]]),
        ];
        let value = der::element(der::SEQUENCE, &[&names.concat()]);
        let texts: Vec<_> = alternative_names(&value)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            texts,
            [
                "DNS:amf1.example.org",
                "URI:urn:uuid:1",
                "email:a@b",
                "IP:127.0.0.1",
                "IP:0102",
                "other:88022a03"
            ]
        );
    }

    #[test]
    fn names_are_bounded() {
        let value = |count| {
            let names = der::element(0x82, &[b"a"]).repeat(count);
            alternative_names(&der::element(der::SEQUENCE, &[&names]))
        };
        assert_eq!(value(MAX_NAMES).map(|names| names.len()), Ok(MAX_NAMES));
        assert!(value(MAX_NAMES + 1).is_err());
    }
}
