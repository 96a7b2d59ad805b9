//! Nsmf_PDUSession, SM context operations (TS 29.502 clause 5.2.2 and 6.1): create, modify, release.
//!
//! ```text
//!   POST sm-contexts            multipart (JSON, N1) -> 201, Location      and a Transfer to carry out
//!   POST sm-contexts/R/modify   JSON or multipart    -> 200 upCnxState, or 204 if there is nothing to say
//!   POST sm-contexts/R/release                       -> 204
//! ```
//!
//! Only AMFs, and SCPs for them, have access; an AMF only to contexts that it asked for itself. Refusals of create and modify
//! have the details nested in `error` (`SmContextCreateError`, `SmContextUpdateError`).
//!
//! Deviation: create is taken as plain `application/json` too, without N1; in Release 18 it is always multipart. Lean benchmarks
//! use it.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use procedures::caller::Came;
use procedures::subscriber_data::{MAX_SUPI, is_supi_long};
use sbi::message::Message;
use sbi::model::{
    NfInstanceId, NfType, SmContextCreateData, SmContextCreateError, SmContextCreatedData,
    SmContextUpdateData, SmContextUpdatedData, SmfInfo, Snssai,
};
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::{JSON, Response};
use sbi::server::Request;
use sbi::uri::ApiRoot;
use serde_json::Map;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

use crate::n1n2::Transfer;
use crate::sm_context::{
    Bounds, Created, Event, Full, Held, PduSession, SmContext, SmContextRef, SmContexts,
};

/// Seconds after which an AMF may try again.
const RETRY_WHEN_BUSY: u32 = 1;
const RETRY_WHEN_FULL: u32 = 30;

/// The service `nsmf-pdusession`.
pub struct PduSessions {
    serves: SmfInfo,
    contexts: Mutex<SmContexts>,
    /// Told when an AMF gets its first context.
    new_amf: Arc<Notify>,
    places: Arc<Semaphore>,
}

/// An answer, and what is to be done once it is given.
#[derive(Debug)]
pub struct Answer {
    /// For the AMF.
    pub response: Response,
    /// The N1N2 transfer that a new SM context brings about.
    pub transfer: Option<Transfer>,
    /// The context that the new one has replaced, of which UDM and PCF may hold something.
    pub replaced: Option<SmContext>,
    /// The change to a session that UDM and PCF have a say in.
    pub change: Option<Change>,
}

/// What becomes of an established session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The UE asks for another treatment of it.
    Modified(SmContext),
    /// It is no more.
    Released(SmContext),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            response,
            transfer: None,
            replaced: None,
            change: None,
        }
    }
}

impl PduSessions {
    /// The service in the slices and data networks of `serves`, with contexts within `bounds` and at most so many transfers
    /// under way.
    pub fn new(serves: SmfInfo, bounds: Bounds, max_transfers: usize) -> Self {
        Self {
            serves,
            contexts: Mutex::new(SmContexts::new(bounds)),
            new_amf: Arc::default(),
            places: Arc::new(Semaphore::new(max_transfers)),
        }
    }

    /// Told when an AMF gets its first context.
    pub fn new_amf(&self) -> Arc<Notify> {
        self.new_amf.clone()
    }

    /// The AMFs that have contexts.
    pub fn amfs(&self) -> Vec<NfInstanceId> {
        self.with_contexts(|contexts| contexts.amfs().collect())
    }

    /// Ends the contexts of `amf` that are `lost`. Returns how many.
    pub fn end(&self, amf: NfInstanceId, lost: impl Fn(&SmContext) -> bool) -> usize {
        self.with_contexts(|contexts| contexts.end(amf, lost))
    }

