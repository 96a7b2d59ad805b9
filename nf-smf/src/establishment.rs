//! A new PDU session from its SM context to the N1N2 transfer, carried out to the end whatever becomes of the AMF's request.
//!
//! ```text
//!   context ──> UDM, PCF ──┬── they agree, the AMF is there ──> 201 to the AMF ──> N1N2 transfer ──> the replaced session is ended
//!                          ├── they refuse or are silent ─────> refusal, and the context is taken back
//!                          └── the AMF has given up ──────────> the context is taken back: nobody would use or release it
//! ```
//!
//! With a context goes what UDM and PCF have of it. Who carries it out holds the transfer's place all the time, so there are never more
//! than there may be transfers.

use std::sync::Arc;

use hyper::StatusCode;
use mtc_core::causes::Causes;
use procedures::caller::{Came, ExchangeError};
use sbi::client::ClientError;
use sbi::problem::{Cause, Problem};
use sbi::uri::ApiRoot;
use tokio::sync::oneshot;

use crate::n1n2::{Transfer, Transfers};
use crate::pdu_session::PduSessions;
use crate::sm_context::{Held, PduSession, SmContext};
use crate::subscription::{Subject, Subscription};

/// What establishes and ends sessions of an SMF. Clones share it.
#[derive(Clone)]
pub(crate) struct Establishment {
    pub(crate) sessions: Arc<PduSessions>,
    pub(crate) subscription: Arc<Subscription>,
    pub(crate) transfers: Arc<Transfers>,
}

impl Establishment {
    /// Establishes the session of `transfer`, whose context has `replaced` another one. Tells `tell` when the AMF can have its answer,
    /// whose receiver is gone if the AMF has given up.
    pub(crate) async fn carry_out(
        self,
        transfer: Transfer,
        replaced: Option<SmContext>,
        api_root: ApiRoot,
        tell: oneshot::Sender<Result<(), Problem>>,
    ) {
        let subject = Subject {
            session: &transfer.session,
            came: transfer.came,
        };
        let mut held = Held::default();
        let asking = self
            .subscription
            .establish(subject, &transfer.slice, &api_root, &mut held);
        let outcome = asking.await.map_err(|error| refusal(&error));
        let outcome = outcome.and_then(|()| {
            let is_there = self.sessions.hold(transfer.context, held.clone());
            is_there.then_some(()).ok_or_else(overtaken)
        });
        let is_had = outcome.is_ok();
        if !is_had {
            // Before the AMF hears of it: it may ask again at once, and finds its place.
            self.take_back(&transfer, &mut held);
        }
        if tell.send(outcome).is_ok() && is_had {
            let (session, came) = (transfer.session.clone(), transfer.came);
            self.transfers.carry_out(transfer).await;
            if let Some(SmContext { held: mut old, .. }) = replaced {
                // The UDM knows of the session, which has begun anew.
                old.is_registered = false;
                self.end(&session, came, &old).await;
            }
            return;
        }
        if is_had {
            self.take_back(&transfer, &mut held);
        }
        self.end(&transfer.session, transfer.came, &held).await;
    }

    /// Ends a context that is not to be had after all.
    fn take_back(&self, transfer: &Transfer, held: &mut Held) {
        if self.sessions.take_back(transfer.context).is_none() {
            // A newer context of the session is in its place, and registered at the UDM in its name.
            held.is_registered = false;
        }
    }

    /// Takes back what UDM and PCF have of a session that is no more, whatever they say.
    pub(crate) async fn end(&self, session: &PduSession, came: Came, held: &Held) {
        let subject = Subject { session, came };
        if let Err(error) = self.subscription.release(subject, held).await {
            let PduSession { supi, id } = session;
            let error = Causes(&error);
            tracing::warn!(supi, pdu_session_id = id, %error, "UDM or PCF keeps a session that is no more");
        }
    }
}

/// What the AMF hears when UDM or PCF does not do its part (TS 29.502 clause 6.1.7.3). It is the subscriber that is refused if they say so;
/// that they did not take this SMF's request says nothing of the subscriber.
pub(crate) fn refusal(error: &ExchangeError) -> Problem {
    let (status, cause) = match error {
        ExchangeError::Call {
            source:
                ClientError::Status {
                    status: StatusCode::FORBIDDEN | StatusCode::NOT_FOUND,
                    ..
                },
            ..
        } => (StatusCode::FORBIDDEN, Cause::SubscriptionDenied),
        _ => (StatusCode::GATEWAY_TIMEOUT, Cause::PeerNotResponding),
    };
    Problem::with_cause(status, cause, error.to_string())
}

fn overtaken() -> Problem {
    let detail = "the SM context ended before it was established: a newer request for the session, or its AMF is gone";
    Problem::with_cause(StatusCode::NOT_FOUND, Cause::ContextNotFound, detail)
}

#[cfg(test)]
mod tests {
    use sbi::model::ServiceName;

    use super::*;

    #[test]
    fn only_a_refusal_of_the_subscriber_is_told_as_one() {
        let refused = |status| {
            let error = ExchangeError::Call {
                service: ServiceName::NudmUecm,
                source: ClientError::Status {
                    status,
                    details: Box::default(),
                },
            };
            let problem = refusal(&error);
            (problem.status.as_u16(), problem.details.cause)
        };
        let denied = (403, Some("SUBSCRIPTION_DENIED".to_owned()));
        let silent = (504, Some("PEER_NOT_RESPONDING".to_owned()));
        for status in [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
            assert_eq!(refused(status), denied, "{status}");
        }
        for status in [
            StatusCode::UNAUTHORIZED,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ] {
            assert_eq!(refused(status), silent, "{status}");
        }
    }
}
