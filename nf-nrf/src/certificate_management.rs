//! `nnrf-cm/v1`: certificates for NF instances over HTTP (this project's service; types in [`sbi::enrolment`]), one edge of
//! [`crate::enrolment`].
//!
//! ```text
//! Authorization or client certificate ──> Applicant ──┐
//! body: CSR, profile ─────────────────────────────────┴─> Enrolment::enrol ──> 201, or the Problem that a Refusal is
//! ```

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::HeaderValue;
use mtc_core::causes::Causes;
use mtc_log::IssueError;
use mtc_tls::cpu;
use mtc_tls::csr::Csr;
use mtc_tls::identity::{CertificateId, NfIdentity};
use sbi::enrolment::{CERTIFICATES, CertificateRequest, IssuedCertificate, LandmarkAnswer};
use sbi::enrolment_claims::EnrolmentClaims;
use sbi::ledger::StartStep;
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::{JSON, Response};
use sbi::server::Request;

use crate::enrolment::{Applicant, Enrolment, Excess, Redeemed, Refusal};
use crate::enrolment_token::TokenError;
use crate::kubernetes::PodTokenError;
use crate::mtca::MtcaError;

/// Seconds after which a request that met an overloaded or unwitnessed log may be repeated.
const RETRY_ISSUANCE: u32 = 1;
/// Seconds after which the cluster may be asked again for its keys.
const RETRY_KEYS: u32 = 5;
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"nnrf-cm\", error=\"invalid_token\"");

/// The service.
pub struct CertificateManagement {
    /// What issues.
    pub enrolment: Arc<Enrolment>,
}

/// Who asks for a certificate.
enum Asking {
    /// An applicant who needs no token of the enrolment authority.
    Known(Applicant),
    /// Whoever has a token with these claims, which is good for one request.
    WithToken(EnrolmentClaims),
}

/// A resource of the service. `openapi.json` has each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Where certificates are requested.
    Certificates,
    /// A Merkle Tree Certificate that was issued.
    Certificate,
    /// Its landmark-relative form.
    LandmarkRelative,
}

impl Resource {
    /// All that are served.
    pub const ALL: [Self; 3] = [
        Self::Certificates,
        Self::Certificate,
        Self::LandmarkRelative,
    ];

    /// Its path below API name and version; the one variable stands in braces.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::Certificate => "certificates/{certificateId}",
            Self::LandmarkRelative => "certificates/{certificateId}/landmark-relative",
        }
    }

    /// The one method that it takes.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Certificates => "POST",
            Self::Certificate | Self::LandmarkRelative => "GET",
        }
    }

    /// The resource at a path, and the value of its variable, which is empty where there is none.
    fn at<'a>(segments: &[&'a str]) -> Option<(Self, &'a str)> {
        Self::ALL.into_iter().find_map(|resource| {
            let mut value = "";
            let mut wanted = resource.template().split('/');
            for &segment in segments {
                match wanted.next()? {
                    variable if variable.starts_with('{') => value = segment,
                    fixed if fixed == segment => {}
                    _ => return None,
                }
            }
            wanted.next().is_none().then_some((resource, value))
        })
    }
}

