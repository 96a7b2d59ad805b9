//! Bodies of Nausf_UEAuthentication (TS 29.509 clause 6.1.6) and Nudm_UEAuthentication (TS 29.503 clause 6.3.6), for 5G-AKA.
//!
//! ```text
//!   AMF ── AuthenticationInfo ──> AUSF ── AuthenticationInfoRequest ──> UDM
//!       <─ UeAuthenticationCtx ──      <─ AuthenticationInfoResult ───
//!       ── ConfirmationData ────>      ── AuthEvent ──────────────────>
//!       <─ ConfirmationDataResponse ──
//! ```

use std::collections::BTreeMap;

use sbi::model::{Document, HalLink, NfInstanceId};
use serde::{Deserialize, Serialize};

/// The one authentication method here.
pub const AUTH_TYPE: &str = "5G_AKA";
/// The kind of vector that a UDM gives for it.
pub const AV_TYPE: &str = "5G_HE_AKA";
/// The link of [`UeAuthenticationCtx::links`] that takes the UE's answer.
pub const CONFIRMATION_LINK: &str = "5g-aka";
/// [`ConfirmationDataResponse::auth_result`] of a UE that is who it says.
pub const AUTHENTICATED: &str = "AUTHENTICATION_SUCCESS";
/// [`ConfirmationDataResponse::auth_result`] of one that is not.
pub const NOT_AUTHENTICATED: &str = "AUTHENTICATION_FAILURE";

/// Digits of a mobile country code.
const MCC_DIGITS: usize = 3;

/// The name of a serving network (TS 24.501 clause 9.12.1), from the home domain of its PLMN.
pub fn serving_network_name(home_domain: &str) -> String {
    let network = home_domain.strip_prefix("5gc.").unwrap_or(home_domain);
    format!("5G:{network}")
}

/// The SUCI of a SUPI `imsi-..` in a network with two-digit MNC, with the null scheme (TS 23.003 clause 2.2B); none if it is no
/// such SUPI.
pub fn null_scheme_suci(supi: &str) -> Option<String> {
    let digits = supi.strip_prefix("imsi-")?;
    let network = digits.get(..MCC_DIGITS + 2)?;
    let msin = digits.get(MCC_DIGITS + 2..)?;
    let (mcc, mnc) = network.split_at(MCC_DIGITS);
    Some(format!("suci-0-{mcc}-{mnc}-0000-0-0-{msin}"))
}

/// The SUPI that a SUCI of the null scheme, or a SUPI, stands for; none of any other scheme.
pub fn supi_of(supi_or_suci: &str) -> Option<String> {
    if supi_or_suci.starts_with("imsi-") {
        return Some(supi_or_suci.to_owned());
    }
    let fields: Vec<&str> = supi_or_suci.split('-').collect();
    let ["suci", "0", mcc, mnc, _, "0", "0", msin] = fields.as_slice() else {
        return None;
    };
    let digits = format!("{mcc}{mnc}{msin}");
    let is_imsi = (6..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_imsi.then(|| format!("imsi-{digits}"))
}

/// Request to authenticate a UE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationInfo {
    /// The subscriber, concealed or not.
    pub supi_or_suci: String,
    /// The serving network.
    pub serving_network_name: String,
}

impl Document for AuthenticationInfo {
    const SMALLEST: &'static str = r#"{"supiOrSuci":"imsi-001010000000001","servingNetworkName":"5G:mnc001.mcc001.3gppnetwork.org"}"#;
}

/// An authentication that waits for the UE's answer; `application/3gppHal+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UeAuthenticationCtx {
    /// [`AUTH_TYPE`].
    #[serde(rename = "authType")]
    pub auth_type: String,
    /// The challenge.
    #[serde(rename = "5gAuthData")]
    pub auth_data: Av5gAka,
    /// [`CONFIRMATION_LINK`] has the URI for the UE's answer.
    #[serde(rename = "_links")]
    pub links: BTreeMap<String, HalLink>,
}

/// The challenge of 5G-AKA as the SEAF gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Av5gAka {
    /// RAND, 32 hex digits.
    pub rand: String,
    /// HXRES*, 32 hex digits.
    pub hxres_star: String,
    /// AUTN, 32 hex digits.
    pub autn: String,
}

/// The UE's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmationData {
    /// RES*, 32 hex digits.
    pub res_star: String,
}

impl Document for ConfirmationData {
    const SMALLEST: &'static str = r#"{"resStar":"00000000000000000000000000000000"}"#;
}

/// What the AUSF makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmationDataResponse {
    /// [`AUTHENTICATED`] or [`NOT_AUTHENTICATED`].
    pub auth_result: String,
    /// The subscriber, if authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supi: Option<String>,
    /// K_SEAF, 64 hex digits, if authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kseaf: Option<String>,
}

/// Request for an authentication vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationInfoRequest {
    /// The serving network.
    pub serving_network_name: String,
    /// The AUSF that asks.
    pub ausf_instance_id: NfInstanceId,
}

impl Document for AuthenticationInfoRequest {
    const SMALLEST: &'static str = r#"{"servingNetworkName":"5G:mnc001.mcc001.3gppnetwork.org",
        "ausfInstanceId":"00000000-0000-4000-8000-000000000000"}"#;
}

/// An authentication vector for a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationInfoResult {
    /// [`AUTH_TYPE`].
    pub auth_type: String,
    /// The subscriber.
    pub supi: String,
    /// The vector.
    pub authentication_vector: Av5gHeAka,
}

/// The home environment's vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Av5gHeAka {
    /// [`AV_TYPE`].
    pub av_type: String,
    /// RAND, 32 hex digits.
    pub rand: String,
    /// AUTN, 32 hex digits.
    pub autn: String,
    /// XRES*, 32 hex digits.
    pub xres_star: String,
    /// K_AUSF, 64 hex digits.
    pub kausf: String,
}

/// What became of an authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthEvent {
    /// The AUSF.
    pub nf_instance_id: NfInstanceId,
    /// Whether the UE is who it says.
    pub success: bool,
    /// When, RFC 3339.
    pub time_stamp: String,
    /// [`AUTH_TYPE`].
    pub auth_type: String,
    /// The serving network.
    pub serving_network_name: String,
}

impl Document for AuthEvent {
    const SMALLEST: &'static str = r#"{"nfInstanceId":"00000000-0000-4000-8000-000000000000","success":true,
        "timeStamp":"2026-11-22T15:00:00Z","authType":"5G_AKA","servingNetworkName":"5G:mnc001.mcc001.3gppnetwork.org"}"#;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suci_of_the_null_scheme_is_a_supi_in_another_spelling() {
        let supi = "imsi-001010000000001";
        let suci = null_scheme_suci(supi).unwrap();
        assert_eq!(suci, "suci-0-001-01-0000-0-0-0000000001");
        assert_eq!(supi_of(&suci).as_deref(), Some(supi));
        assert_eq!(supi_of(supi).as_deref(), Some(supi));
    }

    #[test]
    fn what_is_concealed_stays_so() {
        for other in [
            "",
            "suci-0-001-01-0000-1-27-00ff",
            "suci-1-001-01-0000-0-0-user",
            "suci-0-001-01-0000-0-0-00000000x1",
            "nai-user@example.org",
        ] {
            assert_eq!(supi_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_serving_network_is_named_after_the_plmn() {
        assert_eq!(
            serving_network_name("5gc.mnc001.mcc001.3gppnetwork.org"),
            "5G:mnc001.mcc001.3gppnetwork.org"
        );
    }
}
