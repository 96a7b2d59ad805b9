//! Bodies of Namf_Communication, N1N2 message transfer (TS 29.518 clause 6.1.6).

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::network::Snssai;
use super::open::Other;
use super::open_enum::open_enum;
use super::pdu_session::RefToBinaryData;

/// Request to pass a NAS message to the UE and session data to its radio network; no member is mandatory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct N1N2MessageTransferReqData {
    /// The PDU session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdu_session_id: Option<u8>,
    /// For the UE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n1_message_container: Option<N1MessageContainer>,
    /// For the radio network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n2_info_container: Option<N2InfoContainer>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for N1N2MessageTransferReqData {
    const SMALLEST: &'static str = "{}";
}

/// A NAS message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct N1MessageContainer {
    /// `SM` for session management.
    pub n1_message_class: String,
    /// The part with the message.
    pub n1_message_content: RefToBinaryData,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// Information for the radio network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct N2InfoContainer {
    /// `SM` for session management.
    pub n2_information_class: String,
    /// Session management information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_info: Option<N2SmInformation>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// Session management information for the radio network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct N2SmInformation {
    /// The PDU session.
    pub pdu_session_id: u8,
    /// The slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s_nssai: Option<Snssai>,
    /// The NGAP element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n2_info_content: Option<N2InfoContent>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// An NGAP element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct N2InfoContent {
    /// Which, such as `PDU_RES_SETUP_REQ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngap_ie_type: Option<String>,
    /// The part with the element.
    pub ngap_data: RefToBinaryData,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// Answer to an N1N2 message transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct N1N2MessageTransferRspData {
    /// How far it got.
    pub cause: N1N2MessageTransferCause,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl From<N1N2MessageTransferCause> for N1N2MessageTransferRspData {
    fn from(cause: N1N2MessageTransferCause) -> Self {
        Self {
            cause,
            other: Other::new(),
        }
    }
}

impl Document for N1N2MessageTransferRspData {
    const SMALLEST: &'static str = r#"{"cause":"N1_N2_TRANSFER_INITIATED"}"#;
}

open_enum! {
    /// How far an N1N2 message transfer got.
    N1N2MessageTransferCause {
        /// `202`: the UE is being paged.
        AttemptingToReachUe = "ATTEMPTING_TO_REACH_UE",
        /// `200`: the UE is connected and the transfer under way.
        N1N2TransferInitiated = "N1_N2_TRANSFER_INITIATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_example_round_trips() {
        let example = r#"{"pduSessionId":5,"n1MessageContainer":{"n1MessageClass":"SM","n1MessageContent":{"contentId":"n1-sm"}},
            "n2InfoContainer":{"n2InformationClass":"SM","smInfo":{"pduSessionId":5,"sNssai":{"sst":1,"sd":"010203"},
            "n2InfoContent":{"ngapIeType":"PDU_RES_SETUP_REQ","ngapData":{"contentId":"n2-sm"}}}}}"#;
        let data = N1N2MessageTransferReqData::read(example.as_bytes()).unwrap();
        assert!(data.n1_message_container.is_some());
        let expected: serde_json::Value = serde_json::from_str(example).unwrap();
        assert_eq!(serde_json::to_value(data).unwrap(), expected);
    }
}
