//! The enrolment token: what the operator's enrolment authority lets one NF instance have certified, once.
//!
//! ```text
//!  authority (`mtc5g init`) ── ES256 JWT ──> NF ── Authorization: Bearer ──> NRF, with the first CSR
//! ```
//!
//! Minting and checking share these claims; neither is done here.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The `iss` of every enrolment token. It parts them from other tokens, access tokens above all, that one key might
/// sign.
pub const ENROLMENT_ISSUER: &str = "mtc5g-enrolment-authority";

/// The `iss` of the reference number of a CMP secret, which is a token too. It goes over the wire for everybody to read, and nobody may use
/// it as what it is not: a token that needs no secret beside it.
pub const CMP_ISSUER: &str = "mtc5g-enrolment-authority/cmp";

/// The `iss` of the key identifier of an external account for ACME, a token too, which goes over the wire for the NRF to read. Nobody may
/// use it without the MAC key that belongs to it.
pub const ACME_ISSUER: &str = "mtc5g-enrolment-authority/acme";

/// Claims of an enrolment token (docs/interfaces.md), a JWT signed with ES256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrolmentClaims {
    /// Who minted the token, and what for: [`ENROLMENT_ISSUER`], [`CMP_ISSUER`] or [`ACME_ISSUER`].
    pub iss: String,
    /// The NF instance that may enrol.
    pub sub: Uuid,
    /// The NF type that its certificate will name, as in TS 29.510 (`AMF`).
    pub nf_type: String,
    /// The FQDNs that its certificate will name.
    pub fqdn: Vec<String>,
    /// Last second in which the token is good, Unix time.
    pub exp: u64,
    /// Names this token; each is good for one certificate, or one account of ACME.
    pub jti: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_their_json_names() {
        let claims = EnrolmentClaims {
            iss: ENROLMENT_ISSUER.to_owned(),
            sub: Uuid::from_u128(1),
            nf_type: "AMF".to_owned(),
            fqdn: vec!["amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned()],
            exp: 1_800_000_000,
            jti: Uuid::from_u128(2),
        };
        let json = concat!(
            r#"{"iss":"mtc5g-enrolment-authority","sub":"00000000-0000-0000-0000-000000000001","nfType":"AMF","#,
            r#""fqdn":["amf1.5gc.mnc001.mcc001.3gppnetwork.org"],"exp":1800000000,"#,
            r#""jti":"00000000-0000-0000-0000-000000000002"}"#
        );
        assert_eq!(serde_json::to_string(&claims).unwrap(), json);
        assert_eq!(
            serde_json::from_str::<EnrolmentClaims>(json).unwrap(),
            claims
        );
    }
}
