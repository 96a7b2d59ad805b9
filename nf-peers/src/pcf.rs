//! The PCF: policies that say nothing, for UEs (TS 29.507) and for PDU sessions (TS 29.512).
//!
//! ```text
//!   POST   /npcf-am-policy-control/v1/policies                    -> 201                AMF
//!   DELETE /npcf-am-policy-control/v1/policies/{id}               -> 204                AMF
//!   POST   /npcf-smpolicycontrol/v1/sm-policies                   -> 201 a decision     SMF
//!   POST   /npcf-smpolicycontrol/v1/sm-policies/{id}/update       -> 200 a decision     SMF
//!   POST   /npcf-smpolicycontrol/v1/sm-policies/{id}/delete       -> 204                SMF
//! ```

use hyper::{Method, StatusCode};
use procedures::policy::{
    NO_FEATURES, PolicyAssociation, PolicyAssociationRequest, SmPolicyContextData,
};
use procedures::subscriber_data::MAX_SUPI;
use sbi::model::{NfType, ServiceName};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::Request;
use sbi::uri::ApiRoot;
use serde_json::Map;
use uuid::Uuid;

use crate::consumer::{require_short, require_type};
use crate::kept::Kept;
use crate::udm::created;

/// The services of a PCF.
pub const SERVICES: [ServiceName; 2] = [
    ServiceName::NpcfAmPolicyControl,
    ServiceName::NpcfSmpolicycontrol,
];
/// PDU sessions of a UE that are kept on average.
const SESSIONS_PER_UE: usize = 2;

/// The policies that a PCF has given.
#[derive(Debug)]
pub struct Pcf {
    /// The subscriber of each policy.
    of_ues: Kept<Uuid, String>,
    /// Subscriber and session of each policy.
    of_sessions: Kept<Uuid, (String, u8)>,
}

impl Pcf {
    /// A PCF that keeps the policies of at most so many UEs.
    pub fn new(max_ues: usize) -> Self {
        Self {
            of_ues: Kept::new(max_ues),
            of_sessions: Kept::new(max_ues.saturating_mul(SESSIONS_PER_UE)),
        }
    }

    /// Answers a request with the path `segments`; `api_root` is that of this PCF, for `Location`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub fn handle(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        match segments {
            ["npcf-am-policy-control", "v1", rest @ ..] => {
                require_type(request, &[NfType::Amf])?;
                self.of_ue(request, rest, api_root)
            }
            ["npcf-smpolicycontrol", "v1", rest @ ..] => {
                require_type(request, &[NfType::Smf])?;
                self.of_session(request, rest, api_root)
            }
            _ => Err(Problem::invalid_api(&[
                "npcf-am-policy-control/v1",
                "npcf-smpolicycontrol/v1",
            ])),
        }
    }

    fn of_ue(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        match (&request.method, segments) {
            (&Method::POST, ["policies"]) => {
                let wanted: PolicyAssociationRequest = request.document()?;
                require_short("/supi", &wanted.supi, MAX_SUPI)?;
                let id = Uuid::new_v4();
                self.of_ues.put(id, wanted.supi);
                let association = PolicyAssociation {
                    supp_feat: NO_FEATURES.to_owned(),
                };
                let uri = format!("{api_root}/npcf-am-policy-control/v1/policies/{id}");
                Ok(created(&uri, &association))
            }
            (&Method::DELETE, ["policies", id]) => {
                let ended = parse(id).and_then(|id| self.of_ues.take(&id));
                ended.map(|_| Response::no_content()).ok_or_else(unknown)
            }
            (_, ["policies"]) => Err(Problem::method_not_allowed("POST")),
            (_, ["policies", _]) => Err(Problem::method_not_allowed("DELETE")),
            _ => Err(Problem::not_found(
                "npcf-am-policy-control has no such resource",
            )),
        }
    }

    fn of_session(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        match (&request.method, segments) {
            (&Method::POST, ["sm-policies"]) => {
                let wanted: SmPolicyContextData = request.document()?;
                require_short("/supi", &wanted.supi, MAX_SUPI)?;
                let id = Uuid::new_v4();
                self.of_sessions
                    .put(id, (wanted.supi, wanted.pdu_session_id));
                let uri = format!("{api_root}/npcf-smpolicycontrol/v1/sm-policies/{id}");
                Ok(created(&uri, &Map::new()))
            }
            (&Method::POST, ["sm-policies", id, "update"]) => {
                let known = parse(id).is_some_and(|id| self.of_sessions.has(&id, |_| true));
                let decision = || Response::json(StatusCode::OK, &Map::new());
                known.then(decision).ok_or_else(unknown)
            }
            (&Method::POST, ["sm-policies", id, "delete"]) => {
                let ended = parse(id).and_then(|id| self.of_sessions.take(&id));
                ended.map(|_| Response::no_content()).ok_or_else(unknown)
            }
            (_, ["sm-policies"] | ["sm-policies", _, "update" | "delete"]) => {
                Err(Problem::method_not_allowed("POST"))
            }
            _ => Err(Problem::not_found(
                "npcf-smpolicycontrol has no such resource",
            )),
        }
    }
}

fn parse(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id).ok()
}

fn unknown() -> Problem {
    let (status, cause) = (StatusCode::NOT_FOUND, Cause::ContextNotFound);
    Problem::with_cause(status, cause, "this PCF has given no such policy")
}
