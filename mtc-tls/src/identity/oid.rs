//! Contents octets of the object identifiers in an NF certificate.

/// countryName, 2.5.4.6.
pub(super) const COUNTRY_NAME: &[u8] = &[0x55, 0x04, 0x06];
/// organizationName, 2.5.4.10.
pub(super) const ORGANIZATION_NAME: &[u8] = &[0x55, 0x04, 0x0a];
/// keyUsage, 2.5.29.15.
pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// subjectAltName, 2.5.29.17.
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// basicConstraints, 2.5.29.19.
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// extKeyUsage, 2.5.29.37.
pub(super) const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1.
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
pub(super) const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// id-pe-nftype (RFC 9310), 1.3.6.1.5.5.7.1.34.
pub(super) const NF_TYPE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x22];
