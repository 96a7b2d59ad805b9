//! What went wrong with a request, and the one mapping from there to an answer (TS 29.571, TS 29.500 clause 5.2.7).
//!
//! A handler returns a [`Problem`]; the server turns it into `application/problem+json` by [`Problem::into_response`].
//! In the other direction [`ProblemDetails::from_body`] reads what a peer answered, leniently: every member is optional,
//! and a peer may send none at all.

use std::fmt;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, RETRY_AFTER};
use hyper::http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::response::{PROBLEM_JSON, Response};

/// Details of an error (RFC 9457 with the members of TS 29.571).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProblemDetails {
    /// URI of the kind of problem.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Text for the kind of problem, usually the status phrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// HTTP status, repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Text for this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// URI of this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The machine-readable cause: a [`Cause`] or a spelling of the peer's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The information elements at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid_params: Vec<InvalidParam>,
    /// API versions that the producer has, as `nnrf-nfm/v1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_api_versions: Vec<String>,
}

impl ProblemDetails {
    /// The details in the body of an error answer: ProblemDetails itself, or the `error` member of the SMF's and AMF's own
    /// error bodies (`SmContextCreateError`, `N1N2MessageTransferError`). `None` if the body is neither.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        let mut value: Value = serde_json::from_slice(body).ok()?;
        if let Some(error) = value.get_mut("error").filter(|error| error.is_object()) {
            value = error.take();
        }
        serde_json::from_value(value).ok()
    }
}

impl fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, &self.detail) {
            (Some(cause), Some(detail)) => write!(f, "{cause}: {detail}")?,
            (Some(only), None) | (None, Some(only)) => f.write_str(only)?,
            (None, None) => f.write_str("no cause")?,
        }
        for InvalidParam { param, reason } in &self.invalid_params {
            write!(f, "; {param}")?;
            if let Some(reason) = reason {
                write!(f, " {reason}")?;
            }
        }
        Ok(())
    }
}

/// One information element at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidParam {
    /// JSON Pointer for a body member, `query <name>`, `header <name>`, or `{name}` for a path variable.
    pub param: String,
    /// The rule it breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl InvalidParam {
    /// The element `param` breaks the rule `reason`.
    pub fn new(param: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            param: param.into(),
            reason: Some(reason.into()),
        }
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])+ $name:ident = $wire:literal,)+) => {
        /// Causes this project answers with, in their wire spelling. What a peer may answer is open: see
        /// [`ProblemDetails::cause`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Cause { $($(#[$doc])+ $name,)+ }

        impl Cause {
            /// The spelling on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)+ }
            }
        }
    };
}

