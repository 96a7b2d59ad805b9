//! The UDM: authentication vectors, which NF serves a subscriber, and what the subscriber may (TS 29.503).
//!
//! ```text
//!   POST /nudm-ueau/v1/{supiOrSuci}/security-information/generate-auth-data    -> 200 vector               AUSF
//!   POST /nudm-ueau/v1/{supi}/auth-events                                      -> 201                      AUSF
//!   PUT | PATCH /nudm-uecm/v1/{supi}/registrations/amf-3gpp-access             -> 201, 204 | 204           AMF
//!   PUT | DELETE /nudm-uecm/v1/{supi}/registrations/smf-registrations/{id}     -> 201, 204 | 204           SMF
//!   GET  /nudm-sdm/v2/{supi}/am-data, smf-select-data, ue-context-in-smf-data  -> 200 {}                   AMF
//!   GET  /nudm-sdm/v2/{supi}/sm-data                                           -> 200 the slice's data     SMF
//!   POST /nudm-sdm/v2/{supi}/sdm-subscriptions, DELETE ../{subscriptionId}     -> 201 | 204                AMF
//! ```
//!
//! A subscriber is served by the AMF that registered last, as in TS 29.503 clause 5.3.2.2.2; the one before is not notified.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use hyper::header::LOCATION;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use procedures::aka::{Challenge, to_hex};
use procedures::authentication::{
    AUTH_TYPE, AV_TYPE, AuthEvent, AuthenticationInfoRequest, AuthenticationInfoResult, Av5gHeAka,
    supi_of,
};
use procedures::subscriber_data::{
    Amf3GppAccessRegistration, Amf3GppAccessRegistrationModification, SdmSubscription,
    SessionManagementSubscriptionData, SmfRegistration, is_supi_long,
};
use sbi::model::{Document, NfInstanceId, NfType, ServiceName, Snssai};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::Request;
use sbi::uri::ApiRoot;
use serde_json::Map;
use uuid::Uuid;

use crate::consumer::{require_instance, require_type};
use crate::kept::Kept;

/// The services of a UDM.
pub const SERVICES: [ServiceName; 3] = [
    ServiceName::NudmUeau,
    ServiceName::NudmUecm,
    ServiceName::NudmSdm,
];
/// PDU sessions of a UE that are kept on average.
const SESSIONS_PER_UE: usize = 2;

/// What a UDM keeps of subscribers.
#[derive(Debug)]
pub struct Udm {
    slice: Snssai,
    /// The AMF of each subscriber.
    amfs: Kept<String, NfInstanceId>,
    /// The SMF of each session.
    smfs: Kept<(String, u8), NfInstanceId>,
    /// Subscriptions to a subscriber's data, and the NF that each is of.
    subscriptions: Kept<(String, Uuid), NfInstanceId>,
    /// Sequence numbers given so far; all subscribers share them.
    sequence: AtomicU64,
}

impl Udm {
    /// A UDM whose subscribers may use `slice`, and that keeps something of at most so many.
    pub fn new(slice: Snssai, max_ues: usize) -> Self {
        Self {
            slice,
            amfs: Kept::new(max_ues),
            smfs: Kept::new(max_ues.saturating_mul(SESSIONS_PER_UE)),
            subscriptions: Kept::new(max_ues),
            sequence: AtomicU64::new(0),
        }
    }

