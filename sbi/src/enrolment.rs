//! `nnrf-cm/v1`, the NRF's certificate management (this project's service beside the 3GPP ones), and its consumer.
//!
//! ```text
//! POST /nnrf-cm/v1/certificates                               CertificateRequest    201 IssuedCertificate
//!      Authorization: Bearer <enrolment token>, or the current certificate by mutual TLS
//! GET  /nnrf-cm/v1/certificates/<id>                          200 IssuedCertificate; MTC only, until it expires
//! GET  /nnrf-cm/v1/certificates/<id>/landmark-relative        200 LandmarkRelativeCertificate
//!                                                             202 + Retry-After until its landmark exists
//!                                                             410 if it never will: the log has been retired
//! ```
//!
//! Binary fields are standard base64 of DER.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, RETRY_AFTER};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::id::LandmarkNumber;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{ClientError, Connection, Request};
use crate::problem::{Cause, ProblemDetails};
use crate::response::Response;

/// Where certificates are requested.
pub const CERTIFICATES: &str = "/nnrf-cm/v1/certificates";
/// Asks for a Merkle Tree Certificate; any other profile is `x509-` and the name of a baseline.
pub const MTC_PROFILE: &str = "mtc";

/// How long issuance may take: a batch, its witnesses, and their retries.
const ISSUANCE_TIMEOUT: Duration = Duration::from_secs(20);
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// What is assumed where an answer 202 lacks `Retry-After`.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// Asks for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateRequest {
    /// A PKCS#10 request: base64 of its DER.
    pub csr: String,
    /// [`MTC_PROFILE`], or a trust domain such as `x509-ml-dsa-65-intermediate`.
    pub profile: String,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCertificate {
    /// Names the certificate in this service: its serial number, decimal.
    pub certificate_id: String,
    /// The profile that was asked for.
    pub profile: String,
    /// The chain, leaf first, without the root: base64 of DER each.
    pub chain: Vec<String>,
    /// Last second of the leaf's validity, Unix time.
    pub not_after: u64,
    /// Where the landmark-relative certificate of the same entry will be; MTC only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landmark_relative: Option<String>,
}

impl IssuedCertificate {
    /// The chain as DER.
    ///
    /// # Errors
    /// [`EnrolmentError::Answer`]
    pub fn chain_der(&self) -> Result<Vec<Vec<u8>>, EnrolmentError> {
        if self.chain.is_empty() {
            return Err(EnrolmentError::Answer("the chain is empty"));
        }
        self.chain
            .iter()
            .map(|certificate| decode(certificate))
            .collect()
    }
}

/// A landmark-relative certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LandmarkRelativeCertificate {
    /// Base64 of DER.
    pub certificate: String,
    /// The log that holds its entry.
    pub log_number: u64,
    /// The landmark that a relying party must know.
    pub landmark: LandmarkNumber,
}

impl LandmarkRelativeCertificate {
    /// The certificate as DER.
    ///
    /// # Errors
    /// [`EnrolmentError::Answer`]
    pub fn der(&self) -> Result<Vec<u8>, EnrolmentError> {
        decode(&self.certificate)
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The NRF refused; asking again with the same request is useless unless its status says otherwise.
    #[error("the NRF refused ({status}): {details}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The reason.
        details: Box<ProblemDetails>,
    },
    /// No answer.
    #[error("no answer from the NRF")]
    Client(#[source] ClientError),
    /// The token is not one that fits a header.
    #[error("the enrolment token is not a JWT: it contains characters that a JWT cannot have")]
    Token,
    /// The answer cannot be used.
    #[error("the NRF's answer cannot be used: {0}")]
    Answer(&'static str),
}

impl EnrolmentError {
    /// Whether the token was used before.
    pub fn token_is_used(&self) -> bool {
        let used = Cause::EnrolmentTokenUsed.as_str();
        matches!(self, Self::Refused { details, .. } if details.cause.as_deref() == Some(used))
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Client(_) => true,
            Self::Token | Self::Answer(_) => false,
        }
    }
}

impl From<ClientError> for EnrolmentError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Status { status, details } => Self::Refused { status, details },
            other => Self::Client(other),
        }
    }
}

/// Asks for a certificate, with a token or on the strength of the connection's certificate.
///
/// Dropping the future abandons the answer; the certificate may be issued all the same.
///
/// # Errors
/// See [`EnrolmentError`].
pub async fn request_certificate(
    connection: &Connection,
    authority: &str,
    csr: &[u8],
    profile: &str,
    token: Option<&str>,
) -> Result<IssuedCertificate, EnrolmentError> {
    let body = CertificateRequest {
        csr: STANDARD.encode(csr),
        profile: profile.to_owned(),
    };
    let mut request = Request::new(Method::POST, authority, CERTIFICATES).json(&body);
    if let Some(token) = token {
        let bearer = Zeroizing::new(format!("Bearer {token}"));
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| EnrolmentError::Token)?;
        // Neither printed nor kept in HPACK's table.
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
    }
    let response = connection.call(request, ISSUANCE_TIMEOUT).await?;
    response
        .read_json()
        .map_err(|_| EnrolmentError::Answer("not an issued certificate"))
}

/// A landmark-relative certificate, or when to ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandmarkAnswer {
    /// It exists.
    Ready(LandmarkRelativeCertificate),
    /// Its landmark does not exist yet.
    RetryAfter(Duration),
    /// There will be none: its log has been retired.
    Never,
}

impl LandmarkAnswer {
    /// What a successful answer says.
    ///
    /// # Errors
    /// [`EnrolmentError::Answer`]
    pub fn read(response: &Response) -> Result<Self, EnrolmentError> {
        if response.status != StatusCode::ACCEPTED {
            let certificate = response.read_json();
            return certificate
                .map(Self::Ready)
                .map_err(|_| EnrolmentError::Answer("not a landmark-relative certificate"));
        }
        let seconds = response
            .header(&RETRY_AFTER)
            .and_then(|value| value.parse().ok());
        let wait = seconds.map_or(DEFAULT_RETRY, Duration::from_secs);
        Ok(Self::RetryAfter(
            wait.clamp(Duration::from_millis(100), LONGEST_RETRY),
        ))
    }
}

/// Asks for the landmark-relative certificate of an issued one. `path` is [`IssuedCertificate::landmark_relative`].
///
/// Dropping the future loses nothing.
///
/// # Errors
/// See [`EnrolmentError`].
pub async fn landmark_relative(
    connection: &Connection,
    authority: &str,
    path: &str,
) -> Result<LandmarkAnswer, EnrolmentError> {
    let request = Request::new(Method::GET, authority, path);
    let response = match connection.call(request, READ_TIMEOUT).await {
        Err(ClientError::Status { status, .. }) if status == StatusCode::GONE => {
            return Ok(LandmarkAnswer::Never);
        }
        answered => answered?,
    };
    LandmarkAnswer::read(&response)
}

fn decode(text: &str) -> Result<Vec<u8>, EnrolmentError> {
    STANDARD
        .decode(text)
        .map_err(|_| EnrolmentError::Answer("a certificate is not base64"))
}
