//! Namf_Communication, N1N2 message transfer (TS 29.518 clause 5.2.2.3), and the notifications that an SMF sends about an SM
//! context (TS 29.502 clause 5.2.2.5).
//!
//! ```text
//!   POST /namf-comm/v1/ue-contexts/{supi}/n1-n2-messages        JSON or multipart -> 200 N1_N2_TRANSFER_INITIATED
//!   POST /namf-callback/v1/{supi}/sm-context-status/{session}   JSON              -> 204
//! ```
//!
//! Only SMFs, and SCPs for them, have access. UEs of a lab are always connected, so none is ever paged.

use hyper::{Method, StatusCode};
use sbi::message::Message;
use sbi::model::{
    N1N2MessageTransferCause, N1N2MessageTransferReqData, N1N2MessageTransferRspData, NfType,
    SmContextStatusNotification,
};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::Request;
use sbi::uri::{ApiRoot, encode};

use crate::ue_context::{SharedUeContexts, UnknownSession};

/// The status of an SM context that is no more.
const RELEASED: &str = "RELEASED";

/// The services of an AMF towards SMFs.
pub struct Communication {
    contexts: SharedUeContexts,
}

/// Where the SMF reports on a PDU session: a URI of this module's own at the AMF with `api_root`.
pub fn status_uri(api_root: &ApiRoot, supi: &str, pdu_session_id: u8) -> String {
    format!(
        "{api_root}/namf-callback/v1/{}/sm-context-status/{pdu_session_id}",
        encode(supi)
    )
}

impl Communication {
    /// The services on `contexts`.
    pub const fn new(contexts: SharedUeContexts) -> Self {
        Self { contexts }
    }

    /// Answers a request with the path `segments`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub fn handle(&self, request: &Request, segments: &[&str]) -> Result<Response, Problem> {
        require_smf(request)?;
        match (&request.method, segments) {
            (&Method::POST, ["namf-comm", "v1", "ue-contexts", supi, "n1-n2-messages"]) => {
                self.transfer(request, supi)
            }
            (&Method::POST, ["namf-callback", "v1", supi, "sm-context-status", id]) => {
                self.status(request, supi, id)
            }
            (
                _,
                ["namf-comm", "v1", "ue-contexts", _, "n1-n2-messages"]
                | ["namf-callback", "v1", _, "sm-context-status", _],
            ) => Err(Problem::method_not_allowed("POST")),
            (_, ["namf-comm", "v1", "ue-contexts", _, _, ..]) => {
                Err(Problem::resource_uri_structure_not_found())
            }
            (_, ["namf-comm" | "namf-callback", "v1", ..]) => {
                Err(Problem::not_found("the AMF has no such resource"))
            }
            _ => Err(Problem::invalid_api(&["namf-comm/v1"])),
        }
    }

    fn transfer(&self, request: &Request, supi: &str) -> Result<Response, Problem> {
        let data = read_transfer(request)?;
        let Some(id) = data.pdu_session_id else {
            return Err(Problem::mandatory_ie_missing("/pduSessionId"));
        };
        self.contexts
            .with(|contexts| contexts.transfer(supi, id))
            .map_err(not_found)?;
        let initiated =
            N1N2MessageTransferRspData::from(N1N2MessageTransferCause::N1N2TransferInitiated);
        Ok(Response::json(StatusCode::OK, &initiated))
    }

    fn status(&self, request: &Request, supi: &str, id: &str) -> Result<Response, Problem> {
        let notification: SmContextStatusNotification = request.document()?;
        let id = id.parse().map_err(|_| not_found(UnknownSession))?;
        self.contexts.with(|contexts| {
            if !contexts.contains(supi, id) {
                return Err(not_found(UnknownSession));
            }
            if notification.status_info.resource_status == RELEASED {
                contexts.release(supi, id);
            }
            Ok(Response::no_content())
        })
    }
}

fn not_found(unknown: UnknownSession) -> Problem {
    let (status, cause) = (StatusCode::NOT_FOUND, Cause::ContextNotFound);
    Problem::with_cause(status, cause, unknown.to_string())
}

fn require_smf(request: &Request) -> Result<(), Problem> {
    let is_known = |nf_type: &String| {
        [NfType::Smf, NfType::Scp]
            .iter()
            .any(|known| known.as_str() == nf_type)
    };
    match &request.peer.identity {
        Some(identity) if identity.nf_types.iter().any(is_known) => Ok(()),
        _ => Err(Problem::certificate_mismatch(
            "this service is for SMFs and SCPs",
        )),
    }
}

/// The JSON of a transfer, whose references all name parts of the message.
fn read_transfer(request: &Request) -> Result<N1N2MessageTransferReqData, Problem> {
    let message = Message::<N1N2MessageTransferReqData>::read(request)?;
    let Message { data, .. } = &message;
    let n1 = data.n1_message_container.as_ref();
    let n1 = n1.map(|container| &container.n1_message_content);
    message.require_part(n1, "/n1MessageContainer")?;
    let n2 = data.n2_info_container.as_ref();
    let n2 = n2.and_then(|container| container.sm_info.as_ref()?.n2_info_content.as_ref());
    message.require_part(n2.map(|content| &content.ngap_data), "/n2InfoContainer")?;
    Ok(message.data)
}
