//! `nnrf-cm/v1`: certificates for NF instances (this project's service; types in [`sbi::enrolment`]).
//!
//! ```text
//! token or client certificate ──> who may be certified as what ──┐
//! CSR: proof of possession, names no more than that ─────────────┴─> NfSubject ─> MTCA or baseline CA ─> 201
//! ```
//!
//! A certificate that expired a short while ago, within the NRF's `renew_expired_seconds`, says who its holder is here and
//! nowhere else: it may be replaced by a new one for a key whose possession is proven, as it would have been in time.
//!
//! Subject and names come from the token or the current certificate, never from the CSR. A token is used up when its
//! certificate is acknowledged; whoever repeats that request, since the answer was lost, gets the same certificate again.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_log::IssueError;
use mtc_tls::clock::Clock;
use mtc_tls::csr::Csr;
use mtc_tls::identity::{NfIdentity, NfSubject};
use mtc_tls::profile::TrustDomain;
use sbi::enrolment::{
    CERTIFICATES, CertificateRequest, IssuedCertificate, LandmarkRelativeCertificate, MTC_PROFILE,
};
use sbi::problem::{Cause, Problem};
use sbi::response::Response;
use sbi::server::Request;
use uuid::Uuid;

use crate::answers::Answers;
use crate::baseline::BaselineCa;
use crate::enrolment_token::{
    Answer, RequestDigest, Reservation, Reserved, TokenError, TokenVerifier, UsedTokens,
    UsedTokensError,
};
use crate::files::FileError;
use crate::log_opening::Unopened;
use crate::metrics::NrfMetrics;
use crate::mtca::{Issuance, Mtca, MtcaError, validity};

/// Seconds after which a request that met an overloaded or unwitnessed log may be repeated.
const RETRY_ISSUANCE: u32 = 1;
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"nnrf-cm\", error=\"invalid_token\"");
/// Longest wait that `Retry-After` asks for before the next look at a landmark, in seconds.
const LONGEST_LANDMARK_WAIT: u64 = 60;

/// The service.
pub struct Enrolment {
    /// Issues Merkle Tree Certificates, if the issuance log could be opened.
    pub mtca: Result<Arc<Mtca>, Unopened>,
    /// Issue X.509 certificates, one a profile.
    pub baselines: Vec<BaselineCa>,
    /// Checks tokens.
    pub tokens: TokenVerifier,
    /// Remembers tokens.
    pub used: UsedTokens,
    /// Remembers the X.509 certificates that tokens were used for.
    pub answers: Answers,
    /// Country of subjects.
    pub country: String,
    /// Organisation of subjects: the home domain.
    pub organization: String,
    /// The NRF's clock.
    pub clock: Clock,
    /// How long after its end a certificate may be renewed.
    pub renew_expired: Duration,
    /// Lifetime of X.509 certificates.
    pub lifetime: Duration,
    /// Where requests are counted.
    pub metrics: NrfMetrics,
}

/// Who is to be certified, and the token that says so, if one does.
struct Applicant {
    instance_id: Uuid,
    nf_types: Vec<String>,
    fqdns: Vec<String>,
    reservation: Option<Reservation>,
    /// The certificate that was issued for the same request before, and the token's `jti`.
    again: Option<(Answer, Uuid)>,
    /// Whether this is known by a certificate that has expired.
    has_expired: bool,
}

impl From<&NfIdentity> for Applicant {
    fn from(identity: &NfIdentity) -> Self {
        let NfIdentity {
            instance_id,
            nf_types,
            fqdns,
            not_after: _,
        } = identity.clone();
        Self {
            instance_id,
            nf_types,
            fqdns,
            reservation: None,
            again: None,
            has_expired: false,
        }
    }
}