    /// Answers a request whose path is `/nsmf-pdusession/v1/` and `segments`; `api_root` is that of this SMF, for `Location`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub fn handle(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Answer, Problem> {
        let caller = Caller::of(request)?;
        match (&request.method, segments) {
            (&Method::POST, ["sm-contexts"]) => Ok(self
                .create(request, &caller, api_root)
                .unwrap_or_else(|problem| nested(problem).into())),
            (&Method::POST, ["sm-contexts", name, "modify"]) => Ok(self
                .modify(request, &caller, name)
                .unwrap_or_else(|problem| nested(problem).into())),
            (&Method::POST, ["sm-contexts", name, "release"]) => self.release(&caller, name),
            (_, ["sm-contexts"] | ["sm-contexts", _, "modify" | "release"]) => {
                Err(Problem::method_not_allowed("POST"))
            }
            (_, ["sm-contexts", _, _, ..]) => Err(Problem::resource_uri_structure_not_found()),
            _ => Err(Problem::not_found("nsmf-pdusession has no such resource")),
        }
    }

    fn create(
        &self,
        request: &Request,
        caller: &Caller,
        api_root: &ApiRoot,
    ) -> Result<Answer, Problem> {
        let message = Message::<SmContextCreateData>::read(request)?;
        let data = &message.data;
        let (session, slice) = self.admit(data, caller)?;
        if message.has_parts() && data.n1_sm_msg.is_none() {
            return Err(Problem::mandatory_ie_missing("/n1SmMsg"));
        }
        message.require_part(data.n1_sm_msg.as_ref(), "/n1SmMsg")?;
        let place = self.place()?;
        let name = SmContextRef(Uuid::new_v4());
        let amf = data.serving_nf_id;
        let created = Created::now();
        let (replaced, is_new_amf) = self
            .with_contexts(|contexts| {
                let replaced = contexts.create(name, session.clone(), amf, created)?;
                Ok((replaced, contexts.of_amf(amf) == 1))
            })
            .map_err(|full: Full| {
                let cause = Cause::InsufficientResources;
                Problem::unavailable(cause, full.to_string(), RETRY_WHEN_FULL)
            })?;
        if is_new_amf {
            self.new_amf.notify_one();
        }
        let location = format!("{api_root}/nsmf-pdusession/v1/sm-contexts/{name}");
        let location = HeaderValue::try_from(location).expect("an apiRoot is visible ASCII");
        let created = SmContextCreatedData::default();
        Ok(Answer {
            response: Response::json(StatusCode::CREATED, &created).with(LOCATION, location),
            change: None,
            replaced,
            transfer: Some(Transfer {
                context: name,
                session,
                slice,
                amf,
                came: Came::of(request),
                place,
            }),
        })
    }

    /// What is asked for, if it is complete, the caller's to ask for, and served here.
    fn admit(
        &self,
        data: &SmContextCreateData,
        caller: &Caller,
    ) -> Result<(PduSession, Snssai), Problem> {
        let (Some(supi), Some(id), Some(dnn), Some(slice), Some(_)) = (
            &data.supi,
            data.pdu_session_id,
            &data.dnn,
            &data.s_nssai,
            &data.request_type,
        ) else {
            // These are the members that `check_ordinary` wants: it has the answer.
            return data.check_ordinary().and(Err(Problem::system_failure()));
        };
        if !is_supi_long(supi) {
            let reason = format!("is not 1 to {MAX_SUPI} characters long");
            return Err(Problem::mandatory_ie_incorrect("/supi", reason));
        }
        caller.require(data.serving_nf_id)?;
        let forbidden =
            |cause, detail| Err(Problem::with_cause(StatusCode::FORBIDDEN, cause, detail));
        if !self.serves.serves(Some(slice), None) {
            return forbidden(Cause::SnssaiDenied, "this SMF does not serve the slice");
        }
        if !self.serves.serves(Some(slice), Some(dnn)) {
            return forbidden(
                Cause::DnnNotSupported,
                "this SMF does not serve the DNN in the slice",
            );
        }
        let session = PduSession {
            supi: supi.clone(),
            id,
        };
        Ok((session, slice.clone()))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| {
            let detail = "the limit of N1N2 transfers in progress is reached";
            Problem::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_BUSY)
        })
    }

    /// UDM and PCF hold something of the context from now on. Returns whether there is such a context.
    pub fn hold(&self, name: SmContextRef, held: Held) -> bool {
        self.with_contexts(|contexts| contexts.hold(name, held))
    }

    /// Ends a context that was made, but is not to be had after all; none if it is gone already.
    pub fn take_back(&self, name: SmContextRef) -> Option<SmContext> {
        self.with_contexts(|contexts| contexts.release(name))
    }

    fn modify(&self, request: &Request, caller: &Caller, name: &str) -> Result<Answer, Problem> {
        let message = Message::<SmContextUpdateData>::read(request)?;
        let n1 = message.data.n1_sm_msg.as_ref();
        message.require_part(n1, "/n1SmMsg")?;
        message.require_part(message.data.n2_sm_info.as_ref(), "/n2SmInfo")?;
        let event = event(&message.data)?;
        self.with_contexts(|contexts| {
            let name = caller.own_context(contexts, name)?;
            let now = Instant::now();
            contexts.touch(name, now);
            let user_plane = event.and_then(|event| contexts.update(name, event, now));
            let Some(user_plane) = user_plane else {
                let asked = n1.and_then(|_| contexts.context(name));
                return Ok(Answer {
                    change: asked.cloned().map(Change::Modified),
                    ..Response::no_content().into()
                });
            };
            let updated = SmContextUpdatedData {
                up_cnx_state: Some(user_plane.as_str().to_owned()),
                other: Map::new(),
            };
            Ok(Response::json(StatusCode::OK, &updated).into())
        })
    }

    /// What a body says of the reason for the release makes no difference.
    fn release(&self, caller: &Caller, name: &str) -> Result<Answer, Problem> {
        self.with_contexts(|contexts| {
            let name = caller.own_context(contexts, name)?;
            Ok(Answer {
                change: contexts.release(name).map(Change::Released),
                ..Response::no_content().into()
            })
        })
    }

    /// Contexts stay consistent if a holder panicked: a panic would have to come from the map itself.
    fn with_contexts<T>(&self, work: impl FnOnce(&mut SmContexts) -> T) -> T {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        contexts.expire(Instant::now());
        work(&mut contexts)
    }
}

