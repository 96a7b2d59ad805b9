//! PKIStatus and PKIFailureInfo (RFC 9810 section 5.2.3).

use std::fmt;

use mtc_core::der;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It got what it asked for.
    Accepted = 0,
    /// It got something like what it asked for.
    GrantedWithMods = 1,
    /// It got nothing.
    Rejection = 2,
    /// It is to poll.
    Waiting = 3,
}

/// Why a request is rejected: a bit of PKIFailureInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Failure {
    /// An algorithm that is not known here, or not allowed.
    BadAlg = 0,
    /// The protection does not verify.
    BadMessageCheck = 1,
    /// The request is not allowed here, or not supported.
    BadRequest = 2,
    /// `messageTime` is too far from this clock.
    BadTime = 3,
    /// There is no such certificate.
    BadCertId = 4,
    /// The message cannot be read.
    BadDataFormat = 5,
    /// Possession of the key is not proven.
    BadPop = 9,
    /// The certificate is revoked already.
    CertRevoked = 10,
    /// The protection is of the wrong kind: a secret for a signature, or the other way round, or none.
    WrongIntegrity = 12,
    /// The nonce is not the one of the message that this answers.
    BadRecipientNonce = 13,
    /// The nonce is missing or short.
    BadSenderNonce = 18,
    /// The template is not one of which a certificate can be made.
    BadCertTemplate = 19,
    /// The signer of the message is not trusted.
    SignerNotTrusted = 20,
    /// There is such a transaction.
    TransactionIdInUse = 21,
    /// The version of the message.
    UnsupportedVersion = 22,
    /// The sender may not do that.
    NotAuthorized = 23,
    /// It may be tried again later.
    SystemUnavail = 24,
    /// Something failed here.
    SystemFailure = 25,
}

impl Failure {
    /// Its name in RFC 9810.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadAlg => "badAlg",
            Self::BadMessageCheck => "badMessageCheck",
            Self::BadRequest => "badRequest",
            Self::BadTime => "badTime",
            Self::BadCertId => "badCertId",
            Self::BadDataFormat => "badDataFormat",
            Self::BadPop => "badPOP",
            Self::CertRevoked => "certRevoked",
            Self::WrongIntegrity => "wrongIntegrity",
            Self::BadRecipientNonce => "badRecipientNonce",
            Self::BadSenderNonce => "badSenderNonce",
            Self::BadCertTemplate => "badCertTemplate",
            Self::SignerNotTrusted => "signerNotTrusted",
            Self::TransactionIdInUse => "transactionIdInUse",
            Self::UnsupportedVersion => "unsupportedVersion",
            Self::NotAuthorized => "notAuthorized",
            Self::SystemUnavail => "systemUnavail",
            Self::SystemFailure => "systemFailure",
        }
    }

    /// The BIT STRING with this bit: a named bit list, without zeros at its end (X.690 section 11.2.2).
    pub(crate) fn to_der(self) -> Vec<u8> {
        let bit = self as u8;
        let mut contents = vec![7 - bit % 8];
        contents.resize(1 + usize::from(bit / 8), 0);
        contents.push(0x80 >> (bit % 8));
        der::element(der::BIT_STRING, &[&contents])
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named_bit_lists() {
        assert_eq!(Failure::BadAlg.to_der(), [3, 2, 7, 0x80]);
        assert_eq!(Failure::BadMessageCheck.to_der(), [3, 2, 6, 0x40]);
        assert_eq!(Failure::BadPop.to_der(), [3, 3, 6, 0, 0x40]);
        assert_eq!(Failure::SystemFailure.to_der(), [3, 5, 6, 0, 0, 0, 0x40]);
    }
}
