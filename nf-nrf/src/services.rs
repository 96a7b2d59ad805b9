//! The NRF's SBI: which of its services answers a request, and the counters of TS 28.552.

use std::sync::Arc;
use std::time::Instant;

use hyper::{Method, StatusCode};
use sbi::nnrf::TOKEN_PATH;
use sbi::operation::ServiceOperation;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, MAX_BODY, Request};

use crate::access_token::AccessTokenService;
use crate::bootstrapping::Bootstrapping;
use crate::certificate_management::CertificateManagement;
use crate::discovery::Discovery;
use crate::enrolment::Enrolment;
use crate::management::Management;
use crate::offload::Offload;
use crate::openapi::OpenApi;
use crate::subscribing::Subscribing;

/// Where anybody may send something, with a token instead of a certificate.
const ENROLMENT: &str = "/nnrf-cm/";
/// Octets of a request for an access token: a dozen short fields.
const MAX_TOKEN_REQUEST: usize = 16 * 1024;
/// Octets of a certificate request: a CSR with a key and signature of ML-DSA-87 is 10 kB as PEM, and a token as long as it may
/// be 8 kB.
const MAX_CERTIFICATE_REQUEST: usize = 32 * 1024;

const SERVICES: [&str; 3] = ["nnrf-nfm/v1", "nnrf-disc/v1", "nnrf-cm/v1"];

/// Answers on the NRF's SBI port.
pub struct Services {
    /// `nnrf-nfm`.
    management: Arc<Management>,
    /// The subscriptions of `nnrf-nfm`.
    subscribing: Arc<Subscribing>,
    /// `nnrf-disc`.
    discovery: Arc<Discovery>,
    /// `nnrf-oauth2`, if this NRF issues access tokens.
    access_token: Option<Arc<AccessTokenService>>,
    bootstrapping: Bootstrapping,
    openapi: OpenApi,
    offload: Offload,
    /// `nnrf-cm`, in whose metrics requests are counted.
    certificates: CertificateManagement,
}

impl Services {
    /// No requests yet.
    pub fn new(
        management: Management,
        subscribing: Subscribing,
        discovery: Discovery,
        bootstrapping: Bootstrapping,
        enrolment: Arc<Enrolment>,
    ) -> Self {
        Self {
            management: Arc::new(management),
            subscribing: Arc::new(subscribing),
            discovery: Arc::new(discovery),
            access_token: None,
            bootstrapping,
            openapi: OpenApi::default(),
            offload: Offload::default(),
            certificates: CertificateManagement { enrolment },
        }
    }

    /// Issues access tokens too.
    #[must_use]
    pub fn with_access_tokens(self, service: AccessTokenService) -> Self {
        Self {
            access_token: Some(Arc::new(service)),
            ..self
        }
    }
}

impl Handler for Services {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let path = request.segments()?;
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["nnrf-cm", "v1", rest @ ..] => self.certificates.handle(&request, rest).await,
            ["nnrf-nfm", "v1", "subscriptions", ..] => {
                let subscribing = self.subscribing.clone();
                self.offload
                    .run(move || subscribing.handle(&request, &below(&path)[1..]))
                    .await
            }
            ["nnrf-nfm", "v1", ..] => {
                let management = self.management.clone();
                self.offload
                    .run(move || management.handle(&request, &below(&path), Instant::now()))
                    .await
            }
            ["oauth2", "token"] => {
                let Some(service) = self.access_token.clone() else {
                    return Err(Problem::not_found("this NRF issues no access tokens"));
                };
                self.offload.run(move || service.handle(&request)).await
            }
            ["nnrf-disc", "v1", ..] => {
                let (discovery, segments) = (&self.discovery, below(&path));
                discovery.handle(&request, &segments, &self.offload).await
            }
            ["bootstrapping"] => self.bootstrapping.handle(&request),
            ["openapi.json"] => self.openapi.handle(&request),
            _ => Err(Problem::invalid_api(&SERVICES)),
        }
    }

    fn answered(&self, operation: ServiceOperation, status: Option<StatusCode>) {
        self.certificates
            .enrolment
            .metrics
            .answered(operation, status);
    }

    fn max_body(&self, _method: &Method, path: &str) -> usize {
        if path.starts_with(ENROLMENT) {
            MAX_CERTIFICATE_REQUEST
        } else if path == TOKEN_PATH {
            MAX_TOKEN_REQUEST
        } else {
            MAX_BODY
        }
    }
}

/// The segments after API name and version.
fn below(path: &[String]) -> Vec<&str> {
    path.iter().skip(2).map(String::as_str).collect()
}
