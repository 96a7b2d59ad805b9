//! Object identifiers as people know them.

/// Contents octets of the extensions that are read here.
pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// subjectAltName, 2.5.29.17.
pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
/// basicConstraints, 2.5.29.19.
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// extKeyUsage, 2.5.29.37.
pub(super) const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// id-pe-nftype (RFC 9310), 1.3.6.1.5.5.7.1.34.
pub(super) const NF_TYPES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 34];
/// id-pe-mtcCertificationAuthority-SHA256, 1.3.6.1.5.5.7.1.38.
const MTC_CA: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 38];
/// id-mtcTlogPrefixURL, 1.3.6.1.4.1.64829.2.1.
const TLOG_PREFIX_URL: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xfa, 0x3d, 2, 1];

/// The dotted form of an OBJECT IDENTIFIER's contents octets; hexadecimal if they are not one of components below 2^64.
pub fn dotted(oid: &[u8]) -> String {
    components(oid).map_or_else(
        || oid.iter().map(|octet| format!("{octet:02x}")).collect(),
        |components| {
            let texts: Vec<_> = components.iter().map(u64::to_string).collect();
            texts.join(".")
        },
    )
}

fn components(oid: &[u8]) -> Option<Vec<u64>> {
    let mut components = Vec::new();
    let mut value = 0_u64;
    let mut complete = false;
    for octet in oid {
        if value >> (u64::BITS - 7) != 0 {
            return None;
        }
        value = (value << 7) | u64::from(octet & 0x7f);
        complete = octet & 0x80 == 0;
        if complete {
            if components.is_empty() {
                // X.690 clause 8.19.4: the first two components share a number.
                let first = (value / 40).min(2);
                components.push(first);
                value -= 40 * first;
            }
            components.push(value);
            value = 0;
        }
    }
    complete.then_some(components)
}

/// The name of an extension, or its dotted OID.
pub fn extension_name(oid: &[u8]) -> String {
    let name = match oid {
        KEY_USAGE => "keyUsage",
        SUBJECT_ALT_NAME => "subjectAltName",
        BASIC_CONSTRAINTS => "basicConstraints",
        EXT_KEY_USAGE => "extKeyUsage",
        NF_TYPES => "nfTypes",
        MTC_CA => "mtcCertificationAuthority-SHA256",
        TLOG_PREFIX_URL => "mtcTlogPrefixURL",
        [0x55, 0x1d, 14] => "subjectKeyIdentifier",
        [0x55, 0x1d, 18] => "issuerAltName",
        [0x55, 0x1d, 30] => "nameConstraints",
        [0x55, 0x1d, 31] => "cRLDistributionPoints",
        [0x55, 0x1d, 32] => "certificatePolicies",
        [0x55, 0x1d, 35] => "authorityKeyIdentifier",
        [0x2b, 6, 1, 5, 5, 7, 1, 1] => "authorityInfoAccess",
        [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2] => "signedCertificateTimestampList",
        _ => return dotted(oid),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_have_their_dotted_form() {
        for (octets, text) in [
            (&[0x55, 0x1d, 15][..], "2.5.29.15"),
            (
                &[0x2b, 6, 1, 4, 1, 0x83, 0xfa, 0x3d, 2, 1],
                "1.3.6.1.4.1.64829.2.1",
            ),
            (&[0x88, 0x37], "2.999"),
            (&[0x00], "0.0"),
        ] {
            assert_eq!(dotted(octets), text);
        }
    }

    #[test]
    fn what_is_no_object_identifier_is_shown_in_hexadecimal() {
        assert_eq!(dotted(&[0x2b, 0x86]), "2b86", "cut short");
        assert_eq!(dotted(&[]), "");
        assert_eq!(dotted(&[0xff; 10]), "ff".repeat(10), "over 64 bits");
    }
}