    /// Answers a request with the path `segments`; `api_root` is that of this UDM, for `Location`.
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
            ["nudm-ueau", "v1", rest @ ..] => {
                require_type(request, &[NfType::Ausf])?;
                self.ueau(request, rest, api_root)
            }
            ["nudm-uecm", "v1", rest @ ..] => {
                require_type(request, &[NfType::Amf, NfType::Smf])?;
                require_supi(rest)?;
                self.uecm(request, rest, api_root)
            }
            ["nudm-sdm", "v2", rest @ ..] => {
                require_type(request, &[NfType::Amf, NfType::Smf])?;
                require_supi(rest)?;
                self.sdm(request, rest, api_root)
            }
            _ => Err(Problem::invalid_api(&[
                "nudm-ueau/v1",
                "nudm-uecm/v1",
                "nudm-sdm/v2",
            ])),
        }
    }

    fn ueau(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        match (&request.method, segments) {
            (&Method::POST, [ue, "security-information", "generate-auth-data"]) => {
                let wanted: AuthenticationInfoRequest = request.document()?;
                require_instance(request, wanted.ausf_instance_id)?;
                let vector = self.vector(ue, &wanted.serving_network_name)?;
                Ok(Response::json(StatusCode::OK, &vector))
            }
            (&Method::POST, [supi, "auth-events"]) => {
                let event: AuthEvent = request.document()?;
                require_instance(request, event.nf_instance_id)?;
                let id = Uuid::new_v4();
                let uri = format!("{api_root}/nudm-ueau/v1/{supi}/auth-events/{id}");
                Ok(created(&uri, &event))
            }
            (_, [_, "security-information", "generate-auth-data"] | [_, "auth-events"]) => {
                Err(Problem::method_not_allowed("POST"))
            }
            _ => Err(Problem::not_found("nudm-ueau has no such resource")),
        }
    }

    fn vector(&self, ue: &str, serving_network: &str) -> Result<AuthenticationInfoResult, Problem> {
        let supi = supi_of(ue).ok_or_else(|| {
            let (status, cause) = (StatusCode::NOT_FOUND, Cause::UserNotFound);
            Problem::with_cause(status, cause, "no SUPI, and no SUCI of the null scheme")
        })?;
        let mut rand = [0; 16];
        rand::fill(&mut rand).map_err(|_| Problem::system_failure())?;
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut sequence = [0; 6];
        sequence.copy_from_slice(&number.to_be_bytes()[2..]);
        let challenge = Challenge {
            supi: &supi,
            serving_network,
            rand,
            sequence,
        };
        let authentication_vector = Av5gHeAka {
            av_type: AV_TYPE.to_owned(),
            rand: to_hex(&rand),
            autn: to_hex(&challenge.autn()),
            xres_star: to_hex(&challenge.res_star()),
            kausf: to_hex(&challenge.kausf()),
        };
        Ok(AuthenticationInfoResult {
            auth_type: AUTH_TYPE.to_owned(),
            supi,
            authentication_vector,
        })
    }

    fn uecm(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        let path = || format!("{api_root}/nudm-uecm/v1/{}", segments.join("/"));
        match (&request.method, segments) {
            (&Method::PUT, [supi, "registrations", "amf-3gpp-access"]) => {
                let registration: Amf3GppAccessRegistration = request.document()?;
                let amf = registration.amf_instance_id;
                require_instance(request, amf)?;
                let replaces = self.amfs.put((*supi).to_owned(), amf);
                Ok(put(replaces, &path(), &registration))
            }
            (&Method::PATCH, [supi, "registrations", "amf-3gpp-access"]) => {
                request.require_media_type(MERGE_PATCH)?;
                let change = Amf3GppAccessRegistrationModification::read(&request.body)?;
                let supi = (*supi).to_owned();
                let is_its = |amf: &NfInstanceId| require_instance(request, *amf).is_ok();
                let known = if change.purge_flag == Some(true) {
                    self.amfs.take_if(&supi, is_its).is_some()
                } else {
                    self.amfs.has(&supi, is_its)
                };
                known.then(Response::no_content).ok_or_else(unknown)
            }
            (&Method::PUT, [supi, "registrations", "smf-registrations", id]) => {
                let registration: SmfRegistration = request.document()?;
                let smf = registration.smf_instance_id;
                require_instance(request, smf)?;
                let id = session_id(id)?;
                if registration.pdu_session_id != id {
                    let reason = "is not that of the URI";
                    return Err(Problem::mandatory_ie_incorrect("/pduSessionId", reason));
                }
                let replaces = self.smfs.put(((*supi).to_owned(), id), smf);
                Ok(put(replaces, &path(), &registration))
            }
            (&Method::DELETE, [supi, "registrations", "smf-registrations", id]) => {
                let session = ((*supi).to_owned(), session_id(id)?);
                let is_its = |smf: &NfInstanceId| require_instance(request, *smf).is_ok();
                let ended = self.smfs.take_if(&session, is_its);
                ended.map(|_| Response::no_content()).ok_or_else(unknown)
            }
            (_, [_, "registrations", "amf-3gpp-access"]) => {
                Err(Problem::method_not_allowed("PUT, PATCH"))
            }
            (_, [_, "registrations", "smf-registrations", _]) => {
                Err(Problem::method_not_allowed("PUT, DELETE"))
            }
            _ => Err(Problem::not_found("nudm-uecm has no such resource")),
        }
    }

    fn sdm(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        match (&request.method, segments) {
            (&Method::GET, [_, "am-data" | "smf-select-data" | "ue-context-in-smf-data"]) => {
                Ok(Response::json(StatusCode::OK, &Map::new()))
            }
            (&Method::GET, [_, "sm-data"]) => {
                let data = [SessionManagementSubscriptionData {
                    single_nssai: self.slice.clone(),
                }];
                Ok(Response::json(StatusCode::OK, &data))
            }
            (&Method::POST, [supi, "sdm-subscriptions"]) => {
                let subscription: SdmSubscription = request.document()?;
                require_instance(request, subscription.nf_instance_id)?;
                let id = Uuid::new_v4();
                let key = ((*supi).to_owned(), id);
                self.subscriptions.put(key, subscription.nf_instance_id);
                let uri = format!("{api_root}/nudm-sdm/v2/{supi}/sdm-subscriptions/{id}");
                Ok(created(&uri, &subscription))
            }
            (&Method::DELETE, [supi, "sdm-subscriptions", id]) => {
                let id = Uuid::try_parse(id).map_err(|_| unknown())?;
                let is_its = |nf: &NfInstanceId| require_instance(request, *nf).is_ok();
                let ended = self
                    .subscriptions
                    .take_if(&((*supi).to_owned(), id), is_its);
                ended.map(|_| Response::no_content()).ok_or_else(unknown)
            }
            (
                _,
                [
                    _,
                    "am-data" | "smf-select-data" | "ue-context-in-smf-data" | "sm-data",
                ],
            ) => Err(Problem::method_not_allowed("GET")),
            (_, [_, "sdm-subscriptions"]) => Err(Problem::method_not_allowed("POST")),
            (_, [_, "sdm-subscriptions", _]) => Err(Problem::method_not_allowed("DELETE")),
            _ => Err(Problem::not_found("nudm-sdm has no such resource")),
        }
    }
}

