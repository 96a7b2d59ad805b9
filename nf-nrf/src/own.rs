//! The NRF's own certificates: from its own MTCA and baselines, by the way that everybody's take, without the network.

use std::sync::Arc;

use hyper::StatusCode;
use mtc_tls::csr::Csr;
use mtc_tls::identity::NfSubject;
use sbi::credentials::{CertificateSource, ObtainError};
use sbi::enrolment::{EnrolmentError, IssuedCertificate, LandmarkAnswer};
use sbi::problem::Problem;
use sbi::response::Response;

use crate::enrolment::Enrolment;

/// The NRF's enrolment service as a source of certificates for one subject, the NRF.
pub(crate) struct OwnSource {
    /// The service.
    pub(crate) enrolment: Arc<Enrolment>,
    /// The NRF.
    pub(crate) subject: NfSubject,
}

impl CertificateSource for OwnSource {
    async fn request(&self, csr: &[u8], profile: &str) -> Result<IssuedCertificate, ObtainError> {
        let failed = |source| ObtainError::Enrolment {
            profile: profile.to_owned(),
            source,
        };
        let csr = Csr::parse_and_verify(csr)
            .map_err(|_| failed(EnrolmentError::Answer("its own request is not one")))?;
        let issued = self
            .enrolment
            .certify_subject(profile, &csr, &self.subject)
            .await;
        issued.map_err(|problem| failed(refusal(problem)))
    }

    async fn landmark_relative(&self, path: &str) -> Result<LandmarkAnswer, ObtainError> {
        let failed = |source| ObtainError::Enrolment {
            profile: "landmark-relative".to_owned(),
            source,
        };
        let id = path.rsplit('/').nth(1).unwrap_or_default();
        let answered = self.enrolment.landmark_relative(id).await;
        let response = match answered.map_err(refusal) {
            Err(EnrolmentError::Refused { status, .. }) if status == StatusCode::GONE => {
                return Ok(LandmarkAnswer::Never);
            }
            answered => answered.map_err(failed)?,
        };
        LandmarkAnswer::read(&response).map_err(failed)
    }
}

fn refusal(problem: Problem) -> EnrolmentError {
    let Response { status, body, .. } = problem.into_response();
    let details = sbi::problem::ProblemDetails::from_body(&body).unwrap_or_default();
    EnrolmentError::Refused {
        status,
        details: Box::new(details),
    }
}