causes! {
    /// 403: the enrolment token has been used. Ours: nnrf-cm is no service of 3GPP.
    EnrolmentTokenUsed = "ENROLMENT_TOKEN_USED",
    /// 400: unparsable JSON or multipart.
    InvalidMsgFormat = "INVALID_MSG_FORMAT",
    /// 400: a mandatory information element is absent.
    MandatoryIeMissing = "MANDATORY_IE_MISSING",
    /// 400: a mandatory information element is wrong.
    MandatoryIeIncorrect = "MANDATORY_IE_INCORRECT",
    /// 400: an optional information element is wrong and cannot be ignored.
    OptionalIeIncorrect = "OPTIONAL_IE_INCORRECT",
    /// 400: a mandatory query parameter is absent.
    MandatoryQueryParamMissing = "MANDATORY_QUERY_PARAM_MISSING",
    /// 400: a mandatory query parameter is wrong.
    MandatoryQueryParamIncorrect = "MANDATORY_QUERY_PARAM_INCORRECT",
    /// 400: an optional query parameter is wrong.
    OptionalQueryParamIncorrect = "OPTIONAL_QUERY_PARAM_INCORRECT",
    /// 400: the query cannot be read.
    InvalidQueryParam = "INVALID_QUERY_PARAM",
    /// 400: unknown apiName or version.
    InvalidApi = "INVALID_API",
    /// 400: anything else wrong with the message.
    UnspecifiedMsgFailure = "UNSPECIFIED_MSG_FAILURE",
    /// 403: a member that must not be changed.
    ModificationNotAllowed = "MODIFICATION_NOT_ALLOWED",
    /// 403: the request disagrees with the client certificate (TS 29.510 names no cause; this one is the project's own).
    CertificateMismatch = "MTC5G_CERTIFICATE_MISMATCH",
    /// 403: the client credentials assertion is missing, or not good.
    CcaVerificationFailure = "CCA_VERIFICATION_FAILURE",
    /// 403: the access token is another NF's than the client credentials assertion.
    TokenCcaMismatch = "TOKEN_CCA_MISMATCH",
    /// 403, from an SCP: the NRF gives the consumer no access token.
    AccessTokenDenied = "ACCESS_TOKEN_DENIED",
    /// 403: the requester may not subscribe to that.
    SubscriptionNotAllowed = "SUBSCRIPTION_NOT_ALLOWED",
    /// 404: there is no such subscription.
    SubscriptionNotFound = "SUBSCRIPTION_NOT_FOUND",
    /// 404: the instance to be told of is not registered.
    NfNotFound = "NF_NOT_FOUND",
    /// 404: a fixed path segment after a variable one is wrong.
    ResourceUriStructureNotFound = "RESOURCE_URI_STRUCTURE_NOT_FOUND",
    /// 404: the UE or SM context is unknown.
    ContextNotFound = "CONTEXT_NOT_FOUND",
    /// 404: the subscriber is unknown.
    UserNotFound = "USER_NOT_FOUND",
    /// 504: the UDM on which an AUSF depends does not do its part (TS 29.509).
    UpstreamServerError = "UPSTREAM_SERVER_ERROR",
    /// 403: the DNN is not served.
    DnnNotSupported = "DNN_NOT_SUPPORTED",
    /// 403: the slice is not served.
    SnssaiDenied = "SNSSAI_DENIED",
    /// 403: the subscription does not allow the session.
    SubscriptionDenied = "SUBSCRIPTION_DENIED",
    /// 503: overload of the whole NF.
    NfCongestion = "NF_CONGESTION",
    /// 500: an internal fault.
    SystemFailure = "SYSTEM_FAILURE",
    /// 500 or 503: a bound of this NF is reached.
    InsufficientResources = "INSUFFICIENT_RESOURCES",
    /// 504: a peer on which the answer depends is silent.
    PeerNotResponding = "PEER_NOT_RESPONDING",
    /// 400, from an SCP: no producer is what the discovery headers ask for.
    NfDiscoveryFailure = "NF_DISCOVERY_FAILURE",
    /// 400, from an SCP: the discovery headers are not what they should be, or the NRF refuses them.
    InvalidDiscoveryParam = "INVALID_DISCOVERY_PARAM",
    /// 504, from an SCP: the NRF does not answer.
    NrfNotReachable = "NRF_NOT_REACHABLE",
    /// 504, from an SCP: the producer does not answer.
    TargetNfNotReachable = "TARGET_NF_NOT_REACHABLE",
    /// 504, from an SCP: the consumer's time is up.
    TimedOutRequest = "TIMED_OUT_REQUEST",
    /// 502, from an SCP: no SCP may forward the request any further.
    MaxScpHopsReached = "MAX_SCP_HOPS_REACHED",
    /// 502, from an SCP: the producer's answer cannot be forwarded.
    InboundServerError = "INBOUND_SERVER_ERROR",
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that gets an error answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status}: {details}")]
pub struct Problem {
    /// Status of the answer.
    pub status: StatusCode,
    /// Body of the answer.
    pub details: Box<ProblemDetails>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// An answer with `status` and `detail`, for the statuses to which TS 29.500 gives no cause.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            details: Box::new(ProblemDetails {
                title: status.canonical_reason().map(str::to_owned),
                status: Some(status.as_u16()),
                detail: Some(detail.into()),
                ..ProblemDetails::default()
            }),
            header: None,
        }
    }

    /// An answer with `status`, `cause` and `detail`.
    pub fn with_cause(status: StatusCode, cause: Cause, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(status, detail);
        problem.details.cause = Some(cause.as_str().to_owned());
        problem
    }

    /// `400` for the information elements `params`, the first of which gives the detail.
    pub fn invalid_params(cause: Cause, params: Vec<InvalidParam>) -> Self {
        let detail = params.first().map_or_else(
            || cause.to_string(),
            |first| match &first.reason {
                Some(reason) => format!("{}: {reason}", first.param),
                None => first.param.clone(),
            },
        );
        let mut problem = Self::with_cause(StatusCode::BAD_REQUEST, cause, detail);
        problem.details.invalid_params = params;
        problem
    }

    /// `400 MANDATORY_IE_MISSING` for the body member at JSON Pointer `pointer`.
    pub fn mandatory_ie_missing(pointer: &str) -> Self {
        Self::invalid_params(
            Cause::MandatoryIeMissing,
            vec![InvalidParam::new(pointer, "missing")],
        )
    }

    /// `400 MANDATORY_IE_INCORRECT` for `param`, which breaks the rule `reason`.
    pub fn mandatory_ie_incorrect(param: &str, reason: impl Into<String>) -> Self {
        Self::invalid_params(
            Cause::MandatoryIeIncorrect,
            vec![InvalidParam::new(param, reason)],
        )
    }

    /// `400 INVALID_MSG_FORMAT`: the body is not what its media type promises.
    pub fn invalid_msg_format(detail: impl Into<String>) -> Self {
        Self::with_cause(StatusCode::BAD_REQUEST, Cause::InvalidMsgFormat, detail)
    }

    /// `400 INVALID_API`: no such apiName and version; `supported` lists those there are.
    pub fn invalid_api(supported: &[&str]) -> Self {
        let mut problem = Self::with_cause(
            StatusCode::BAD_REQUEST,
            Cause::InvalidApi,
            "no such API name or version",
        );
        problem.details.supported_api_versions =
            supported.iter().map(|&api| api.to_owned()).collect();
        problem
    }

    /// `403` with the project's own cause: the request says something else than the client certificate.
    pub fn certificate_mismatch(detail: impl Into<String>) -> Self {
        Self::with_cause(StatusCode::FORBIDDEN, Cause::CertificateMismatch, detail)
    }

    /// `404` without a cause: no such resource.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// `404 RESOURCE_URI_STRUCTURE_NOT_FOUND`, only for a wrong fixed path segment after a variable one.
    pub fn resource_uri_structure_not_found() -> Self {
        Self::with_cause(
            StatusCode::NOT_FOUND,
            Cause::ResourceUriStructureNotFound,
            "no such resource below this one",
        )
    }

    /// `405` with `Allow`.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("allowed: {allow}"))
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// `415`: the media type is not `expected`.
    pub fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("expected {expected}"),
        )
    }

    /// `503` with `Retry-After`, for a bound that is reached for now.
    pub fn unavailable(cause: Cause, detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::with_cause(StatusCode::SERVICE_UNAVAILABLE, cause, detail)
            .with(RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// `500 SYSTEM_FAILURE`. What failed goes to the log, not to the peer.
    pub fn system_failure() -> Self {
        Self::with_cause(
            StatusCode::INTERNAL_SERVER_ERROR,
            Cause::SystemFailure,
            "internal fault",
        )
    }

    /// The same problem, answered with header `name` set to `value`.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The answer. A `405` has no body (TS 29.500 clause 5.2.7.2).
    pub fn into_response(self) -> Response {
        let response = if self.status == StatusCode::METHOD_NOT_ALLOWED {
            Response::empty(self.status)
        } else {
            Response::json_as(self.status, PROBLEM_JSON, &self.details)
        };
        match self.header {
            Some((name, value)) => response.with(name, value),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_ie_is_spelled_as_the_profile_has_it() {
        let response = Problem::mandatory_ie_missing("/nfType").into_response();
        assert_eq!(response.status, 400);
        assert_eq!(response.headers["content-type"], PROBLEM_JSON);
        assert_eq!(
            response.read_json::<Value>().unwrap(),
            serde_json::json!({"status": 400, "title": "Bad Request", "cause": "MANDATORY_IE_MISSING",
                "detail": "/nfType: missing", "invalidParams": [{"param": "/nfType", "reason": "missing"}]})
        );
    }

    #[test]
    fn method_not_allowed_carries_allow_and_no_body() {
        let response = Problem::method_not_allowed("GET, PUT").into_response();
        assert_eq!(response.headers["allow"], "GET, PUT");
        assert!(response.body.is_empty());
    }

    #[test]
    fn reads_details_nested_in_an_error_member() {
        let details =
            ProblemDetails::from_body(br#"{"error":{"status":403,"cause":"DNN_DENIED"}}"#);
        assert_eq!(details.unwrap().cause.as_deref(), Some("DNN_DENIED"));
    }

    #[test]
    fn a_body_that_is_no_problem_has_no_details() {
        assert_eq!(ProblemDetails::from_body(b"<html>"), None);
    }
}
