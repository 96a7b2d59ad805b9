//! Nsmf_PDUSession as a consumer, SM context operations (TS 29.502 clause 5.2.2): the requests of one session, on connections to its SMF,
//! or to the SCP that they go through.
//!
//! ```text
//!   create ──> the SM context, a resource of its SMF ──> modify ──> release
//! ```

use std::time::Duration;

use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use procedures::route::{Exchange, Resource, ResourceError};
use sbi::client::Request;
use sbi::model::{
    Ncgi, NfInstanceId, NrLocation, RefToBinaryData, RequestType, SmContextCreateData,
    SmContextUpdateData, UserLocation,
};
use sbi::multipart::{Multipart, NAS, NGAP};
use sbi::response::Response;
use sbi::uri::ApiRoot;
use serde_json::Map;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::communication::status_uri;
use crate::config::AmfConfig;
use crate::error::{OperationStep, SessionError};

/// How long the SMF may take for a request.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Content-Ids of the binary parts.
const N1_PART: &str = "n1-sm";
const N2_PART: &str = "n2-sm";
/// The one cell of the lab, 9 hex digits.
const CELL: &str = "000000010";
/// Octets of a PDU session resource setup response transfer with a tunnel and a QoS flow.
const N2_RESPONSE_LENGTH: usize = 16;

/// The AMF that asks for a session.
pub struct Requester<'a> {
    /// Its instance.
    pub id: NfInstanceId,
    /// Where it is called back.
    pub api_root: &'a ApiRoot,
    /// What it serves.
    pub config: &'a AmfConfig,
}

/// A PDU session that a UE asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The subscriber.
    pub supi: &'a str,
    /// Which of its sessions.
    pub pdu_session_id: u8,
    /// When the UE was last seen where it is.
    pub now: OffsetDateTime,
}

/// A connection over which an SMF is reached.
pub struct SmfConnection<'a> {
    /// The connection, and how it leads to the SMF.
    pub exchange: Exchange<'a>,
    /// Who uses it.
    pub requester: Requester<'a>,
}

impl SmfConnection<'_> {
    /// Creates an SM context for `wanted`.
    ///
    /// # Errors
    /// The SMF does not answer or refuses, or does not say where the context is.
    pub async fn create(&self, wanted: Wanted<'_>) -> Result<Resource, SessionError> {
        let message = Multipart::json(&self.requester.document(wanted)).attach(
            NAS,
            N1_PART,
            nas_request(wanted.pdu_session_id),
        );
        let request = self
            .exchange
            .request(Method::POST, "/nsmf-pdusession/v1/sm-contexts");
        let request = with(request, &message);
        let response = self.call(OperationStep::Create, request).await?;
        if response.status != StatusCode::CREATED {
            return Err(SessionError::NotCreated(response.status.as_u16()));
        }
        Ok(self.exchange.made(&response)?)
    }

    /// Tells the SMF that the radio network has set the session's resources up.
    ///
    /// # Errors
    /// The SMF does not answer or refuses.
    pub async fn modify(&self, context: &Resource) -> Result<(), SessionError> {
        let update = SmContextUpdateData {
            n2_sm_info: Some(RefToBinaryData::new(N2_PART)),
            n2_sm_info_type: Some("PDU_RES_SETUP_RSP".to_owned()),
            ..SmContextUpdateData::default()
        };
        let message = Multipart::json(&update).attach(NGAP, N2_PART, vec![0; N2_RESPONSE_LENGTH]);
        let request = self.exchange.about(Method::POST, context, "/modify");
        let request = with(request, &message);
        self.call(OperationStep::Modify, request).await.map(drop)
    }

    /// Hands on the UE's request to modify the session.
    ///
    /// # Errors
    /// The SMF does not answer or refuses.
    pub async fn modify_for_ue(
        &self,
        context: &Resource,
        pdu_session_id: u8,
    ) -> Result<(), SessionError> {
        let update = SmContextUpdateData {
            n1_sm_msg: Some(RefToBinaryData::new(N1_PART)),
            ..SmContextUpdateData::default()
        };
        let message =
            Multipart::json(&update).attach(NAS, N1_PART, nas_modification(pdu_session_id));
        let request = self.exchange.about(Method::POST, context, "/modify");
        let request = with(request, &message);
        self.call(OperationStep::Modify, request).await.map(drop)
    }

    /// Releases the SM context.
    ///
    /// # Errors
    /// The SMF does not answer or refuses.
    pub async fn release(&self, context: &Resource) -> Result<(), SessionError> {
        let request = self.exchange.about(Method::POST, context, "/release");
        let request = request.json(&Map::new());
        self.call(OperationStep::Release, request).await.map(drop)
    }

    async fn call(&self, step: OperationStep, request: Request) -> Result<Response, SessionError> {
        let answer = self.exchange.call(request, ANSWER_TIME).await;
        answer.map_err(|error| SessionError::Call {
            step,
            source: error.into(),
        })
    }
}

