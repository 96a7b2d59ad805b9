//! The NRF's own certificates: from its own MTCA and baselines, by the way that everybody's take, without the network.

use std::sync::Arc;

use mtc_tls::csr::Csr;
use mtc_tls::identity::NfSubject;
use sbi::credentials::{CertificateSource, ObtainError};
use sbi::enrolment::{EnrolmentError, IssuedCertificate, LandmarkAnswer};
use sbi::problem::Problem;

use crate::enrolment::{Enrolment, Refusal};
use crate::mtca::MtcaError;

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
        let issued = self.enrolment.certify(profile, &csr, &self.subject).await;
        issued.map_err(|error| failed(refusal(error)))
    }

    async fn landmark_relative(&self, path: &str) -> Result<LandmarkAnswer, ObtainError> {
        let failed = |source| ObtainError::Enrolment {
            profile: "landmark-relative".to_owned(),
            source,
        };
        let serial = path.rsplit('/').nth(1).and_then(|id| id.parse().ok());
        let serial =
            serial.ok_or_else(|| failed(EnrolmentError::Answer("its own path has no id")))?;
        match self.enrolment.landmark_relative(serial).await {
            Err(Refusal::Mtca(MtcaError::Retired(_))) => Ok(LandmarkAnswer::Never),
            answered => answered.map_err(|error| failed(refusal(error))),
        }
    }
}

fn refusal(refusal: Refusal) -> EnrolmentError {
    let Problem {
        status, details, ..
    } = Problem::from(refusal);
    EnrolmentError::Refused { status, details }
}
