//! The AUSF: 5G-AKA between a SEAF and a UDM (TS 29.509 clause 5.2.2.2, TS 33.501 clause 6.1.3.2).
//!
//! ```text
//!   POST /nausf-auth/v1/ue-authentications                          AMF         generate-auth-data    UDM
//!        -> 201 challenge, link to confirm                              <────── XRES*, K_AUSF ──────
//!             Waiting ── confirm, RES* ──> gone
//!   PUT  /nausf-auth/v1/ue-authentications/{id}/5g-aka-confirmation
//!        -> 200 SUCCESS, K_SEAF if RES* is XRES*, else FAILURE          auth-events ──────────────>
//! ```
//!
//! An authentication can be confirmed once, and only by the AMF that began it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use procedures::aka::{Octets16, Octets32, from_hex, hres_star, kseaf, to_hex};
use procedures::authentication::{
    AUTH_TYPE, AUTHENTICATED, AuthEvent, AuthenticationInfo, AuthenticationInfoRequest,
    AuthenticationInfoResult, Av5gAka, CONFIRMATION_LINK, ConfirmationData,
    ConfirmationDataResponse, NOT_AUTHENTICATED, UeAuthenticationCtx,
};
use procedures::caller::{ANSWER_TIME, Caller, Came, Cause as OnBehalf, ExchangeError};
use procedures::producers::Producers;
use procedures::subscriber_data::is_supi_long;
use sbi::client::ClientError;
use sbi::instance::Instance;
use sbi::ledger::Procedure;
use sbi::model::{HalLink, NfInstanceId, NfType, ServiceName};
use sbi::nnrf::Nrf;
use sbi::problem::{Cause, Problem};
use sbi::response::{HAL_JSON, Response};
use sbi::server::Request;
use sbi::uri::{ApiRoot, encode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::consumer::{require_short, require_type};
use crate::kept::Kept;

/// The services of an AUSF.
pub const SERVICES: [ServiceName; 1] = [ServiceName::NausfAuth];
/// Octets of a SUCI: one of profile B conceals a network access identifier with a key and a code beside it.
const MAX_SUCI: usize = 1024;
/// Octets of a serving network's name, with the NID of a network of its own (TS 24.501 clause 9.12.1).
const MAX_NETWORK: usize = 64;

/// The authentications of an AUSF that wait for an answer.
pub struct Ausf {
    own_id: NfInstanceId,
    caller: Caller,
    udms: Producers,
    waiting: Kept<Uuid, Waiting>,
}

/// An authentication that waits for the UE's answer.
#[derive(Debug)]
struct Waiting {
    /// The AMF that asked.
    amf: Option<Uuid>,
    supi: String,
    serving_network: String,
    xres_star: Octets16,
    kausf: Octets32,
}

impl Ausf {
    /// An AUSF that is `instance`, uses a connection to a UDM so often, and has at most so many UEs waiting.
    pub fn new(instance: Arc<Instance>, nrf: Nrf, connection_uses: u32, max_ues: usize) -> Self {
        Self {
            own_id: instance.id,
            caller: Caller::new(instance, nrf, connection_uses),
            udms: Producers::new(NfType::Udm, ServiceName::NudmUeau),
            waiting: Kept::new(max_ues),
        }
    }

    /// Answers a request with the path `segments`; `api_root` is that of this AUSF, for links.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(
        &self,
        request: &Request,
        segments: &[&str],
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        let ["nausf-auth", "v1", rest @ ..] = segments else {
            return Err(Problem::invalid_api(&["nausf-auth/v1"]));
        };
        require_type(request, &[NfType::Amf])?;
        match (&request.method, rest) {
            (&Method::POST, ["ue-authentications"]) => self.authenticate(request, api_root).await,
            (&Method::PUT, ["ue-authentications", id, "5g-aka-confirmation"]) => {
                self.confirm(request, id).await
            }
            (_, ["ue-authentications"]) => Err(Problem::method_not_allowed("POST")),
            (_, ["ue-authentications", _, "5g-aka-confirmation"]) => {
                Err(Problem::method_not_allowed("PUT"))
            }
            _ => Err(Problem::not_found("nausf-auth has no such resource")),
        }
    }

    async fn authenticate(
        &self,
        request: &Request,
        api_root: &ApiRoot,
    ) -> Result<Response, Problem> {
        let AuthenticationInfo {
            supi_or_suci: ue,
            serving_network_name: serving_network,
        } = request.document()?;
        require_short("/supiOrSuci", &ue, MAX_SUCI)?;
        require_short("/servingNetworkName", &serving_network, MAX_NETWORK)?;
        let wanted = AuthenticationInfoRequest {
            serving_network_name: serving_network.clone(),
            ausf_instance_id: self.own_id,
        };
        let vector = self.caller.exchange(
            &self.udms,
            None,
            on_behalf(request, &ue),
            async |exchange| {
                let path = format!(
                    "/nudm-ueau/v1/{}/security-information/generate-auth-data",
                    encode(&ue)
                );
                let asked = exchange.request(Method::POST, path).json(&wanted);
                let answer = exchange.call(asked, ANSWER_TIME).await?;
                Ok(answer.read_json::<AuthenticationInfoResult>()?)
            },
        );
        let AuthenticationInfoResult {
            supi,
            authentication_vector: vector,
            ..
        } = vector.await.map_err(|error| refusal(&error))?;
        if !is_supi_long(&supi) {
            let detail = "the UDM's subscriber is none";
            return Err(Problem::new(StatusCode::BAD_GATEWAY, detail));
        }
        let (Some(rand), Some(xres_star), Some(kausf)) = (
            from_hex::<16>(&vector.rand),
            from_hex(&vector.xres_star),
            from_hex(&vector.kausf),
        ) else {
            let detail = "the UDM's authentication vector is not of hex digits";
            return Err(Problem::new(StatusCode::BAD_GATEWAY, detail));
        };
        let id = Uuid::new_v4();
        self.waiting.put(
            id,
            Waiting {
                amf: caller_id(request),
                supi,
                serving_network,
                xres_star,
                kausf,
            },
        );
        let uri = format!("{api_root}/nausf-auth/v1/ue-authentications/{id}");
        let link = HalLink {
            href: format!("{uri}/5g-aka-confirmation"),
        };
        let context = UeAuthenticationCtx {
            auth_type: AUTH_TYPE.to_owned(),
            auth_data: Av5gAka {
                hxres_star: to_hex(&hres_star(&rand, &xres_star)),
                rand: vector.rand,
                autn: vector.autn,
            },
            links: BTreeMap::from([(CONFIRMATION_LINK.to_owned(), link)]),
        };
        let location = HeaderValue::try_from(uri).expect("an apiRoot is visible ASCII");
        Ok(Response::json_as(StatusCode::CREATED, HAL_JSON, &context)
            .with(hyper::header::LOCATION, location))
    }

    async fn confirm(&self, request: &Request, id: &str) -> Result<Response, Problem> {
        let ConfirmationData { res_star } = request.document()?;
        let answered: Octets16 = from_hex(&res_star).ok_or_else(|| {
            let reason = "is not 32 hex digits";
            Problem::mandatory_ie_incorrect("/resStar", reason)
        })?;
        let amf = caller_id(request);
        let waiting = Uuid::try_parse(id).ok().and_then(|id| {
            let began_it = |waiting: &Waiting| waiting.amf == amf;
            self.waiting.take_if(&id, began_it)
        });
        let waiting = waiting.ok_or_else(|| {
            let (status, cause) = (StatusCode::NOT_FOUND, Cause::ContextNotFound);
            Problem::with_cause(status, cause, "no such authentication waits for an answer")
        })?;
        let success = answered == waiting.xres_star;
        self.tell_udm(request, &waiting, success)
            .await
            .map_err(|error| refusal(&error))?;
        let response = ConfirmationDataResponse {
            auth_result: if success {
                AUTHENTICATED.to_owned()
            } else {
                NOT_AUTHENTICATED.to_owned()
            },
            kseaf: success.then(|| to_hex(&kseaf(&waiting.kausf, &waiting.serving_network))),
            supi: success.then_some(waiting.supi),
        };
        Ok(Response::json(StatusCode::OK, &response))
    }

    /// TS 29.503 clause 5.4.2.3: the UDM hears what became of it.
    async fn tell_udm(
        &self,
        request: &Request,
        waiting: &Waiting,
        success: bool,
    ) -> Result<(), ExchangeError> {
        let now = OffsetDateTime::now_utc().truncate_to_second();
        let event = AuthEvent {
            nf_instance_id: self.own_id,
            success,
            // A year beyond 9999 has no RFC 3339 form; this one has.
            time_stamp: now.format(&Rfc3339).unwrap_or_default(),
            auth_type: AUTH_TYPE.to_owned(),
            serving_network_name: waiting.serving_network.clone(),
        };
        let supi = &waiting.supi;
        self.caller
            .exchange(
                &self.udms,
                None,
                on_behalf(request, supi),
                async |exchange| {
                    let path = format!("/nudm-ueau/v1/{}/auth-events", encode(supi));
                    let told = exchange.request(Method::POST, path).json(&event);
                    exchange.call(told, ANSWER_TIME).await.map(drop)
                },
            )
            .await
    }
}