/// Refuses a path whose first segment is too long for a subscriber: it is kept.
fn require_supi(segments: &[&str]) -> Result<(), Problem> {
    if segments.first().is_some_and(|supi| is_supi_long(supi)) {
        return Ok(());
    }
    let (status, cause) = (StatusCode::NOT_FOUND, Cause::UserNotFound);
    Err(Problem::with_cause(status, cause, "no SUPI is that long"))
}

/// The form of a change to a registration (RFC 7396).
const MERGE_PATCH: &str = "application/merge-patch+json";

fn session_id(segment: &str) -> Result<u8, Problem> {
    segment.parse().map_err(|_| {
        let reason = "is not 0 to 255";
        Problem::mandatory_ie_incorrect("{pduSessionId}", reason)
    })
}

fn unknown() -> Problem {
    let (status, cause) = (StatusCode::NOT_FOUND, Cause::ContextNotFound);
    Problem::with_cause(
        status,
        cause,
        "this NF has no such context of the subscriber",
    )
}

/// The answer to a PUT: what is new has a `Location`.
fn put(replaces: bool, uri: &str, stored: &impl serde::Serialize) -> Response {
    if replaces {
        return Response::no_content();
    }
    created(uri, stored)
}

/// `201` with `Location`.
pub(crate) fn created(uri: &str, stored: &impl serde::Serialize) -> Response {
    let response = Response::json(StatusCode::CREATED, stored);
    match HeaderValue::try_from(uri) {
        Ok(location) => response.with(LOCATION, location),
        // A path that is not visible ASCII was decoded from one that is; nobody needs to find it again.
        Err(_) => response,
    }
}
