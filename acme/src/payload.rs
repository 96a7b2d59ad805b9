//! The payloads of requests. Members that are not known are passed over (RFC 8555 section 7.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `newAccount` (section 7.3).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAccount {
    /// URLs of whom to tell.
    #[serde(default)]
    pub contact: Vec<String>,
    /// Whether no account is to be made.
    #[serde(default)]
    pub only_return_existing: bool,
    /// Who it is elsewhere, for [`crate::Binding::parse`].
    pub external_account_binding: Option<Value>,
}

/// What an account may have changed of itself (sections 7.3.2 and 7.3.6).
#[derive(Clone, Debug, Deserialize)]
pub struct AccountUpdate {
    /// `deactivated`, the one that a client may ask for.
    pub status: Option<String>,
    /// URLs of whom to tell.
    pub contact: Option<Vec<String>>,
}

/// What a certificate is asked for (section 9.7.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// `dns` is the one that is known.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name.
    pub value: String,
}

/// `newOrder` (section 7.4), with the member of draft-ietf-acme-profiles.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// For whom.
    pub identifiers: Vec<Identifier>,
    /// Which kind of certificate.
    pub profile: Option<String>,
    /// The wished beginning of its validity.
    pub not_before: Option<Value>,
    /// The wished end.
    pub not_after: Option<Value>,
}

/// `finalize` (section 7.4).
#[derive(Clone, Debug, Deserialize)]
pub struct Finalize {
    /// Base64url of a PKCS#10 request.
    pub csr: String,
}

/// `revokeCert` (section 7.6).
#[derive(Clone, Debug, Deserialize)]
pub struct RevokeCertificate {
    /// Base64url of the certificate.
    pub certificate: String,
    /// `CRLReason` (RFC 5280 section 5.3.1).
    pub reason: Option<u8>,
}

/// The inner payload of `keyChange` (section 7.3.5).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyChange {
    /// URL of the account.
    pub account: String,
    /// JWK of the key that is to be replaced.
    pub old_key: Value,
}