fn on_behalf<'a>(request: &Request, supi: &'a str) -> OnBehalf<'a> {
    OnBehalf {
        procedure: Procedure::Registration,
        came: Came::of(request),
        supi,
    }
}

fn caller_id(request: &Request) -> Option<Uuid> {
    let identity = request.peer.identity.as_ref();
    identity.map(|identity| identity.instance_id)
}

/// What the AMF hears when the UDM does not do its part (TS 29.509 clause 6.1.7.3): its refusal of the subscriber or of the serving
/// network, or that there is no answer. That the UDM did not take this AUSF's own request, for its token say, is nothing to the AMF.
fn refusal(error: &ExchangeError) -> Problem {
    match error {
        ExchangeError::Call {
            source:
                ClientError::Status {
                    status: status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND),
                    details,
                },
            ..
        } => {
            let mut problem = Problem::new(*status, "");
            problem.details.clone_from(details);
            problem
        }
        _ => Problem::with_cause(
            StatusCode::GATEWAY_TIMEOUT,
            Cause::UpstreamServerError,
            error.to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use sbi::problem::ProblemDetails;

    use super::*;

    fn told(status: StatusCode, cause: &str) -> (u16, Option<String>) {
        let details = ProblemDetails {
            cause: Some(cause.to_owned()),
            ..ProblemDetails::default()
        };
        let problem = refusal(&ExchangeError::Call {
            service: ServiceName::NudmUeau,
            source: ClientError::Status {
                status,
                details: Box::new(details),
            },
        });
        (problem.status.as_u16(), problem.details.cause)
    }

    #[test]
    fn an_amf_hears_of_a_refused_subscriber_and_not_of_the_ausf_s_own_troubles() {
        for (status, cause) in [
            (StatusCode::NOT_FOUND, "USER_NOT_FOUND"),
            (StatusCode::FORBIDDEN, "SERVING_NETWORK_NOT_AUTHORIZED"),
        ] {
            let expected = (status.as_u16(), Some(cause.to_owned()));
            assert_eq!(told(status, cause), expected);
        }
        for status in [
            StatusCode::UNAUTHORIZED,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ] {
            let expected = (504, Some("UPSTREAM_SERVER_ERROR".to_owned()));
            assert_eq!(told(status, "NF_CONGESTION"), expected, "{status}");
        }
    }
}