/// Who asks, as the client certificate says.
enum Caller {
    Amf(NfInstanceId),
    /// On behalf of any AMF.
    Scp,
}

impl Caller {
    fn of(request: &Request) -> Result<Self, Problem> {
        let identity = request.peer.identity.as_ref();
        let has = |nf_type: NfType| {
            identity.filter(|identity| identity.nf_types.iter().any(|has| has == nf_type.as_str()))
        };
        if has(NfType::Scp).is_some() {
            return Ok(Self::Scp);
        }
        has(NfType::Amf)
            .map(|identity| Self::Amf(identity.instance_id.into()))
            .ok_or_else(|| Problem::certificate_mismatch("this service is for AMFs and SCPs"))
    }

    fn require(&self, amf: NfInstanceId) -> Result<(), Problem> {
        match self {
            Self::Amf(certified) if *certified != amf => Err(Problem::certificate_mismatch(
                format!("certificate is of instance {certified}, the serving AMF is {amf}"),
            )),
            Self::Amf(_) | Self::Scp => Ok(()),
        }
    }

    /// The context `name`, if there is one and the caller may change it.
    fn own_context(&self, contexts: &SmContexts, name: &str) -> Result<SmContextRef, Problem> {
        let unknown = || {
            let (status, cause) = (StatusCode::NOT_FOUND, Cause::ContextNotFound);
            Problem::with_cause(status, cause, "no such SM context")
        };
        let name = SmContextRef::parse(name).ok_or_else(unknown)?;
        let context = contexts.context(name).ok_or_else(unknown)?;
        self.require(context.serving_amf)?;
        Ok(name)
    }
}

/// What an update says about the user plane, if anything.
fn event(data: &SmContextUpdateData) -> Result<Option<Event>, Problem> {
    let n2_event = match data.n2_sm_info_type.as_deref() {
        Some("PDU_RES_SETUP_RSP") => Some(Event::ResourcesSetUp),
        Some("PDU_RES_SETUP_FAIL") => Some(Event::ResourcesFailed),
        // The others concern handover and modification of flows, which this SMF does not have.
        _ => None,
    };
    let asked = match data.up_cnx_state.as_deref() {
        None => None,
        Some("ACTIVATING") => Some(Event::Activate),
        Some("DEACTIVATED") => Some(Event::Deactivate),
        Some(_) => {
            let wrong = InvalidParam::new("/upCnxState", "is neither ACTIVATING nor DEACTIVATED");
            return Err(Problem::invalid_params(
                Cause::OptionalIeIncorrect,
                vec![wrong],
            ));
        }
    };
    Ok(n2_event.or(asked))
}

/// The form that refusals of create and modify have: the details in `error`, as `application/json`. Statuses for which TS 29.502
/// does not define it come from the HTTP stack and stay as they are.
pub fn nested(problem: Problem) -> Response {
    if !matches!(problem.status.as_u16(), 400 | 403 | 404 | 500 | 503 | 504) {
        return problem.into_response();
    }
    let error = SmContextCreateError {
        error: (*problem.details).clone(),
        n1_sm_msg: None,
        other: Map::new(),
    };
    let body = Response::json(problem.status, &error).body;
    Response {
        body,
        ..problem.into_response()
    }
    .with(CONTENT_TYPE, HeaderValue::from_static(JSON))
}
