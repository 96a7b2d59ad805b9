//! Nsmf_PDUSession as a consumer, SM context operations (TS 29.502 clause 5.2.2): the requests of one session, all on one
//! connection to its SMF, or to the SCP that they go through.
//!
//! ```text
//!   create ──> SmContext ──> modify ──> release
//! ```

use std::time::Duration;

use hyper::header::LOCATION;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use sbi::client::{ClientError, Connection, Request};
use sbi::header::UserAgent;
use sbi::indirect::Scp;
use sbi::instance::{CallError, Instance};
use sbi::model::{
    Endpoint, Ncgi, NfInstanceId, NrLocation, RefToBinaryData, RequestType, SmContextCreateData,
    SmContextUpdateData, UserLocation,
};
use sbi::multipart::{Multipart, NAS, NGAP};
use sbi::nnrf::Discover;
use sbi::response::Response;
use sbi::uri::{ApiRoot, Scheme};
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
    /// How it names itself.
    pub agent: Option<&'a UserAgent>,
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

/// An SM context at an SMF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmContext {
    /// Where its SMF is.
    root: ApiRoot,
    /// Path of its URI.
    path: String,
}

/// How requests reach an SMF.
#[derive(Clone, Copy)]
pub enum SmfRoute<'a> {
    /// The connection is to the SMF with this service.
    Direct(&'a Endpoint),
    /// The connection is to an SCP, which forwards to the SMF with this service.
    Through(&'a Scp, &'a Endpoint),
    /// The connection is to an SCP, which finds an SMF.
    Delegated(&'a Scp, &'a Instance, &'a Discover<'a>),
}

/// A connection over which an SMF is reached.
pub struct SmfConnection<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// How it leads to the SMF.
    pub route: SmfRoute<'a>,
    /// Who uses it.
    pub requester: Requester<'a>,
}

impl SmfConnection<'_> {
    /// Creates an SM context for `wanted`.
    ///
    /// # Errors
    /// The SMF does not answer or refuses, or does not say where the context is.
    pub async fn create(&self, wanted: Wanted<'_>) -> Result<SmContext, SessionError> {
        let message = Multipart::json(&self.requester.document(wanted)).attach(
            NAS,
            N1_PART,
            nas_request(wanted.pdu_session_id),
        );
        let below = |prefix: &str| format!("{prefix}/nsmf-pdusession/v1/sm-contexts");
        let request = match self.route {
            SmfRoute::Direct(endpoint) => {
                post(endpoint.authority(), below(&endpoint.api_prefix), &message)
            }
            SmfRoute::Through(scp, endpoint) => {
                let (authority, path) = (endpoint.authority(), below(&endpoint.api_prefix));
                let root = endpoint.root().map_err(|_| SessionError::Call {
                    step: OperationStep::Create,
                    source: CallError::Client(ClientError::Target {
                        authority: authority.clone(),
                        path: path.clone(),
                    }),
                })?;
                let request = post(authority, path, &message);
                scp.towards(request, &root)
            }
            SmfRoute::Delegated(scp, instance, wanted) => {
                let request = post(String::new(), below(""), &message);
                scp.delegating(request, instance, wanted)
            }
        };
        let response = self.call(OperationStep::Create, request).await?;
        if response.status != StatusCode::CREATED {
            return Err(SessionError::NotCreated(response.status.as_u16()));
        }
        self.located(response.header(&LOCATION))
    }

    /// Tells the SMF that the radio network has set the session's resources up.
    ///
    /// # Errors
    /// The SMF does not answer or refuses.
    pub async fn modify(&self, context: &SmContext) -> Result<(), SessionError> {
        let update = SmContextUpdateData {
            n2_sm_info: Some(RefToBinaryData::new(N2_PART)),
            n2_sm_info_type: Some("PDU_RES_SETUP_RSP".to_owned()),
            ..SmContextUpdateData::default()
        };
        let message = Multipart::json(&update).attach(NGAP, N2_PART, vec![0; N2_RESPONSE_LENGTH]);
        let request = self.about(context, "modify", |authority, path| {
            post(authority, path, &message)
        });
        self.call(OperationStep::Modify, request).await.map(drop)
    }

    /// Hands on the UE's request to modify the session.
    ///
    /// # Errors
    /// The SMF does not answer or refuses.
    pub async fn modify_for_ue(
        &self,
        context: &SmContext,
        pdu_session_id: u8,
    ) -> Result<(), SessionError> {
        let update = SmContextUpdateData {
            n1_sm_msg: Some(RefToBinaryData::new(N1_PART)),
            ..SmContextUpdateData::default()
        };
        let message =
            Multipart::json(&update).attach(NAS, N1_PART, nas_modification(pdu_session_id));
        let request = self.about(context, "modify", |authority, path| {
            post(authority, path, &message)
        });
        self.call(OperationStep::Modify, request).await.map(drop)
    }

    /// Releases the SM context.
    ///
    /// # Errors
    /// The SMF does not answer or refuses.
    pub async fn release(&self, context: SmContext) -> Result<(), SessionError> {
        let request = self.about(&context, "release", |authority, path| {
            Request::new(Method::POST, authority, path).json(&Map::new())
        });
        self.call(OperationStep::Release, request).await.map(drop)
    }

    /// A request about `context`, on the way that leads to it.
    fn about(
        &self,
        context: &SmContext,
        what: &str,
        request: impl FnOnce(String, String) -> Request,
    ) -> Request {
        let path = format!("{}/{what}", context.path);
        let request = request(context.root.authority().to_owned(), path);
        match self.route {
            SmfRoute::Direct(_) => request,
            SmfRoute::Through(scp, _) | SmfRoute::Delegated(scp, ..) => {
                scp.towards(request, &context.root)
            }
        }
    }

    /// The context at `location`, which must be at the SMF that was asked: requests about it take the same connection. An
    /// SCP may ask any.
    fn located(&self, location: Option<&str>) -> Result<SmContext, SessionError> {
        let (root, path) = ApiRoot::split(location.ok_or(SessionError::NoLocation)?)?;
        let is_there = match self.route {
            SmfRoute::Direct(endpoint) | SmfRoute::Through(_, endpoint) => {
                let authority = endpoint.authority();
                root.scheme() == endpoint.scheme
                    && root.authority().eq_ignore_ascii_case(&authority)
            }
            SmfRoute::Delegated(..) => root.scheme() == Scheme::Https,
        };
        if !is_there {
            return Err(SessionError::ForeignLocation(root.to_string()));
        }
        Ok(SmContext {
            path: path.to_owned(),
            root,
        })
    }

    async fn call(
        &self,
        step: OperationStep,
        mut request: Request,
    ) -> Result<Response, SessionError> {
        if let Some(agent) = self.requester.agent {
            request = request.header(agent);
        }
        let answer = self.connection.call(request, ANSWER_TIME).await;
        answer.map_err(|error| SessionError::Call {
            step,
            source: error.into(),
        })
    }
}

fn post(authority: String, path: String, message: &Multipart) -> Request {
    let (content_type, body) = message.encode();
    let content_type =
        HeaderValue::try_from(content_type).expect("a multipart content type is visible ASCII");
    Request::new(Method::POST, authority, path).body(content_type, body)
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
