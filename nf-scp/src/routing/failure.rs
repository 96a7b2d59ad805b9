//! What a consumer is told of a request that no producer has answered (TS 29.500 clause 6.10), and whether another one may be asked.
//! Pure.

use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use sbi::client::ClientError;
use sbi::instance::CallError;
use sbi::problem::{Cause, Problem};

use super::producers::SendError;

/// Seconds after which a consumer may try again that came when there was no place.
const RETRY_WHEN_BUSY: u32 = 1;

/// Why a producer was not the one that answers.
pub(super) enum Failure {
    /// Another may be asked; if there is none, this is the answer.
    TryAnother(Problem),
    /// This is the answer.
    Final(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Final(problem)
    }
}

impl Failure {
    /// What `error` means for a request of `method`, which can still be sent to another producer or cannot.
    pub(super) fn of(error: &SendError, method: &Method, can_repeat: bool) -> Self {
        let problem = match error {
            SendError::Full => congested("the producer has as many requests as it may"),
            SendError::Late
            | SendError::AnswerLate
            | SendError::Call(CallError::Client(ClientError::Timeout(_))) => {
                return Self::Final(timed_out());
            }
            SendError::BodyLate => {
                let status = StatusCode::REQUEST_TIMEOUT;
                return Self::Final(Problem::new(status, error.to_string()));
            }
            SendError::BodyBroken => {
                return Self::Final(Problem::invalid_msg_format(error.to_string()));
            }
            SendError::NoWay | SendError::Call(_) | SendError::AnswerBroken(_) => {
                not_reachable(Causes(error).to_string())
            }
        };
        // The methods that may be carried out twice (RFC 9110 section 9.2.2).
        let may_repeat = error.is_unprocessed() || method.is_idempotent();
        if may_repeat && can_repeat {
            Self::TryAnother(problem)
        } else {
            Self::Final(problem)
        }
    }
}

/// What the NRF says of a query that it refuses.
pub(super) fn refusal(error: &ClientError) -> String {
    match error {
        ClientError::Status { details, .. } => details.to_string(),
        other => other.to_string(),
    }
}

/// 503: the consumer may come again soon.
pub(super) fn congested(detail: &str) -> Problem {
    Problem::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_BUSY)
}

/// 503: the producer wants fewer requests.
pub(super) fn shed() -> Problem {
    congested("the producer is overloaded and asks for fewer requests")
}

/// 504: no producer answers.
pub(super) fn not_reachable(detail: impl Into<String>) -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::TargetNfNotReachable);
    Problem::with_cause(status, cause, detail)
}

/// 504: the NRF does not answer.
pub(super) fn nrf_not_reachable(detail: &str) -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::NrfNotReachable);
    Problem::with_cause(status, cause, detail)
}

/// 504: the consumer's time is over.
pub(super) fn timed_out() -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::TimedOutRequest);
    Problem::with_cause(status, cause, "there was no answer in the consumer's time")
}
