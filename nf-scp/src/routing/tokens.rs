//! Access tokens on the consumers' behalf (TS 33.501 clause 13.4.1.3.2): a consumer that leaves the choice of the producer to the SCP leaves
//! the token to it too, and sends its client credentials assertion instead, by which the NRF knows for whom the SCP asks.
//!
//! ```text
//!  model D, no Authorization, Client-Credentials ── kept for this consumer and service, and fresh? ──> Bearer
//!                                                     └─ no: POST /oauth2/token with the assertion, in the consumer's profile
//! ```
//!
//! A token goes into requests of the consumer whose certificate the SCP sees and into no others. The assertion travels on: the
//! producer compares the two.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue};
use mtc_core::causes::Causes;
use sbi::access_token::{Bearer, KeptTokens, TokenNeed, need_of};
use sbi::client::ClientError;
use sbi::header::{CLIENT_CREDENTIALS, is_delegated};
use sbi::instance::{CallError, Instance, Offer};
use sbi::model::{NfInstanceId, NfType};
use sbi::nnrf::{Nrf, fetch_token};
use sbi::problem::{Cause, Problem};
use sbi::server::Request;

/// Tokens of all consumers, each of 5 kB at most.
const MAX_KEPT: usize = 4096;
/// How long it is remembered that the NRF refuses a consumer: whoever asks on and on does not make the SCP do so.
const REFUSED: Duration = Duration::from_secs(1);

/// The tokens of consumers.
pub(super) struct ConsumerTokens {
    instance: Arc<Instance>,
    nrf: Nrf,
    kept: KeptTokens<(NfInstanceId, TokenNeed), Result<Bearer, Refused>>,
}

/// What the NRF said when it was shown an assertion.
#[derive(Clone)]
struct Refused {
    assertion: HeaderValue,
    problem: Problem,
}

/// A token that the SCP adds to a request.
pub(super) struct Lent {
    consumer: NfInstanceId,
    need: TokenNeed,
    /// The token.
    pub(super) bearer: Bearer,
}

impl ConsumerTokens {
    pub(super) fn new(instance: Arc<Instance>, nrf: Nrf) -> Self {
        Self {
            instance,
            nrf,
            kept: KeptTokens::new(MAX_KEPT),
        }
    }

    /// The token for `request` of an NF of type `consumer`; none if it has one, needs none, or has left none to the SCP.
    ///
    /// # Errors
    /// The NRF refuses it, or does not answer.
    pub(super) async fn for_request(
        &self,
        request: &Request,
        consumer: &NfType,
        offer: Offer,
    ) -> Result<Option<Lent>, Problem> {
        let headers = &request.headers;
        let is_left = is_delegated(headers) && !headers.contains_key(AUTHORIZATION);
        let (true, Some(_), Some(assertion), Some(identity), Some(need)) = (
            is_left,
            self.instance.client_credentials(),
            headers.get(CLIENT_CREDENTIALS),
            &request.peer.identity,
            need_of(&request.method, &request.path, offer.profile()),
        ) else {
            return Ok(None);
        };
        let id = NfInstanceId::from(identity.instance_id);
        let lent = |need, bearer| Lent {
            consumer: id,
            need,
            bearer,
        };
        let key = (id, need);
        let fetch = async || self.fetch(&key, consumer, offer, assertion).await;
        let token = match self.kept.get(&key, fetch).await? {
            // Another assertion may be taken: of the standalone certificate, for example, where the landmark was not known.
            Err(refused) if refused.assertion != *assertion => fetch().await?.0,
            token => token,
        };
        let bearer = token.map_err(|refused| refused.problem)?;
        Ok(Some(lent(key.1, bearer)))
    }

    /// Forgets a token that a producer has refused, if it is not new.
    pub(super) fn refused(&self, lent: &Lent) {
        let key = (lent.consumer, lent.need.clone());
        let is_it = |kept: &Result<Bearer, Refused>| kept.as_ref().is_ok_and(|b| *b == lent.bearer);
        self.kept.forget(&key, is_it);
    }

    /// Asks the NRF, and says how long its answer holds.
    async fn fetch(
        &self,
        (id, need): &(NfInstanceId, TokenNeed),
        consumer: &NfType,
        offer: Offer,
        assertion: &HeaderValue,
    ) -> Result<(Result<Bearer, Refused>, Duration), Problem> {
        let (nrf, consumer) = (&self.nrf, (*id, consumer));
        let fetching = fetch_token(nrf, &self.instance, offer, consumer, need, Some(assertion));
        let fetched = fetching.await;
        let metrics = &self.instance.ledger().metrics().tokens;
        metrics.fetched(fetched.is_ok());
        match fetched {
            Ok((bearer, life)) => Ok((Ok(bearer), life)),
            Err(error) => {
                let problem = refusal(&error).ok_or_else(|| unreachable_nrf(&error))?;
                let assertion = assertion.clone();
                Ok((Err(Refused { assertion, problem }), REFUSED))
            }
        }
    }
}

/// The answer to the consumer where the NRF has refused it: the NRF's own, if that does not believe the assertion.
fn refusal(error: &CallError) -> Option<Problem> {
    let CallError::Client(ClientError::Status { status, details }) = error else {
        return None;
    };
    let is_unbelieved = details.cause.as_deref() == Some(Cause::CcaVerificationFailure.as_str());
    match *status {
        StatusCode::FORBIDDEN if is_unbelieved => {
            let detail = details.detail.clone().unwrap_or_default();
            let cause = Cause::CcaVerificationFailure;
            Some(Problem::with_cause(StatusCode::FORBIDDEN, cause, detail))
        }
        status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
            let detail = format!("the NRF gives this consumer no access token: {error}");
            let cause = Cause::AccessTokenDenied;
            Some(Problem::with_cause(StatusCode::FORBIDDEN, cause, detail))
        }
        _ => None,
    }
}

fn unreachable_nrf(error: &CallError) -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::NrfNotReachable);
    Problem::with_cause(status, cause, Causes(error).to_string())
}
