//! Object identifiers: the contents octets that are compared with, and the names that people know them by.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::hex;

/// commonName, 2.5.4.3.
pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// countryName, 2.5.4.6.
pub const COUNTRY_NAME: &[u8] = &[0x55, 4, 6];
/// organizationName, 2.5.4.10.
pub const ORGANIZATION_NAME: &[u8] = &[0x55, 4, 10];
/// `id-rdna-unsigned` (RFC 9925), 1.3.6.1.5.5.7.25.1.
pub const UNSIGNED_NAME: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 25, 1];
/// `id-rdna-trustAnchorID` (Section 5.1), 1.3.6.1.5.5.7.25.3.
pub const TRUST_ANCHOR_ID: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 25, 3];

/// subjectKeyIdentifier, 2.5.29.14.
pub const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
/// keyUsage, 2.5.29.15.
pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// subjectAltName, 2.5.29.17.
pub const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
/// basicConstraints, 2.5.29.19.
pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// cRLNumber, 2.5.29.20.
pub const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
/// reasonCode, 2.5.29.21.
pub const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
/// cRLDistributionPoints, 2.5.29.31.
pub const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
/// authorityKeyIdentifier, 2.5.29.35.
pub const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
/// extKeyUsage, 2.5.29.37.
pub const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// authorityInfoAccess, 1.3.6.1.5.5.7.1.1.
pub const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
/// `id-ad-ocsp`, 1.3.6.1.5.5.7.48.1.
pub const AD_OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
/// `id-pe-nftype` (RFC 9310), 1.3.6.1.5.5.7.1.34.
pub const NF_TYPES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 34];
/// `id-pe-mtcCertificationAuthority-SHA256` (Section 5.5), 1.3.6.1.5.5.7.1.38.
pub const MTC_CA: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 38];
/// `id-mtcTlogPrefixURL` (c2sp.org/mtc-tlog), 1.3.6.1.4.1.64829.2.1.
pub const TLOG_PREFIX_URL: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xfa, 0x3d, 2, 1];
/// `extensionRequest` (RFC 2985 section 5.4.2), 1.2.840.113549.1.9.14.
pub const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];

/// `id-kp-serverAuth`, 1.3.6.1.5.5.7.3.1.
pub const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// `id-kp-clientAuth`, 1.3.6.1.5.5.7.3.2.
pub const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// `anyExtendedKeyUsage`, 2.5.29.37.0.
pub const ANY_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37, 0];

/// `rsaEncryption`, 1.2.840.113549.1.1.1.
pub const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// `id-ecPublicKey`, 1.2.840.10045.2.1.
pub const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// `secp256r1`, 1.2.840.10045.3.1.7.
pub const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// `secp384r1`, 1.3.132.0.34.
pub const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
/// `secp521r1`, 1.3.132.0.35.
pub const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];

/// The arc 1.3.6.1.4.1.44363.47 of earlier experiments with MTC.
pub const EXPERIMENTAL_ARC: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0xda, 0x4b, 47];

/// Names for people: attributes of names, extensions, purposes, signature algorithms.
const NAMES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (COUNTRY_NAME, "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (ORGANIZATION_NAME, "O"),
    (&[0x55, 4, 11], "OU"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
    (UNSIGNED_NAME, "unsigned"),
    (TRUST_ANCHOR_ID, "trustAnchorID"),
    (SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier"),
    (KEY_USAGE, "keyUsage"),
    (SUBJECT_ALT_NAME, "subjectAltName"),
    (&[0x55, 0x1d, 18], "issuerAltName"),
    (BASIC_CONSTRAINTS, "basicConstraints"),
    (&[0x55, 0x1d, 30], "nameConstraints"),
    (CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints"),
    (&[0x55, 0x1d, 32], "certificatePolicies"),
    (AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier"),
    (EXT_KEY_USAGE, "extKeyUsage"),
    (AUTHORITY_INFO_ACCESS, "authorityInfoAccess"),
    (NF_TYPES, "nfTypes"),
    (MTC_CA, "mtcCertificationAuthority-SHA256"),
    (TLOG_PREFIX_URL, "mtcTlogPrefixURL"),
    (
        &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2],
        "signedCertificateTimestampList",
    ),
    (SERVER_AUTH, "serverAuth"),
    (CLIENT_AUTH, "clientAuth"),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 3], "codeSigning"),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 4], "emailProtection"),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 8], "timeStamping"),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 9], "OCSPSigning"),
    (ANY_EXTENDED_KEY_USAGE, "anyExtendedKeyUsage"),
    (&[0x2b, 6, 1, 5, 5, 7, 6, 67], "id-alg-mtcProof"),
    (&[0x2b, 6, 1, 5, 5, 7, 6, 36], "id-alg-unsigned"),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
        "ecdsa-with-SHA256",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
        "ecdsa-with-SHA384",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
        "ecdsa-with-SHA512",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
        "sha1WithRSAEncryption",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10],
        "rsassa-pss",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11],
        "sha256WithRSAEncryption",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12],
        "sha384WithRSAEncryption",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13],
        "sha512WithRSAEncryption",
    ),
];

/// The name of an object identifier, or its dotted form.
///
/// ```
/// use mtc_core::oid;
///
/// assert_eq!(oid::name(oid::KEY_USAGE), "keyUsage");
/// assert_eq!(oid::name(&[0x2a, 3]), "1.2.3");
/// ```
pub fn name(oid: &[u8]) -> String {
    NAMES
        .iter()
        .find(|(known, _)| *known == oid)
        .map_or_else(|| dotted(oid), |(_, name)| (*name).to_owned())
}

/// The dotted form of an OBJECT IDENTIFIER's contents octets; hexadecimal if they are not one of components below 2^64.
pub fn dotted(oid: &[u8]) -> String {
    components(oid).map_or_else(
        || hex::encode(oid),
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
