//! What an operator orders to be revoked: a JWT by the enrolment authority, as its tokens are, for another purpose.

use mtc_core::hex;
use mtc_core::x509::{Certificate, X509Error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The `iss` of orders.
pub const ORDER_ISSUER: &str = "mtc5g-revocation";

/// The greatest `CRLReason` (RFC 5280 section 5.3.1).
pub const MAX_REASON: u8 = 10;

/// The claims of an order. Carrying one out twice is as good as once, so it may be sent again until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationOrder {
    /// [`ORDER_ISSUER`].
    pub iss: String,
    /// Unix time of the last good second.
    pub exp: u64,
    /// What to revoke.
    pub what: What,
    /// `CRLReason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<u8>,
}

/// What to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum What {
    /// Serial numbers of the MTCA, issued ones.
    Serials {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A certificate of any CA of the NRF.
    #[serde(rename_all = "camelCase")]
    Certificate {
        /// DER of the issuer's Name, hexadecimal.
        issuer: String,
        /// Contents octets of the serial number, hexadecimal.
        serial: String,
        /// Unix time of the end of its validity.
        not_after: u64,
    },
    /// All Merkle Tree Certificates of an NF instance that have not expired.
    Instance(Uuid),
}

impl What {
    /// A certificate, DER.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_certificate(certificate: &[u8]) -> Result<Self, X509Error> {
        let certificate = Certificate::parse(certificate)?;
        let statement = &certificate.statement;
        Ok(Self::certificate(
            statement.issuer,
            certificate.serial,
            statement.not_after.0,
        ))
    }

    /// A certificate by issuer and serial number.
    pub fn certificate(issuer: &[u8], serial: &[u8], not_after: u64) -> Self {
        Self::Certificate {
            issuer: hex::encode(issuer),
            serial: hex::encode(serial),
            not_after,
        }
    }
}