impl Enrolment {
    /// Answers a request whose path is `/nnrf-cm/v1/` and `segments`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &Request, segments: &[&str]) -> Result<Response, Problem> {
        match (&request.method, segments) {
            (&Method::POST, ["certificates"]) => self.issue(request).await,
            (_, ["certificates"]) => Err(Problem::method_not_allowed("POST")),
            (&Method::GET, ["certificates", id, "landmark-relative"]) => {
                require_identity(request)?;
                self.landmark_relative(id).await
            }
            (&Method::GET, ["certificates", id]) => {
                require_identity(request)?;
                self.retrieve(id).await
            }
            (_, ["certificates", _]) => Err(Problem::method_not_allowed("GET")),
            (_, ["certificates", _, "landmark-relative"]) => {
                Err(Problem::method_not_allowed("GET"))
            }
            (_, ["certificates", _, ..]) => Err(Problem::resource_uri_structure_not_found()),
            _ => Err(Problem::not_found("nnrf-cm has no such resource")),
        }
    }

    async fn issue(&self, request: &Request) -> Result<Response, Problem> {
        let applicant = self.applicant(request)?;
        if let Some((answer, jti)) = applicant.again {
            let issued = self.issued_before(answer, jti).await?;
            tracing::info!(
                nf_instance_id = %applicant.instance_id,
                certificate = issued.certificate_id,
                "answered a repeated request with the same certificate"
            );
            return created(&issued);
        }
        let body: CertificateRequest = serde_json::from_slice(&request.body).map_err(|error| {
            Problem::invalid_msg_format(format!("not a certificate request: {error}"))
        })?;
        if applicant.has_expired && body.profile != MTC_PROFILE {
            return Err(expired(
                "an expired certificate can be renewed under profile mtc only",
            ));
        }
        let csr = STANDARD.decode(&body.csr).map_err(|_| {
            Problem::mandatory_ie_incorrect("/csr", "not base64 of a PKCS#10 request")
        })?;
        let csr = Csr::parse_and_verify(&csr)
            .map_err(|error| Problem::mandatory_ie_incorrect("/csr", Causes(&error).to_string()))?;
        check_names(&csr, &applicant)?;
        let issued = self.certify(&body.profile, &csr, &applicant).await?;
        if let Some(reservation) = applicant.reservation {
            let (answers, issued) = (self.answers.clone(), issued.clone());
            let record = move || record(reservation, &answers, &issued);
            let recorded = tokio::task::spawn_blocking(record).await;
            if let Ok(Err(error)) = &recorded {
                tracing::error!(error = %Causes(error), "cannot record the use of a token, so the request is not answered");
            }
            recorded
                .ok()
                .and_then(Result::ok)
                .ok_or_else(Problem::system_failure)?;
        }
        tracing::info!(
            nf_instance_id = %applicant.instance_id,
            profile = body.profile,
            certificate = issued.certificate_id,
            "issued a certificate"
        );
        created(&issued)
    }

    /// The certificate with which a request was answered before.
    async fn issued_before(&self, answer: Answer, jti: Uuid) -> Result<IssuedCertificate, Problem> {
        let found = match answer {
            Answer::Serial(serial) => match self.mtca()?.standalone(serial).await {
                Ok(issuance) => Some(issued_mtc(&issuance)),
                Err(MtcaError::Unknown(_)) => None,
                Err(error) => return Err(issuance_problem(error)),
            },
            Answer::Kept => {
                let (answers, now) = (self.answers.clone(), self.clock.now());
                let found = tokio::task::spawn_blocking(move || answers.find(jti, now)).await;
                let found = found.map_err(|_| Problem::system_failure())?;
                found.map_err(|error| {
                    tracing::error!(error = %Causes(&error), "cannot answer a repeated request");
                    Problem::system_failure()
                })?
            }
        };
        found.ok_or_else(|| {
            Problem::with_cause(
                StatusCode::FORBIDDEN,
                Cause::EnrolmentTokenUsed,
                "the enrolment token was used for a certificate that has expired; mtc5g token mints a new one",
            )
        })
    }
}

