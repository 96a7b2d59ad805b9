//! Bodies of Nudm_UEContextManagement and Nudm_SubscriberDataManagement (TS 29.503 clauses 6.2.6 and 6.1.6): which NF serves a
//! subscriber, and what the subscriber may.
//!
//! Answers of Nudm_SubscriberDataManagement have no mandatory member here, except [`SessionManagementSubscriptionData`].

use sbi::model::{Document, Guami, NfInstanceId, PlmnId, Snssai};
use serde::{Deserialize, Serialize};

/// Longest SUPI: `nai-` and a network access identifier (RFC 7542).
pub const MAX_SUPI: usize = 4 + 253;

/// Whether `text` is as long as a SUPI may be. What it says is for the home network to know.
pub const fn is_supi_long(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SUPI
}

/// An AMF serves the subscriber over 3GPP access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Amf3GppAccessRegistration {
    /// The AMF.
    pub amf_instance_id: NfInstanceId,
    /// Where it hears that another one serves the subscriber.
    pub dereg_callback_uri: String,
    /// Its GUAMI.
    pub guami: Guami,
    /// `NR`.
    pub rat_type: String,
}

impl Document for Amf3GppAccessRegistration {
    const SMALLEST: &'static str = r#"{"amfInstanceId":"00000000-0000-4000-8000-000000000000","deregCallbackUri":"https://a.bc/",
        "guami":{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"020040"},"ratType":"NR"}"#;
}

/// A change of it: `purgeFlag` says that the AMF serves the subscriber no longer (TS 29.503 clause 5.3.2.4.2);
/// `application/merge-patch+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Amf3GppAccessRegistrationModification {
    /// The GUAMI that was registered.
    pub guami: Guami,
    /// Whether the AMF has deleted what it had of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_flag: Option<bool>,
}

impl Document for Amf3GppAccessRegistrationModification {
    const SMALLEST: &'static str =
        r#"{"guami":{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"020040"}}"#;
}

/// An SMF serves a PDU session of the subscriber.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmfRegistration {
    /// The SMF.
    pub smf_instance_id: NfInstanceId,
    /// Which of the subscriber's sessions.
    pub pdu_session_id: u8,
    /// Its slice.
    pub single_nssai: Snssai,
    /// The serving network.
    pub plmn_id: PlmnId,
    /// The data network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnn: Option<String>,
}

impl Document for SmfRegistration {
    const SMALLEST: &'static str = r#"{"smfInstanceId":"00000000-0000-4000-8000-000000000000","pduSessionId":5,
        "singleNssai":{"sst":1},"plmnId":{"mcc":"001","mnc":"01"}}"#;
}

/// Request to be told of changes to a subscriber's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SdmSubscription {
    /// Who asks.
    pub nf_instance_id: NfInstanceId,
    /// Where it hears of changes.
    pub callback_reference: String,
    /// Of which resources.
    pub monitored_resource_uris: Vec<String>,
}

impl Document for SdmSubscription {
    const SMALLEST: &'static str = r#"{"nfInstanceId":"00000000-0000-4000-8000-000000000000","callbackReference":"https://a.bc/",
        "monitoredResourceUris":["https://a.bc/"]}"#;
}

/// What the subscriber may in a slice; the answer to a request for `sm-data` is a list of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionManagementSubscriptionData {
    /// The slice.
    pub single_nssai: Snssai,
}
