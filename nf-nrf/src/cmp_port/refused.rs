//! Why a message is not granted what it asks for, as CMP says it.

use cmp::{BodyError, Failure, MacError, PossessionError, ProtectionError};
use mtc_core::causes::Causes;
use mtc_log::IssueError;
use mtc_tls::csr::CsrError;

use crate::enrolment::Refusal;
use crate::enrolment_token::TokenError;
use crate::mtca::MtcaError;
use crate::revoked::RevokedError;

/// A failure and the text beside it, which is for whoever runs the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) failure: Failure,
    pub(super) text: String,
}

impl Refused {
    pub(super) const fn new(failure: Failure, text: String) -> Self {
        Self { failure, text }
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        let failure = match error {
            BodyError::Malformed { .. } => Failure::BadDataFormat,
            _ => Failure::BadRequest,
        };
        Self::new(failure, Causes(&error).to_string())
    }
}

impl From<PossessionError> for Refused {
    fn from(error: PossessionError) -> Self {
        let failure = match error {
            PossessionError::NoKey => Failure::BadCertTemplate,
            PossessionError::Key(_) | PossessionError::Algorithm(_) => Failure::BadAlg,
            _ => Failure::BadPop,
        };
        Self::new(failure, Causes(&error).to_string())
    }
}

impl From<CsrError> for Refused {
    fn from(error: CsrError) -> Self {
        let failure = match error {
            CsrError::BadSignature => Failure::BadPop,
            CsrError::PublicKey(_) | CsrError::SignatureAlgorithm(_) => Failure::BadAlg,
            CsrError::AltNames(_) | CsrError::NfTypes(_) | CsrError::Duplicate(_) => {
                Failure::BadCertTemplate
            }
            _ => Failure::BadDataFormat,
        };
        Self::new(failure, Causes(&error).to_string())
    }
}

impl From<MacError> for Refused {
    fn from(error: MacError) -> Self {
        Self::new(Failure::BadAlg, Causes(&error).to_string())
    }
}

impl From<ProtectionError> for Refused {
    fn from(error: ProtectionError) -> Self {
        let failure = match error {
            ProtectionError::Algorithm => Failure::BadAlg,
            ProtectionError::BadSignature => Failure::BadMessageCheck,
        };
        Self::new(failure, error.to_string())
    }
}

impl From<RevokedError> for Refused {
    fn from(error: RevokedError) -> Self {
        let failure = match error {
            RevokedError::Already => Failure::CertRevoked,
            _ => {
                tracing::error!(error = %Causes(&error), "cannot record a revocation");
                Failure::SystemFailure
            }
        };
        Self::new(failure, error.to_string())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let failure = match &refusal {
            Refusal::Token(TokenError::InUse(_)) => Failure::SystemUnavail,
            Refusal::Token(_)
            | Refusal::Pod(_)
            | Refusal::AnswerExpired
            | Refusal::ExpiredTooLong { .. }
            | Refusal::ExpiredProfile => Failure::NotAuthorized,
            Refusal::Revoked => Failure::CertRevoked,
            Refusal::Subject(_) | Refusal::Excess(_) => Failure::BadCertTemplate,
            Refusal::Profile { .. } => Failure::BadRequest,
            Refusal::Mtca(MtcaError::Issue(
                IssueError::Overloaded
                | IssueError::WitnessUnavailable { .. }
                | IssueError::Refused(_)
                | IssueError::Stopped,
            ))
            | Refusal::Mtca(MtcaError::Ending(_))
            | Refusal::Unopened(_) => Failure::SystemUnavail,
            Refusal::Mtca(_) | Refusal::Failed => Failure::SystemFailure,
        };
        let text = Causes(&refusal).to_string();
        if failure == Failure::SystemFailure {
            tracing::error!(error = text, "a CMP request failed");
        }
        Self::new(failure, text)
    }
}
