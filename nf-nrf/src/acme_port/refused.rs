//! Why a request is not granted what it asks for, as ACME says it: problem documents (RFC 8555 section 6.7).

use acme::{Algorithm, BindingError, ErrorKind, Identifier, RequestError};
use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};
use hyper::http::HeaderValue;
use mtc_core::causes::Causes;
use mtc_log::IssueError;
use mtc_tls::csr::CsrError;
use sbi::response::{PROBLEM_JSON, Response};
use serde_json::{Value, json};

use super::accounts::AccountsError;
use super::nonces::NonceError;
use crate::enrolment::Refusal;
use crate::enrolment_token::TokenError;
use crate::mtca::MtcaError;
use crate::revoked::RevokedError;

/// Seconds after which what failed for now may be tried again.
const RETRY: u32 = 1;

/// An error, and the text beside it, which is for whoever runs the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) kind: ErrorKind,
    pub(super) detail: String,
    /// If it is not the error's own.
    status: Option<StatusCode>,
    /// Which names are at fault.
    identifiers: Vec<Identifier>,
    /// Seconds.
    retry_after: Option<u32>,
    location: Option<String>,
}

impl Refused {
    pub(super) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            status: None,
            identifiers: Vec::new(),
            retry_after: None,
            location: None,
        }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self {
            status: Some(StatusCode::NOT_FOUND),
            ..Self::malformed(detail)
        }
    }

    /// The NRF failed, or is too busy: it may be tried again.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(RETRY),
            ..Self::new(ErrorKind::ServerInternal, detail)
        }
    }

    /// Too many, for so many seconds.
    pub(super) fn limited(detail: impl Into<String>, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(ErrorKind::RateLimited, detail)
        }
    }

    /// The key is that of another account, at this URL (section 7.3.5).
    pub(super) fn key_in_use(location: String) -> Self {
        Self {
            status: Some(StatusCode::CONFLICT),
            location: Some(location),
            ..Self::malformed("the new key is another account's")
        }
    }

    /// With the names at fault, each in a subproblem (section 6.7.1).
    pub(super) fn with_identifiers(self, identifiers: Vec<Identifier>) -> Self {
        Self {
            identifiers,
            ..self
        }
    }

    /// The problem document.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({"type": self.kind.urn(), "detail": self.detail, "status": self.status().as_u16()});
        if self.kind == ErrorKind::BadSignatureAlgorithm {
            document["algorithms"] = json!(Algorithm::names().collect::<Vec<_>>());
        }
        if !self.identifiers.is_empty() {
            let problem = |identifier: &Identifier| {
                let detail = format!("{} is not among the account's names", identifier.value);
                json!({"type": self.kind.urn(), "detail": detail, "identifier": identifier})
            };
            let problems: Vec<_> = self.identifiers.iter().map(problem).collect();
            document["subproblems"] = json!(problems);
        }
        document
    }

    fn status(&self) -> StatusCode {
        let usual = || StatusCode::from_u16(self.kind.status());
        self.status
            .or_else(|| usual().ok())
            .unwrap_or(StatusCode::BAD_REQUEST)
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::json_as(self.status(), PROBLEM_JSON, &self.document());
        if let Some(seconds) = self.retry_after {
            response = response.with(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let location = self.location.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(location)) = location {
            response = response.with(LOCATION, location);
        }
        response
    }
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        let kind = match error {
            RequestError::Algorithm(_) => ErrorKind::BadSignatureAlgorithm,
            RequestError::Key(_) => ErrorKind::BadPublicKey,
            RequestError::Signature => ErrorKind::Unauthorized,
            _ => ErrorKind::Malformed,
        };
        Self::new(kind, Causes(&error).to_string())
    }
}

impl From<BindingError> for Refused {
    fn from(error: BindingError) -> Self {
        let kind = match error {
            BindingError::Mac | BindingError::Url | BindingError::OtherKey => {
                ErrorKind::Unauthorized
            }
            BindingError::Algorithm(_) => ErrorKind::BadSignatureAlgorithm,
            BindingError::Key(_) => ErrorKind::BadPublicKey,
            _ => ErrorKind::Malformed,
        };
        Self::new(kind, Causes(&error).to_string())
    }
}

impl From<NonceError> for Refused {
    fn from(error: NonceError) -> Self {
        Self::new(ErrorKind::BadNonce, error.to_string())
    }
}

impl From<CsrError> for Refused {
    fn from(error: CsrError) -> Self {
        Self::new(ErrorKind::BadCsr, Causes(&error).to_string())
    }
}

impl From<AccountsError> for Refused {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Bound => Self::new(ErrorKind::Unauthorized, error.to_string()),
            AccountsError::Unknown => Self::new(ErrorKind::AccountDoesNotExist, error.to_string()),
            // Whoever makes requests with one key at a time does not come here.
            AccountsError::KeyInUse => Self::malformed(error.to_string()),
            AccountsError::File(_) | AccountsError::Ending(_) => {
                tracing::error!(error = %Causes(&error), "cannot keep an ACME account");
                Self::internal("the NRF failed; its log says why")
            }
        }
    }
}

impl From<RevokedError> for Refused {
    fn from(error: RevokedError) -> Self {
        match error {
            RevokedError::Already => Self::new(ErrorKind::AlreadyRevoked, error.to_string()),
            RevokedError::Certificate(_) => Self::malformed(Causes(&error).to_string()),
            _ => {
                tracing::error!(error = %Causes(&error), "cannot record a revocation");
                Self::internal("the NRF failed; its log says why")
            }
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let detail = Causes(&refusal).to_string();
        let kind = match refusal {
            Refusal::Token(TokenError::TooLong(_) | TokenError::Malformed(_)) => {
                ErrorKind::Malformed
            }
            Refusal::Token(_) | Refusal::Subject(_) => ErrorKind::Unauthorized,
            Refusal::Excess(_) => ErrorKind::BadCsr,
            Refusal::Profile { .. } => ErrorKind::InvalidProfile,
            Refusal::Mtca(error) => return of_mtca(&error, detail),
            Refusal::Unopened(_) => return Self::internal(detail),
            _ => return Self::internal(detail),
        };
        Self::new(kind, detail)
    }
}

/// What a failed issuance is, or a look at what was issued.
fn of_mtca(error: &MtcaError, detail: String) -> Refused {
    match error {
        MtcaError::Issue(
            IssueError::Overloaded
            | IssueError::WitnessUnavailable { .. }
            | IssueError::Refused(_)
            | IssueError::Stopped,
        )
        | MtcaError::Ending(_) => {
            Refused::internal(format!("no certificate can be issued now: {detail}"))
        }
        MtcaError::Unknown(_) | MtcaError::Retired(_) => Refused::not_found(detail),
        _ => {
            tracing::error!(error = detail, "issuance failed");
            Refused::internal("the NRF failed; its log says why")
        }
    }
}
