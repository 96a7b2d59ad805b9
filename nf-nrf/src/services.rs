//! The NRF's SBI: which of its services answers a request, and the counters of TS 28.552.

use std::sync::Arc;
use std::time::Instant;

use hyper::{Method, StatusCode};
use sbi::operation::ServiceOperation;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, MAX_BODY, Request};

use crate::discovery::Discovery;
use crate::enrolment::Enrolment;
use crate::management::Management;

/// Where anybody may send something, with a token instead of a certificate.
const ENROLMENT: &str = "/nnrf-cm/";
/// Octets of a certificate request: a CSR with a key and signature of ML-DSA-87 is 10 kB as PEM, and a token as long as it may
/// be 8 kB.
const MAX_CERTIFICATE_REQUEST: usize = 32 * 1024;

const SERVICES: [&str; 3] = ["nnrf-nfm/v1", "nnrf-disc/v1", "nnrf-cm/v1"];

/// Answers on the NRF's SBI port.
pub struct Services {
    /// `nnrf-nfm`.
    pub management: Management,
    /// `nnrf-disc`.
    pub discovery: Discovery,
    /// `nnrf-cm`, in whose metrics requests are counted.
    pub enrolment: Arc<Enrolment>,
}

impl Handler for Services {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["nnrf-cm", "v1", rest @ ..] => self.enrolment.handle(&request, rest).await,
            ["nnrf-nfm", "v1", rest @ ..] => self.management.handle(&request, rest, Instant::now()),
            ["nnrf-disc", "v1", rest @ ..] => self.discovery.handle(&request, rest),
            _ => Err(Problem::invalid_api(&SERVICES)),
        }
    }

    fn answered(&self, operation: ServiceOperation, status: Option<StatusCode>) {
        self.enrolment.mtca.metrics().answered(operation, status);
    }

    fn max_body(&self, _method: &Method, path: &str) -> usize {
        if path.starts_with(ENROLMENT) {
            MAX_CERTIFICATE_REQUEST
        } else {
            MAX_BODY
        }
    }
}