/// Why the use of a token was not recorded.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    /// The answer could not be kept.
    #[error(transparent)]
    Answer(#[from] FileError),
    /// The record of used tokens could not be written.
    #[error(transparent)]
    Token(#[from] UsedTokensError),
}

/// Records what a token was used for, so that the answer can be repeated. Blocks on the disk.
fn record(
    reservation: Reservation,
    answers: &Answers,
    issued: &IssuedCertificate,
) -> Result<(), RecordError> {
    let answer = match (&issued.landmark_relative, issued.certificate_id.parse()) {
        (Some(_), Ok(serial)) => Answer::Serial(serial),
        _ => {
            answers.keep(reservation.jti(), issued)?;
            Answer::Kept
        }
    };
    Ok(reservation.consume(answer)?)
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

/// What makes two requests the same: CSR and profile; whatever else is in a body that is no request.
fn digest_of(body: &[u8]) -> RequestDigest {
    let mut context = Context::new(&SHA256);
    match serde_json::from_slice::<CertificateRequest>(body) {
        Ok(CertificateRequest { csr, profile }) => {
            context.update(profile.as_bytes());
            context.update(&[0]);
            context.update(csr.as_bytes());
        }
        Err(_) => context.update(body),
    }
    let mut digest = RequestDigest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

impl Enrolment {
    /// Issues under a profile.
    ///
    /// # Errors
    /// The problem to answer with.
    async fn certify(
        &self,
        profile: &str,
        csr: &Csr,
        applicant: &Applicant,
    ) -> Result<IssuedCertificate, Problem> {
        let subject = NfSubject::new(
            &self.country,
            &self.organization,
            applicant.instance_id,
            &applicant.nf_types,
            &applicant.fqdns,
        )
        .map_err(|error| {
            Problem::new(
                StatusCode::FORBIDDEN,
                format!("this NF cannot be certified: {error}"),
            )
        })?;
        self.certify_subject(profile, csr, &subject).await
    }

    /// Issues under a profile for a subject that is entitled to it.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn certify_subject(
        &self,
        profile: &str,
        csr: &Csr,
        subject: &NfSubject,
    ) -> Result<IssuedCertificate, Problem> {
        if profile == MTC_PROFILE {
            let issuance = self
                .mtca()?
                .issue(subject, &csr.spki_der)
                .await
                .map_err(issuance_problem)?;
            self.metrics.issued(MTC_PROFILE);
            return Ok(issued_mtc(&issuance));
        }
        let baseline = match profile.parse() {
            Ok(TrustDomain::X509(wanted)) => self
                .baselines
                .iter()
                .find(|baseline| baseline.profile() == wanted),
            _ => None,
        };
        let baseline = baseline.ok_or_else(|| {
            let known = self
                .baselines
                .iter()
                .map(|baseline| TrustDomain::X509(baseline.profile()).to_string());
            let known: Vec<_> = std::iter::once(MTC_PROFILE.to_owned())
                .chain(known)
                .collect();
            Problem::mandatory_ie_incorrect(
                "/profile",
                format!("{profile:?} is not one of {}", known.join(", ")),
            )
        })?;
        let (not_before, not_after) = validity(self.clock, self.lifetime);
        let chain = baseline
            .issue(&csr.spki_der, subject, not_before, not_after)
            .map_err(|error| {
                tracing::error!(error = %Causes(&error), "X.509 issuance failed");
                Problem::system_failure()
            })?;
        self.metrics
            .issued(&TrustDomain::X509(baseline.profile()).to_string());
        Ok(IssuedCertificate {
            certificate_id: Uuid::new_v4().to_string(),
            profile: profile.to_owned(),
            chain: chain
                .iter()
                .map(|certificate| STANDARD.encode(certificate))
                .collect(),
            not_after: not_after.0,
            landmark_relative: None,
        })
    }

    /// Answers with an issued MTC.
    async fn retrieve(&self, id: &str) -> Result<Response, Problem> {
        let issuance = self
            .mtca()?
            .standalone(serial(id)?)
            .await
            .map_err(issuance_problem)?;
        Ok(Response::json(StatusCode::OK, &issued_mtc(&issuance)))
    }

    /// Answers with the landmark-relative certificate of an issued one, or `202`.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn landmark_relative(&self, id: &str) -> Result<Response, Problem> {
        let (serial, mtca) = (serial(id)?, self.mtca()?);
        match mtca
            .landmark_relative(serial)
            .await
            .map_err(issuance_problem)?
        {
            Some(ready) => Ok(Response::json(
                StatusCode::OK,
                &LandmarkRelativeCertificate {
                    certificate: STANDARD.encode(ready.certificate),
                    log_number: mtca.log().number().get().into(),
                    landmark: ready.landmark.number,
                },
            )),
            None => {
                let wait = mtca.until_next_landmark().await.map_err(issuance_problem)?;
                let wait = wait.as_secs().clamp(1, LONGEST_LANDMARK_WAIT);
                Ok(
                    Response::empty(StatusCode::ACCEPTED)
                        .with(RETRY_AFTER, HeaderValue::from(wait)),
                )
            }
        }
    }

    /// What issues Merkle Tree Certificates.
    ///
    /// # Errors
    /// `503`: only a restart opens the log, so there is no time after which to ask again.
    fn mtca(&self) -> Result<&Arc<Mtca>, Problem> {
        self.mtca.as_ref().map_err(|unopened| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("no Merkle Tree Certificate can be issued or read: {unopened}"),
            )
        })
    }

    /// Who asks: by token, or by the connection's certificate.
    fn applicant(&self, request: &Request) -> Result<Applicant, Problem> {
        let Some(authorization) = request.headers.get(AUTHORIZATION) else {
            return match &request.peer.expired {
                Some(identity) => self.expired_applicant(identity),
                None => require_identity(request).map(Applicant::from),
            };
        };
        let unauthorized = |detail: String| {
            Problem::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, CHALLENGE)
        };
        let token = authorization
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| unauthorized("Authorization is not a Bearer token".to_owned()))?;
        let refused = |error| unauthorized(Causes(&error).to_string());
        let verified = self.tokens.verify(token.trim(), self.clock.now());
        let metrics = &self.metrics;
        let claims = verified
            .inspect_err(|error| metrics.checked_token(error.check()))
            .map_err(refused)?;
        let reserved = self
            .used
            .reserve(&claims, digest_of(&request.body))
            .inspect_err(|error| metrics.checked_token(error.check()))
            .map_err(|error| {
                let detail = Causes(&error).to_string();
                if let TokenError::InUse(_) = error {
                    return Problem::unavailable(Cause::NfCongestion, detail, RETRY_ISSUANCE);
                }
                Problem::with_cause(StatusCode::FORBIDDEN, Cause::EnrolmentTokenUsed, detail)
            })?;
        let (reservation, again) = match reserved {
            Reserved::New(reservation) => (Some(reservation), None),
            Reserved::Again(answer) => (None, Some((answer, claims.jti))),
        };
        metrics.checked_token(if again.is_some() { "repeated" } else { "ok" });
        Ok(Applicant {
            instance_id: claims.sub,
            nf_types: vec![claims.nf_type],
            fqdns: claims.fqdn,
            reservation,
            again,
            has_expired: false,
        })
    }

    /// Who asks for a renewal with a certificate that had expired at the handshake, if that was not too long ago: the
    /// connection may be older than the request.
    fn expired_applicant(&self, identity: &NfIdentity) -> Result<Applicant, Problem> {
        let (now, not_after) = (self.clock.now(), UnixTime(identity.not_after));
        let allowed = now <= not_after.plus(self.renew_expired);
        self.metrics.renewed_expired(allowed);
        let ago = now.0.saturating_sub(not_after.0);
        tracing::warn!(
            nf_instance_id = %identity.instance_id,
            %not_after,
            allowed,
            "asked to renew a certificate that expired {ago} s ago"
        );
        if !allowed {
            return Err(expired(&format!(
                "the certificate expired {ago} s ago, and can be renewed for {} s only: enrol with a new token (mtc5g token)",
                self.renew_expired.as_secs()
            )));
        }
        Ok(Applicant {
            has_expired: true,
            ..Applicant::from(identity)
        })
    }
}

