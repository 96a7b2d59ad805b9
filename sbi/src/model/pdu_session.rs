//! Bodies of Nsmf_PDUSession, SM context operations (TS 29.502 clause 6.1.6).

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::name::NfInstanceId;
use super::network::{Guami, PlmnId, Snssai, Tai};
use super::open::Other;
use super::open_enum::open_enum;
use crate::problem::{Cause, InvalidParam, Problem, ProblemDetails};

/// Names a binary part of the same multipart message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefToBinaryData {
    /// The `Content-Id` of the part.
    pub content_id: String,
}

impl RefToBinaryData {
    /// A reference to the part `content_id`.
    pub fn new(content_id: impl Into<String>) -> Self {
        Self {
            content_id: content_id.into(),
        }
    }
}

open_enum! {
    /// Why an SM context is asked for.
    RequestType {
        /// A new PDU session.
        InitialRequest = "INITIAL_REQUEST",
        /// One that exists, over another access.
        ExistingPduSession = "EXISTING_PDU_SESSION",
    }
}

/// Request to create an SM context. Only four members are mandatory by schema; see [`SmContextCreateData::check_ordinary`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmContextCreateData {
    /// The subscriber, `imsi-...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supi: Option<String>,
    /// The PDU session of this subscriber: 1 to 15 in practice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdu_session_id: Option<u8>,
    /// The data network the UE asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnn: Option<String>,
    /// The data network the AMF selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_dnn: Option<String>,
    /// The slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s_nssai: Option<Snssai>,
    /// The AMF that asks.
    pub serving_nf_id: NfInstanceId,
    /// Its GUAMI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guami: Option<Guami>,
    /// The serving network.
    pub serving_network: PlmnId,
    /// Why the context is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_type: Option<RequestType>,
    /// The NAS message of the UE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n1_sm_msg: Option<RefToBinaryData>,
    /// Access type, `3GPP_ACCESS` or `NON_3GPP_ACCESS`.
    pub an_type: String,
    /// Radio access technology, `NR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rat_type: Option<String>,
    /// Where the UE is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ue_location: Option<UserLocation>,
    /// Time zone of the UE, such as `+00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ue_time_zone: Option<String>,
    /// Where the SMF reports changes: opaque to it.
    pub sm_context_status_uri: String,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for SmContextCreateData {
    const SMALLEST: &'static str = r#"{"servingNfId":"00000000-0000-4000-8000-000000000000",
        "servingNetwork":{"mcc":"001","mnc":"01"},"anType":"3GPP_ACCESS","smContextStatusUri":"https://a.bc/"}"#;
}

impl SmContextCreateData {
    /// The members without which there is no ordinary session (conditional by schema). `n1SmMsg` is not among them: whether
    /// it is needed depends on whether the message is multipart.
    ///
    /// # Errors
    /// `400 MANDATORY_IE_MISSING` with those that are absent.
    pub fn check_ordinary(&self) -> Result<(), Problem> {
        let present = [
            ("/supi", self.supi.is_some()),
            ("/pduSessionId", self.pdu_session_id.is_some()),
            ("/dnn", self.dnn.is_some()),
            ("/sNssai", self.s_nssai.is_some()),
            ("/requestType", self.request_type.is_some()),
        ];
        let missing: Vec<_> = present
            .iter()
            .filter(|(_, present)| !present)
            .map(|&(pointer, _)| InvalidParam::new(pointer, "missing"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Problem::invalid_params(Cause::MandatoryIeMissing, missing))
    }
}

/// Where a UE is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserLocation {
    /// In a 5G cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nr_location: Option<NrLocation>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// A 5G cell and its tracking area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NrLocation {
    /// The tracking area.
    pub tai: Tai,
    /// The cell.
    pub ncgi: Ncgi,
    /// When the UE was there, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ue_location_timestamp: Option<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// NR cell global identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ncgi {
    /// The network.
    pub plmn_id: PlmnId,
    /// The cell, 9 hex digits.
    pub nr_cell_id: String,
}

/// Answer to a created SM context; no member is mandatory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmContextCreatedData {
    /// The PDU session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdu_session_id: Option<u8>,
    /// The slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s_nssai: Option<Snssai>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for SmContextCreatedData {
    const SMALLEST: &'static str = "{}";
}

/// Refusal of an SM context; not problem+json: the details are nested and the media type is `application/json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmContextCreateError {
    /// Why.
    pub error: ProblemDetails,
    /// The NAS reject for the UE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n1_sm_msg: Option<RefToBinaryData>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// Request to modify an SM context; no member is mandatory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmContextUpdateData {
    /// The NAS message of the UE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n1_sm_msg: Option<RefToBinaryData>,
    /// What the radio network says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n2_sm_info: Option<RefToBinaryData>,
    /// Which message that is, such as `PDU_RES_SETUP_RSP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n2_sm_info_type: Option<String>,
    /// The user plane connection: `ACTIVATED`, `DEACTIVATED`, `ACTIVATING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_cnx_state: Option<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for SmContextUpdateData {
    const SMALLEST: &'static str = "{}";
}

/// Answer to a modification that has something to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmContextUpdatedData {
    /// The user plane connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_cnx_state: Option<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// What an SMF reports to `smContextStatusUri`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmContextStatusNotification {
    /// The new status.
    pub status_info: StatusInfo,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for SmContextStatusNotification {
    const SMALLEST: &'static str = r#"{"statusInfo":{"resourceStatus":"RELEASED"}}"#;
}

/// Status of an SM context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusInfo {
    /// `RELEASED`, `UPDATED`, ...
    pub resource_status: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of section 5.4.
    const CREATE: &str = r#"{"supi":"imsi-001010000000001","pduSessionId":5,"dnn":"internet","selectedDnn":"internet",
        "sNssai":{"sst":1,"sd":"010203"},"servingNfId":"0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01",
        "guami":{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"020040"},"servingNetwork":{"mcc":"001","mnc":"01"},
        "requestType":"INITIAL_REQUEST","n1SmMsg":{"contentId":"n1-sm"},"anType":"3GPP_ACCESS","ratType":"NR",
        "ueLocation":{"nrLocation":{"tai":{"plmnId":{"mcc":"001","mnc":"01"},"tac":"000001"},
        "ncgi":{"plmnId":{"mcc":"001","mnc":"01"},"nrCellId":"000000010"},"ueLocationTimestamp":"2026-11-22T15:00:00Z"}},
        "ueTimeZone":"+00:00","smContextStatusUri":"https://amf1.5gc.mnc001.mcc001.3gppnetwork.org:7777/namf-callback/v1/imsi-001010000000001/sm-context-status/5"}"#;

    #[test]
    fn the_profiles_example_round_trips() {
        let data = SmContextCreateData::read(CREATE.as_bytes()).unwrap();
        data.check_ordinary().unwrap();
        let expected: serde_json::Value = serde_json::from_str(CREATE).unwrap();
        assert_eq!(serde_json::to_value(data).unwrap(), expected);
    }

    #[test]
    fn an_ordinary_session_needs_more_than_the_schema() {
        let data = SmContextCreateData::read(SmContextCreateData::SMALLEST.as_bytes()).unwrap();
        let problem = data.check_ordinary().unwrap_err();
        assert_eq!(
            problem.details.cause.as_deref(),
            Some("MANDATORY_IE_MISSING")
        );
        assert_eq!(problem.details.invalid_params[0].param, "/supi");
    }
}