impl CertificateManagement {
    /// Answers a request whose path is `/nnrf-cm/v1/` and `segments`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &Request, segments: &[&str]) -> Result<Response, Problem> {
        let (resource, id) = Resource::at(segments).ok_or_else(|| match segments {
            ["certificates", _, ..] => Problem::resource_uri_structure_not_found(),
            _ => Problem::not_found("nnrf-cm has no such resource"),
        })?;
        if request.method.as_str() != resource.method() {
            return Err(Problem::method_not_allowed(resource.method()));
        }
        match resource {
            Resource::Certificates => self.issue(request).await,
            Resource::Certificate => {
                require_identity(request)?;
                let issued = self.enrolment.issued(serial(id)?).await?;
                Ok(Response::json(StatusCode::OK, &issued))
            }
            Resource::LandmarkRelative => {
                require_identity(request)?;
                self.landmark_relative(id).await
            }
        }
    }

    async fn issue(&self, request: &Request) -> Result<Response, Problem> {
        let (began, started) = (Instant::now(), cpu::thread_time());
        let asking = self.asking(request).await?;
        request.require_media_type(JSON)?;
        let body: CertificateRequest = serde_json::from_slice(&request.body).map_err(|error| {
            Problem::invalid_msg_format(format!("not a certificate request: {error}"))
        })?;
        let csr = STANDARD.decode(&body.csr).map_err(|_| {
            Problem::mandatory_ie_incorrect("/csr", "not base64 of a PKCS#10 request")
        })?;
        let csr = Csr::parse_and_verify(&csr)
            .map_err(|error| Problem::mandatory_ie_incorrect("/csr", Causes(&error).to_string()))?;
        let applicant = match asking {
            Asking::Known(applicant) => applicant,
            Asking::WithToken(claims) => {
                match self.enrolment.redeem(claims, &body.profile, &csr).await? {
                    Redeemed::Again(issued) => return created(&issued),
                    Redeemed::New(applicant) => applicant,
                }
            }
        };
        if let Ok(mtca) = &self.enrolment.mtca {
            let cpu = cpu::thread_time().saturating_sub(started);
            mtca.record_step(StartStep::Request, began.elapsed(), cpu);
        }
        let issued = self.enrolment.enrol(applicant, &body.profile, &csr).await?;
        created(&issued)
    }

    /// Answers with the landmark-relative certificate of an issued one, or `202`.
    async fn landmark_relative(&self, id: &str) -> Result<Response, Problem> {
        match self.enrolment.landmark_relative(serial(id)?).await? {
            LandmarkAnswer::Ready(ready) => Ok(Response::json(StatusCode::OK, &ready)),
            LandmarkAnswer::RetryAfter(wait) => Ok(Response::empty(StatusCode::ACCEPTED)
                .with(RETRY_AFTER, HeaderValue::from(wait.as_secs()))),
            LandmarkAnswer::Never => Err(Problem::new(
                StatusCode::GONE,
                "its log has been retired, and has no landmark for it",
            )),
        }
    }

    /// Who asks: by token, or by the connection's certificate.
    async fn asking(&self, request: &Request) -> Result<Asking, Problem> {
        let Some(authorization) = request.headers.get(AUTHORIZATION) else {
            let applicant = match &request.peer.expired {
                Some(identity) => {
                    let certificate = require_certificate(request)?;
                    self.enrolment.renewing_expired(identity, certificate)?
                }
                None => {
                    let identity = require_identity(request)?;
                    Applicant::holding(identity, require_certificate(request)?)
                }
            };
            return Ok(Asking::Known(applicant));
        };
        let token = authorization
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| unauthorized("Authorization is not a Bearer token".to_owned()))?
            .trim();
        if let Some(pod) = self.enrolment.pod(token).await? {
            return Ok(Asking::Known(pod));
        }
        Ok(Asking::WithToken(self.enrolment.verify_token(token)?))
    }
}

fn created(issued: &IssuedCertificate) -> Result<Response, Problem> {
    let response = Response::json(StatusCode::CREATED, issued);
    if issued.landmark_relative.is_none() {
        // Nobody but the holder of the token can ask for an X.509 certificate again, so there is nothing to point to.
        return Ok(response);
    }
    let location = format!("{CERTIFICATES}/{}", issued.certificate_id);
    let location = HeaderValue::from_str(&location).map_err(|_| Problem::system_failure())?;
    Ok(response.with(LOCATION, location))
}

fn serial(id: &str) -> Result<u64, Problem> {
    // One path a certificate: neither `01` nor `+1`.
    let serial = id
        .parse()
        .ok()
        .filter(|serial: &u64| serial.to_string() == id);
    serial.ok_or_else(|| {
        Problem::not_found(format!("{id:?} is not the id of a Merkle Tree Certificate"))
    })
}

