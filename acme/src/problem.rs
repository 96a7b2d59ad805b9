//! What can be wrong (RFC 8555 section 6.7): the names of errors.

/// A kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The account is not there.
    AccountDoesNotExist,
    /// The certificate was revoked before.
    AlreadyRevoked,
    /// The CSR cannot be granted.
    BadCsr,
    /// The nonce is not one that is taken.
    BadNonce,
    /// The key is not one that is taken.
    BadPublicKey,
    /// The reason of a revocation is none.
    BadRevocationReason,
    /// The algorithm is not one that is taken.
    BadSignatureAlgorithm,
    /// There must be an external account binding.
    ExternalAccountRequired,
    /// There is no such profile (draft-ietf-acme-profiles).
    InvalidProfile,
    /// Anything else that is wrong with a message.
    Malformed,
    /// The order cannot be finalised.
    OrderNotReady,
    /// Too much at a time.
    RateLimited,
    /// The name is not the account's.
    RejectedIdentifier,
    /// This side failed.
    ServerInternal,
    /// Not whom it says, or not his.
    Unauthorized,
    /// A contact of another kind.
    UnsupportedContact,
    /// A name of another kind.
    UnsupportedIdentifier,
}

impl ErrorKind {
    /// The name, without the URN before it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountDoesNotExist => "accountDoesNotExist",
            Self::AlreadyRevoked => "alreadyRevoked",
            Self::BadCsr => "badCSR",
            Self::BadNonce => "badNonce",
            Self::BadPublicKey => "badPublicKey",
            Self::BadRevocationReason => "badRevocationReason",
            Self::BadSignatureAlgorithm => "badSignatureAlgorithm",
            Self::ExternalAccountRequired => "externalAccountRequired",
            Self::InvalidProfile => "invalidProfile",
            Self::Malformed => "malformed",
            Self::OrderNotReady => "orderNotReady",
            Self::RateLimited => "rateLimited",
            Self::RejectedIdentifier => "rejectedIdentifier",
            Self::ServerInternal => "serverInternal",
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedContact => "unsupportedContact",
            Self::UnsupportedIdentifier => "unsupportedIdentifier",
        }
    }

    /// `type` of the problem document.
    pub fn urn(self) -> String {
        format!("urn:ietf:params:acme:error:{}", self.as_str())
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::ExternalAccountRequired | Self::OrderNotReady | Self::RejectedIdentifier => 403,
            Self::RateLimited => 429,
            Self::ServerInternal => 503,
            _ => 400,
        }
    }
}
