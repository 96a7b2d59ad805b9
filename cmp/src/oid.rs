//! Object identifiers of CMP and CRMF: contents octets.

/// `id-PasswordBasedMac` (RFC 9810 section 5.1.3.1), 1.2.840.113533.7.66.13.
pub(crate) const PASSWORD_BASED_MAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf6, 0x7d, 7, 66, 13];
/// `id-PBMAC1` (RFC 8018), 1.2.840.113549.1.5.14.
pub(crate) const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 14];
/// `id-PBKDF2` (RFC 8018), 1.2.840.113549.1.5.12.
pub(crate) const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
/// `id-hmacWithSHA1`, 1.2.840.113549.2.7.
pub(crate) const HMAC_WITH_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 7];
/// `id-hmacWithSHA256`, 1.2.840.113549.2.9.
pub(crate) const HMAC_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9];
/// `id-hmacWithSHA384`, 1.2.840.113549.2.10.
pub(crate) const HMAC_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 10];
/// `id-hmacWithSHA512`, 1.2.840.113549.2.11.
pub(crate) const HMAC_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 11];
/// `hMAC-SHA1` as RFC 4210 names it, 1.3.6.1.5.5.8.1.2.
pub(crate) const HMAC_SHA1: &[u8] = &[0x2b, 6, 1, 5, 5, 8, 1, 2];
/// `id-sha256`, 2.16.840.1.101.3.4.2.1.
pub(crate) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// `id-sha384`, 2.16.840.1.101.3.4.2.2.
pub(crate) const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
/// `id-sha512`, 2.16.840.1.101.3.4.2.3.
pub(crate) const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];

/// `id-it-implicitConfirm`, 1.3.6.1.5.5.7.4.13.
pub(crate) const IMPLICIT_CONFIRM: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 4, 13];
/// `id-it-caCerts`, 1.3.6.1.5.5.7.4.17.
pub(crate) const CA_CERTS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 4, 17];
/// `id-it-certProfile`, 1.3.6.1.5.5.7.4.21.
pub(crate) const CERT_PROFILE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 4, 21];
/// `id-regCtrl-oldCertID` (RFC 4211 section 6.5), 1.3.6.1.5.5.7.5.1.5.
pub(crate) const OLD_CERT_ID: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 5, 1, 5];
/// `id-ce-cRLReasons`, 2.5.29.21.
pub(crate) const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