/// The identity of the client certificate, without which nothing but enrolment with a token is served.
///
/// # Errors
/// `401`.
fn require_identity(request: &Request) -> Result<&NfIdentity, Problem> {
    request.peer.identity.as_ref().ok_or_else(|| {
        let detail = if request.peer.expired.is_some() {
            "the client certificate has expired; it can be used for its renewal only"
        } else {
            "a client certificate is required; without one, only enrolment with a token is served"
        };
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    })
}

/// Which client certificate it is.
///
/// # Errors
/// `401`.
fn require_certificate(request: &Request) -> Result<CertificateId, Problem> {
    request
        .peer
        .certificate
        .clone()
        .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "a client certificate is required"))
}

fn unauthorized(detail: String) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, CHALLENGE)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = Causes(&refusal).to_string();
        match refusal {
            Refusal::Token(TokenError::InUse(_)) => {
                Self::unavailable(Cause::NfCongestion, detail, RETRY_ISSUANCE)
            }
            Refusal::Token(TokenError::AlreadyUsed(_)) | Refusal::AnswerExpired => {
                Self::with_cause(StatusCode::FORBIDDEN, Cause::EnrolmentTokenUsed, detail)
            }
            Refusal::Pod(error) if error.is_temporary() => {
                Self::unavailable(Cause::NfCongestion, detail, RETRY_KEYS)
            }
            Refusal::Pod(PodTokenError::Account { .. }) => Self::new(StatusCode::FORBIDDEN, detail),
            Refusal::Token(_) | Refusal::Pod(_) => unauthorized(detail),
            Refusal::ExpiredTooLong { .. }
            | Refusal::ExpiredProfile
            | Refusal::Revoked
            | Refusal::Subject(_) => Self::new(StatusCode::FORBIDDEN, detail),
            Refusal::Excess(excess) => {
                let params = excess.into_iter().map(|Excess { member, reason }| {
                    InvalidParam::new(format!("/csr: {member}"), reason)
                });
                let mut problem = Self::new(StatusCode::FORBIDDEN, detail);
                problem.details.invalid_params = params.collect();
                problem
            }
            Refusal::Profile { .. } => Self::mandatory_ie_incorrect("/profile", detail),
            // Only a restart opens the log, so there is no time after which to ask again.
            Refusal::Unopened(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
            Refusal::Mtca(error) => issuance_problem(&error, detail),
            Refusal::Failed => Self::system_failure(),
        }
    }
}

/// What a failed issuance is at the SBI.
fn issuance_problem(error: &MtcaError, detail: String) -> Problem {
    match error {
        MtcaError::Issue(IssueError::Overloaded) => {
            Problem::unavailable(Cause::NfCongestion, detail, RETRY_ISSUANCE)
        }
        MtcaError::Issue(IssueError::WitnessUnavailable { .. } | IssueError::Refused(_)) => {
            Problem::unavailable(
                Cause::NfCongestion,
                format!("no certificate can be issued now: {detail}"),
                RETRY_ISSUANCE,
            )
        }
        // The NRF stops: who asks again asks the next one. The token is not lost, as after any 503.
        MtcaError::Issue(IssueError::Stopped) | MtcaError::Ending(_) => {
            Problem::unavailable(Cause::NfCongestion, detail, RETRY_ISSUANCE)
        }
        MtcaError::Unknown(_) => Problem::not_found(detail),
        MtcaError::Retired(_) => Problem::new(StatusCode::GONE, detail),
        _ => {
            tracing::error!(error = detail, "issuance failed");
            Problem::system_failure()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_under_way_at_the_stop_is_to_be_tried_again() {
        let problem = Problem::from(Refusal::Mtca(MtcaError::Issue(IssueError::Stopped)));
        let response = problem.into_response();
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers.contains_key("retry-after"));
    }
}