fn expired(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

fn serial(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| {
        Problem::not_found(format!("{id:?} is not the id of a Merkle Tree Certificate"))
    })
}

fn issued_mtc(issuance: &Issuance) -> IssuedCertificate {
    let certificate_id = issuance.serial.to_string();
    IssuedCertificate {
        landmark_relative: Some(format!("{CERTIFICATES}/{certificate_id}/landmark-relative")),
        certificate_id,
        profile: MTC_PROFILE.to_owned(),
        chain: vec![STANDARD.encode(&issuance.certificate)],
        not_after: issuance.not_after.0,
    }
}

/// The identity of the client certificate, without which nothing but enrolment with a token is served.
///
/// # Errors
/// `401`.
pub fn require_identity(request: &Request) -> Result<&NfIdentity, Problem> {
    request.peer.identity.as_ref().ok_or_else(|| {
        let detail = if request.peer.expired.is_some() {
            "the client certificate has expired; it can be used for its renewal only"
        } else {
            "a client certificate is required; without one, only enrolment with a token is served"
        };
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    })
}

/// The CSR may name the applicant, and nobody else.
fn check_names(csr: &Csr, applicant: &Applicant) -> Result<(), Problem> {
    if let Some(instance) = csr
        .instance_id
        .filter(|instance| *instance != applicant.instance_id)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "the CSR is for NF instance {instance}, the token or certificate for {}",
                applicant.instance_id
            ),
        ));
    }
    match csr
        .fqdns
        .iter()
        .find(|fqdn| !applicant.fqdns.contains(fqdn))
    {
        Some(fqdn) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "the CSR asks for {fqdn}, the token or certificate allows {}",
                applicant.fqdns.join(", ")
            ),
        )),
        None => Ok(()),
    }
}

/// What a failed issuance is at the SBI.
fn issuance_problem(error: MtcaError) -> Problem {
    let detail = Causes(&error).to_string();
    match &error {
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
        let problem = issuance_problem(MtcaError::Issue(IssueError::Stopped));
        let response = problem.into_response();
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers.contains_key("retry-after"));
    }
}
