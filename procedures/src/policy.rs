//! Bodies of Npcf_AMPolicyControl (TS 29.507 clause 5.6) and Npcf_SMPolicyControl (TS 29.512 clause 5.6). Requests to change and to
//! end an SM policy have no mandatory member, nor has an SM policy decision.

use sbi::model::{Document, Snssai};
use serde::{Deserialize, Serialize};

/// No optional feature of either API.
pub const NO_FEATURES: &str = "0";

/// Request for a policy of access and mobility.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAssociationRequest {
    /// Where the AMF hears of changes.
    pub notification_uri: String,
    /// Features that it has.
    pub supp_feat: String,
    /// The subscriber.
    pub supi: String,
}

impl Document for PolicyAssociationRequest {
    const SMALLEST: &'static str =
        r#"{"notificationUri":"https://a.bc/","suppFeat":"0","supi":"imsi-001010000000001"}"#;
}

/// The policy, which says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAssociation {
    /// Features that both sides have.
    pub supp_feat: String,
}

/// Request for a policy of a PDU session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmPolicyContextData {
    /// The subscriber.
    pub supi: String,
    /// Which of its sessions.
    pub pdu_session_id: u8,
    /// `IPV4`.
    pub pdu_session_type: String,
    /// The data network.
    pub dnn: String,
    /// Where the SMF hears of changes.
    pub notification_uri: String,
    /// The slice.
    pub slice_info: Snssai,
}

impl Document for SmPolicyContextData {
    const SMALLEST: &'static str = r#"{"supi":"imsi-001010000000001","pduSessionId":5,"pduSessionType":"IPV4",
        "dnn":"internet","notificationUri":"https://a.bc/","sliceInfo":{"sst":1}}"#;
}
