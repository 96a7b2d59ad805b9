//! Why a token does not permit a request, and the answer to that.

use hyper::StatusCode;
use hyper::header::WWW_AUTHENTICATE;
use hyper::http::HeaderValue;
use jose::JwsError;
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::time::UnixTime;
use mtc_tls::profile::Tokens;

use crate::client_credentials::AssertionRefusal;
use crate::model::{NfInstanceId, NfType, ServiceName};
use crate::problem::{Cause, Problem};

/// Why a request is not permitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// There is no token.
    #[error("access token: missing; ask the NRF for one at /oauth2/token")]
    Missing,
    /// What is there is not one `Bearer` token.
    #[error("Authorization: not one Bearer token")]
    Scheme,
    /// Not a token of the NRF, or changed since.
    #[error("access token")]
    Jws(#[from] JwsError),
    /// It is signed with another algorithm than the tokens of this connection.
    #[error("access token: signed with {}, and the tokens of this connection are {wanted}", jose::alg(*.found))]
    Algorithm {
        /// Its algorithm.
        found: SignatureAlgorithm,
        /// What the connection's profile says.
        wanted: Tokens,
    },
    /// Its time is over.
    #[error("access token: exp {expired} is over by this clock, {now}")]
    Expired {
        /// Its end.
        expired: UnixTime,
        /// The producer's clock.
        now: UnixTime,
    },
    /// It is for other producers.
    #[error("access token: aud does not include this NF")]
    Audience,
    /// It is another's.
    #[error("access token: sub {subject} is not the peer of the connection")]
    Subject {
        /// Whose it is.
        subject: NfInstanceId,
        /// Who sent it; none without a certificate.
        peer: Option<NfInstanceId>,
    },
    /// What says whose it is behind an SCP, is not to be believed.
    #[error(transparent)]
    Assertion(#[from] AssertionRefusal),
    /// It is another's than the assertion.
    #[error("access token: sub {subject}, and the client credentials assertion is of {asserted}")]
    Mismatch {
        /// Whose it is.
        subject: NfInstanceId,
        /// Who sends it.
        asserted: NfInstanceId,
    },
    /// It is for other services.
    #[error("access token: scope does not include {0}")]
    Scope(ServiceName),
    /// It is for other slices.
    #[error("access token: producerSnssaiList has no slice that this NF serves")]
    Slice,
    /// It is for producers of a kind that this NF does not know.
    #[error("access token: {0} restricts it to something that this NF is not")]
    Restriction(String),
}

impl TokenRefusal {
    /// The check that failed, in a word.
    pub const fn check(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Jws(JwsError::Signature) => "signature",
            Self::Jws(JwsError::UnknownKey { .. } | JwsError::Algorithm(_))
            | Self::Algorithm { .. } => "key",
            Self::Scheme | Self::Jws(_) => "malformed",
            Self::Expired { .. } => "expired",
            Self::Audience => "audience",
            Self::Subject { .. } | Self::Mismatch { .. } => "subject",
            Self::Assertion(_) => "assertion",
            Self::Scope(_) => "scope",
            Self::Slice | Self::Restriction(_) => "slice",
        }
    }

    /// The answer of a producer of type `nf_type` (TS 29.500 clause 6.7.3, RFC 6750 section 3): 401 if another token might help,
    /// 403 if this one is good and does not reach as far, or is not the consumer's (TS 29.500 table 5.2.7.2-1).
    pub fn problem(&self, nf_type: &NfType) -> Problem {
        let (status, error) = match self {
            Self::Assertion(refusal) => return refusal.problem(),
            Self::Mismatch { .. } => {
                let (status, cause) = (StatusCode::FORBIDDEN, Cause::TokenCcaMismatch);
                return Problem::with_cause(status, cause, self.to_string());
            }
            Self::Missing => (StatusCode::UNAUTHORIZED, None),
            Self::Scheme
            | Self::Jws(_)
            | Self::Algorithm { .. }
            | Self::Expired { .. }
            | Self::Audience
            | Self::Subject { .. } => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::Scope(_) | Self::Slice | Self::Restriction(_) => {
                (StatusCode::FORBIDDEN, Some("insufficient_scope"))
            }
        };
        let mut challenge = format!("Bearer realm=\"{}\"", realm(nf_type));
        if let Some(error) = error {
            let check = self.check();
            challenge.push_str(&format!(
                ", error=\"{error}\", error_description=\"{check}\""
            ));
        }
        let challenge =
            HeaderValue::try_from(challenge).expect("the names of checks and types are ASCII");
        Problem::new(status, self.to_string()).with(WWW_AUTHENTICATE, challenge)
    }
}

/// Types that are not known here are configured by nobody, and could hold anything.
fn realm(nf_type: &NfType) -> &str {
    match nf_type {
        NfType::Other(_) => "NF",
        known => known.as_str(),
    }
}