impl From<ResourceError> for SessionError {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Uri(error) => Self::Location(error),
            ResourceError::Foreign(root) => Self::ForeignLocation(root),
            _ => Self::NoLocation,
        }
    }
}

fn with(request: Request, message: &Multipart) -> Request {
    let (content_type, body) = message.encode();
    let content_type =
        HeaderValue::try_from(content_type).expect("a multipart content type is visible ASCII");
    request.body(content_type, body)
}

impl Requester<'_> {
    fn document(&self, wanted: Wanted<'_>) -> SmContextCreateData {
        let config = self.config;
        let Wanted {
            supi,
            pdu_session_id,
            now,
        } = wanted;
        SmContextCreateData {
            supi: Some(supi.to_owned()),
            pdu_session_id: Some(pdu_session_id),
            dnn: Some(config.dnn.clone()),
            selected_dnn: Some(config.dnn.clone()),
            s_nssai: Some(config.slice.clone()),
            serving_nf_id: self.id,
            guami: Some(config.guami()),
            serving_network: config.plmn.clone(),
            request_type: Some(RequestType::InitialRequest),
            n1_sm_msg: Some(RefToBinaryData::new(N1_PART)),
            an_type: "3GPP_ACCESS".to_owned(),
            rat_type: Some("NR".to_owned()),
            ue_location: Some(location(config, now)),
            ue_time_zone: Some("+00:00".to_owned()),
            sm_context_status_uri: status_uri(self.api_root, supi, pdu_session_id),
            other: Map::new(),
        }
    }
}

fn location(config: &AmfConfig, now: OffsetDateTime) -> UserLocation {
    UserLocation {
        nr_location: Some(NrLocation {
            tai: config.tracking_area.clone(),
            ncgi: Ncgi {
                plmn_id: config.plmn.clone(),
                nr_cell_id: CELL.to_owned(),
            },
            // A year beyond 9999 has no RFC 3339 form, and the member is optional.
            ue_location_timestamp: now.truncate_to_second().format(&Rfc3339).ok(),
            other: Map::new(),
        }),
        other: Map::new(),
    }
}

/// The shortest PDU session establishment request (TS 24.501 clause 8.3.1): 5GSM, session, PTI 1, message type, integrity
/// protection rate 0xffff, IPv4, SSC mode 1.
fn nas_request(pdu_session_id: u8) -> Vec<u8> {
    vec![0x2e, pdu_session_id, 0x01, 0xc1, 0xff, 0xff, 0x91, 0xa1]
}

/// The shortest PDU session modification request (TS 24.501 clause 8.3.7): 5GSM, session, PTI 2, message type.
fn nas_modification(pdu_session_id: u8) -> Vec<u8> {
    vec![0x2e, pdu_session_id, 0x02, 0xc9]
}

#[cfg(test)]
mod tests;
